#include "pose/frame.h"

#include <algorithm>

namespace pose {
namespace {

constexpr int kLongest = 32767;           // of a side: what the crop can address
constexpr int64_t kLargest = 1 << 28;     // pixels
constexpr int kBits = 20;

// BT.601 in whole numbers: 255 / 219 and 255 / 224 bring a limited range to 0 to 255.
struct Conversion {
  int black, luma, red_v, green_u, green_v, blue_u;
};

constexpr int Fixed(double factor) { return static_cast<int>(factor * (1 << kBits) + 0.5); }

constexpr Conversion MakeConversion(int black, double luma, double chroma) {
  return {black, Fixed(luma), Fixed(1.402 * chroma), Fixed(0.114 * 1.772 / 0.587 * chroma),
          Fixed(0.299 * 1.402 / 0.587 * chroma), Fixed(1.772 * chroma)};
}

constexpr Conversion kFull = MakeConversion(0, 1, 1);
constexpr Conversion kLimited = MakeConversion(16, 255.0 / 219, 255.0 / 224);

inline uint8_t Byte(int fixed) {
  const int value = (fixed + (1 << (kBits - 1))) >> kBits;
  return static_cast<uint8_t>(std::min(std::max(value, 0), 255));
}

// Where the stored pixel (x, y) goes: pixel start + x * across + y * down of the upright picture.
struct Turn {
  int width, height;
  int64_t start, across, down;
};

Turn MakeTurn(int width, int height, int rotation) {
  const int64_t w = width, h = height;
  switch (rotation) {
    case 90: return {height, width, h - 1, h, -1};
    case 180: return {width, height, w * h - 1, -1, -w};
    case 270: return {height, width, (w - 1) * h, -h, 1};
    default: return {width, height, 0, 1, w};
  }
}

void FromYuv(const pose_frame& frame, const Conversion& c, const Turn& turn, uint8_t* pixels) {
  for (int y = 0; y < frame.height; ++y) {
    const uint8_t* luma = frame.planes[0] + static_cast<int64_t>(y) * frame.row_strides[0];
    const uint8_t* u_row = frame.planes[1] + static_cast<int64_t>(y / 2) * frame.row_strides[1];
    const uint8_t* v_row = frame.planes[2] + static_cast<int64_t>(y / 2) * frame.row_strides[2];
    uint8_t* out = pixels + 4 * (turn.start + y * turn.down);
    for (int x = 0; x < frame.width; x += 2) {
      const int u = u_row[static_cast<int64_t>(x / 2) * frame.pixel_strides[1]] - 128;
      const int v = v_row[static_cast<int64_t>(x / 2) * frame.pixel_strides[2]] - 128;
      const int red = c.red_v * v, green = -c.green_u * u - c.green_v * v, blue = c.blue_u * u;
      for (int i = x; i < std::min(x + 2, frame.width); ++i) {
        const int bright = c.luma * (luma[static_cast<int64_t>(i) * frame.pixel_strides[0]] - c.black);
        out[0] = Byte(bright + red);
        out[1] = Byte(bright + green);
        out[2] = Byte(bright + blue);
        out[3] = 255;
        out += 4 * turn.across;
      }
    }
  }
}

template <int kBytes>
void FromRgb(const pose_frame& frame, const Turn& turn, uint8_t* pixels) {
  for (int y = 0; y < frame.height; ++y) {
    const uint8_t* in = frame.planes[0] + static_cast<int64_t>(y) * frame.row_strides[0];
    uint8_t* out = pixels + kBytes * (turn.start + y * turn.down);
    for (int x = 0; x < frame.width; ++x) {
      for (int i = 0; i < kBytes; ++i) out[i] = in[i];
      in += kBytes;
      out += kBytes * turn.across;
    }
  }
}

}  // namespace

const char* WrongWith(const pose_frame& frame) {
  if (frame.format != POSE_RGB && frame.format != POSE_RGBA && frame.format != POSE_YUV420)
    return "frame: format: expected POSE_RGB, POSE_RGBA or POSE_YUV420";
  const int64_t width = frame.width, height = frame.height;
  if (width < 1 || height < 1 || width > kLongest || height > kLongest || width * height > kLargest)
    return "frame: expected a width and a height of 1 to 32767, and at most 268 million pixels";
  if (frame.rotation != 0 && frame.rotation != 90 && frame.rotation != 180 && frame.rotation != 270)
    return "frame: rotation: expected 0, 90, 180 or 270";
  if (frame.range != POSE_FULL_RANGE && frame.range != POSE_LIMITED_RANGE)
    return "frame: range: expected POSE_FULL_RANGE or POSE_LIMITED_RANGE";
  const bool yuv = frame.format == POSE_YUV420;
  for (int i = 0; i < (yuv ? 3 : 1); ++i) {
    if (!frame.planes[i]) return "frame: a plane is missing";
    const int64_t across = i ? (width + 1) / 2 : width;
    if (frame.pixel_strides[i] < 1 || frame.row_strides[i] < (across - 1) * frame.pixel_strides[i] + 1)
      return "frame: strides: expected a row to hold its pixels";
    if (!yuv && (frame.pixel_strides[0] != (frame.format == POSE_RGB ? 3 : 4) ||
                 frame.row_strides[0] < width * frame.pixel_strides[0]))
      return "frame: strides: expected 3 bytes a pixel for POSE_RGB, 4 for POSE_RGBA, and a row to hold its pixels";
  }
  return nullptr;
}

Image Upright::operator()(const pose_frame& frame) {
  const int bytes = frame.format == POSE_RGB ? 3 : 4;
  if (frame.format != POSE_YUV420 && frame.rotation == 0)
    return {frame.planes[0], frame.width, frame.height, frame.row_strides[0], bytes};
  const Turn turn = MakeTurn(frame.width, frame.height, frame.rotation);
  pixels_.resize(static_cast<size_t>(bytes) * frame.width * frame.height);
  if (frame.format == POSE_YUV420)
    FromYuv(frame, frame.range == POSE_FULL_RANGE ? kFull : kLimited, turn, pixels_.data());
  else if (bytes == 3)
    FromRgb<3>(frame, turn, pixels_.data());
  else
    FromRgb<4>(frame, turn, pixels_.data());
  return {pixels_.data(), turn.width, turn.height, turn.width * bytes, bytes};
}

}  // namespace pose

namespace {

pose_frame Interleaved(int format, const uint8_t* data, int width, int height, int stride, int rotation) {
  pose_frame frame{};
  frame.format = format;
  frame.width = width;
  frame.height = height;
  frame.rotation = rotation;
  frame.planes[0] = data;
  frame.row_strides[0] = stride;
  frame.pixel_strides[0] = format == POSE_RGB ? 3 : 4;
  return frame;
}

pose_frame Planar(const uint8_t* y, const uint8_t* u, const uint8_t* v, int width, int height, int rotation,
                  int luma_stride, int chroma_stride, int chroma_step) {
  return {POSE_YUV420, width, height, rotation, POSE_FULL_RANGE, {y, u, v},
          {luma_stride, chroma_stride, chroma_stride}, {1, chroma_step, chroma_step}};
}

}  // namespace

pose_frame pose_nv21(const uint8_t* luma, const uint8_t* chroma, int width, int height, int row_stride, int rotation) {
  return Planar(luma, chroma + 1, chroma, width, height, rotation, row_stride, row_stride, 2);
}

pose_frame pose_nv12(const uint8_t* luma, const uint8_t* chroma, int width, int height, int row_stride, int rotation) {
  return Planar(luma, chroma, chroma + 1, width, height, rotation, row_stride, row_stride, 2);
}

pose_frame pose_i420(const uint8_t* data, int width, int height, int rotation) {
  const int64_t half_width = (int64_t{width} + 1) / 2, half_height = (int64_t{height} + 1) / 2;
  const uint8_t* u = data + int64_t{width} * height;
  return Planar(data, u, u + half_width * half_height, width, height, rotation, width, static_cast<int>(half_width), 1);
}

pose_frame pose_rgba(const uint8_t* data, int width, int height, int row_stride, int rotation) {
  return Interleaved(POSE_RGBA, data, width, height, row_stride, rotation);
}

pose_frame pose_rgb(const uint8_t* data, int width, int height, int row_stride, int rotation) {
  return Interleaved(POSE_RGB, data, width, height, row_stride, rotation);
}
