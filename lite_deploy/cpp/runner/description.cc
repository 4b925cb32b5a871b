#include "description.h"

#include <cmath>
#include <fstream>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "system.h"

namespace {

using nlohmann::json;

[[noreturn]] void Fail(const std::string& path, const std::string& what) {
  throw std::runtime_error(path + ": " + what);
}

template <typename Key>
int Whole(const json& record, Key key, const std::string& name, int least, int most) {
  const int value = record.at(key).template get<int>();
  if (value < least || value > most)
    throw std::out_of_range(name + ": expected " + std::to_string(least) + " to " + std::to_string(most) +
                            ", found " + std::to_string(value));
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

std::string Beside(const std::string& path, const std::string& name) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? name : path.substr(0, slash + 1) + name;
}

json ReadJson(const std::string& path) {
  std::ifstream file(path);
  if (!file) Fail(path, "cannot be opened; expected the pose.json of an artifact folder");
  try {
    return json::parse(file);
  } catch (const json::exception& error) {
    Fail(path, std::string("not valid JSON: ") + error.what());
  }
}

ModelFile FindModel(const json& content, const std::string& path, const std::string& model) {
  std::string names;
  for (const json& each : content.at("models")) {
    const std::string name = each.at("name").get<std::string>();
    if (name == model) {
      if (each.at("engine") != "paddle-lite")
        Fail(path, "model '" + model + "' is for " + each.at("engine").get<std::string>() +
                       "; this runner has Paddle-Lite");
      return {name, each.at("precision").get<std::string>(),
              Beside(path, each.at("files").at(0).at("file").get<std::string>())};
    }
    names += (names.empty() ? "" : ", ") + name;
  }
  Fail(path, "no model '" + model + "'; it has: " + names);
}

}  // namespace

ModelFile ReadModel(const std::string& path, const std::string& model) {
  const json content = ReadJson(path);
  try {
    if (content.at("format") != "edge-pose artifact" && content.at("format") != "edge-pose detector")
      Fail(path, "not an artifact's description");
    return FindModel(content, path, model);
  } catch (const json::exception& error) {
    Fail(path, std::string("not as expected: ") + error.what());
  }
}

void CheckProcessor(const ModelFile& model) {
  if (model.precision == "fp16" && !HasHalfPrecision())
    throw std::runtime_error("model '" + model.name + "': this processor has no half-precision arithmetic "
                             "(ARMv8.2, asimdhp) and would stop at an illegal instruction");
}

Description ReadDescription(const std::string& path, const std::string& model) {
  const json content = ReadJson(path);
  try {
    if (content.at("format") != "edge-pose artifact" || content.at("version") != 2)
      Fail(path, "not an artifact's description of version 2; export it again with this version's tools");
    const json& input = content.at("input");
    const json& output = content.at("output");
    if (output.at("name") != "heatmap" || input.at("fit") != "person")
      Fail(path, "output '" + output.at("name").get<std::string>() + "' with input '" +
                     input.at("fit").get<std::string>() + "'; this runner reads heatmaps of one person's crop");
    const json& heatmaps = content.at("tensors").at(0).at("shape");
    Description result{};
    result.input_width = Whole(input, "width", "width", 1, 8192);
    result.input_height = Whole(input, "height", "height", 1, 8192);
    result.padding = input.at("padding").get<double>();
    result.normalisation = ReadNormalisation(input);
    result.joints = Whole(heatmaps, 0, "joints", 1, 1024);
    result.heatmap_height = Whole(heatmaps, 1, "heatmap height", 1, 8192);
    result.heatmap_width = Whole(heatmaps, 2, "heatmap width", 1, 8192);
    result.blur = Whole(output, "blur", "blur", 1, 31) | 1;
    result.decoding = ReadDecoding(output.at("decode").get<std::string>());
    result.grid = ReadGrid(output.at("grid").get<std::string>());
    result.sigmas = content.at("skeleton").at("sigmas").get<std::vector<double>>();
    if (result.sigmas.size() != static_cast<size_t>(result.joints))
      throw std::out_of_range("skeleton: expected a sigma for each joint");
    result.model = FindModel(content, path, model);
    return result;
  } catch (const json::exception& error) {
    Fail(path, std::string("not as expected: ") + error.what());
  } catch (const std::out_of_range& error) {
    Fail(path, error.what());
  }
}

DetectorDescription ReadDetector(const std::string& path, const std::string& model) {
  const json content = ReadJson(path);
  try {
    if (content.at("format") != "edge-pose artifact" || content.at("version") != 2)
      Fail(path, "not an artifact's description of version 2; export it again with this version's tools");
    const json &input = content.at("input"), &output = content.at("output");
    if (output.at("name") != "picodet" || input.at("fit") != "squeeze")
      Fail(path, "output '" + output.at("name").get<std::string>() + "' with input '" +
                     input.at("fit").get<std::string>() + "'; expected a detector: PicoDet on the whole picture");
    DetectorDescription result{};
    result.width = Whole(input, "width", "width", 1, 8192);
    result.height = Whole(input, "height", "height", 1, 8192);
    result.normalisation = ReadNormalisation(input);
    result.person = Whole(output, "person", "person", 0, 100000);
    result.most = Whole(output, "most", "most", 1, 100000);
    result.nms = output.at("nms").get<float>();
    result.aligned = output.at("aligned").get<bool>() ? 1 : 0;
    result.model = FindModel(content, path, model);
    return result;
  } catch (const json::exception& error) {
    Fail(path, std::string("not as expected: ") + error.what());
  } catch (const std::out_of_range& error) {
    Fail(path, error.what());
  }
}
