// How the test programs read what a test asks for: words of a line. Floating-point numbers are read as C reads
// them; hexadecimal ones are exact.
#pragma once

#include <cstdlib>
#include <fstream>
#include <istream>
#include <iterator>
#include <string>
#include <vector>

inline double Number(std::istream& in) {
  std::string word;
  in >> word;
  return std::strtod(word.c_str(), nullptr);
}

inline std::string Word(std::istream& in) {
  std::string word;
  in >> word;
  return word;
}

// Exactly the file's bytes, in a block of their own, so that a sanitizer sees a read beyond the end.
inline std::vector<char> Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void Write(const std::string& path, const void* data, size_t bytes) {
  std::ofstream(path, std::ios::binary).write(static_cast<const char*>(data), bytes);
}
