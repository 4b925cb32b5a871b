#include "pose/maps.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace pose {
namespace {

// Two pixels and the weight of the second, for each pixel of one axis.
struct Between {
  int first, second;
  float weight;
};

std::vector<Between> Axis(int from, int to) {
  const double scale = static_cast<double>(from) / to;
  std::vector<Between> axis(to);
  for (int i = 0; i < to; ++i) {
    const float at = static_cast<float>((i + 0.5) * scale - 0.5);
    const int first = static_cast<int>(std::floor(at));
    if (first < 0) axis[i] = {0, 0, 0};
    else if (first >= from - 1) axis[i] = {from - 1, from - 1, 0};
    else axis[i] = {first, first + 1, at - static_cast<float>(first)};
  }
  return axis;
}

bool Highest(const float* map, int height, int width, int x, int y, int reach) {
  const float value = map[static_cast<ptrdiff_t>(y) * width + x];
  const int last_row = std::min(y + reach, height - 1), last = std::min(x + reach, width - 1);
  for (int v = std::max(y - reach, 0); v <= last_row; ++v)
    for (int u = std::max(x - reach, 0); u <= last; ++u)
      if (map[static_cast<ptrdiff_t>(v) * width + u] > value) return false;
  return true;
}

}  // namespace

std::vector<Peak> Peaks(const float* map, int height, int width, int kernel, int count, float threshold) {
  std::vector<Peak> peaks;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const float value = map[static_cast<ptrdiff_t>(y) * width + x];
      if (value > threshold && Highest(map, height, width, x, y, kernel / 2)) peaks.push_back({x, y, value});
    }
  std::sort(peaks.begin(), peaks.end(), [](const Peak& a, const Peak& b) {
    if (a.value != b.value) return a.value > b.value;
    return a.y != b.y ? a.y < b.y : a.x < b.x;
  });
  if (peaks.size() > static_cast<size_t>(count)) peaks.resize(count, Peak{0, 0, 0});
  return peaks;
}

void Resize(const float* map, int height, int width, int new_height, int new_width, float* output) {
  if (height == new_height && width == new_width) {
    std::copy_n(map, static_cast<size_t>(height) * width, output);
    return;
  }
  const std::vector<Between> columns = Axis(width, new_width), rows = Axis(height, new_height);
  std::vector<float> across(static_cast<size_t>(height) * new_width);  // each row, enlarged along it
  for (int y = 0; y < height; ++y) {
    const float* from = map + static_cast<ptrdiff_t>(y) * width;
    float* to = across.data() + static_cast<ptrdiff_t>(y) * new_width;
    for (int x = 0; x < new_width; ++x) {
      const Between& c = columns[x];
      to[x] = from[c.first] * (1 - c.weight) + from[c.second] * c.weight;
    }
  }
  for (int y = 0; y < new_height; ++y) {
    const Between& r = rows[y];
    const float* above = across.data() + static_cast<ptrdiff_t>(r.first) * new_width;
    const float* below = across.data() + static_cast<ptrdiff_t>(r.second) * new_width;
    float* to = output + static_cast<ptrdiff_t>(y) * new_width;
    for (int x = 0; x < new_width; ++x) to[x] = above[x] * (1 - r.weight) + below[x] * r.weight;
  }
}

void Enlarge(const float* map, int height, int width, int factor, float* output) {
  const int new_width = width * factor;
  const float by = static_cast<float>(factor);
  std::vector<float> wide(static_cast<size_t>(height) * new_width);
  for (int y = 0; y < height; ++y) {
    const float* from = map + static_cast<ptrdiff_t>(y) * width;
    float* to = wide.data() + static_cast<ptrdiff_t>(y) * new_width;
    for (int x = 0; x < width; ++x) {
      const float step = (from[std::min(x + 1, width - 1)] - from[x]) / by;
      for (int part = 0; part < factor; ++part) to[x * factor + part] = from[x] + static_cast<float>(part) * step;
    }
  }
  for (int y = 0; y < height; ++y) {
    const float* from = wide.data() + static_cast<ptrdiff_t>(y) * new_width;
    const float* below = wide.data() + static_cast<ptrdiff_t>(std::min(y + 1, height - 1)) * new_width;
    float* to = output + static_cast<ptrdiff_t>(y) * factor * new_width;
    std::copy_n(from, new_width, to);
    for (int part = 1; part < factor; ++part, to += new_width)
      for (int x = 0; x < new_width; ++x) to[new_width + x] = to[x] + (below[x] - from[x]) / by;
  }
}

}  // namespace pose
