// From heatmaps to joints: tinypose/codecs/heatmap.py in C++.
#pragma once

#include "pose/affine.h"

namespace pose {

// kMax: the largest pixel. kShift: that moved a quarter pixel towards its larger neighbour (Newell et al.,
// ECCV 2016). kDark: the summit of a Gaussian through the neighbourhood (DARK: Zhang et al., CVPR 2020).
enum class Decoding { kMax, kShift, kDark };

// How far heatmap pixels lie apart on the crop. kStride: (input - 1) / heatmap, PaddleDetection's. kUdp:
// (input - 1) / (heatmap - 1), so that the corner pixels' centres coincide.
enum class Grid { kStride, kUdp };

// A position in pixels of the heatmap, of the crop or of the picture, and the heatmap's largest value.
struct Keypoint {
  float x, y, score;
};

// Finds the joint of each heatmap; `heatmaps` is [joints, height, width], `output` holds [joints], in heatmap
// pixels. `blur` is DARK's smoothing kernel in heatmap pixels: odd, 1 to 31.
void Decode(const float* heatmaps, int joints, int height, int width, Decoding decoding, int blur,
            Keypoint* output);

// Moves keypoints from heatmap pixels to the picture's, in place.
struct HeatmapToImage {
  int input_width, input_height, heatmap_width, heatmap_height;
  Grid grid;
  Affine crop_to_image;  // Invert(CropMatrix(...))

  void operator()(Keypoint* keypoints, int count) const;
};

// Moves keypoints from crop pixels to the picture's, in place.
void CropToImage(const Affine& crop_to_image, Keypoint* keypoints, int count);

}  // namespace pose
