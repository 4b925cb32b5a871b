#include "pose/c_api.h"

#include <algorithm>

#include "pose/heatmap.h"
#include "pose/preprocess.h"

static_assert(sizeof(pose::Keypoint) == 3 * sizeof(float), "pose_decode writes keypoints as rows of floats");

void pose_crop_normalise(const uint8_t* image, int image_width, int image_height, int stride, int pixel_bytes,
                         const double* matrix, int width, int height, const float* mean, const float* std,
                         float* output) {
  pose::Affine map;
  std::copy_n(matrix, 6, map.m);
  pose::Normalisation normalisation;
  std::copy_n(mean, 3, normalisation.mean);
  std::copy_n(std, 3, normalisation.std);
  pose::CropNormalise({image, image_width, image_height, stride, pixel_bytes}, map, width, height,
                      normalisation, output);
}

void pose_decode(const float* heatmaps, int joints, int height, int width, int method, int blur,
                 float* output) {
  pose::Decode(heatmaps, joints, height, width, static_cast<pose::Decoding>(method), blur,
               reinterpret_cast<pose::Keypoint*>(output));
}
