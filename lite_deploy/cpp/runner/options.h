// What pose_runner is asked to do.
#pragma once

#include <string>
#include <vector>

struct Options {
  std::string pose, model, image, heatmaps, batch, outputs, frames, detector, detector_model;
  std::vector<double> box;
  std::vector<int> cores;
  int threads = 1, runs = 50;
  double seconds = 30, warmup_seconds = 10;
  int width = 0, height = 0, rotate = 0, detect_every = 5, smooth = 0;  // smooth as in pose.h
  double rate = 30, box_score = 0.4;
};

extern const char* const kUsage;

// Reads the command line. Throws std::invalid_argument, naming the option and what was expected.
Options Parse(int count, char** words);
