// What the runner needs of an artifact folder's pose.json (tinypose/artifact/record.py).
#pragma once

#include <string>
#include <vector>

#include "pose/heatmap.h"
#include "pose/preprocess.h"

// A model of a folder, of a pose network or of a detector.
struct ModelFile {
  std::string name, precision, file;  // file: where it is
};

struct Description {
  int input_width, input_height;
  pose::Normalisation normalisation;
  double padding;
  int joints, heatmap_width, heatmap_height, blur;
  pose::Decoding decoding;
  pose::Grid grid;
  std::vector<double> sigmas;  // of the skeleton
  ModelFile model;
};

struct DetectorDescription {
  int width, height;
  pose::Normalisation normalisation;
  int person, aligned, most;
  float nms;
  ModelFile model;
};

// Reads the description of one model. Throws std::runtime_error, saying file, field and what was expected.
Description ReadDescription(const std::string& path, const std::string& model);

// The same of a detector.
DetectorDescription ReadDetector(const std::string& path, const std::string& model);

// Reads only which file a model is. Throws in the same way.
ModelFile ReadModel(const std::string& path, const std::string& model);

// Throws std::runtime_error if this processor would stop at an instruction of the model's.
void CheckProcessor(const ModelFile& model);
