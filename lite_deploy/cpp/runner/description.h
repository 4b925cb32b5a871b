// What the runner needs of an artifact folder's pose.json (lite_deploy/artifact.py).
#pragma once

#include <string>

#include "pose/heatmap.h"
#include "pose/preprocess.h"

struct Description {
  int input_width, input_height;
  pose::Normalisation normalisation;
  double padding;
  int joints, heatmap_width, heatmap_height, blur;
  pose::Decoding decoding;
  pose::Grid grid;
  std::string model, precision, model_file;  // model_file beside pose.json
};

// Reads the description of one model. Throws std::runtime_error, saying file, field and what was expected.
Description ReadDescription(const std::string& path, const std::string& model);
