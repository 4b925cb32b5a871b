#include "pose/resize.h"

#include <algorithm>
#include <vector>

namespace pose {
namespace {

// The four pixels of one axis that a value comes from, and their weights.
struct Taps {
  int place[4];
  float weight[4];
};

std::vector<Taps> MakeTaps(int from, int to) {
  std::vector<Taps> taps(to);
  for (int i = 0; i < to; ++i) {
    const double at = (i + 0.5) * from / to - 0.5;
    const int first = static_cast<int>(at + 1) - 1;  // rounded down: at is above -1
    const double x = at - first, a = -0.75;
    const auto near = [a](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
    const auto far = [a](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
    const double weight[4] = {far(x + 1), near(x), near(1 - x), far(2 - x)};
    for (int k = 0; k < 4; ++k) {
      taps[i].place[k] = std::min(std::max(first - 1 + k, 0), from - 1);
      taps[i].weight[k] = static_cast<float>(weight[k]);
    }
  }
  return taps;
}

// One row of the picture at the new width: float [width] for R, then G, then B.
template <int kStep>
void Across(const uint8_t* row, const std::vector<Taps>& taps, float* output) {
  const size_t width = taps.size();
  for (size_t x = 0; x < width; ++x) {
    const Taps& t = taps[x];
    const uint8_t *a = row + t.place[0] * kStep, *b = row + t.place[1] * kStep;
    const uint8_t *c = row + t.place[2] * kStep, *d = row + t.place[3] * kStep;
    for (int i = 0; i < 3; ++i)
      output[i * width + x] =
          a[i] * t.weight[0] + b[i] * t.weight[1] + c[i] * t.weight[2] + d[i] * t.weight[3];
  }
}

// Adding and taking away 1.5 * 2^23 leaves a whole number, half to even.
inline float Whole(float value) {
  const float big = 12582912.0f;
  const float whole = (value + big) - big;
  return whole < 0 ? 0.0f : whole > 255 ? 255.0f : whole;
}

}  // namespace

void ResizeNormalise(const Image& image, int width, int height, const Normalisation& normalisation, float* output) {
  const std::vector<Taps> columns = MakeTaps(image.width, width), rows = MakeTaps(image.height, height);
  const auto across = image.pixel_bytes == 3 ? Across<3> : Across<4>;
  // The last four rows that were resized, each in the place of its number's last two bits.
  std::vector<float> kept(4 * 3 * static_cast<size_t>(width));
  int held[4] = {-1, -1, -1, -1};
  for (int y = 0; y < height; ++y) {
    const float* from[4];
    for (int k = 0; k < 4; ++k) {
      const int row = rows[y].place[k], slot = row & 3;
      float* place = kept.data() + static_cast<size_t>(slot) * 3 * width;
      if (held[slot] != row) {
        across(image.data + static_cast<int64_t>(row) * image.stride, columns, place);
        held[slot] = row;
      }
      from[k] = place;
    }
    const float *w = rows[y].weight, *a = from[0], *b = from[1], *c = from[2], *d = from[3];
    for (int i = 0; i < 3; ++i) {
      const float gain = 1 / (255 * normalisation.std[i]), shift = normalisation.mean[i] / normalisation.std[i];
      const size_t first = static_cast<size_t>(i) * width;
      float* out = output + (static_cast<size_t>(i) * height + y) * width;
      for (int x = 0; x < width; ++x) {
        const size_t at = first + x;
        out[x] = Whole(a[at] * w[0] + b[at] * w[1] + c[at] * w[2] + d[at] * w[3]) * gain - shift;
      }
    }
  }
}

}  // namespace pose
