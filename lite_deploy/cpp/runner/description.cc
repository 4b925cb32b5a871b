#include "description.h"

#include <cmath>
#include <fstream>
#include <stdexcept>

#include <nlohmann/json.hpp>

namespace {

using nlohmann::json;

[[noreturn]] void Fail(const std::string& path, const std::string& what) {
  throw std::runtime_error(path + ": " + what);
}

int Whole(const json& record, const char* key, int least, int most) {
  const int value = record.at(key).get<int>();
  if (value < least || value > most)
    throw std::out_of_range(std::string(key) + ": expected " + std::to_string(least) + " to " +
                            std::to_string(most) + ", found " + std::to_string(value));
  return value;
}

pose::Normalisation ReadNormalisation(const json& input) {
  pose::Normalisation result{};
  const bool raw = input.at("normalise").get<std::string>() == "model";  // then the network wants 0 to 255
  for (size_t c = 0; c < 3; ++c) {
    result.mean[c] = raw ? 0.0f : input.at("mean").at(c).get<float>();
    result.std[c] = raw ? 1 / 255.0f : input.at("std").at(c).get<float>();
    if (!std::isfinite(result.mean[c]) || !(result.std[c] > 0)) throw std::out_of_range("std: expected above 0");
  }
  return result;
}

pose::Decoding ReadDecoding(const std::string& name) {
  if (name == "dark") return pose::Decoding::kDark;
  if (name == "shift") return pose::Decoding::kShift;
  if (name == "max") return pose::Decoding::kMax;
  throw std::out_of_range("decode: expected dark, shift or max, found '" + name + "'");
}

pose::Grid ReadGrid(const std::string& name) {
  if (name == "stride") return pose::Grid::kStride;
  if (name == "udp") return pose::Grid::kUdp;
  throw std::out_of_range("grid: expected stride or udp, found '" + name + "'");
}

}  // namespace

Description ReadDescription(const std::string& path, const std::string& model) {
  std::ifstream file(path);
  if (!file) Fail(path, "cannot be opened; expected the pose.json of an artifact folder");
  json content;
  try {
    content = json::parse(file);
  } catch (const json::exception& error) {
    Fail(path, std::string("not valid JSON: ") + error.what());
  }
  try {
    if (content.at("format") != "edge-pose artifact" || content.at("version") != 1)
      Fail(path, "not an artifact's description of version 1; export it again with this version's tools");
    const json& input = content.at("input");
    const json& output = content.at("output");
    Description result{};
    result.input_width = Whole(input, "width", 1, 8192);
    result.input_height = Whole(input, "height", 1, 8192);
    result.padding = input.at("padding").get<double>();
    result.normalisation = ReadNormalisation(input);
    result.joints = Whole(output, "joints", 1, 1024);
    result.heatmap_width = Whole(output, "width", 1, 8192);
    result.heatmap_height = Whole(output, "height", 1, 8192);
    result.blur = Whole(output, "blur", 1, 31) | 1;
    result.decoding = ReadDecoding(output.at("decode").get<std::string>());
    result.grid = ReadGrid(output.at("grid").get<std::string>());
    std::string names;
    for (const json& each : content.at("models")) {
      const std::string name = each.at("name").get<std::string>();
      if (name == model) {
        result.model = name;
        result.precision = each.at("precision").get<std::string>();
        result.model_file = each.at("files").at(0).at("file").get<std::string>();
        if (each.at("engine") != "paddle-lite")
          Fail(path, "model '" + model + "' is for " + each.at("engine").get<std::string>() +
                         "; this runner has Paddle-Lite");
        return result;
      }
      names += (names.empty() ? "" : ", ") + name;
    }
    Fail(path, "no model '" + model + "'; it has: " + names);
  } catch (const json::exception& error) {
    Fail(path, std::string("not as expected: ") + error.what());
  } catch (const std::out_of_range& error) {
    Fail(path, error.what());
  }
}
