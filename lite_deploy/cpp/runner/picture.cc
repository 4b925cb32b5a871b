#include "picture.h"

#include <fstream>
#include <random>
#include <stdexcept>

namespace {

// The next number of the header; a '#' starts a comment that ends with its line.
int HeaderNumber(std::istream& in) {
  for (;;) {
    const int next = (in >> std::ws).peek();
    if (next != '#') break;
    std::string comment;
    std::getline(in, comment);
  }
  int value = 0;
  in >> value;
  return value;
}

}  // namespace

Picture ReadPicture(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error(path + ": cannot be opened; expected a binary PPM picture");
  char magic[2] = {};
  in.read(magic, 2);
  const int width = HeaderNumber(in), height = HeaderNumber(in), largest = HeaderNumber(in);
  in.get();  // one white space, then the pixels
  if (!in || magic[0] != 'P' || magic[1] != '6' || largest != 255 || width < 1 || height < 1 || width > 32767 ||
      height > 32767)
    throw std::runtime_error(path + ": expected a binary PPM picture (P6, 8 bits, up to 32767 pixels a side)");
  Picture result{width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height * 3)};
  if (!in.read(reinterpret_cast<char*>(result.bytes.data()), result.bytes.size()))
    throw std::runtime_error(path + ": ends before its last pixel");
  return result;
}

Picture RandomPicture() {
  Picture result{640, 480, std::vector<uint8_t>(640 * 480 * 3)};
  std::minstd_rand random(1);
  for (uint8_t& byte : result.bytes) byte = static_cast<uint8_t>(random() >> 8);
  return result;
}
