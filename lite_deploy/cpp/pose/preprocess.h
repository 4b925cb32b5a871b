// From a picture to the network's input in one pass: crop, resample, normalise, and split the channels.
#pragma once

#include <cstdint>

#include "pose/affine.h"

namespace pose {

// A picture of interleaved bytes: R, G, B and, where pixel_bytes is 4, one more that is ignored.
struct Image {
  const uint8_t* data;
  int width, height;  // in pixels, up to 32,767 each
  int stride;         // bytes from one row to the next
  int pixel_bytes;    // 3 or 4
};

// What the network was trained on: (value / 255 - mean) / std for each of R, G and B.
struct Normalisation {
  float mean[3], std[3];
};

// Writes float [3, height, width] to `output`: the picture under `image_to_crop` (CropMatrix), bilinear and
// black outside, normalised.
//
// The pixels are those of OpenCV's cv::warpAffine(INTER_LINEAR), which rounds positions to 1/32 pixel and
// values to whole numbers: a network must see the same crop on the phone as in training.
void CropNormalise(const Image& image, const Affine& image_to_crop, int width, int height,
                   const Normalisation& normalisation, float* output);

}  // namespace pose
