#include "pose/estimator.h"

#include <time.h>

#include <algorithm>
#include <cmath>

#include "pose/fairmot.h"
#include "pose/grouped.h"
#include "pose/letterbox.h"
#include "pose/picodet.h"
#include "pose/regressed.h"
#include "pose/resize.h"
#include "pose/simcc.h"

namespace pose {
namespace {

Normalisation Normalising(const pose_network& network) {
  Normalisation result;
  std::copy_n(network.mean, 3, result.mean);
  std::copy_n(network.std, 3, result.std);
  return result;
}

size_t InputSize(const pose_network& network) { return size_t{3} * network.width * network.height; }

bool FitsHeatmaps(const pose_tensor& output, int joints) {
  return output.data && output.rank == 4 && output.shape[0] == 1 && output.shape[1] == joints && output.shape[2] > 0 &&
         output.shape[3] > 0;
}

bool FitsVectors(const pose_tensor& output, int joints) {
  return output.data && output.rank == 3 && output.shape[0] == 1 && output.shape[1] == joints && output.shape[2] > 0;
}

constexpr int kMostOutputs = 5;  // of a bottom-up network

// The box around a person's sure joints, or all where there are not two.
Box Extent(const std::vector<Keypoint>& joints) {
  const bool all = SureJoints(joints) < 2;
  float low[2] = {HUGE_VALF, HUGE_VALF}, high[2] = {-HUGE_VALF, -HUGE_VALF};
  for (const Keypoint& joint : joints) {
    if (!all && !(joint.score > static_cast<float>(kJointScore))) continue;
    low[0] = std::min(low[0], joint.x);
    low[1] = std::min(low[1], joint.y);
    high[0] = std::max(high[0], joint.x);
    high[1] = std::max(high[1], joint.y);
  }
  return {low[0], low[1], high[0] - low[0], high[1] - low[1]};
}

// Adds to `stage` what has passed since `since`, and returns the time now.
double Lap(double since, double* stage) {
  const double now = Milliseconds();
  *stage += now - since;
  return now;
}

}  // namespace

double Milliseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

Estimator::Estimator(const pose_settings& settings)
    : settings_(settings), sigmas_(settings.joints.sigmas, settings.joints.sigmas + settings.joints.joints) {
  const size_t detector = settings.detector.run ? InputSize(settings.detector) : 0;
  input_.resize(std::max(InputSize(settings.pose), detector));
}

Result Estimator::Find(const Image& image, std::vector<Detection>* found, pose_times* times) {
  const pose_network& network = settings_.detector;
  if (!network.run) {
    found->push_back({{0, 0, static_cast<double>(image.width), static_cast<double>(image.height)}, 1});
    return kFine;
  }
  double last = Milliseconds();
  const bool fairmot = settings_.boxes.codec == POSE_FAIRMOT;
  const auto bring = fairmot ? LetterboxNormalise : ResizeNormalise;
  bring(image, network.width, network.height, Normalising(network), input_.data());
  last = Lap(last, &times->resize);
  ++times->detections;
  pose_tensor maps[kLevels] = {};
  if (network.run(network.user, input_.data(), network.height, network.width, maps) != 0)
    return {POSE_RUN_FAILED, "the detector's function failed"};
  last = Lap(last, &times->detector);
  if (fairmot) {
    if (!FitsFairMOT(maps, network))
      return {POSE_BAD_OUTPUT, "the detector's outputs are not FairMOT's four maps for this input"};
    if (!DecodeFairMOT(maps, network, settings_.boxes, image.width, image.height, found))
      return {POSE_BAD_OUTPUT, "the detector's outputs have values that are not numbers"};
    Lap(last, &times->boxes);
    return kFine;
  }
  if (!FitsPicoDet(maps, network, settings_.boxes))
    return {POSE_BAD_OUTPUT, "the detector's outputs are not PicoDet's four maps for this input, class and form"};
  std::vector<Detection> all;
  if (!DecodePicoDet(maps, settings_.boxes, &all))
    return {POSE_BAD_OUTPUT, "the detector's outputs have values that are not numbers"};
  *found = ChoosePeople(all, network, settings_.boxes, image.width, image.height);
  Lap(last, &times->boxes);
  return kFine;
}

Result Estimator::Look(const Image& image, const std::vector<Detection>& found, bool merge,
                       std::vector<Person>* people, pose_times* times) {
  people->clear();
  for (const Detection& each : found) {
    Box cut;
    if (!Cut(each.box, image.width, image.height, &cut)) continue;
    Person person{each.box, each.score, 0, kNobody, {}};
    const Result result = FindJoints(image, cut, &person.joints, times);
    if (!result.ok()) return result;
    person.score = Rescored(each.score, person.joints);
    people->push_back(person);
  }
  if (merge && people->size() > 1) *people = Different(*people, sigmas_);
  return kFine;
}

Result Estimator::LookAtAll(const Image& image, std::vector<Person>* people, pose_times* times) {
  people->clear();
  const pose_network& network = settings_.pose;
  const pose_joints& settings = settings_.joints;
  double last = Milliseconds();
  const Affine map = InsideMatrix(image.width, image.height, network.width, network.height);
  CropNormalise(image, map, network.width, network.height, Normalising(network), input_.data());
  last = Lap(last, &times->crop);
  ++times->people;
  pose_tensor outputs[kMostOutputs] = {};
  if (network.run(network.user, input_.data(), network.height, network.width, outputs) != 0)
    return {POSE_RUN_FAILED, "the pose network's function failed"};
  last = Lap(last, &times->pose);
  const bool tags = settings.codec == POSE_TAGS;
  if (tags ? !FitsTags(outputs, network, settings.joints) : !FitsOffsets(outputs, network, settings))
    return {POSE_BAD_OUTPUT, "the pose network's outputs are not of the shape that the settings say"};
  std::vector<Found> found;
  if (!(tags ? DecodeTags : DecodeOffsets)(outputs, network, settings, &found))
    return {POSE_BAD_OUTPUT, "the pose network's outputs have values that are not numbers"};
  const Affine to_image = Invert(map);
  std::vector<int> order;
  for (size_t i = 0; i < found.size(); ++i)
    if (found[i].score > static_cast<float>(settings.least)) order.push_back(static_cast<int>(i));
  std::sort(order.begin(), order.end(), [&](int a, int b) {
    return found[a].score > found[b].score || (found[a].score == found[b].score && a < b);
  });
  for (const int i : order) {
    CropToImage(to_image, found[i].joints.data(), settings.joints);
    const float score = std::min(std::max(found[i].score, 0.0f), 1.0f);
    people->push_back({Extent(found[i].joints), score, score, kNobody, found[i].joints});
  }
  Lap(last, &times->decode);
  return kFine;
}

Affine InsideMatrix(int picture_width, int picture_height, int width, int height) {
  const double factor =
      std::min(static_cast<double>(width) / picture_width, static_cast<double>(height) / picture_height);
  return {{factor, 0, (width - factor * picture_width) / 2, 0, factor, (height - factor * picture_height) / 2}};
}

Result Estimator::FindJoints(const Image& image, const Box& box, std::vector<Keypoint>* joints, pose_times* times) {
  const pose_network& network = settings_.pose;
  const Crop crop = settings_.joints.crop == POSE_CROP_PLAIN ? Crop::kPlain : Crop::kUdp;
  double last = Milliseconds();
  const Affine map = CropMatrix(box, network.width, network.height, settings_.joints.padding, crop);
  CropNormalise(image, map, network.width, network.height, Normalising(network), input_.data());
  last = Lap(last, &times->crop);
  ++times->people;
  pose_tensor outputs[2] = {};
  if (network.run(network.user, input_.data(), network.height, network.width, outputs) != 0)
    return {POSE_RUN_FAILED, "the pose network's function failed"};
  last = Lap(last, &times->pose);
  if (!Decode(outputs, map, joints))
    return {POSE_BAD_OUTPUT, "the pose network's outputs are not of the shape that the settings say"};
  for (const Keypoint& joint : *joints)
    if (!std::isfinite(joint.x) || !std::isfinite(joint.y) || !std::isfinite(joint.score))
      return {POSE_BAD_OUTPUT, "the pose network's outputs have values that are not numbers"};
  Lap(last, &times->decode);
  return kFine;
}

bool Estimator::Decode(const pose_tensor* outputs, const Affine& image_to_crop, std::vector<Keypoint>* joints) const {
  const pose_joints& settings = settings_.joints;
  const pose_network& network = settings_.pose;
  const int count = settings.joints;
  joints->resize(count);
  const Affine to_image = Invert(image_to_crop);
  if (settings.codec == POSE_SIMCC) {
    const pose_tensor &x = outputs[0], &y = outputs[1];
    if (!FitsVectors(x, count) || !FitsVectors(y, count)) return false;
    const bool dark = settings.decoding == POSE_DARK;
    DecodeSimcc(x.data, y.data, count, x.shape[2], y.shape[2], settings.split, dark ? settings.blur : 0,
                dark ? settings.blur_y : 0, joints->data());
    CropToImage(to_image, joints->data(), count);
    return true;
  }
  const pose_tensor& maps = outputs[0];
  if (!FitsHeatmaps(maps, count)) return false;
  const int height = maps.shape[2], width = maps.shape[3];
  pose::Decode(maps.data, count, height, width, static_cast<Decoding>(settings.decoding), settings.blur,
               joints->data());
  const Grid grid = settings.grid == POSE_GRID_UDP ? Grid::kUdp : Grid::kStride;
  HeatmapToImage{network.width, network.height, width, height, grid, to_image}(joints->data(), count);
  return true;
}

}  // namespace pose
