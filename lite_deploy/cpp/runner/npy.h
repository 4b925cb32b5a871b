// Arrays of float32 in NumPy's file format: the bytes "\x93NUMPY", the format's version (two bytes), the length
// of the text that follows (two bytes, four from version 2, least first), the text, which is a Python dictionary
// {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } filled up with blanks, and the numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

// Reads an array piece by piece along its first dimension. Throws std::runtime_error.
class NpyReader {
 public:
  explicit NpyReader(const std::string& path);
  const std::vector<int64_t>& shape() const { return shape_; }
  size_t each() const { return each_; }  // how many numbers a piece has
  void Read(float* piece);

 private:
  std::string path_;
  std::ifstream file_;
  std::vector<int64_t> shape_;
  size_t each_ = 0;
};

// Writes one in the same way. Throws std::runtime_error.
class NpyWriter {
 public:
  NpyWriter(const std::string& path, const std::vector<int64_t>& shape);
  void Write(const float* piece);
  void Finish();  // to be sure that all is on the disk

 private:
  std::string path_;
  std::ofstream file_;
  size_t each_;
};
