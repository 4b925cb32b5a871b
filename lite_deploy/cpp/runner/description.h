// What the runner needs of an artifact folder's pose.json (tinypose/artifact/record.py).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pose/affine.h"
#include "pose/heatmap.h"
#include "pose/pose.h"
#include "pose/preprocess.h"

// A model of a folder, of a pose network or of a detector.
struct ModelFile {
  std::string name, precision, file;  // file: where it is
};

// What every network has.
struct NetworkDescription {
  int width, height;  // of its input
  pose::Normalisation normalisation;
  std::vector<std::vector<int64_t>> outputs;  // their shapes, for a batch of 1
  ModelFile model;
};

// A pose network on one person's crop (heatmaps, or SimCC's vectors in x and in y), or a bottom-up one on the picture.
struct Description : NetworkDescription {
  double padding;
  pose::Crop crop;
  int joints;
  int codec;         // POSE_HEATMAP, _SIMCC, _TAGS, _ADAPTIVE or _DEKR
  int blur, blur_y;  // SimCC's along x and along y; heatmaps have the first
  pose::Decoding decoding;
  pose::Grid grid;             // heatmaps
  double split;                // SimCC: bins a crop pixel
  std::vector<double> sigmas;  // of the skeleton
  double threshold;            // bottom-up, as pose_joints has them
  int most, higher, match;

  bool bottom_up() const { return codec == POSE_TAGS || codec == POSE_ADAPTIVE || codec == POSE_DEKR; }
};

struct DetectorDescription : NetworkDescription {
  pose_boxes boxes;
};

// Whether a folder's network is a detector. Throws as ReadDescription.
bool IsDetector(const std::string& path);

// Reads the description of one model. Throws std::runtime_error, saying file, field and what was expected.
Description ReadDescription(const std::string& path, const std::string& model);

// The same of a detector.
DetectorDescription ReadDetector(const std::string& path, const std::string& model);

// Reads only which file a model is. Throws in the same way.
ModelFile ReadModel(const std::string& path, const std::string& model);

// Throws std::runtime_error if this processor would stop at an instruction of the model's.
void CheckProcessor(const ModelFile& model);
