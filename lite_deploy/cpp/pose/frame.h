// From a camera's frame to an upright picture.
#pragma once

#include <vector>

#include "pose/pose.h"
#include "pose/preprocess.h"

namespace pose {

// What is wrong with a frame, or nullptr.
const char* WrongWith(const pose_frame& frame);

// Turns frames upright and YUV to RGB, in memory that is kept from frame to frame.
class Upright {
 public:
  // The picture: the frame's own memory where it is upright RGB already, else this object's, until the next call.
  // YUV becomes RGB by BT.601, computed in 20 fractional bits and rounded: within 0.501 of the real value.
  Image operator()(const pose_frame& frame);

 private:
  std::vector<uint8_t> pixels_;
};

}  // namespace pose
