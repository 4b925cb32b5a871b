// Maps brought to other sizes, and their highest points: tinypose/codecs/peaks.py in C++.
#pragma once

#include <vector>

namespace pose {

// A pixel that none around it exceeds.
struct Peak {
  int x, y;
  float value;
};

// The pixels of a map [height, width] above `threshold` that no pixel in the square of `kernel` (odd) around them
// exceeds: at most `count`, highest first, of equals the upper left first.
std::vector<Peak> Peaks(const float* map, int height, int width, int kernel, int count, float threshold);

// Writes float [new_height, new_width]: bilinear, pixel centres at halves, as cv2.resize does it.
void Resize(const float* map, int height, int width, int new_height, int new_width, float* output);

// Writes float [factor height, factor width]: bilinear, pixel i becomes pixel factor i; the last row and column are
// repeated.
void Enlarge(const float* map, int height, int width, int factor, float* output);

}  // namespace pose
