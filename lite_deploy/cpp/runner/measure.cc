#include "measure.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "description.h"
#include "engine.h"
#include "picture.h"
#include "pose/warmup.h"
#include "system.h"

namespace {

using nlohmann::json;

double Milliseconds() {
  using std::chrono::duration;
  return duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double Rounded(double milliseconds) { return std::round(milliseconds * 1e4) / 1e4; }

struct Times {
  double crop, network, decode;
  double total() const { return crop + network + decode; }
};

// One person, from the picture to the joints.
class Pipeline {
 public:
  Pipeline(const Options& options, const Description& description)
      : description_(description), picture_(options.image.empty() ? RandomPicture() : ReadPicture(options.image)) {
    const pose::Box whole{0, 0, static_cast<double>(picture_.width), static_cast<double>(picture_.height)};
    const std::vector<double>& box = options.box;
    const pose::Affine map =
        pose::CropMatrix(box.empty() ? whole : pose::Box{box[0], box[1], box[2], box[3]}, description.input_width,
                         description.input_height, description.padding);
    image_to_crop_ = map;
    to_image_ = {description.input_width,    description.input_height, description.heatmap_width,
                 description.heatmap_height, description.grid,         pose::Invert(map)};
    keypoints_.resize(description.joints);
  }

  Times Run(Engine* engine) {
    const Description& d = description_;
    const double start = Milliseconds();
    pose::CropNormalise(picture_.image(), image_to_crop_, d.input_width, d.input_height, d.normalisation,
                        engine->input());
    const double cropped = Milliseconds();
    Infer(engine);
    const float* heatmaps = engine->output(0);
    const double inferred = Milliseconds();
    pose::Decode(heatmaps, d.joints, d.heatmap_height, d.heatmap_width, d.decoding, d.blur, keypoints_.data());
    to_image_(keypoints_.data(), d.joints);
    return {cropped - start, inferred - cropped, Milliseconds() - inferred};
  }

  const std::vector<pose::Keypoint>& keypoints() const { return keypoints_; }

 private:
  const Description& description_;
  Picture picture_;
  pose::Affine image_to_crop_;
  pose::HeatmapToImage to_image_;
  std::vector<pose::Keypoint> keypoints_;
};

void CheckOutput(Engine* engine, const Description& d) {
  const std::vector<int64_t> expected = {1, d.joints, d.heatmap_height, d.heatmap_width};
  if (engine->output_shape(0) != expected)
    throw std::runtime_error("the network gives " + json(engine->output_shape(0)).dump() + ", and pose.json says " +
                             json(expected).dump());
}

}  // namespace

json Measure(const Options& options) {
  const Description description = ReadDescription(options.pose, options.model);
  CheckProcessor(description.model);
  if (!options.cores.empty()) BindTo(options.cores);
  const std::vector<int> cores = AllowedCores();
  Pipeline pipeline(options, description);

  const double start = Milliseconds();
  const std::unique_ptr<Engine> engine =
      LoadEngine(description.model.file, options.threads, description.input_height, description.input_width);
  const double load = Milliseconds() - start;
  const Times first = pipeline.Run(engine.get());
  CheckOutput(engine.get(), description);

  std::vector<double> warmup;
  const double warm_by = Milliseconds() + 1000 * options.warmup_seconds;
  while (!pose::IsWarm(warmup) && Milliseconds() < warm_by) warmup.push_back(pipeline.Run(engine.get()).total());

  json crop = json::array(), network = json::array(), decode = json::array();
  const std::vector<long> clocks_before = Clocks(cores);
  const Usage usage;
  const double end = Milliseconds() + 1000 * options.seconds;
  for (int run = 0; run < options.runs && (run == 0 || Milliseconds() < end); ++run) {
    const Times times = pipeline.Run(engine.get());
    crop.push_back(Rounded(times.crop));
    network.push_back(Rounded(times.network));
    decode.push_back(Rounded(times.decode));
  }
  const double others = usage.others();
  const std::vector<long> clocks_after = Clocks(cores);

  const float* heatmaps = engine->output(0);
  const size_t count = static_cast<size_t>(description.joints) * description.heatmap_height * description.heatmap_width;
  if (!std::all_of(heatmaps, heatmaps + count, [](float value) { return std::isfinite(value); }))
    throw std::runtime_error("the network's output has values that are not numbers");
  if (!options.heatmaps.empty() && !std::ofstream(options.heatmaps, std::ios::binary)
                                        .write(reinterpret_cast<const char*>(heatmaps), count * sizeof(float))
                                        .flush())
    throw std::runtime_error(options.heatmaps + ": cannot be written");
  json keypoints = json::array();
  for (const pose::Keypoint& k : pipeline.keypoints()) keypoints.push_back({k.x, k.y, k.score});
  return {{"kind", "visit"},
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
          {"preempted", usage.preempted()},
          {"keypoints", keypoints}};
}
