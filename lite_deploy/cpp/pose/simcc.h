// From two vectors a joint to joints (SimCC: Li et al., ECCV 2022), as RTMPose uses them.
#pragma once

#include "pose/heatmap.h"

namespace pose {

constexpr int kMostVectorBlur = 999;

// Finds each joint: the largest bin of either axis (the first of equals) over `split`, and the smaller of both
// largest values as its score; -1 bin where that is not above 0. `x` is [joints, width], `y` [joints, height];
// `output` holds [joints], in crop pixels. With blurs above 0, odd, both coordinates are refined by a Newton step on
// the logarithm of the smoothed vector (DARK: Zhang et al., CVPR 2020).
void DecodeSimcc(const float* x, const float* y, int joints, int width, int height, double split, int blur_x,
                 int blur_y, Keypoint* output);

}  // namespace pose
