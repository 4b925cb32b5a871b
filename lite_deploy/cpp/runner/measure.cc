#include "measure.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <functional>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "description.h"
#include "engine.h"
#include "picture.h"
#include "pose/estimator.h"
#include "pose/fairmot.h"
#include "pose/grouped.h"
#include "pose/letterbox.h"
#include "pose/picodet.h"
#include "pose/regressed.h"
#include "pose/resize.h"
#include "pose/simcc.h"
#include "pose/warmup.h"
#include "system.h"

namespace {

using nlohmann::json;

double Milliseconds() {
  using std::chrono::duration;
  return duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double Rounded(double milliseconds) { return std::round(milliseconds * 1e4) / 1e4; }

const char* const kNotNumbers = "the network's output has values that are not numbers";

struct Times {
  double crop, network, decode;
  double total() const { return crop + network + decode; }
};

void CheckOutputs(Engine* engine, const NetworkDescription& network) {
  if (engine->outputs() != network.outputs.size())
    throw std::runtime_error("the network has " + std::to_string(engine->outputs()) + " outputs, and pose.json says " +
                             std::to_string(network.outputs.size()));
  for (size_t i = 0; i < engine->outputs(); ++i)
    if (engine->output_shape(i) != network.outputs[i])
      throw std::runtime_error("the network gives " + json(engine->output_shape(i)).dump() + ", and pose.json says " +
                               json(network.outputs[i]).dump());
}

size_t Values(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), size_t{1}, std::multiplies<size_t>());
}

pose_tensor Tensor(const float* data, const std::vector<int64_t>& shape) {
  pose_tensor tensor{data, static_cast<int>(shape.size()), {}};
  std::copy(shape.begin(), shape.end(), tensor.shape);
  return tensor;
}

// From a picture to a network's input, and from its outputs to what they mean.
class Task {
 public:
  virtual ~Task() = default;
  virtual const NetworkDescription& network() const = 0;
  virtual void Fill(float* input) = 0;
  virtual void Decode(Engine* engine) = 0;
  virtual void Tell(json* line) const = 0;  // adds what was found

  Times Run(Engine* engine) {
    const double start = Milliseconds();
    Fill(engine->input());
    const double filled = Milliseconds();
    Infer(engine);
    engine->output(0);  // fetching it belongs to the network
    const double inferred = Milliseconds();
    if (!checked_) CheckOutputs(engine, network());  // before anything is read from them
    checked_ = true;
    Decode(engine);
    return {filled - start, inferred - filled, Milliseconds() - inferred};
  }

 private:
  bool checked_ = false;
};

// Everybody's joints, by a bottom-up network.
class Crowd : public Task {
 public:
  explicit Crowd(const Options& options, const Description& description)
      : description_(description),
        picture_(options.image.empty() ? RandomPicture() : ReadPicture(options.image)),
        picture_to_input_(pose::InsideMatrix(picture_.width, picture_.height, description.width, description.height)) {
    network_.width = description.width;
    network_.height = description.height;
    settings_.joints = description.joints;
    settings_.codec = description.codec;
    settings_.threshold = description.threshold;
    settings_.most = description.most;
    settings_.higher = description.higher;
    settings_.match = description.match;
  }

  const NetworkDescription& network() const override { return description_; }

  void Fill(float* input) override {
    const Description& d = description_;
    pose::CropNormalise(picture_.image(), picture_to_input_, d.width, d.height, d.normalisation, input);
  }

  void Decode(Engine* engine) override {
    std::vector<pose_tensor> outputs(description_.outputs.size());
    for (size_t i = 0; i < outputs.size(); ++i) outputs[i] = Tensor(engine->output(i), description_.outputs[i]);
    const bool tags = settings_.codec == POSE_TAGS;
    if (tags ? !pose::FitsTags(outputs.data(), network_, settings_.joints)
             : !pose::FitsOffsets(outputs.data(), network_, settings_))
      throw std::runtime_error("the outputs in pose.json are not of the shape that its output has for this input");
    found_.clear();
    if (!(tags ? pose::DecodeTags : pose::DecodeOffsets)(outputs.data(), network_, settings_, &found_))
      throw std::runtime_error(kNotNumbers);
    const pose::Affine input_to_picture = pose::Invert(picture_to_input_);
    for (pose::Found& person : found_) pose::CropToImage(input_to_picture, person.joints.data(), settings_.joints);
  }

  void Tell(json* line) const override {
    json& people = (*line)["people"] = json::array();
    for (const pose::Found& person : found_) {
      json keypoints = json::array();
      for (const pose::Keypoint& k : person.joints) keypoints.push_back({k.x, k.y, k.score});
      people.push_back({{"score", person.score}, {"keypoints", keypoints}});
    }
  }

 private:
  Description description_;
  Picture picture_;
  pose::Affine picture_to_input_;
  pose_network network_{};
  pose_joints settings_{};
  std::vector<pose::Found> found_;
};

// One person's joints.
class Person : public Task {
 public:
  explicit Person(const Options& options, const Description& description)
      : description_(description),
        picture_(options.image.empty() ? RandomPicture() : ReadPicture(options.image)),
        keypoints_(description_.joints) {
    const pose::Box whole{0, 0, static_cast<double>(picture_.width), static_cast<double>(picture_.height)};
    const std::vector<double>& box = options.box;
    image_to_crop_ = pose::CropMatrix(box.empty() ? whole : pose::Box{box[0], box[1], box[2], box[3]},
                                      description_.width, description_.height, description_.padding, description_.crop);
    crop_to_image_ = pose::Invert(image_to_crop_);
  }

  const NetworkDescription& network() const override { return description_; }

  void Fill(float* input) override {
    const Description& d = description_;
    pose::CropNormalise(picture_.image(), image_to_crop_, d.width, d.height, d.normalisation, input);
  }

  void Decode(Engine* engine) override {
    const Description& d = description_;
    const float* first = engine->output(0);
    if (d.codec == POSE_SIMCC) {
      const int width = static_cast<int>(d.outputs[0][2]), height = static_cast<int>(d.outputs[1][2]);
      const bool dark = d.decoding == pose::Decoding::kDark;
      pose::DecodeSimcc(first, engine->output(1), d.joints, width, height, d.split, dark ? d.blur : 0,
                        dark ? d.blur_y : 0, keypoints_.data());
      pose::CropToImage(crop_to_image_, keypoints_.data(), d.joints);
      return;
    }
    const int height = static_cast<int>(d.outputs[0][2]), width = static_cast<int>(d.outputs[0][3]);
    pose::Decode(first, d.joints, height, width, d.decoding, d.blur, keypoints_.data());
    pose::HeatmapToImage{d.width, d.height, width, height, d.grid, crop_to_image_}(keypoints_.data(), d.joints);
  }

  void Tell(json* line) const override {
    json& keypoints = (*line)["keypoints"] = json::array();
    for (const pose::Keypoint& k : keypoints_) keypoints.push_back({k.x, k.y, k.score});
  }

 private:
  Description description_;
  Picture picture_;
  pose::Affine image_to_crop_, crop_to_image_;
  std::vector<pose::Keypoint> keypoints_;
};

// The boxes of all people.
class People : public Task {
 public:
  explicit People(const Options& options)
      : description_(ReadDetector(options.pose, options.model)),
        picture_(options.image.empty() ? RandomPicture() : ReadPicture(options.image)) {
    network_.width = description_.width;
    network_.height = description_.height;
  }

  const NetworkDescription& network() const override { return description_; }

  void Fill(float* input) override {
    const DetectorDescription& d = description_;
    const auto bring = fairmot() ? pose::LetterboxNormalise : pose::ResizeNormalise;
    bring(picture_.image(), d.width, d.height, d.normalisation, input);
  }

  void Decode(Engine* engine) override {
    pose_tensor maps[pose::kLevels];
    for (int i = 0; i < pose::kLevels; ++i) maps[i] = Tensor(engine->output(i), description_.outputs[i]);
    if (fairmot()) {
      if (!pose::FitsFairMOT(maps, network_))
        throw std::runtime_error("the outputs in pose.json are not FairMOT's four maps for this input");
      found_.clear();
      const pose_boxes& settings = description_.boxes;
      if (!pose::DecodeFairMOT(maps, network_, settings, picture_.width, picture_.height, &found_))
        throw std::runtime_error(kNotNumbers);
      return;
    }
    if (!pose::FitsPicoDet(maps, network_, description_.boxes))
      throw std::runtime_error("the outputs in pose.json are not PicoDet's four maps for this input and form");
    std::vector<pose::Detection> all;
    if (!pose::DecodePicoDet(maps, description_.boxes, &all)) throw std::runtime_error(kNotNumbers);
    found_ = pose::ChoosePeople(all, network_, description_.boxes, picture_.width, picture_.height);
  }

  void Tell(json* line) const override {
    json& boxes = (*line)["boxes"] = json::array();
    for (const pose::Detection& each : found_)
      boxes.push_back({each.box.left, each.box.top, each.box.width, each.box.height, each.score});
  }

 private:
  bool fairmot() const { return description_.boxes.codec == POSE_FAIRMOT; }

  DetectorDescription description_;
  Picture picture_;
  pose_network network_{};
  std::vector<pose::Detection> found_;
};

std::unique_ptr<Task> Open(const Options& options) {
  if (IsDetector(options.pose)) return std::unique_ptr<Task>(new People(options));
  const Description description = ReadDescription(options.pose, options.model);
  if (description.bottom_up()) return std::unique_ptr<Task>(new Crowd(options, description));
  return std::unique_ptr<Task>(new Person(options, description));
}

}  // namespace

json Measure(const Options& options) {
  const std::unique_ptr<Task> task = Open(options);
  const NetworkDescription& described = task->network();
  CheckProcessor(described.model);
  if (!options.cores.empty()) BindTo(options.cores);
  const std::vector<int> cores = AllowedCores();

  const double start = Milliseconds();
  const std::unique_ptr<Engine> engine =
      LoadEngine(described.model.file, options.threads, described.height, described.width);
  const double load = Milliseconds() - start;
  const Times first = task->Run(engine.get());

  std::vector<double> warmup;
  const double warm_by = Milliseconds() + 1000 * options.warmup_seconds;
  while (!pose::IsWarm(warmup) && Milliseconds() < warm_by) warmup.push_back(task->Run(engine.get()).total());

  json crop = json::array(), network = json::array(), decode = json::array();
  const std::vector<long> clocks_before = Clocks(cores);
  const Usage usage;
  const double end = Milliseconds() + 1000 * options.seconds;
  for (int run = 0; run < options.runs && (run == 0 || Milliseconds() < end); ++run) {
    const Times times = task->Run(engine.get());
    crop.push_back(Rounded(times.crop));
    network.push_back(Rounded(times.network));
    decode.push_back(Rounded(times.decode));
  }
  const double others = usage.others();
  const std::vector<long> clocks_after = Clocks(cores);

  std::ofstream file;
  if (!options.heatmaps.empty()) file.open(options.heatmaps, std::ios::binary);
  for (size_t i = 0; i < engine->outputs(); ++i) {  // one after the other
    const float* values = engine->output(i);
    const size_t count = Values(described.outputs[i]);
    if (!std::all_of(values, values + count, [](float value) { return std::isfinite(value); }))
      throw std::runtime_error(kNotNumbers);
    if (file.is_open()) file.write(reinterpret_cast<const char*>(values), count * sizeof(float));
  }
  if (!options.heatmaps.empty() && !file.flush()) throw std::runtime_error(options.heatmaps + ": cannot be written");
  json line = {{"kind", "visit"},
               {"engine", "paddle-lite"},
               {"engine_version", engine->version()},
               {"runner", "pose_runner"},
               {"model", options.model},
               {"threads", options.threads},
               {"cores", cores},
               {"load_ms", Rounded(load)},
               {"first_ms", Rounded(first.total())},
               {"warmup_runs", warmup.size()},
               {"warm", pose::IsWarm(warmup)},
               {"crop_ms", crop},
               {"network_ms", network},
               {"decode_ms", decode},
               {"peak_kb", PeakMemory()},
               {"clocks_khz", {{"before", clocks_before}, {"after", clocks_after}}},
               {"others", others < 0 ? json() : json(std::round(others * 1000) / 1000)},
               {"preempted", usage.preempted()}};
  task->Tell(&line);
  return line;
}
