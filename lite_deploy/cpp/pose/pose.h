/* From a camera's frame to people with ids, in C: for C, C++, JNI, ctypes. README.md has a whole program.
 *
 *   pose_settings settings = pose_default_settings();
 *   ...                                                   the networks, as the pose.json of each says
 *   pose_pipeline* pipeline = pose_open(&settings, &problem);
 *   pose_frame frame = pose_nv21(...);
 *   if (pose_follow(pipeline, &frame, seconds) == POSE_OK) people = pose_people(pipeline, &count);
 *   pose_close(pipeline);
 *
 * The people are those of `tinypose infer`: the same joints, boxes and ids. The library knows no engine: a network
 * is a function that the caller gives. A pipeline belongs to one thread at a time; several may run side by side. It
 * keeps no pointer to a frame, and throws nothing; without memory the process ends, as the NDK's `new` does.
 */
#ifndef POSE_POSE_H_
#define POSE_POSE_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Networks ------------------------------------------------------------------------------------------------ */

/* One output of a network: float32, row-major, [shape[0], ..., shape[rank - 1]]. */
typedef struct {
  const float* data; /* read before the function is called again */
  int rank;
  int shape[4];
} pose_tensor;

/* Runs a network on `input`, float32 [1, 3, height, width], and describes its outputs in the network's order; there
 * is room for as many as the pipeline reads (pose: 1 heatmap or 2 SimCC vectors, detector: 4 maps, a network that sees
 * whole pictures: 2, `higher` 5). Returns 0, or anything else if it failed. Called on the thread that gave the frame. */
typedef int (*pose_run)(void* user, const float* input, int height, int width, pose_tensor* outputs);

/* What a network reads. */
typedef struct {
  int width, height;
  float mean[3], std[3]; /* R, G, B where white is 1; a network that normalises by itself: 0 and 1 / 255 */
  pose_run run;
  void* user; /* handed to `run` */
} pose_network;

enum { POSE_HEATMAP, POSE_SIMCC, POSE_TAGS, POSE_ADAPTIVE, POSE_DEKR }; /* pose_joints.codec */
enum { POSE_MAX, POSE_SHIFT, POSE_DARK };            /* pose_joints.decoding */
enum { POSE_GRID_STRIDE, POSE_GRID_UDP };            /* pose_joints.grid */
enum { POSE_CROP_UDP, POSE_CROP_PLAIN };             /* pose_joints.crop */
enum { POSE_ONE_EURO, POSE_EMA, POSE_NOT_SMOOTHED }; /* pose_following.smooth */

/* The pose network's output, and how joints are read from it. Networks from POSE_TAGS on are bottom-up: they see the
 * whole picture and find everybody, without a detector; tinypose/codecs/tags.py and offsets.py say more. */
typedef struct {
  int joints;
  const double* sigmas; /* [joints], of the skeleton in pose.json; copied */
  double padding;       /* how much larger than the person's box the crop is */
  int crop;             /* POSE_CROP_UDP: a crop of W pixels is W - 1 long; POSE_CROP_PLAIN: W, as mmpose's */
  int codec;            /* POSE_HEATMAP: [1, joints, h, w]; POSE_SIMCC: [1, joints, bins] of x, then of y */
  int decoding;         /* POSE_DARK refines by a smoothed neighbourhood; POSE_SHIFT is for heatmaps */
  int blur;             /* DARK's kernel: odd; heatmaps: 1 to 31; SimCC: 1 to 999, along x */
  int blur_y;           /* SimCC: along y */
  int grid;             /* heatmaps */
  double split;         /* SimCC: bins a crop pixel */
  double threshold;     /* bottom-up: joints (POSE_TAGS) or centres above it begin a person */
  int most;             /* bottom-up: people of a picture */
  double least;         /* bottom-up: people who score no more are left out */
  int higher;           /* POSE_ADAPTIVE: 1: heatmaps at half the input too, five outputs */
  int match;            /* POSE_DEKR: 1: joints move to the heatmaps' maxima */
} pose_joints;

enum { POSE_PICODET, POSE_FAIRMOT }; /* pose_boxes.codec */

/* The detector's outputs, and which boxes count. */
typedef struct {
  int person;  /* the class that is a person, counted from 0 */
  int aligned; /* 1: there is an alignment map (form lcnet); 0: there is none (form esnet) */
  float score; /* boxes that score no more are dropped */
  float nms;   /* IoU above which the weaker of two boxes is dropped */
  int most;    /* people in a picture */
  int codec;   /* POSE_PICODET: the picture is squeezed into the input; POSE_FAIRMOT: it keeps its ratio, and of the
                  numbers above score and most count. Its looks are not read here: people are told apart by joints. */
} pose_boxes;

/* How people are followed: tinypose/inference/follow.py says more of each. */
typedef struct {
  int detect_every;  /* frames from one detection to the next; 1: every frame */
  double sure;       /* a person's score from which a new id is given */
  double least;      /* a person's score below which there is no one */
  double patience;   /* seconds for which someone out of sight is remembered */
  int smooth;        /* POSE_ONE_EURO, POSE_EMA or POSE_NOT_SMOOTHED */
  double cutoff;     /* one euro: hertz, for joints at rest; lower is steadier */
  double beta;       /* one euro: hertz for one person size a second; higher lags less */
  double constant;   /* ema: time constant in seconds */
} pose_following;

typedef struct {
  pose_network pose;
  pose_joints joints;
  pose_network detector; /* run is NULL: the whole picture is one person, or everybody's (bottom-up) */
  pose_boxes boxes;
  pose_following following;
} pose_settings;

/* ---- Frames -------------------------------------------------------------------------------------------------- */

enum { POSE_RGB, POSE_RGBA, POSE_YUV420 };  /* pose_frame.format; the fourth byte of RGBA is not read */
enum { POSE_FULL_RANGE, POSE_LIMITED_RANGE }; /* pose_frame.range: BT.601 from 0 to 255 (JFIF), or 16 to 235 */

/* A picture in the caller's memory. Planes: R, or Y, U and V; of YUV420, U and V have half the width and height,
 * rounded up. Strides are bytes from one row and from one pixel of a plane to the next: so NV21, NV12, I420 and
 * Android's YUV_420_888 are one format. */
typedef struct {
  int format;
  int width, height; /* as stored, 1 to 32767 */
  int rotation;      /* 0, 90, 180 or 270: by how many degrees clockwise it has to be turned to be upright */
  int range;         /* of YUV420 */
  const uint8_t* planes[3];
  int row_strides[3], pixel_strides[3];
} pose_frame;

/* Android's NV21 (V before U), NV12 (U before V) and I420, where planes follow one another without gaps if the
 * stride is the width; and interleaved bytes. */
pose_frame pose_nv21(const uint8_t* luma, const uint8_t* chroma, int width, int height, int row_stride, int rotation);
pose_frame pose_nv12(const uint8_t* luma, const uint8_t* chroma, int width, int height, int row_stride, int rotation);
pose_frame pose_i420(const uint8_t* data, int width, int height, int rotation);
pose_frame pose_rgba(const uint8_t* data, int width, int height, int row_stride, int rotation);
pose_frame pose_rgb(const uint8_t* data, int width, int height, int row_stride, int rotation);

/* ---- People -------------------------------------------------------------------------------------------------- */

enum { POSE_NOBODY = -1 }; /* the id of someone who is not followed */

/* Coordinates are pixels of the upright picture; whole numbers are pixel centres. */
typedef struct {
  int id;                 /* counted from 1, never given again; POSE_NOBODY in single pictures */
  float score;            /* the box's times the mean of the joints' above 0.2; bottom-up: the network's */
  float box_score;        /* the detector's; bottom-up: the score */
  float box[4];           /* left, top, width, height: where they were looked for; bottom-up: around sure joints */
  const float* keypoints; /* [joints, 3]: x, y, score */
} pose_person;

/* What the stages of the last frame took, in milliseconds. */
typedef struct {
  double convert;  /* to upright RGB */
  double resize;   /* the detector's input */
  double detector; /* its network */
  double boxes;    /* decoding and suppression */
  double crop;     /* the pose network's inputs; bottom-up: the whole picture */
  double pose;     /* its runs */
  double decode;   /* joints */
  double follow;   /* ids and smoothing */
  int detections;  /* how often the detector ran: 0 or 1 */
  int people;      /* how often the pose network ran */
} pose_times;

typedef enum {
  POSE_OK = 0,
  POSE_BAD_SETTINGS, /* nothing was changed */
  POSE_BAD_FRAME,    /* the frame or its time makes no sense; the next one may */
  POSE_RUN_FAILED,   /* a network's function failed */
  POSE_BAD_OUTPUT    /* a network's output is not of the shape that the settings say, or no numbers */
} pose_status;

typedef struct pose_pipeline pose_pipeline;

/* Everything but the networks and sigmas: as `tinypose infer` has it, for TinyPose and PicoDet in form esnet. */
pose_settings pose_default_settings(void);

/* Opens a pipeline; NULL and what is wrong (a text that stays) if the settings make no sense. */
pose_pipeline* pose_open(const pose_settings* settings, const char** problem);
void pose_close(pose_pipeline* pipeline); /* NULL is allowed */

/* Finds the people of a video's next frame, with ids, smoothed. `time` in seconds, later than the last frame's. After
 * a frame that failed the video goes on as if it had not come. */
pose_status pose_follow(pose_pipeline* pipeline, const pose_frame* frame, double time);

/* Finds the people of a single picture; a video goes on undisturbed. `boxes`: float [count, 4], where to look instead
 * of detecting; NULL: the detector says, or the network is bottom-up, which takes no boxes. */
pose_status pose_look(pose_pipeline* pipeline, const pose_frame* frame, const float* boxes, int count);

/* The people of the last frame, best first (pose_look with boxes: in their order, without those outside the
 * picture); none if it failed. Valid until the next call with this pipeline. */
const pose_person* pose_people(const pose_pipeline* pipeline, int* count);

/* Begins another video: ids count from 1 again. */
void pose_restart(pose_pipeline* pipeline);

/* Changes how people are followed, from the next frame on; ids stay. */
pose_status pose_set_following(pose_pipeline* pipeline, const pose_following* following);

pose_times pose_last_times(const pose_pipeline* pipeline);
const char* pose_message(const pose_pipeline* pipeline); /* what was wrong last; a text that stays */

#ifdef __cplusplus
}
#endif

#endif /* POSE_POSE_H_ */
