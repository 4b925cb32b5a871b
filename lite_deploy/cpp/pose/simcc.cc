#include "pose/simcc.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace pose {
namespace {

std::vector<double> Gaussian(int size) {
  const double sigma = 0.3 * ((size - 1) * 0.5 - 1) + 0.8;  // what OpenCV takes for a kernel of this size
  std::vector<double> kernel(size);
  double sum = 0;
  for (int i = 0; i < size; ++i) {
    const double x = i - size / 2;
    sum += kernel[i] = std::exp(-x * x / (2 * sigma * sigma));
  }
  for (double& each : kernel) each /= sum;
  return kernel;
}

// One axis of a joint.
struct Axis {
  const float* values;
  int bins;
  int best;  // the bin of the largest value

  Axis(const float* values, int bins)
      : values(values), bins(bins), best(static_cast<int>(std::max_element(values, values + bins) - values)) {}

  // The largest bin, moved towards the summit of the smoothed vector.
  double Refined(const std::vector<double>& kernel) const {
    const int radius = static_cast<int>(kernel.size()) / 2;
    std::vector<double> smooth(bins);
    for (int i = 0; i < bins; ++i)
      for (int k = std::max(0, i - radius); k <= std::min(bins - 1, i + radius); ++k)
        smooth[i] += values[k] * kernel[k - i + radius];
    const double peak = *std::max_element(smooth.begin(), smooth.end());
    const double scale = peak != 0 ? values[best] / peak : 1;  // back to the old peak
    double log[5];
    for (int i = 0; i < 5; ++i) {
      const int at = std::min(std::max(best - 2 + i, 0), bins - 1);
      log[i] = std::log(std::min(std::max(smooth[at] * scale, 1e-3), 50.0));
    }
    const double slope = (log[3] - log[1]) / 2, curvature = (log[4] - 2 * log[2] + log[0]) / 4;
    return curvature != 0 ? best - slope / curvature : best;
  }
};

}  // namespace

void DecodeSimcc(const float* x, const float* y, int joints, int width, int height, double split, int blur_x,
                 int blur_y, Keypoint* output) {
  const bool dark = blur_x > 0 && blur_y > 0;
  const std::vector<double> across = Gaussian(dark ? blur_x : 1), down = Gaussian(dark ? blur_y : 1);
  const float bins = static_cast<float>(split);
  for (int j = 0; j < joints; ++j, x += width, y += height) {
    const Axis on_x(x, width), on_y(y, height);
    const float score = std::min(x[on_x.best], y[on_y.best]);
    float place_x = -1, place_y = -1;
    if (score > 0) {
      place_x = static_cast<float>(dark ? on_x.Refined(across) : on_x.best);
      place_y = static_cast<float>(dark ? on_y.Refined(down) : on_y.best);
    }
    output[j] = {place_x / bins, place_y / bins, score};
  }
}

}  // namespace pose
