// From a whole picture to the detector's input: squeezed to its size, normalised, channels apart.
#pragma once

#include "pose/preprocess.h"

namespace pose {

// Writes float [3, height, width] to `output`. Cubic (a = -0.75) without smoothing and rounded to whole numbers, as
// cv2.resize does it on x86-64, where it calls Intel's library: of 10,000 values at most a few differ, by one grey
// level. (Elsewhere OpenCV rounds the weights to 11 bits, and a few of a hundred differ so.)
void ResizeNormalise(const Image& image, int width, int height, const Normalisation& normalisation, float* output);

}  // namespace pose
