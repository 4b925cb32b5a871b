// From a whole picture to a detector's input in the picture's own ratio, grey around it.
#pragma once

#include "pose/preprocess.h"

namespace pose {

// How a picture lies in an input: input pixels to one of the picture, its size there, and the border before it.
struct Fit {
  double ratio;
  int width, height, left, top;
};

// tinypose/codecs/centres.py letterbox.
Fit FitInside(int picture_width, int picture_height, int width, int height);

// Writes float [3, height, width] to `output`: the picture shrunk by areas (or enlarged, bilinear) as
// cv2.resize(INTER_AREA) does it, rounded to whole numbers, and normalised. Shrunk pixels are OpenCV's; of
// enlarged ones some differ by one grey level, as OpenCV rounds the weights to 11 bits.
void LetterboxNormalise(const Image& image, int width, int height, const Normalisation& normalisation, float* output);

}  // namespace pose
