#include "people.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "description.h"
#include "engine.h"
#include "pose/pose.h"
#include "system.h"

namespace {

using nlohmann::json;

double Rounded(double value, double steps) { return std::round(value * steps) / steps; }

// A network behind the pipeline's function.
class Network {
 public:
  Network(const NetworkDescription& description, int threads, pose_network* network)
      : engine_(LoadEngine(description.model.file, threads, network->height, network->width)),
        room_(description.outputs.size()) {
    network->run = Run;
    network->user = this;
  }

  std::string version() { return engine_->version(); }
  const std::string& complaint() const { return complaint_; }

 private:
  static int Run(void* user, const float* input, int height, int width, pose_tensor* outputs) {
    Network* self = static_cast<Network*>(user);
    try {
      self->Compute(input, size_t{3} * height * width, outputs);
      return 0;
    } catch (const std::exception& error) {
      self->complaint_ = error.what();
      return 1;
    }
  }

  void Compute(const float* input, size_t size, pose_tensor* outputs) {
    std::copy_n(input, size, engine_->input());
    Infer(engine_.get());
    for (size_t i = 0; i < std::min(engine_->outputs(), room_); ++i) {
      const std::vector<int64_t> shape = engine_->output_shape(i);
      if (shape.size() > 4) throw std::runtime_error("an output has more than four dimensions");
      outputs[i].data = engine_->output(i);
      outputs[i].rank = static_cast<int>(shape.size());
      std::copy(shape.begin(), shape.end(), outputs[i].shape);
    }
  }

  std::unique_ptr<Engine> engine_;
  size_t room_;  // outputs that the pipeline reads
  std::string complaint_;
};

void Describe(const NetworkDescription& description, pose_network* network) {
  network->width = description.width;
  network->height = description.height;
  std::copy_n(description.normalisation.mean, 3, network->mean);
  std::copy_n(description.normalisation.std, 3, network->std);
}

void DescribeCrop(const Description& pose, pose_joints* joints) {
  joints->padding = pose.padding;
  joints->crop = pose.crop == pose::Crop::kPlain ? POSE_CROP_PLAIN : POSE_CROP_UDP;
  joints->decoding = static_cast<int>(pose.decoding);
  joints->blur = pose.blur;
  joints->blur_y = pose.blur_y;
  joints->split = pose.split;
  joints->grid = pose.grid == pose::Grid::kUdp ? POSE_GRID_UDP : POSE_GRID_STRIDE;
}

pose_settings Settings(const Options& options, const Description& pose, const DetectorDescription* detector) {
  pose_settings settings = pose_default_settings();
  Describe(pose, &settings.pose);
  settings.joints.joints = pose.joints;
  settings.joints.sigmas = pose.sigmas.data();
  settings.joints.codec = pose.codec;
  if (pose.bottom_up()) {
    settings.joints.threshold = pose.threshold;
    settings.joints.most = pose.most;
    settings.joints.higher = pose.higher;
    settings.joints.match = pose.match;
  } else {
    DescribeCrop(pose, &settings.joints);
  }
  if (detector) {
    Describe(*detector, &settings.detector);
    settings.boxes = detector->boxes;
    settings.boxes.score = static_cast<float>(options.box_score);
  }
  settings.following.detect_every = options.detect_every;
  settings.following.smooth = options.smooth;
  return settings;
}

// The next frame's bytes; false at the end of the input.
bool ReadFrame(std::vector<uint8_t>* bytes, int number) {
  const size_t count = std::fread(bytes->data(), 1, bytes->size(), stdin);
  if (count != 0 && count != bytes->size())
    throw std::runtime_error("standard input ends within frame " + std::to_string(number) + ": " +
                             std::to_string(count) + " bytes of " + std::to_string(bytes->size()));
  return count != 0;
}

struct Stage {
  const char* name;
  double pose_times::*time;
};

const Stage kStages[] = {{"convert", &pose_times::convert}, {"resize", &pose_times::resize},
                         {"detector", &pose_times::detector}, {"boxes", &pose_times::boxes},
                         {"crop", &pose_times::crop}, {"pose", &pose_times::pose},
                         {"decode", &pose_times::decode}, {"follow", &pose_times::follow}};

json Person(const pose_person& person, int joints) {
  json keypoints = json::array(), box = json::array();
  for (int i = 0; i < 3 * joints; ++i) keypoints.push_back(Rounded(person.keypoints[i], 1e3));
  for (const float side : person.box) box.push_back(Rounded(side, 1e2));
  return {{"track_id", person.id}, {"score", Rounded(person.score, 1e5)}, {"bbox", box}, {"keypoints", keypoints}};
}

}  // namespace

json FollowPeople(const Options& options) {
  const Description pose = ReadDescription(options.pose, options.model);
  CheckProcessor(pose.model);
  if (pose.bottom_up() && !options.detector.empty())
    throw std::runtime_error(options.pose + ": a bottom-up network sees the whole picture; leave --detector out");
  std::unique_ptr<DetectorDescription> detector;
  if (!options.detector.empty()) {
    detector.reset(new DetectorDescription(ReadDetector(options.detector, options.detector_model)));
    CheckProcessor(detector->model);
  }
  if (!options.cores.empty()) BindTo(options.cores);
  pose_settings settings = Settings(options, pose, detector.get());
  Network pose_network(pose, options.threads, &settings.pose);
  std::unique_ptr<Network> detector_network;
  if (detector) detector_network.reset(new Network(*detector, options.threads, &settings.detector));

  const char* problem = nullptr;
  const std::unique_ptr<pose_pipeline, void (*)(pose_pipeline*)> pipeline(pose_open(&settings, &problem), pose_close);
  if (!pipeline) throw std::runtime_error(problem);

  const int width = options.width, height = options.height;
  const bool rgb = options.frames == "rgb";
  const size_t half = size_t{1} * ((width + 1) / 2) * ((height + 1) / 2);
  std::vector<uint8_t> bytes(rgb ? size_t{3} * width * height : size_t{1} * width * height + 2 * half);
  pose_frame frame = rgb ? pose_rgb(bytes.data(), width, height, 3 * width, options.rotate)
                         : pose_i420(bytes.data(), width, height, options.rotate);
  frame.range = options.frames == "i420-limited" ? POSE_LIMITED_RANGE : POSE_FULL_RANGE;

  json times = json::object();
  for (const Stage& stage : kStages) times[stage.name] = json::array();
  int frames = 0, detections = 0, runs = 0;
  for (; ReadFrame(&bytes, frames); ++frames) {
    const double time = frames / options.rate;
    if (pose_follow(pipeline.get(), &frame, time) != POSE_OK) {
      const std::string& of_detector = detector_network ? detector_network->complaint() : std::string();
      throw std::runtime_error("frame " + std::to_string(frames) + ": " + pose_message(pipeline.get()) + " " +
                               pose_network.complaint() + of_detector);
    }
    const pose_times last = pose_last_times(pipeline.get());
    detections += last.detections;
    runs += last.people;
    json took = json::object(), people = json::array();
    for (const Stage& stage : kStages) {
      took[stage.name] = Rounded(last.*stage.time, 1e4);
      times[stage.name].push_back(took[stage.name]);
    }
    int count = 0;
    const pose_person* found = pose_people(pipeline.get(), &count);
    for (int i = 0; i < count; ++i) people.push_back(Person(found[i], pose.joints));
    std::cout << json{{"kind", "people"}, {"image_id", frames}, {"time", Rounded(time, 1e4)}, {"people", people},
                      {"detected", last.detections > 0}, {"ms", took}}.dump() << std::endl;
  }
  if (!frames) throw std::runtime_error("standard input: not one frame");
  return {{"kind", "video"},
          {"engine", "paddle-lite"},
          {"engine_version", pose_network.version()},
          {"runner", "pose_runner"},
          {"model", options.model},
          {"detector_model", detector ? json(options.detector_model) : json()},
          {"threads", options.threads},
          {"cores", AllowedCores()},
          {"frames", frames},
          {"detections", detections},
          {"crops", runs},
          {"ms", times},
          {"peak_kb", PeakMemory()}};
}
