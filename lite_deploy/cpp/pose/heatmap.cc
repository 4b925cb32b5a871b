#include "pose/heatmap.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace pose {
namespace {

constexpr int kMaxBlur = 31;
constexpr int kLanes = 16;

// The first of the largest values. Two plain passes over independent lanes, which compilers turn into vector
// instructions, are several times faster than one pass that carries the index along.
int ArgMax(const float* map, int count) {
  float largest[kLanes];
  std::fill_n(largest, kLanes, map[0]);
  int i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int k = 0; k < kLanes; ++k) largest[k] = map[i + k] > largest[k] ? map[i + k] : largest[k];
  float best = *std::max_element(largest, largest + kLanes);
  for (; i < count; ++i) best = std::max(best, map[i]);
  return static_cast<int>(std::find(map, map + count, best) - map) % count;
}

// OpenCV's getGaussianKernel(blur, 0): near binomial up to 9, then a Gaussian of the width that suits the size.
void GaussianKernel(int blur, double* kernel) {
  static const int kSmall[5][5] = {{256}, {64, 128}, {16, 64, 96}, {8, 28, 56, 72}, {4, 13, 30, 51, 60}};
  if (blur <= 9) {
    for (int i = 0; i < blur; ++i) kernel[i] = kSmall[blur / 2][std::min(i, blur - 1 - i)] / 256.0;
    return;
  }
  const double sigma = 0.3 * ((blur - 1) * 0.5 - 1) + 0.8;
  double sum = 0;
  for (int i = 0; i < blur; ++i) {
    const double x = i - (blur - 1) * 0.5;
    sum += kernel[i] = std::exp(-x * x / (2 * sigma * sigma));
  }
  for (int i = 0; i < blur; ++i) kernel[i] /= sum;
}

struct Map {
  const float* data;
  int width, height;

  double At(int x, int y) const {
    return x < 0 || y < 0 || x >= width || y >= height ? 0 : data[y * width + x];
  }
};

// One Newton step on the logarithm of the smoothed map, from (x, y) towards the summit.
void DarkStep(const Map& map, int x, int y, int blur, const double* kernel, Keypoint* joint) {
  if (x < 2 || x >= map.width - 2 || y < 2 || y >= map.height - 2) return;
  const int radius = blur / 2;
  double rows[5][5 + kMaxBlur - 1];  // smoothed downwards
  for (int i = 0; i < 5; ++i)
    for (int j = 0; j < 4 + blur; ++j) {
      rows[i][j] = 0;
      for (int k = 0; k < blur; ++k)
        rows[i][j] += kernel[k] * map.At(x - 2 - radius + j, y - 2 + i - radius + k);
    }
  double log[5][5];
  for (int i = 0; i < 5; ++i)
    for (int j = 0; j < 5; ++j) {
      double sum = 0;
      for (int k = 0; k < blur; ++k) sum += kernel[k] * rows[i][j + k];
      log[i][j] = std::log(std::max(sum, 1e-10));
    }
  const double dx = (log[2][3] - log[2][1]) / 2, dy = (log[3][2] - log[1][2]) / 2;
  const double dxx = (log[2][4] - 2 * log[2][2] + log[2][0]) / 4;
  const double dyy = (log[4][2] - 2 * log[2][2] + log[0][2]) / 4;
  const double dxy = (log[3][3] - log[1][3] - log[3][1] + log[1][1]) / 4;
  const double determinant = dxx * dyy - dxy * dxy;
  if (!(determinant > 0 && dxx < 0)) return;  // no summit to step to
  joint->x = static_cast<float>(x + (dxy * dy - dyy * dx) / determinant);
  joint->y = static_cast<float>(y + (dxy * dx - dxx * dy) / determinant);
}

float QuarterStep(double before, double after) {
  return after > before ? 0.25f : after < before ? -0.25f : 0.0f;
}

// Stretches keypoints by the steps and maps them.
void Move(Keypoint* keypoints, int count, double step_x, double step_y, const Affine& map) {
  for (int i = 0; i < count; ++i) {
    double x = keypoints[i].x * step_x, y = keypoints[i].y * step_y;
    Transform(map, &x, &y);
    keypoints[i].x = static_cast<float>(x);
    keypoints[i].y = static_cast<float>(y);
  }
}

}  // namespace

void Decode(const float* heatmaps, int joints, int height, int width, Decoding decoding, int blur,
            Keypoint* output) {
  double kernel[kMaxBlur];
  if (decoding == Decoding::kDark) GaussianKernel(blur, kernel);
  for (int j = 0; j < joints; ++j) {
    const Map map{heatmaps + static_cast<long>(j) * height * width, width, height};
    const int best = ArgMax(map.data, height * width);
    const int x = best % width, y = best / width;
    output[j] = {static_cast<float>(x), static_cast<float>(y), map.data[best]};
    if (decoding == Decoding::kDark) DarkStep(map, x, y, blur, kernel, &output[j]);
    if (decoding == Decoding::kShift && x > 0 && x < width - 1)
      output[j].x += QuarterStep(map.At(x - 1, y), map.At(x + 1, y));
    if (decoding == Decoding::kShift && y > 0 && y < height - 1)
      output[j].y += QuarterStep(map.At(x, y - 1), map.At(x, y + 1));
  }
}

void HeatmapToImage::operator()(Keypoint* keypoints, int count) const {
  const int less = grid == Grid::kUdp ? 1 : 0;
  Move(keypoints, count, (input_width - 1.0) / (heatmap_width - less), (input_height - 1.0) / (heatmap_height - less),
       crop_to_image);
}

void CropToImage(const Affine& crop_to_image, Keypoint* keypoints, int count) {
  Move(keypoints, count, 1, 1, crop_to_image);
}

}  // namespace pose
