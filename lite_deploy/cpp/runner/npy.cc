#include "npy.h"

#include <limits>
#include <sstream>
#include <stdexcept>

namespace {

constexpr char kMagic[] = "\x93NUMPY";

[[noreturn]] void Fail(const std::string& path, const std::string& what) {
  throw std::runtime_error(path + ": " + what);
}

// The value behind a key of the header's dictionary, up to the comma that ends it or the bracket that closes it.
std::string Value(const std::string& header, const std::string& key, const std::string& path) {
  const size_t at = header.find("'" + key + "'");
  const size_t colon = at == std::string::npos ? at : header.find(':', at);
  const size_t begin = colon == std::string::npos ? colon : header.find_first_not_of(' ', colon + 1);
  if (begin == std::string::npos) Fail(path, "not a .npy file: its header has no '" + key + "'");
  const size_t end = header.find(header[begin] == '(' ? ')' : ',', begin);
  if (end == std::string::npos) Fail(path, "not a .npy file: its header does not end");
  return header.substr(begin, end - begin);
}

std::vector<int64_t> Shape(const std::string& text, const std::string& path) {
  std::vector<int64_t> shape;
  std::istringstream in(text.substr(1));  // after the bracket
  for (std::string part; std::getline(in, part, ',');) {
    if (part.find_first_not_of(' ') == std::string::npos) continue;  // a comma may stand last
    std::istringstream number(part);
    int64_t size = 0;
    if (!(number >> size) || size < 0) Fail(path, "not a .npy file: shape " + text);
    shape.push_back(size);
  }
  return shape;
}

// The numbers behind the first dimension.
size_t Piece(const std::vector<int64_t>& shape, const std::string& path) {
  size_t count = 1;
  for (size_t i = 1; i < shape.size(); ++i) {
    const size_t size = static_cast<size_t>(shape[i]);
    if (size != 0 && count > (std::numeric_limits<size_t>::max() >> 8) / size) Fail(path, "too large");
    count *= size;
  }
  return count;
}

}  // namespace

NpyReader::NpyReader(const std::string& path) : path_(path), file_(path, std::ios::binary) {
  if (!file_) Fail(path, "cannot be opened");
  unsigned char start[12] = {};
  file_.read(reinterpret_cast<char*>(start), 10);
  if (!file_ || std::string(start, start + 6) != kMagic || start[6] < 1 || start[6] > 3)
    Fail(path, "not a .npy file");
  size_t length = start[8] + 256u * start[9];
  if (start[6] > 1) {
    file_.read(reinterpret_cast<char*>(start + 10), 2);
    length += 65536u * start[10] + 16777216u * start[11];
  }
  if (length > 65536) Fail(path, "not a .npy file: its header is too long");
  std::string header(length, ' ');
  if (!file_.read(&header[0], static_cast<std::streamsize>(length))) Fail(path, "not a .npy file: it ends early");
  if (Value(header, "descr", path) != "'<f4'" || Value(header, "fortran_order", path) != "False")
    Fail(path, "expected float32, least byte first, in C's order");
  shape_ = Shape(Value(header, "shape", path), path);
  if (shape_.empty()) Fail(path, "expected an array, not a single number");
  each_ = Piece(shape_, path);
}

void NpyReader::Read(float* piece) {
  if (!file_.read(reinterpret_cast<char*>(piece), static_cast<std::streamsize>(each_ * sizeof(float))))
    Fail(path_, "ends before its last number");
}

NpyWriter::NpyWriter(const std::string& path, const std::vector<int64_t>& shape)
    : path_(path), file_(path, std::ios::binary), each_(Piece(shape, path)) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  for (const int64_t size : shape) header += std::to_string(size) + ", ";
  header += "), }";
  header.append(63 - (10 + header.size()) % 64, ' ');  // NumPy wants the numbers to begin at a multiple of 64
  header += '\n';
  const char lengths[] = {1, 0, static_cast<char>(header.size() & 255), static_cast<char>(header.size() >> 8)};
  file_.write(kMagic, 6).write(lengths, 4).write(header.data(), static_cast<std::streamsize>(header.size()));
}

void NpyWriter::Write(const float* piece) {
  file_.write(reinterpret_cast<const char*>(piece), static_cast<std::streamsize>(each_ * sizeof(float)));
}

void NpyWriter::Finish() {
  if (!file_.flush()) Fail(path_, "cannot be written");
}
