#include "options.h"

#include <cmath>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

const char* const kUsage =
    "usage: pose_runner --pose POSE.json --model NAME [options]\n"
    "  --image FILE.ppm      the picture; otherwise noise\n"
    "  --box L,T,W,H         the person in it, in pixels; otherwise the whole picture\n"
    "  --threads N           of the engine (1)\n"
    "  --cores 4,5,6,7       run on these processor cores only\n"
    "  --runs N              timed runs (50)\n"
    "  --seconds S           no more timed runs after this time (30)\n"
    "  --warmup-seconds S    give up waiting for a steady latency after this time (10)\n"
    "  --heatmaps FILE.f32   also write the heatmaps, float32, as the network gave them\n"
    "or, to compute and not to time:\n"
    "  --batch FILE.npy      the network's inputs, float32 [N, 3, H, W], one after the other\n"
    "  --outputs NAME        writes NAME.0.npy, NAME.1.npy...: each output for all inputs, float32 [N, ...]\n"
    "or, to follow people through the frames on standard input, a line of JSON each:\n"
    "  --frames FORMAT       rgb, i420 (0 to 255: JFIF) or i420-limited (16 to 235: most video files)\n"
    "  --size WxH            of a frame, in pixels\n"
    "  --rate HZ             frames a second (30)\n"
    "  --rotate DEGREES      how far a frame must be turned clockwise to be upright: 0, 90, 180 or 270 (0)\n"
    "  --detector POSE.json  of the detector's folder; without it the whole frame is one person, or a\n"
    "                        bottom-up network's\n"
    "  --detector-model NAME its model\n"
    "  --box-score S         boxes that score no more are not looked at (0.4)\n"
    "  --detect-every N      frames from one detection to the next (5)\n"
    "  --smooth WAY          one_euro, ema or none (one_euro)\n";

namespace {

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

int Choice(const std::string& name, const std::string& text, const std::vector<std::string>& names) {
  std::string all;
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == text) return static_cast<int>(i);
    all += (i ? ", " : "") + names[i];
  }
  throw std::invalid_argument(name + ": expected one of: " + all + "; found '" + text + "'");
}

// "640x480" to its two numbers.
void Size(const std::string& name, const std::string& text, Options* options) {
  const size_t cross = text.find('x');
  if (cross == std::string::npos) throw std::invalid_argument(name + ": expected WxH, found '" + text + "'");
  options->width = Number(name, text.substr(0, cross), 1);
  options->height = Number(name, text.substr(cross + 1), 1);
}

}  // namespace

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
    else if (name == "--batch") options.batch = value;
    else if (name == "--outputs") options.outputs = value;
    else if (name == "--box") options.box = Numbers(name, value);
    else if (name == "--cores") for (const double core : Numbers(name, value)) options.cores.push_back(core);
    else if (name == "--frames") options.frames = value;
    else if (name == "--size") Size(name, value, &options);
    else if (name == "--rate") options.rate = Number(name, value, 1e-3);
    else if (name == "--rotate") options.rotate = 90 * Choice(name, value, {"0", "90", "180", "270"});
    else if (name == "--detector") options.detector = value;
    else if (name == "--detector-model") options.detector_model = value;
    else if (name == "--box-score") options.box_score = Number(name, value, 0);
    else if (name == "--detect-every") options.detect_every = Number(name, value, 1);
    else if (name == "--smooth") options.smooth = Choice(name, value, {"one_euro", "ema", "none"});
    else if (name == "--threads") options.threads = Number(name, value, 1);
    else if (name == "--runs") options.runs = Number(name, value, 1);
    else if (name == "--seconds") options.seconds = Number(name, value, 0);
    else if (name == "--warmup-seconds") options.warmup_seconds = Number(name, value, 0);
    else throw std::invalid_argument(name + ": no such option");
  }
  if (options.pose.empty() || options.model.empty()) throw std::invalid_argument("--pose and --model are needed");
  if (options.batch.empty() != options.outputs.empty())
    throw std::invalid_argument("--batch and --outputs go together");
  if (!options.frames.empty()) Choice("--frames", options.frames, {"rgb", "i420", "i420-limited"});
  if (options.frames.empty() != (options.width == 0))
    throw std::invalid_argument("--frames and --size go together");
  if (options.width > 32767 || options.height > 32767)
    throw std::invalid_argument("--size: expected 32767 pixels a side at most");
  if (options.detector.empty() != options.detector_model.empty())
    throw std::invalid_argument("--detector and --detector-model go together");
  if (!options.box.empty() && !(options.box.size() == 4 && options.box[2] > 0 && options.box[3] > 0))
    throw std::invalid_argument("--box: expected left,top,width,height with a width and a height above 0");
  return options;
}
