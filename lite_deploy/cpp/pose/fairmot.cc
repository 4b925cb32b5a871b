#include "pose/fairmot.h"

#include <algorithm>
#include <cmath>

#include "pose/letterbox.h"

namespace pose {
namespace {

constexpr int kStride = 4;
constexpr int kChannels[3] = {1, 4, 2};  // of middles, sizes and offsets; looks have as many as they like

// Whether no neighbour is greater: then it is somebody's middle.
bool Highest(const float* map, int height, int width, int x, int y) {
  const float value = map[y * width + x];
  for (int v = std::max(y - 1, 0); v <= std::min(y + 1, height - 1); ++v)
    for (int u = std::max(x - 1, 0); u <= std::min(x + 1, width - 1); ++u)
      if (map[v * width + u] > value) return false;
  return true;
}

}  // namespace

bool FitsFairMOT(const pose_tensor* maps, const pose_network& network) {
  for (int i = 0; i < 4; ++i) {
    const pose_tensor& map = maps[i];
    if (!map.data || map.rank != 4 || map.shape[0] != 1 || (i < 3 && map.shape[1] != kChannels[i]) ||
        map.shape[1] < 1 || map.shape[2] * kStride != network.height || map.shape[3] * kStride != network.width)
      return false;
  }
  return true;
}

bool DecodeFairMOT(const pose_tensor* maps, const pose_network& network, const pose_boxes& settings, int width,
                   int height, std::vector<Detection>* people) {
  const int rows = maps[0].shape[2], columns = maps[0].shape[3], plane = rows * columns;
  const float *logits = maps[0].data, *size = maps[1].data, *offset = maps[2].data;
  std::vector<int> places;
  for (int i = 0; i < plane; ++i) {
    if (!std::isfinite(logits[i])) return false;
    if (Highest(logits, rows, columns, i % columns, i / columns)) places.push_back(i);
  }
  // Of equals the first; std::stable_sort would want a memory that Android's libc alone does not have.
  std::sort(places.begin(), places.end(),
            [&](int a, int b) { return logits[a] > logits[b] || (logits[a] == logits[b] && a < b); });
  if (places.size() > static_cast<size_t>(settings.most)) places.resize(settings.most);
  const Fit fit = FitInside(width, height, network.width, network.height);
  const double left = (network.width - static_cast<double>(fit.width)) / 2;
  const double top = (network.height - static_cast<double>(fit.height)) / 2;
  for (const int i : places) {
    const float score = static_cast<float>(1 / (1 + std::exp(-static_cast<double>(logits[i]))));
    if (!(score > settings.score)) continue;
    const float x = static_cast<float>(i % columns) + offset[i];
    const float y = static_cast<float>(i / columns) + offset[plane + i];
    const float corner[4] = {(x - size[i]) * kStride, (y - size[plane + i]) * kStride,
                             (x + size[2 * plane + i]) * kStride, (y + size[3 * plane + i]) * kStride};
    float side[4];
    for (int k = 0; k < 4; ++k) side[k] = static_cast<float>((corner[k] - (k % 2 ? top : left)) / fit.ratio);
    const Box box{side[0], side[1], side[2] - side[0], side[3] - side[1]};
    if (!std::isfinite(box.left + box.top + box.width + box.height)) return false;
    if (box.width > 0 && box.height > 0) people->push_back({box, score});
  }
  return true;
}

}  // namespace pose
