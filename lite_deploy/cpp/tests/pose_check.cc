// Does what the lines of standard input ask for, so that a test can compare with Python, under an emulator too.
//
//   crop IMAGE.raw WIDTH HEIGHT PIXEL_BYTES MATRIX(6) CROP_WIDTH CROP_HEIGHT MEAN(3) STD(3) OUTPUT.f32
//   decode HEATMAPS.f32 JOINTS HEIGHT WIDTH METHOD BLUR OUTPUT.f32
//   matrix LEFT TOP WIDTH HEIGHT CROP_WIDTH CROP_HEIGHT PADDING   prints the matrix and its inverse
//   image INPUT_WIDTH INPUT_HEIGHT HEATMAP_WIDTH HEATMAP_HEIGHT udp|stride MATRIX(6) X Y   prints the point
//   warm RUN ...                                                  prints 1 or 0
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "pose/heatmap.h"
#include "pose/preprocess.h"
#include "pose/warmup.h"
#include "tests/lines.h"

namespace {

pose::Affine Matrix(std::istream& in) {
  pose::Affine map;
  for (double& value : map.m) value = Number(in);
  return map;
}

void Print(const pose::Affine& map) {
  for (const double value : map.m) std::printf("%a ", value);
}

void Crop(std::istream& in) {
  const std::vector<char> bytes = Read(Word(in));
  const int image_width = Number(in), image_height = Number(in), pixel_bytes = Number(in);
  const pose::Affine map = Matrix(in);
  const int width = Number(in), height = Number(in);
  pose::Normalisation normalisation;
  for (float& value : normalisation.mean) value = Number(in);
  for (float& value : normalisation.std) value = Number(in);
  std::vector<float> output(3 * width * height);
  pose::CropNormalise({reinterpret_cast<const uint8_t*>(bytes.data()), image_width, image_height,
                       image_width * pixel_bytes, pixel_bytes},
                      map, width, height, normalisation, output.data());
  Write(Word(in), output.data(), output.size() * sizeof(float));
}

void Decode(std::istream& in) {
  const std::vector<char> bytes = Read(Word(in));
  const int joints = Number(in), height = Number(in), width = Number(in), method = Number(in), blur = Number(in);
  std::vector<pose::Keypoint> output(joints);
  pose::Decode(reinterpret_cast<const float*>(bytes.data()), joints, height, width,
               static_cast<pose::Decoding>(method), blur, output.data());
  Write(Word(in), output.data(), output.size() * sizeof(pose::Keypoint));
}

void PrintMatrix(std::istream& in) {
  const double left = Number(in), top = Number(in), width = Number(in), height = Number(in);
  const int crop_width = Number(in), crop_height = Number(in);
  const pose::Affine map = pose::CropMatrix({left, top, width, height}, crop_width, crop_height, Number(in));
  Print(map);
  Print(pose::Invert(map));
  std::printf("\n");
}

void PrintImagePoint(std::istream& in) {
  const int input_width = Number(in), input_height = Number(in);
  const int heatmap_width = Number(in), heatmap_height = Number(in);
  const pose::Grid grid = Word(in) == "udp" ? pose::Grid::kUdp : pose::Grid::kStride;
  const pose::Affine map = Matrix(in);
  const float x = Number(in), y = Number(in);
  pose::Keypoint point{x, y, 1};
  pose::HeatmapToImage{input_width, input_height, heatmap_width, heatmap_height, grid, pose::Invert(map)}(&point, 1);
  std::printf("%a %a\n", point.x, point.y);
}

}  // namespace

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream in(line);
    const std::string verb = Word(in);
    if (verb == "crop") {
      Crop(in);
    } else if (verb == "decode") {
      Decode(in);
    } else if (verb == "matrix") {
      PrintMatrix(in);
    } else if (verb == "image") {
      PrintImagePoint(in);
    } else if (verb == "warm") {
      std::vector<double> runs;
      for (std::string word; in >> word;) runs.push_back(std::strtod(word.c_str(), nullptr));
      std::printf("%d\n", pose::IsWarm(runs) ? 1 : 0);
    } else {
      std::fprintf(stderr, "pose_check: unknown verb '%s'\n", verb.c_str());
      return 2;
    }
  }
  return 0;
}
