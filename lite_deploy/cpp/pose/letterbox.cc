#include "pose/letterbox.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace pose {
namespace {

constexpr float kGrey = 128;

// One pixel of the picture that a pixel of the result comes from.
struct Share {
  int place;
  float weight;
};

// The shares of each pixel of one axis, by the area that it covers; as OpenCV's computeResizeAreaTab.
std::vector<std::vector<Share>> Areas(int from, int to) {
  const double scale = 1 / (static_cast<double>(to) / from);
  std::vector<std::vector<Share>> shares(to);
  for (int i = 0; i < to; ++i) {
    const double begin = i * scale, end = begin + scale;
    const double covered = std::min(scale, from - begin);
    const int last = std::min(static_cast<int>(std::floor(end)), from - 1);
    const int first = std::min(static_cast<int>(std::ceil(begin)), last);
    if (first - begin > 1e-3) shares[i].push_back({first - 1, static_cast<float>((first - begin) / covered)});
    for (int k = first; k < last; ++k) shares[i].push_back({k, static_cast<float>(1 / covered)});
    if (end - last > 1e-3)
      shares[i].push_back({last, static_cast<float>(std::min(std::min(end - last, 1.0), covered) / covered)});
  }
  return shares;
}

// The same for an axis that is enlarged: two pixels, weighted by what of each is covered.
std::vector<std::vector<Share>> Pairs(int from, int to) {
  const double inverse = static_cast<double>(to) / from, scale = 1 / inverse;
  std::vector<std::vector<Share>> shares(to);
  for (int i = 0; i < to; ++i) {
    const int first = static_cast<int>(std::floor(i * scale));
    float second = static_cast<float>((i + 1) - (first + 1) * inverse);
    second = second <= 0 ? 0 : second - std::floor(second);
    if (first >= from - 1) {
      shares[i].push_back({from - 1, 1});
    } else {
      shares[i] = {{first, 1 - second}, {first + 1, second}};
    }
  }
  return shares;
}

int HalfToEven(double value) { return static_cast<int>(std::nearbyint(value)); }

}  // namespace

Fit FitInside(int picture_width, int picture_height, int width, int height) {
  const double ratio =
      std::min(static_cast<double>(width) / picture_width, static_cast<double>(height) / picture_height);
  Fit fit{ratio, std::max(HalfToEven(picture_width * ratio), 1), std::max(HalfToEven(picture_height * ratio), 1), 0, 0};
  fit.left = HalfToEven((width - fit.width) / 2.0 - 0.1);
  fit.top = HalfToEven((height - fit.height) / 2.0 - 0.1);
  return fit;
}

void LetterboxNormalise(const Image& image, int width, int height, const Normalisation& normalisation,
                        float* output) {
  const Fit fit = FitInside(image.width, image.height, width, height);
  const bool shrinks = fit.width <= image.width && fit.height <= image.height;
  const auto columns = shrinks ? Areas(image.width, fit.width) : Pairs(image.width, fit.width);
  const auto rows = shrinks ? Areas(image.height, fit.height) : Pairs(image.height, fit.height);
  // Where a pixel covers four whole ones, OpenCV adds whole numbers and rounds half up.
  const bool quarters = shrinks && fit.width * 2 == image.width && fit.height * 2 == image.height;
  const int64_t plane = static_cast<int64_t>(width) * height;
  float gain[3], shift[3];
  for (int i = 0; i < 3; ++i) {
    gain[i] = 1 / (255 * normalisation.std[i]);
    shift[i] = normalisation.mean[i] / normalisation.std[i];
    std::fill_n(output + i * plane, plane, kGrey * gain[i] - shift[i]);
  }
  std::vector<float> across(3 * static_cast<size_t>(fit.width)), sum(across.size());
  for (int y = 0; y < fit.height; ++y) {
    std::fill(sum.begin(), sum.end(), 0.0f);
    for (const Share& row : rows[y]) {
      const uint8_t* pixels = image.data + static_cast<int64_t>(row.place) * image.stride;
      for (int x = 0; x < fit.width; ++x) {
        float* into = across.data() + 3 * static_cast<size_t>(x);
        into[0] = into[1] = into[2] = 0;
        for (const Share& column : columns[x])
          for (int i = 0; i < 3; ++i) into[i] += pixels[column.place * image.pixel_bytes + i] * column.weight;
      }
      for (size_t k = 0; k < sum.size(); ++k) sum[k] += row.weight * across[k];
    }
    float* line = output + static_cast<int64_t>(fit.top + y) * width + fit.left;
    for (int x = 0; x < fit.width; ++x) {
      for (int i = 0; i < 3; ++i) {
        const float value = sum[3 * static_cast<size_t>(x) + i];
        const float whole = quarters ? std::floor(value + 0.5f) : std::nearbyint(value);
        line[i * plane + x] = std::min(std::max(whole, 0.0f), 255.0f) * gain[i] - shift[i];
      }
    }
  }
}

}  // namespace pose
