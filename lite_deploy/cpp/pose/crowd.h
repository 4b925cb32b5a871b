// What bottom-up networks' outputs are decoded to.
#pragma once

#include <vector>

#include "pose/heatmap.h"
#include "pose/pose.h"

namespace pose {

// One person of a picture, before the score is limited to 0 to 1.
struct Found {
  std::vector<Keypoint> joints;
  float score;
};

// Whether an output is float [1, channels, height, width].
inline bool FitsMaps(const pose_tensor& output, int channels, int height, int width) {
  return output.data && output.rank == 4 && output.shape[0] == 1 && output.shape[1] == channels &&
         output.shape[2] == height && output.shape[3] == width;
}

// Whether all of an output's values are numbers.
bool AllNumbers(const pose_tensor& output);

}  // namespace pose
