#include "pose/picodet.h"

#include <algorithm>
#include <cmath>

namespace pose {
namespace {

constexpr int kStrides[kLevels] = {8, 16, 32, 64};
constexpr int kBins = 8;

float Exp(float x) { return static_cast<float>(std::exp(static_cast<double>(x))); }

float Sigmoid(float x) { return 1 / (1 + Exp(-x)); }

// The mean of a distribution over 0 to 7 given by its logits, `step` numbers apart.
float Distance(const float* logits, int step) {
  float largest = logits[0];
  for (int i = 1; i < kBins; ++i) largest = std::max(largest, logits[i * step]);
  float sum = 0, mean = 0;
  for (int i = 0; i < kBins; ++i) {
    const float weight = Exp(logits[i * step] - largest);
    sum += weight;
    mean += weight * i;
  }
  return mean / sum;
}

}  // namespace

bool FitsPicoDet(const pose_tensor* maps, const pose_network& network, const pose_boxes& settings) {
  for (int level = 0; level < kLevels; ++level) {
    const pose_tensor& map = maps[level];
    const int stride = kStrides[level];
    if (!map.data || map.rank != 4 || map.shape[0] != 1 || map.shape[1] != maps[0].shape[1] ||
        map.shape[1] <= settings.person + 4 * kBins + settings.aligned ||
        map.shape[2] != (network.height + stride - 1) / stride || map.shape[3] != (network.width + stride - 1) / stride)
      return false;
  }
  return true;
}

bool DecodePicoDet(const pose_tensor* maps, const pose_boxes& settings, std::vector<Detection>* found) {
  for (int level = 0; level < kLevels; ++level) {
    const pose_tensor& map = maps[level];
    const int channels = map.shape[1], width = map.shape[3], plane = map.shape[2] * width;
    const float* person = map.data + static_cast<long>(settings.person) * plane;
    const float* aligned = map.data + static_cast<long>(channels - 1) * plane;
    const float* sides = map.data + static_cast<long>(channels - 4 * kBins - settings.aligned) * plane;
    const float stride = static_cast<float>(kStrides[level]);
    for (int i = 0; i < plane; ++i) {
      float score = Sigmoid(person[i]);
      if (settings.aligned) score = std::sqrt(score * Sigmoid(aligned[i]) + 1e-9f);
      if (score <= settings.score) continue;
      float side[4];  // left, top, right, bottom
      for (int k = 0; k < 4; ++k) side[k] = Distance(sides + static_cast<long>(k) * kBins * plane + i, plane);
      const float x = i % width + 0.5f, y = i / width + 0.5f;
      const Box box{(x - side[0]) * stride, (y - side[1]) * stride, (side[0] + side[2]) * stride,
                    (side[1] + side[3]) * stride};
      if (!std::isfinite(score + box.left + box.top + box.width + box.height)) return false;
      found->push_back({box, score});
    }
  }
  return true;
}

std::vector<Detection> ChoosePeople(const std::vector<Detection>& found, const pose_network& network,
                                    const pose_boxes& settings, int width, int height) {
  const double across = static_cast<float>(static_cast<double>(width) / network.width);
  const double down = static_cast<float>(static_cast<double>(height) / network.height);
  std::vector<Detection> scaled;
  for (const Detection& each : found) {
    const Box& box = each.box;
    scaled.push_back({Rounded({box.left * across, box.top * down, box.width * across, box.height * down}), each.score});
  }
  std::vector<Detection> people;
  for (const int i : Suppress(scaled, settings.nms, settings.most)) {
    // Cut to the picture after suppression: so were the published numbers made.
    const Box box = Clip(scaled[i].box, width, height);
    if (box.width > 0 && box.height > 0) people.push_back({box, scaled[i].score});
  }
  return people;
}

}  // namespace pose
