// The picture that the benchmark crops a person from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pose/preprocess.h"

struct Picture {
  int width, height;
  std::vector<uint8_t> bytes;  // R, G, B

  pose::Image image() const { return {bytes.data(), width, height, width * 3, 3}; }
};

// Reads a binary PPM ("P6", 8 bits), which any tool can write: `convert in.jpg out.ppm`, Pillow, OpenCV.
// Throws std::runtime_error.
Picture ReadPicture(const std::string& path);

// Noise of VGA size: for latency, which does not depend on what is in the picture.
Picture RandomPicture();
