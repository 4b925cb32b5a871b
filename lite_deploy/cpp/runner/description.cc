#include "description.h"

#include <cmath>
#include <fstream>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "pose/simcc.h"
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

pose::Decoding ReadDecoding(const std::string& name, int codec) {
  const bool simcc = codec == POSE_SIMCC;
  if (name == "dark") return pose::Decoding::kDark;
  if (name == "shift" && !simcc) return pose::Decoding::kShift;
  if (name == "max") return pose::Decoding::kMax;
  throw std::out_of_range(std::string("decode: expected dark") + (simcc ? "" : ", shift") + " or max, found '" + name +
                          "'");
}

pose::Grid ReadGrid(const std::string& name) {
  if (name == "stride") return pose::Grid::kStride;
  if (name == "udp") return pose::Grid::kUdp;
  throw std::out_of_range("grid: expected stride or udp, found '" + name + "'");
}

pose::Crop ReadCrop(const std::string& name) {
  if (name == "udp") return pose::Crop::kUdp;
  if (name == "plain") return pose::Crop::kPlain;
  throw std::out_of_range("crop: expected udp or plain, found '" + name + "'");
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

json ReadVersion2(const std::string& path) {
  json content = ReadJson(path);
  try {
    if (content.at("format") != "edge-pose artifact" || content.at("version") != 2)
      Fail(path, "not an artifact's description of version 2; export it again with this version's tools");
  } catch (const json::exception& error) {
    Fail(path, std::string("not as expected: ") + error.what());
  }
  return content;
}

// What every network has. Throws json::exception and std::out_of_range.
void ReadNetwork(const json& content, const std::string& path, const std::string& model, NetworkDescription* result) {
  const json& input = content.at("input");
  result->width = Whole(input, "width", "width", 1, 8192);
  result->height = Whole(input, "height", "height", 1, 8192);
  result->normalisation = ReadNormalisation(input);
  for (const json& tensor : content.at("tensors")) {
    std::vector<int64_t> shape = {1};
    for (size_t i = 0; i < tensor.at("shape").size(); ++i)
      shape.push_back(Whole(tensor.at("shape"), i, "tensors: shape", 1, 100000));
    result->outputs.push_back(shape);
  }
  result->model = FindModel(content, path, model);
}

// Says how many outputs there must be, and of how many dimensions with the batch's.
void CheckRanks(const std::vector<std::vector<int64_t>>& outputs, size_t count, size_t rank) {
  bool right = outputs.size() == count;
  for (const std::vector<int64_t>& each : outputs) right = right && each.size() == rank;
  if (!right)
    throw std::out_of_range("tensors: expected " + std::to_string(count) + ", of " + std::to_string(rank - 1) +
                            " dimensions");
}

// What a bottom-up network's output is. Throws json::exception and std::out_of_range.
void ReadBottomUp(const json& output, Description* result) {
  result->threshold = output.at("threshold").get<double>();
  result->most = Whole(output, "most", "most", 1, 1000);
  if (output.at("name") == "tags") {
    result->codec = POSE_TAGS;
    CheckRanks(result->outputs, 2, 4);
    result->joints = static_cast<int>(result->outputs[1][1]);
    return;
  }
  const std::string kind = output.at("kind").get<std::string>();
  if (kind != "adaptive" && kind != "dekr") throw std::out_of_range("kind: expected adaptive or dekr, found '" + kind + "'");
  result->codec = kind == "dekr" ? POSE_DEKR : POSE_ADAPTIVE;
  result->higher = output.at("higher").get<bool>() ? 1 : 0;
  result->match = output.at("match").get<bool>() && kind == "dekr" ? 1 : 0;
  CheckRanks(result->outputs, result->higher ? 5 : 2, 4);
  result->joints = static_cast<int>(result->outputs[0][1]) - 1;
}

void CheckSigmas(const Description& description) {
  if (description.sigmas.size() != static_cast<size_t>(description.joints))
    throw std::out_of_range("skeleton: expected a sigma for each joint");
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

bool IsDetector(const std::string& path) {
  const json content = ReadVersion2(path);
  try {
    const std::string name = content.at("output").at("name").get<std::string>();
    return name == "picodet" || name == "fairmot";
  } catch (const json::exception& error) {
    Fail(path, std::string("not as expected: ") + error.what());
  }
}

Description ReadDescription(const std::string& path, const std::string& model) {
  const json content = ReadVersion2(path);
  try {
    const json &input = content.at("input"), &output = content.at("output");
    const std::string name = output.at("name").get<std::string>();
    const bool crop = (name == "heatmap" || name == "simcc") && input.at("fit") == "person";
    const bool whole = (name == "tags" || name == "offsets") && input.at("fit") == "inside";
    if (!crop && !whole)
      Fail(path, "output '" + name + "' with input '" + input.at("fit").get<std::string>() +
                     "'; this runner reads heatmaps or SimCC's vectors of one person's crop, and tags or offsets of "
                     "the whole picture");
    Description result{};
    ReadNetwork(content, path, model, &result);
    result.sigmas = content.at("skeleton").at("sigmas").get<std::vector<double>>();
    if (whole) {
      ReadBottomUp(output, &result);
      CheckSigmas(result);
      return result;
    }
    result.padding = input.at("padding").get<double>();
    result.crop = ReadCrop(input.value("crop", "udp"));  // a folder that was made before there was a choice
    result.codec = name == "simcc" ? POSE_SIMCC : POSE_HEATMAP;
    result.decoding = ReadDecoding(output.at("decode").get<std::string>(), result.codec);
    if (result.codec == POSE_SIMCC) {
      CheckRanks(result.outputs, 2, 3);
      result.blur = Whole(output.at("blur"), 0, "blur", 1, pose::kMostVectorBlur) | 1;
      result.blur_y = Whole(output.at("blur"), 1, "blur", 1, pose::kMostVectorBlur) | 1;
      result.split = output.at("split").get<double>();
      if (!(result.split > 0)) throw std::out_of_range("split: expected above 0");
    } else {
      CheckRanks(result.outputs, 1, 4);
      result.blur = Whole(output, "blur", "blur", 1, 31) | 1;
      result.grid = ReadGrid(output.at("grid").get<std::string>());
    }
    result.joints = static_cast<int>(result.outputs[0][1]);
    CheckSigmas(result);
    return result;
  } catch (const json::exception& error) {
    Fail(path, std::string("not as expected: ") + error.what());
  } catch (const std::out_of_range& error) {
    Fail(path, error.what());
  }
}

DetectorDescription ReadDetector(const std::string& path, const std::string& model) {
  const json content = ReadVersion2(path);
  try {
    const json &input = content.at("input"), &output = content.at("output");
    const bool fairmot = output.at("name") == "fairmot" && input.at("fit") == "letterbox";
    if (!fairmot && (output.at("name") != "picodet" || input.at("fit") != "squeeze"))
      Fail(path, "output '" + output.at("name").get<std::string>() + "' with input '" +
                     input.at("fit").get<std::string>() + "'; expected a detector: PicoDet or FairMOT on the whole picture");
    DetectorDescription result{};
    ReadNetwork(content, path, model, &result);
    CheckRanks(result.outputs, 4, 4);
    result.boxes.codec = fairmot ? POSE_FAIRMOT : POSE_PICODET;
    result.boxes.score = output.at("score").get<float>();
    if (!fairmot) {
      result.boxes.person = Whole(output, "person", "person", 0, 100000);
      result.boxes.aligned = output.at("aligned").get<bool>() ? 1 : 0;
      result.boxes.nms = output.at("nms").get<float>();
    }
    result.boxes.most = Whole(output, "most", "most", 1, 100000);
    return result;
  } catch (const json::exception& error) {
    Fail(path, std::string("not as expected: ") + error.what());
  } catch (const std::out_of_range& error) {
    Fail(path, error.what());
  }
}
