#include "pose/pose.h"

#include <cmath>

#include "pose/follow.h"
#include "pose/frame.h"
#include "pose/simcc.h"

struct pose_pipeline {
  explicit pose_pipeline(const pose_settings& settings)
      : following(settings.following), estimator(settings), follower(&estimator, settings.following) {}

  pose_following following;
  pose::Estimator estimator;
  pose::Follower follower;
  pose::Upright upright;
  std::vector<pose::Person> found;
  std::vector<pose_person> people;
  pose_times times{};
  const char* message = "";
};

namespace {

constexpr int kMostJoints = 1024, kMostBlur = 31, kLongest = 8192, kMostPeople = 1000;

bool Within(double value, double least, double most) { return value >= least && value <= most; }

bool Odd(int value, int most) { return value >= 1 && value <= most && value % 2 == 1; }

const char* WrongWith(const pose_network& network) {
  if (!network.run) return "pose: run: a function is needed";
  if (!Within(network.width, 2, kLongest) || !Within(network.height, 2, kLongest))
    return "a network's width and height: expected 2 to 8192";
  for (int i = 0; i < 3; ++i)
    if (!std::isfinite(network.mean[i]) || !std::isfinite(network.std[i]) || !(network.std[i] > 0))
      return "a network's mean and std: expected numbers, std above 0";
  return nullptr;
}

const char* WrongWithBottomUp(const pose_joints& joints) {
  if (!Within(joints.threshold, 0, 1)) return "joints: threshold: expected 0 to 1";
  if (!Within(joints.most, 1, kMostPeople)) return "joints: most: expected 1 to 1000";
  if (!Within(joints.least, 0, 1)) return "joints: least: expected 0 to 1";
  if (!Within(joints.higher, 0, 1) || (joints.higher && joints.codec != POSE_ADAPTIVE))
    return "joints: higher: expected 0, or 1 with POSE_ADAPTIVE";
  if (!Within(joints.match, 0, 1) || (joints.match && joints.codec != POSE_DEKR))
    return "joints: match: expected 0, or 1 with POSE_DEKR";
  return nullptr;
}

const char* WrongWith(const pose_joints& joints) {
  if (!Within(joints.joints, 1, kMostJoints) || !joints.sigmas)
    return "joints: expected 1 to 1024, and a sigma for each";
  for (int i = 0; i < joints.joints; ++i)
    if (!std::isfinite(joints.sigmas[i]) || !(joints.sigmas[i] > 0)) return "joints: sigmas: expected numbers above 0";
  if (pose::BottomUp(joints)) return WrongWithBottomUp(joints);
  if (!Within(joints.padding, 0.1, 10)) return "joints: padding: expected 0.1 to 10";
  if (!Within(joints.crop, POSE_CROP_UDP, POSE_CROP_PLAIN)) return "joints: crop: no such way";
  if (!Within(joints.decoding, POSE_MAX, POSE_DARK)) return "joints: decoding: expected POSE_MAX, _SHIFT or _DARK";
  if (joints.codec == POSE_SIMCC) {
    if (!Within(joints.split, 0.1, 100)) return "joints: split: expected 0.1 to 100";
    if (joints.decoding == POSE_SHIFT) return "joints: decoding: POSE_SHIFT is for heatmaps";
    const bool blurs = Odd(joints.blur, pose::kMostVectorBlur) && Odd(joints.blur_y, pose::kMostVectorBlur);
    if (joints.decoding == POSE_DARK && !blurs)
      return "joints: blur and blur_y: expected odd numbers to 999";
    return nullptr;
  }
  if (joints.codec != POSE_HEATMAP) return "joints: codec: no such output";
  if (!Odd(joints.blur, kMostBlur)) return "joints: blur: expected an odd number to 31";
  if (!Within(joints.grid, POSE_GRID_STRIDE, POSE_GRID_UDP)) return "joints: grid: expected _STRIDE or _UDP";
  return nullptr;
}

const char* WrongWith(const pose_boxes& boxes) {
  if (!Within(boxes.person, 0, 100000)) return "boxes: person: expected the number of a class";
  if (!Within(boxes.aligned, 0, 1)) return "boxes: aligned: expected 0 or 1";
  if (!Within(boxes.score, 0, 1) || !Within(boxes.nms, 0, 1)) return "boxes: score and nms: expected 0 to 1";
  if (boxes.most < 1) return "boxes: most: expected 1 or more";
  if (!Within(boxes.codec, POSE_PICODET, POSE_FAIRMOT)) return "boxes: codec: expected POSE_PICODET or POSE_FAIRMOT";
  return nullptr;
}

const char* WrongWith(const pose_following& following) {
  if (following.detect_every < 1) return "following: detect_every: expected 1 or more";
  if (!Within(following.sure, 0, 1) || !Within(following.least, 0, 1))
    return "following: sure and least: expected 0 to 1";
  if (!Within(following.patience, 0, 1e9)) return "following: patience: expected seconds from 0 on";
  if (!Within(following.smooth, POSE_ONE_EURO, POSE_NOT_SMOOTHED)) return "following: smooth: no such filter";
  if (!(following.cutoff > 0) || !(following.beta >= 0) || !(following.constant > 0))
    return "following: cutoff and constant: expected above 0; beta: from 0 on";
  return nullptr;
}

const char* WrongWith(const pose_settings& settings) {
  if (const char* wrong = WrongWith(settings.pose)) return wrong;
  if (const char* wrong = WrongWith(settings.joints)) return wrong;
  if (settings.detector.run) {
    if (pose::BottomUp(settings.joints)) return "detector: a bottom-up network sees the whole picture; expected none";
    if (const char* wrong = WrongWith(settings.detector)) return wrong;
    if (const char* wrong = WrongWith(settings.boxes)) return wrong;
  }
  return WrongWith(settings.following);
}

pose_status Finish(pose_pipeline* pipeline, const pose::Result& result) {
  pipeline->message = result.message;
  if (!result.ok()) pipeline->found.clear();
  pipeline->people.clear();
  for (const pose::Person& person : pipeline->found) {
    const pose::Box& box = person.box;
    pipeline->people.push_back({person.id, person.score, person.box_score,
                                {static_cast<float>(box.left), static_cast<float>(box.top),
                                 static_cast<float>(box.width), static_cast<float>(box.height)},
                                &person.joints.data()->x});
  }
  return result.status;
}

// Forgets the last frame and turns the new one upright.
pose::Result Begin(pose_pipeline* pipeline, const pose_frame* frame, pose::Image* image) {
  pipeline->times = pose_times{};
  pipeline->found.clear();
  if (!frame) return {POSE_BAD_FRAME, "no frame was given"};
  if (const char* wrong = pose::WrongWith(*frame)) return {POSE_BAD_FRAME, wrong};
  const double start = pose::Milliseconds();
  *image = pipeline->upright(*frame);
  pipeline->times.convert = pose::Milliseconds() - start;
  return pose::kFine;
}

}  // namespace

static_assert(sizeof(pose::Keypoint) == 3 * sizeof(float), "pose_person gives keypoints as rows of floats");
static_assert(POSE_MAX == static_cast<int>(pose::Decoding::kMax) &&
                  POSE_SHIFT == static_cast<int>(pose::Decoding::kShift) &&
                  POSE_DARK == static_cast<int>(pose::Decoding::kDark) &&
                  POSE_ONE_EURO == static_cast<int>(pose::Smooth::kOneEuro) &&
                  POSE_EMA == static_cast<int>(pose::Smooth::kEma) &&
                  POSE_NOT_SMOOTHED == static_cast<int>(pose::Smooth::kNone) && POSE_NOBODY == pose::kNobody,
              "the numbers of the C interface are those of the C++ enumerations");

pose_settings pose_default_settings(void) {
  pose_settings settings{};
  for (pose_network* network : {&settings.pose, &settings.detector}) {
    const float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};
    for (int i = 0; i < 3; ++i) {
      network->mean[i] = mean[i];
      network->std[i] = std[i];
    }
  }
  settings.joints.padding = 1.25;
  settings.joints.decoding = POSE_DARK;
  settings.joints.blur = 3;
  settings.joints.split = 2;
  settings.joints.threshold = 0.1;
  settings.joints.most = 30;
  settings.joints.least = 0.15;
  settings.boxes = {0, 0, 0.4f, 0.6f, 100, POSE_PICODET};
  settings.following = {5, 0.2, 0.1, 1.0, POSE_ONE_EURO, 1.0, 20.0, 0.05};
  return settings;
}

pose_pipeline* pose_open(const pose_settings* settings, const char** problem) {
  const char* wrong = settings ? WrongWith(*settings) : "no settings were given";
  if (problem) *problem = wrong ? wrong : "";
  return wrong ? nullptr : new pose_pipeline(*settings);
}

void pose_close(pose_pipeline* pipeline) { delete pipeline; }

pose_status pose_follow(pose_pipeline* pipeline, const pose_frame* frame, double time) {
  pose::Image image;
  pose::Result result = Begin(pipeline, frame, &image);
  if (result.ok()) result = pipeline->follower(image, time, &pipeline->found, &pipeline->times);
  return Finish(pipeline, result);
}

pose_status pose_look(pose_pipeline* pipeline, const pose_frame* frame, const float* boxes, int count) {
  pose::Image image;
  pose::Result result = Begin(pipeline, frame, &image);
  std::vector<pose::Detection> found;
  for (int i = 0; boxes && i < count; ++i) {
    const float* box = boxes + 4 * static_cast<long>(i);
    if (!std::isfinite(box[0] + box[1] + box[2] + box[3])) result = {POSE_BAD_FRAME, "boxes: expected numbers"};
    found.push_back({{box[0], box[1], box[2], box[3]}, 1});
  }
  pose::Estimator& estimator = pipeline->estimator;
  if (estimator.bottom_up()) {
    if (result.ok() && boxes) result = {POSE_BAD_SETTINGS, "boxes: a bottom-up network sees the whole picture; expected none"};
    if (result.ok()) result = estimator.LookAtAll(image, &pipeline->found, &pipeline->times);
    return Finish(pipeline, result);
  }
  if (result.ok() && !boxes) result = estimator.Find(image, &found, &pipeline->times);
  if (result.ok()) result = estimator.Look(image, found, !boxes, &pipeline->found, &pipeline->times);
  return Finish(pipeline, result);
}

const pose_person* pose_people(const pose_pipeline* pipeline, int* count) {
  if (count) *count = static_cast<int>(pipeline->people.size());
  return pipeline->people.data();
}

void pose_restart(pose_pipeline* pipeline) {
  pipeline->follower = pose::Follower(&pipeline->estimator, pipeline->following);
}

pose_status pose_set_following(pose_pipeline* pipeline, const pose_following* following) {
  const char* wrong = following ? WrongWith(*following) : "no settings were given";
  pipeline->message = wrong ? wrong : "";
  if (wrong) return POSE_BAD_SETTINGS;
  pipeline->following = *following;
  pipeline->follower.Change(*following);
  return POSE_OK;
}

pose_times pose_last_times(const pose_pipeline* pipeline) { return pipeline->times; }

const char* pose_message(const pose_pipeline* pipeline) { return pipeline->message; }
