#include "pose/affine.h"

#include <algorithm>

namespace pose {

Affine CropMatrix(const Box& box, int width, int height, double padding, Crop crop) {
  const double ratio = static_cast<double>(width) / height;
  const double grown_width = std::max(box.width, box.height * ratio) * padding;
  const double grown_height = std::max(box.height, box.width / ratio) * padding;
  // The middle of the grown box, as Python computes it: what it adds and takes away costs the last bit.
  const double x = box.left + box.width / 2 - grown_width / 2 + grown_width / 2;
  const double y = box.top + box.height / 2 - grown_height / 2 + grown_height / 2;
  const double across = crop == Crop::kUdp ? width - 1 : width, down = crop == Crop::kUdp ? height - 1 : height;
  const double scale_x = across / grown_width, scale_y = down / grown_height;
  return {{scale_x, 0, across / 2 - scale_x * x, 0, scale_y, down / 2 - scale_y * y}};
}

Affine Invert(const Affine& map) {
  const double* m = map.m;
  const double determinant = m[0] * m[4] - m[1] * m[3];
  const double d = determinant != 0 ? 1 / determinant : 0;
  // The order of operations is cv::warpAffine's, so that both sample the same positions to the last bit.
  const double a = m[4] * d, b = m[1] * -d, c = m[3] * -d, e = m[0] * d;
  return {{a, b, -a * m[2] - b * m[5], c, e, -c * m[2] - e * m[5]}};
}

void Transform(const Affine& map, double* x, double* y) {
  const double* m = map.m;
  const double moved_x = m[0] * *x + m[1] * *y + m[2];
  *y = m[3] * *x + m[4] * *y + m[5];
  *x = moved_x;
}

}  // namespace pose
