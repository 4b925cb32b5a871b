#include "pose/simcc.h"

#include <algorithm>

namespace pose {

void DecodeSimcc(const float* x, const float* y, int joints, int width, int height, double split, Keypoint* output) {
  const float bins = static_cast<float>(split);
  for (int j = 0; j < joints; ++j, x += width, y += height) {
    const float *best_x = std::max_element(x, x + width), *best_y = std::max_element(y, y + height);
    const float score = std::min(*best_x, *best_y);
    const bool found = score > 0;
    output[j] = {(found ? best_x - x : -1) / bins, (found ? best_y - y : -1) / bins, score};
  }
}

}  // namespace pose
