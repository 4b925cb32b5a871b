// Answers each line of standard input with a line, so that a test can compare the parts of the pipeline with Python,
// under an emulator too. Pictures and network outputs are in files.
//
//   suppress OVERLAP MOST COUNT (LEFT TOP WIDTH HEIGHT SCORE) ...     the places that stay
//   picodet MAPS.f32 WIDTH HEIGHT CHANNELS PERSON ALIGNED SCORE NMS MOST IMAGE_WIDTH IMAGE_HEIGHT   boxes and scores
//   resize IMAGE.raw WIDTH HEIGHT PIXEL_BYTES NEW_WIDTH NEW_HEIGHT MEAN(3) STD(3) OUTPUT.f32
//   letterbox ...                                                     the same, in the picture's ratio
//   fairmot MAPS.f32 WIDTH HEIGHT LOOKS SCORE MOST IMAGE_WIDTH IMAGE_HEIGHT   boxes and scores
//   everybody MAPS.f32 WIDTH HEIGHT JOINTS CODEC THRESHOLD MOST HIGHER MATCH   score and joints of each, in the input
//   upright FRAME.raw FORMAT WIDTH HEIGHT ROTATION RANGE (OFFSET ROW_STRIDE PIXEL_STRIDE)(3) OUTPUT.raw   its size
//   simcc VECTORS.f32 JOINTS BINS_X BINS_Y SPLIT BLUR_X BLUR_Y        x, y and score of each joint
//   matrix LEFT TOP WIDTH HEIGHT CROP_WIDTH CROP_HEIGHT PADDING       the matrix of a plain crop
//   assign ROWS COLUMNS VALUES ...                                    row and column of each pair
//   different JOINTS SIGMAS ... COUNT (BOX(4) SCORE JOINTS ...) ...   the scores of those who stay
//   tracker JOINTS SIGMAS ... SURE PATIENCE                           begins anew
//   track TIME COUNT (BOX(4) BOX_SCORE SCORE JOINTS ...) ...          the ids
//   smoother KIND CUTOFF BETA CONSTANT                                begins anew
//   smooth TIME SIZE COUNT (X Y) ...                                  the points
//   video FRAMES.raw WIDTH HEIGHT COUNT RATE POSE.net DETECTOR.net DETECT_EVERY INPUTS.f32
//       people of a video whose networks' outputs were recorded, in the order of the calls: see Recorded
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <sstream>

#include "pose/assign.h"
#include "pose/frame.h"
#include "pose/fairmot.h"
#include "pose/grouped.h"
#include "pose/letterbox.h"
#include "pose/person.h"
#include "pose/picodet.h"
#include "pose/pose.h"
#include "pose/regressed.h"
#include "pose/resize.h"
#include "pose/simcc.h"
#include "pose/smooth.h"
#include "pose/tracker.h"
#include "tests/lines.h"

namespace {

pose::Box ReadBox(std::istream& in) {
  const double left = Number(in), top = Number(in), width = Number(in), height = Number(in);
  return {left, top, width, height};
}

std::vector<double> Numbers(std::istream& in, size_t count) {
  std::vector<double> numbers(count);
  for (double& each : numbers) each = Number(in);
  return numbers;
}

std::vector<pose::Keypoint> Joints(std::istream& in, size_t count) {
  std::vector<pose::Keypoint> joints(count);
  for (pose::Keypoint& joint : joints) {
    joint.x = Number(in);
    joint.y = Number(in);
    joint.score = Number(in);
  }
  return joints;
}

const float* Floats(const std::vector<char>& bytes) { return reinterpret_cast<const float*>(bytes.data()); }

void Suppress(std::istream& in) {
  const float overlap = Number(in);
  const int most = Number(in), count = Number(in);
  std::vector<pose::Detection> found;
  for (int i = 0; i < count; ++i) {
    const pose::Box box = ReadBox(in);
    found.push_back({box, static_cast<float>(Number(in))});
  }
  for (const int place : pose::Suppress(found, overlap, most)) std::printf("%d ", place);
}

void PicoDet(std::istream& in) {
  const std::vector<char> bytes = Read(Word(in));
  pose_network network{};
  network.width = Number(in);
  network.height = Number(in);
  const int channels = Number(in);
  pose_boxes settings{};
  settings.person = Number(in);
  settings.aligned = Number(in);
  settings.score = Number(in);
  settings.nms = Number(in);
  settings.most = Number(in);
  pose_tensor maps[pose::kLevels];
  const float* data = Floats(bytes);
  for (int level = 0; level < pose::kLevels; ++level) {
    const int stride = 8 << level;
    const int h = (network.height + stride - 1) / stride, w = (network.width + stride - 1) / stride;
    maps[level] = {data, 4, {1, channels, h, w}};
    data += static_cast<size_t>(channels) * h * w;
  }
  std::vector<pose::Detection> found;
  if (!pose::FitsPicoDet(maps, network, settings) || !pose::DecodePicoDet(maps, settings, &found)) {
    std::printf("wrong");
    return;
  }
  const int width = Number(in), height = Number(in);
  for (const pose::Detection& each : pose::ChoosePeople(found, network, settings, width, height))
    std::printf("%a %a %a %a %a ", each.box.left, each.box.top, each.box.width, each.box.height, each.score);
}

void FairMOT(std::istream& in) {
  const std::vector<char> bytes = Read(Word(in));
  pose_network network{};
  network.width = Number(in);
  network.height = Number(in);
  const int looks = Number(in);
  pose_boxes settings{};
  settings.score = Number(in);
  settings.most = Number(in);
  const int h = network.height / 4, w = network.width / 4;
  pose_tensor maps[4];
  const float* data = Floats(bytes);
  const int channels[4] = {1, 4, 2, looks};
  for (int i = 0; i < 4; ++i) {
    maps[i] = {data, 4, {1, channels[i], h, w}};
    data += static_cast<size_t>(channels[i]) * h * w;
  }
  const int width = Number(in), height = Number(in);
  std::vector<pose::Detection> found;
  if (!pose::FitsFairMOT(maps, network) ||
      !pose::DecodeFairMOT(maps, network, settings, width, height, &found)) {
    std::printf("wrong");
    return;
  }
  for (const pose::Detection& each : found)
    std::printf("%a %a %a %a %a ", each.box.left, each.box.top, each.box.width, each.box.height, each.score);
}

void Everybody(std::istream& in) {
  const std::vector<char> bytes = Read(Word(in));
  pose_network network{};
  network.width = Number(in);
  network.height = Number(in);
  pose_joints settings{};
  settings.joints = Number(in);
  settings.codec = Number(in);
  settings.threshold = Number(in);
  settings.most = Number(in);
  settings.higher = Number(in);
  settings.match = Number(in);
  const bool tags = settings.codec == POSE_TAGS;
  const int h = network.height / 4, w = network.width / 4, joints = settings.joints;
  std::vector<pose_tensor> maps;
  if (tags) {
    maps = {{nullptr, 4, {1, 2 * joints, h, w}}, {nullptr, 4, {1, joints, 2 * h, 2 * w}}};
  } else {
    maps.assign(settings.higher ? 3 : 1, {nullptr, 4, {1, joints + 1, h, w}});
    if (settings.higher) maps.push_back({nullptr, 4, {1, joints, 2 * h, 2 * w}});
    maps.push_back({nullptr, 4, {1, 2 * joints, h, w}});
  }
  const float* data = Floats(bytes);
  for (pose_tensor& map : maps) {
    map.data = data;
    data += static_cast<size_t>(map.shape[1]) * map.shape[2] * map.shape[3];
  }
  std::vector<pose::Found> found;
  if (!(tags ? pose::FitsTags(maps.data(), network, joints) : pose::FitsOffsets(maps.data(), network, settings)) ||
      !(tags ? pose::DecodeTags : pose::DecodeOffsets)(maps.data(), network, settings, &found)) {
    std::printf("wrong");
    return;
  }
  for (const pose::Found& person : found) {
    std::printf("%a ", person.score);
    for (const pose::Keypoint& each : person.joints) std::printf("%a %a %a ", each.x, each.y, each.score);
  }
}

template <typename Bring>
void Resize(std::istream& in, Bring bring) {
  const std::vector<char> bytes = Read(Word(in));
  const int image_width = Number(in), image_height = Number(in), pixel_bytes = Number(in);
  const int width = Number(in), height = Number(in);
  pose::Normalisation normalisation;
  for (float& value : normalisation.mean) value = Number(in);
  for (float& value : normalisation.std) value = Number(in);
  std::vector<float> output(3 * width * height);
  bring({reinterpret_cast<const uint8_t*>(bytes.data()), image_width, image_height, image_width * pixel_bytes,
         pixel_bytes},
        width, height, normalisation, output.data());
  Write(Word(in), output.data(), output.size() * sizeof(float));
}

void Squeeze(std::istream& in) { Resize(in, pose::ResizeNormalise); }

void Letterbox(std::istream& in) { Resize(in, pose::LetterboxNormalise); }

void Upright(std::istream& in) {
  const std::vector<char> bytes = Read(Word(in));
  pose_frame frame{};
  frame.format = Number(in);
  frame.width = Number(in);
  frame.height = Number(in);
  frame.rotation = Number(in);
  frame.range = Number(in);
  for (int i = 0; i < 3; ++i) {
    frame.planes[i] = reinterpret_cast<const uint8_t*>(bytes.data()) + static_cast<long>(Number(in));
    frame.row_strides[i] = Number(in);
    frame.pixel_strides[i] = Number(in);
  }
  if (const char* wrong = pose::WrongWith(frame)) {
    std::printf("%s", wrong);
    return;
  }
  pose::Upright upright;
  const pose::Image image = upright(frame);
  std::ofstream file(Word(in), std::ios::binary);
  for (int y = 0; y < image.height; ++y)
    file.write(reinterpret_cast<const char*>(image.data) + static_cast<long>(y) * image.stride,
               image.width * image.pixel_bytes);
  std::printf("%d %d %d", image.width, image.height, image.pixel_bytes);
}

void Simcc(std::istream& in) {
  const std::vector<char> bytes = Read(Word(in));
  const int joints = Number(in), width = Number(in), height = Number(in);
  std::vector<pose::Keypoint> found(joints);
  const double split = Number(in);
  const int blur_x = Number(in), blur_y = Number(in);
  pose::DecodeSimcc(Floats(bytes), Floats(bytes) + joints * width, joints, width, height, split, blur_x, blur_y,
                    found.data());
  for (const pose::Keypoint& each : found) std::printf("%a %a %a ", each.x, each.y, each.score);
}

void Matrix(std::istream& in) {
  const pose::Box box = ReadBox(in);
  const int width = Number(in), height = Number(in);
  const pose::Affine map = pose::CropMatrix(box, width, height, Number(in), pose::Crop::kPlain);
  for (const double value : map.m) std::printf("%a ", value);
}

void Assign(std::istream& in) {
  const int rows = Number(in), columns = Number(in);
  const std::vector<double> values = Numbers(in, static_cast<size_t>(rows) * columns);
  for (const pose::Pair& pair : pose::BestAssignment(values, rows, columns))
    std::printf("%d %d ", pair.row, pair.column);
}

void Different(std::istream& in) {
  const size_t joints = Number(in);
  const std::vector<double> sigmas = Numbers(in, joints);
  const int count = Number(in);
  std::vector<pose::Person> people;
  for (int i = 0; i < count; ++i) {
    const pose::Box box = ReadBox(in);
    const float score = Number(in);
    people.push_back({box, 1, score, i, Joints(in, joints)});
  }
  for (const pose::Person& person : pose::Different(people, sigmas)) std::printf("%d ", person.id);
}

std::unique_ptr<pose::Tracker> tracker;
size_t tracked_joints;

void BeginTracking(std::istream& in) {
  tracked_joints = Number(in);
  const std::vector<double> sigmas = Numbers(in, tracked_joints);
  pose::TrackerSettings settings;
  settings.sure = Number(in);
  settings.patience = Number(in);
  tracker = std::make_unique<pose::Tracker>(sigmas, settings);
}

void Track(std::istream& in) {
  const double time = Number(in);
  const int count = Number(in);
  std::vector<pose::Person> people;
  for (int i = 0; i < count; ++i) {
    const pose::Box box = ReadBox(in);
    const float box_score = Number(in), score = Number(in);
    people.push_back({box, box_score, score, 0, Joints(in, tracked_joints)});
  }
  tracker->Update(&people, time);
  for (const pose::Person& person : people) std::printf("%d ", person.id);
}

pose::SmoothSettings smoothing;
pose::Smoother smoother;

void BeginSmoothing(std::istream& in) {
  smoothing.kind = static_cast<pose::Smooth>(static_cast<int>(Number(in)));
  smoothing.cutoff = Number(in);
  smoothing.beta = Number(in);
  smoothing.constant = Number(in);
  smoother = pose::Smoother();
}

void Smooth(std::istream& in) {
  const double time = Number(in), size = Number(in);
  std::vector<pose::Point> points(static_cast<size_t>(Number(in)));
  for (pose::Point& point : points) {
    point.x = Number(in);
    point.y = Number(in);
  }
  smoother(smoothing, time, size, &points);
  for (const pose::Point& point : points) std::printf("%a %a ", point.x, point.y);
}

// A network that gives what a real one gave: a file of calls, each a run of outputs (rank, shape, then the values,
// all in 32 bits). It notes what it was given.
struct Recorded {
  std::vector<char> bytes;
  size_t at = 0;
  int outputs = 0;
  std::vector<float>* inputs = nullptr;

  static int Run(void* user, const float* input, int height, int width, pose_tensor* outputs) {
    Recorded* self = static_cast<Recorded*>(user);
    self->inputs->insert(self->inputs->end(), input, input + size_t{3} * height * width);
    for (int i = 0; i < self->outputs; ++i) {
      if (self->at >= self->bytes.size()) return 1;
      const int* head = reinterpret_cast<const int*>(self->bytes.data() + self->at);
      size_t values = 1;
      outputs[i].rank = head[0];
      for (int k = 0; k < head[0]; ++k) values *= outputs[i].shape[k] = head[1 + k];
      self->at += 4 * (1 + head[0]);
      outputs[i].data = reinterpret_cast<const float*>(self->bytes.data() + self->at);
      self->at += 4 * values;
    }
    return 0;
  }
};

void Network(std::istream& in, int outputs, std::vector<float>* inputs, Recorded* recorded, pose_network* network) {
  recorded->bytes = Read(Word(in));
  recorded->outputs = outputs;
  recorded->inputs = inputs;
  const int* size = reinterpret_cast<const int*>(recorded->bytes.data());
  network->width = size[0];
  network->height = size[1];
  recorded->at = 2 * sizeof(int);
  network->run = Recorded::Run;
  network->user = recorded;
}

void Video(std::istream& in) {
  const std::vector<char> bytes = Read(Word(in));
  const int width = Number(in), height = Number(in), count = Number(in);
  const double rate = Number(in);
  pose_settings settings = pose_default_settings();
  std::vector<float> inputs;
  Recorded pose, detector;
  Network(in, 1, &inputs, &pose, &settings.pose);
  Network(in, pose::kLevels, &inputs, &detector, &settings.detector);
  settings.following.detect_every = Number(in);
  const std::string noted = Word(in);
  const std::vector<double> sigmas = Numbers(in, 17);
  settings.joints.joints = 17;
  settings.joints.sigmas = sigmas.data();
  const char* problem;
  pose_pipeline* pipeline = pose_open(&settings, &problem);
  if (!pipeline) {
    std::printf("%s", problem);
    return;
  }
  for (int i = 0; i < count; ++i) {
    const auto* pixels = reinterpret_cast<const uint8_t*>(bytes.data()) + static_cast<size_t>(i) * width * height * 3;
    const pose_frame frame = pose_rgb(pixels, width, height, 3 * width, 0);
    if (pose_follow(pipeline, &frame, i / rate) != POSE_OK) std::printf("%s ", pose_message(pipeline));
    int people = 0;
    const pose_person* person = pose_people(pipeline, &people);
    std::printf("%d ", people);
    for (const pose_person* end = person + people; person < end; ++person) {
      std::printf("%d %a ", person->id, person->score);
      for (const float value : person->box) std::printf("%a ", value);
      for (int k = 0; k < 3 * 17; ++k) std::printf("%a ", person->keypoints[k]);
    }
  }
  pose_close(pipeline);
  Write(noted, inputs.data(), inputs.size() * sizeof(float));
}

struct Verb {
  const char* name;
  void (*answer)(std::istream&);
};

const Verb kVerbs[] = {{"suppress", Suppress}, {"picodet", PicoDet},   {"resize", Squeeze},
                       {"fairmot", FairMOT},   {"letterbox", Letterbox}, {"everybody", Everybody},
                       {"upright", Upright},   {"simcc", Simcc},       {"matrix", Matrix},
                       {"assign", Assign},     {"different", Different}, {"tracker", BeginTracking},
                       {"track", Track},       {"smoother", BeginSmoothing}, {"smooth", Smooth},
                       {"video", Video}};

}  // namespace

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream in(line);
    const std::string name = Word(in);
    const Verb* verb =
        std::find_if(std::begin(kVerbs), std::end(kVerbs), [&](const Verb& each) { return each.name == name; });
    if (verb == std::end(kVerbs)) {
      std::fprintf(stderr, "people_check: unknown verb '%s'\n", name.c_str());
      return 2;
    }
    verb->answer(in);
    std::printf("\n");
    std::fflush(stdout);
  }
  return 0;
}
