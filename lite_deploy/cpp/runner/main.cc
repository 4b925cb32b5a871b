// pose_runner: times one model of an artifact folder on this device and prints one line of JSON.
//
// One process measures one model with one number of threads, because an engine's memory, threads and caches
// belong to the process; `lite-deploy bench` starts it again for each round. Its lines are documented in
// docs/benchmark.md.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "description.h"
#include "engine.h"
#include "picture.h"
#include "pose/warmup.h"
#include "system.h"

namespace {

using nlohmann::json;

constexpr int kSchema = 1;
constexpr const char* kUsage =
    "usage: pose_runner --pose POSE.json --model NAME [options]\n"
    "  --image FILE.ppm      the picture; otherwise noise\n"
    "  --box L,T,W,H         the person in it, in pixels; otherwise the whole picture\n"
    "  --threads N           of the engine (1)\n"
    "  --cores 4,5,6,7       run on these processor cores only\n"
    "  --runs N              timed runs (50)\n"
    "  --seconds S           no more timed runs after this time (30)\n"
    "  --warmup-seconds S    give up waiting for a steady latency after this time (10)\n"
    "  --heatmaps FILE.f32   also write the heatmaps, float32, as the network gave them\n";

struct Options {
  std::string pose, model, image, heatmaps;
  std::vector<double> box;
  std::vector<int> cores;
  int threads = 1, runs = 50;
  double seconds = 30, warmup_seconds = 10;
};

std::vector<double> Numbers(const std::string& name, const std::string& text) {
  std::vector<double> numbers;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');) {
    char* end = nullptr;
    numbers.push_back(std::strtod(part.c_str(), &end));
    if (end == part.c_str() || *end || !std::isfinite(numbers.back()))
      throw std::invalid_argument(name + ": expected numbers, found '" + text + "'");
  }
  return numbers;
}

double Number(const std::string& name, const std::string& text, double least) {
  const std::vector<double> numbers = Numbers(name, text);
  if (numbers.size() != 1 || numbers[0] < least)
    throw std::invalid_argument(name + ": expected a number from " + std::to_string(least) + ", found '" + text + "'");
  return numbers[0];
}

Options Parse(int count, char** words) {
  Options options;
  for (int i = 1; i < count; i += 2) {
    const std::string name = words[i];
    if (i + 1 == count) throw std::invalid_argument(name + ": expected a value after it, or no such option");
    const std::string value = words[i + 1];
    if (name == "--pose") options.pose = value;
    else if (name == "--model") options.model = value;
    else if (name == "--image") options.image = value;
    else if (name == "--heatmaps") options.heatmaps = value;
    else if (name == "--box") options.box = Numbers(name, value);
    else if (name == "--cores") for (const double core : Numbers(name, value)) options.cores.push_back(core);
    else if (name == "--threads") options.threads = Number(name, value, 1);
    else if (name == "--runs") options.runs = Number(name, value, 1);
    else if (name == "--seconds") options.seconds = Number(name, value, 0);
    else if (name == "--warmup-seconds") options.warmup_seconds = Number(name, value, 0);
    else throw std::invalid_argument(name + ": no such option");
  }
  if (options.pose.empty() || options.model.empty()) throw std::invalid_argument("--pose and --model are needed");
  if (!options.box.empty() && !(options.box.size() == 4 && options.box[2] > 0 && options.box[3] > 0))
    throw std::invalid_argument("--box: expected left,top,width,height with a width and a height above 0");
  return options;
}

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
    engine->Run();
    const float* heatmaps = engine->output();
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
  if (engine->output_shape() != expected)
    throw std::runtime_error("the network gives " + json(engine->output_shape()).dump() + ", and pose.json says " +
                             json(expected).dump());
}

std::string Beside(const std::string& path, const std::string& name) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? name : path.substr(0, slash + 1) + name;
}

json Measure(const Options& options) {
  const Description description = ReadDescription(options.pose, options.model);
  if (description.precision == "fp16" && !HasHalfPrecision())
    throw std::runtime_error("model '" + options.model + "': this processor has no half-precision arithmetic "
                             "(ARMv8.2, asimdhp) and would stop at an illegal instruction");
  if (!options.cores.empty()) BindTo(options.cores);
  const std::vector<int> cores = AllowedCores();
  Pipeline pipeline(options, description);

  const double start = Milliseconds();
  const std::unique_ptr<Engine> engine =
      LoadEngine(Beside(options.pose, description.model_file), options.threads, description.input_height,
                 description.input_width);
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

  const float* heatmaps = engine->output();
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

}  // namespace

int main(int count, char** words) {
  Options options;
  try {
    options = Parse(count, words);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pose_runner: %s\n%s", error.what(), kUsage);
    return 2;
  }
  try {
    json line = Measure(options);
    line["schema"] = kSchema;
    std::cout << line.dump() << std::endl;
    return 0;
  } catch (const std::exception& error) {
    std::cout << json{{"schema", kSchema}, {"kind", "error"}, {"message", error.what()}}.dump() << std::endl;
    return 1;
  }
}
