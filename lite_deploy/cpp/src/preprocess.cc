#include "pose/preprocess.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#if defined(__ARM_NEON) && !defined(POSE_NO_NEON)
#include <arm_neon.h>
#endif

namespace pose {
namespace {

// cv::warpAffine's fixed point: positions have 10 fractional bits while they are summed up and keep 5.
constexpr int kSumBits = 10, kBits = 5, kOne = 1 << kBits;
constexpr int kRounding = 1 << (kSumBits - kBits - 1);

int64_t Fixed(double value) {
  const double scaled = value * (1 << kSumBits);
  const double limit = std::numeric_limits<int>::max();
  return std::lrint(std::min(limit, std::max(-limit, scaled)));  // half to even, as OpenCV rounds
}

// Where a crop pixel lies in the picture: the pixel to its upper left, and how far beyond in 1/32.
struct Position {
  int x, y, right, down;
};

Position At(int64_t x, int64_t y) {
  constexpr int64_t kFar = 1 << 20;  // beyond any picture, and x + 1 cannot overflow
  const int64_t fx = x >> (kSumBits - kBits), fy = y >> (kSumBits - kBits);
  return {static_cast<int>(std::min(kFar, std::max(-kFar, fx >> kBits))),
          static_cast<int>(std::min(kFar, std::max(-kFar, fy >> kBits))),
          static_cast<int>(fx & (kOne - 1)), static_cast<int>(fy & (kOne - 1))};
}

int Channel(const Image& image, int x, int y, int channel) {
  if (x < 0 || y < 0 || x >= image.width || y >= image.height) return 0;
  return image.data[static_cast<int64_t>(y) * image.stride + x * image.pixel_bytes + channel];
}

int Mix(int a, int b, int c, int d, int right, int down) {
  const int top = a * (kOne - right) + b * right, bottom = c * (kOne - right) + d * right;
  return (top * (kOne - down) + bottom * down + kOne * kOne / 2) >> (2 * kBits);
}

// The value of each byte in each channel after normalisation.
struct Table {
  float value[3][256];

  explicit Table(const Normalisation& n) {
    for (int c = 0; c < 3; ++c)
      for (int v = 0; v < 256; ++v) value[c][v] = (static_cast<float>(v) / 255.0f - n.mean[c]) / n.std[c];
  }
};

void Pixel(const Image& image, const Table& table, const Position& at, int64_t plane, float* output) {
  for (int c = 0; c < 3; ++c) {
    const int value = Mix(Channel(image, at.x, at.y, c), Channel(image, at.x + 1, at.y, c),
                          Channel(image, at.x, at.y + 1, c), Channel(image, at.x + 1, at.y + 1, c), at.right,
                          at.down);
    output[c * plane] = table.value[c][value];
  }
}

#if defined(__ARM_NEON) && !defined(POSE_NO_NEON)

// One pixel's three channels in the first lanes: value * scale + offset.
float32x4_t PixelNeon(const Image& image, const Position& at, float32x4_t scale, float32x4_t offset) {
  const uint8_t* p = image.data + static_cast<int64_t>(at.y) * image.stride + at.x * image.pixel_bytes;
  const uint8x8_t top = vld1_u8(p), bottom = vld1_u8(p + image.stride);
  const uint8x8_t left_weight = vdup_n_u8(kOne - at.right), right_weight = vdup_n_u8(at.right);
  // The channels of the right neighbour are moved into the lanes of the left one's.
  const bool packed = image.pixel_bytes == 3;
  const uint8x8_t top_right = packed ? vext_u8(top, top, 3) : vext_u8(top, top, 4);
  const uint8x8_t bottom_right = packed ? vext_u8(bottom, bottom, 3) : vext_u8(bottom, bottom, 4);
  const uint16x8_t upper = vmlal_u8(vmull_u8(top, left_weight), top_right, right_weight);
  const uint16x8_t lower = vmlal_u8(vmull_u8(bottom, left_weight), bottom_right, right_weight);
  uint32x4_t sum = vmull_n_u16(vget_low_u16(upper), kOne - at.down);
  sum = vmlal_n_u16(sum, vget_low_u16(lower), at.down);
  return vmlaq_f32(offset, vcvtq_f32_u32(vrshrq_n_u32(sum, 2 * kBits)), scale);
}

#endif

}  // namespace

void CropNormalise(const Image& image, const Affine& image_to_crop, int width, int height,
                   const Normalisation& normalisation, float* output) {
  const Affine back = Invert(image_to_crop);
  const double* m = back.m;
  const Table table(normalisation);
  const int64_t plane = static_cast<int64_t>(width) * height;
  std::vector<int64_t> across_x(width), across_y(width);
  for (int x = 0; x < width; ++x) {
    across_x[x] = Fixed(m[0] * x);
    across_y[x] = Fixed(m[3] * x);
  }
#if defined(__ARM_NEON) && !defined(POSE_NO_NEON)
  float scales[4] = {}, offsets[4] = {};
  for (int c = 0; c < 3; ++c) {
    scales[c] = 1 / (255.0f * normalisation.std[c]);
    offsets[c] = -normalisation.mean[c] / normalisation.std[c];
  }
  const float32x4_t scale = vld1q_f32(scales), offset = vld1q_f32(offsets);
  // Eight bytes are read at once: from three-byte pixels that is two bytes beyond the right neighbour.
  const unsigned inner_width = std::max(0, image.width - (image.pixel_bytes == 3 ? 2 : 1));
#else
  const unsigned inner_width = std::max(0, image.width - 1);
#endif
  const unsigned inner_height = std::max(0, image.height - 1);
  const auto inside = [&](const Position& at) {
    return static_cast<unsigned>(at.x) < inner_width && static_cast<unsigned>(at.y) < inner_height;
  };

  for (int y = 0; y < height; ++y) {
    const int64_t start_x = Fixed(m[1] * y + m[2]) + kRounding, start_y = Fixed(m[4] * y + m[5]) + kRounding;
    float* row = output + static_cast<int64_t>(y) * width;
    int x = 0;
#if defined(__ARM_NEON) && !defined(POSE_NO_NEON)
    for (; x + 4 <= width; x += 4) {
      Position at[4];
      bool all_inside = true;
      for (int i = 0; i < 4; ++i) {
        at[i] = At(start_x + across_x[x + i], start_y + across_y[x + i]);
        all_inside = all_inside && inside(at[i]);
      }
      if (!all_inside) {
        for (int i = 0; i < 4; ++i) Pixel(image, table, at[i], plane, row + x + i);
        continue;
      }
      const float32x4x2_t even = vzipq_f32(PixelNeon(image, at[0], scale, offset), PixelNeon(image, at[2], scale, offset));
      const float32x4x2_t odd = vzipq_f32(PixelNeon(image, at[1], scale, offset), PixelNeon(image, at[3], scale, offset));
      const float32x4x2_t first = vzipq_f32(even.val[0], odd.val[0]), last = vzipq_f32(even.val[1], odd.val[1]);
      vst1q_f32(row + x, first.val[0]);
      vst1q_f32(row + plane + x, first.val[1]);
      vst1q_f32(row + 2 * plane + x, last.val[0]);
    }
#endif
    for (; x < width; ++x) {
      const Position at = At(start_x + across_x[x], start_y + across_y[x]);
      if (!inside(at)) {
        Pixel(image, table, at, plane, row + x);
        continue;
      }
      const uint8_t* top = image.data + static_cast<int64_t>(at.y) * image.stride + at.x * image.pixel_bytes;
      const uint8_t* bottom = top + image.stride;
      const int right = image.pixel_bytes;
      for (int c = 0; c < 3; ++c)
        row[c * plane + x] =
            table.value[c][Mix(top[c], top[right + c], bottom[c], bottom[right + c], at.right, at.down)];
    }
  }
}

}  // namespace pose
