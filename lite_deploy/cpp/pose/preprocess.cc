#include "pose/preprocess.h"

#include <algorithm>
#include <cmath>
#include <vector>

#if defined(__ARM_NEON)
#include <arm_neon.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace pose {
namespace {

// cv::warpAffine's fixed point: positions have 10 fractional bits while they are summed up and keep 5.
constexpr int kSumBits = 10, kBits = 5, kOne = 1 << kBits;
constexpr int kRounding = 1 << (kSumBits - kBits - 1);

int Fixed(double value) {
  const double limit = 1 << 19;  // pixels: beyond any picture, and the sum of two still fits
  return std::lrint(std::min(limit, std::max(-limit, value)) * (1 << kSumBits));  // half to even, as OpenCV
}

// Where a crop pixel lies in the picture: the pixel to its upper left, and how far beyond in 1/32.
struct Position {
  int x, y, right, down;
};

// The positions of one row of the crop.
struct Row {
  int start_x, start_y;
  const int *across_x, *across_y;

  Position operator[](int x) const {
    const int fx = (start_x + across_x[x]) >> (kSumBits - kBits);
    const int fy = (start_y + across_y[x]) >> (kSumBits - kBits);
    return {fx >> kBits, fy >> kBits, fx & (kOne - 1), fy & (kOne - 1)};
  }
};

const uint8_t* Address(const Image& image, int x, int y) {
  return image.data + static_cast<int64_t>(y) * image.stride + x * image.pixel_bytes;
}

// Normalisation as one multiplication and one addition a value, in float, as tinypose/preprocess.py has it.
struct Factors {
  float scale[4] = {}, offset[4] = {};

  explicit Factors(const Normalisation& n) {
    for (int c = 0; c < 3; ++c) {
      scale[c] = 1 / (255.0f * n.std[c]);
      offset[c] = -n.mean[c] / n.std[c];
    }
  }
};

// The value of each byte in each channel after normalisation.
struct Table {
  float value[3][256];

  explicit Table(const Factors& factors) {
    for (int c = 0; c < 3; ++c)
      for (int v = 0; v < 256; ++v) value[c][v] = static_cast<float>(v) * factors.scale[c] + factors.offset[c];
  }
};

// One pixel anywhere, black outside the picture.
void OnePixel(const Image& image, const Table& table, const Position& at, int plane, float* output) {
  static const uint8_t kBlack[4] = {};
  if (at.x < -1 || at.y < -1 || at.x >= image.width || at.y >= image.height) {
    for (int i = 0; i < 3; ++i) output[i * plane] = table.value[i][0];
    return;
  }
  const auto pixel = [&](int x, int y) {
    return x < 0 || y < 0 || x >= image.width || y >= image.height ? kBlack : Address(image, x, y);
  };
  const uint8_t *a = pixel(at.x, at.y), *b = pixel(at.x + 1, at.y);
  const uint8_t *c = pixel(at.x, at.y + 1), *d = pixel(at.x + 1, at.y + 1);
  for (int i = 0; i < 3; ++i) {
    const int top = a[i] * (kOne - at.right) + b[i] * at.right;
    const int bottom = c[i] * (kOne - at.right) + d[i] * at.right;
    const int value = (top * (kOne - at.down) + bottom * at.down + kOne * kOne / 2) >> (2 * kBits);
    output[i * plane] = table.value[i][value];
  }
}

// Four pixels at once, where the processor can. `Inner` takes a position whose four neighbours, and whatever
// else is read with them, lie in the picture. A vector holds one pixel's channels, so the result of four is
// transposed on its way to the planes.
#if defined(__ARM_NEON) && !defined(POSE_PLAIN)

constexpr bool kFourAtOnce = true;

template <int kStep>
float32x4_t Inner(const Image& image, const Position& at, const Factors& factors) {
  const uint8_t* p = Address(image, at.x, at.y);
  const uint8x8_t top = vld1_u8(p), bottom = vld1_u8(p + image.stride);
  const uint8x8_t left_weight = vdup_n_u8(kOne - at.right), right_weight = vdup_n_u8(at.right);
  const uint16x8_t upper = vmlal_u8(vmull_u8(top, left_weight), vext_u8(top, top, kStep), right_weight);
  const uint16x8_t lower = vmlal_u8(vmull_u8(bottom, left_weight), vext_u8(bottom, bottom, kStep), right_weight);
  uint32x4_t sum = vmull_n_u16(vget_low_u16(upper), kOne - at.down);
  sum = vmlal_n_u16(sum, vget_low_u16(lower), at.down);
  const float32x4_t value = vcvtq_f32_u32(vrshrq_n_u32(sum, 2 * kBits));
  return vmlaq_f32(vld1q_f32(factors.offset), value, vld1q_f32(factors.scale));
}

template <int kStep>
void FourPixels(const Image& image, const Position* at, const Factors& factors, int plane, float* output) {
  const float32x4x2_t even = vzipq_f32(Inner<kStep>(image, at[0], factors), Inner<kStep>(image, at[2], factors));
  const float32x4x2_t odd = vzipq_f32(Inner<kStep>(image, at[1], factors), Inner<kStep>(image, at[3], factors));
  const float32x4x2_t first = vzipq_f32(even.val[0], odd.val[0]);
  vst1q_f32(output, first.val[0]);
  vst1q_f32(output + plane, first.val[1]);
  vst1q_f32(output + 2 * plane, vzipq_f32(even.val[1], odd.val[1]).val[0]);
}

#elif defined(__SSE2__) && !defined(POSE_PLAIN)

constexpr bool kFourAtOnce = true;

__m128i Weights(int second) { return _mm_set1_epi32((kOne - second) | second << 16); }

template <int kStep>
__m128i Across(const uint8_t* p, __m128i weights) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  const __m128i pairs = _mm_unpacklo_epi8(bytes, _mm_srli_si128(bytes, kStep));
  return _mm_madd_epi16(_mm_unpacklo_epi8(pairs, _mm_setzero_si128()), weights);
}

template <int kStep>
__m128 Inner(const Image& image, const Position& at, const Factors& factors) {
  const uint8_t* p = Address(image, at.x, at.y);
  const __m128i weights = Weights(at.right);
  const __m128i rows = _mm_packs_epi32(Across<kStep>(p, weights), Across<kStep>(p + image.stride, weights));
  const __m128i pairs = _mm_unpacklo_epi16(rows, _mm_srli_si128(rows, 8));
  const __m128i sum = _mm_add_epi32(_mm_madd_epi16(pairs, Weights(at.down)), _mm_set1_epi32(kOne * kOne / 2));
  const __m128 value = _mm_cvtepi32_ps(_mm_srli_epi32(sum, 2 * kBits));
  return _mm_add_ps(_mm_mul_ps(value, _mm_loadu_ps(factors.scale)), _mm_loadu_ps(factors.offset));
}

template <int kStep>
void FourPixels(const Image& image, const Position* at, const Factors& factors, int plane, float* output) {
  __m128 a = Inner<kStep>(image, at[0], factors), b = Inner<kStep>(image, at[1], factors);
  __m128 c = Inner<kStep>(image, at[2], factors), d = Inner<kStep>(image, at[3], factors);
  _MM_TRANSPOSE4_PS(a, b, c, d);
  _mm_storeu_ps(output, a);
  _mm_storeu_ps(output + plane, b);
  _mm_storeu_ps(output + 2 * plane, c);
}

#else

constexpr bool kFourAtOnce = false;

template <int kStep>
void FourPixels(const Image&, const Position*, const Factors&, int, float*) {}

#endif

// Fills one row of the three planes.
template <int kStep>
void Line(const Image& image, const Row& row, int width, const Table& table, const Factors& factors, int plane,
          float* output) {
  // Eight bytes are read at once, which is two beyond the right neighbour if pixels have three.
  const unsigned inner_width = std::max(0, image.width - (kStep == 3 ? 2 : 1));
  const unsigned inner_height = std::max(0, image.height - 1);
  const auto inside = [&](const Position& at) {
    return static_cast<unsigned>(at.x) < inner_width && static_cast<unsigned>(at.y) < inner_height;
  };
  int x = 0;
  for (; kFourAtOnce && x + 4 <= width; x += 4) {
    const Position at[4] = {row[x], row[x + 1], row[x + 2], row[x + 3]};
    if (inside(at[0]) && inside(at[1]) && inside(at[2]) && inside(at[3])) {
      FourPixels<kStep>(image, at, factors, plane, output + x);
    } else {
      for (int i = 0; i < 4; ++i) OnePixel(image, table, at[i], plane, output + x + i);
    }
  }
  for (; x < width; ++x) OnePixel(image, table, row[x], plane, output + x);
}

}  // namespace

void CropNormalise(const Image& image, const Affine& image_to_crop, int width, int height,
                   const Normalisation& normalisation, float* output) {
  const Affine back = Invert(image_to_crop);
  const double* m = back.m;
  const Factors factors(normalisation);
  const Table table(factors);
  std::vector<int> across_x(width), across_y(width);
  for (int x = 0; x < width; ++x) {
    across_x[x] = Fixed(m[0] * x);
    across_y[x] = Fixed(m[3] * x);
  }
  const auto line = image.pixel_bytes == 3 ? Line<3> : Line<4>;
  for (int y = 0; y < height; ++y) {
    const int start_x = Fixed(m[1] * y + m[2]) + kRounding, start_y = Fixed(m[4] * y + m[5]) + kRounding;
    line(image, {start_x, start_y, across_x.data(), across_y.data()}, width, table, factors, width * height,
         output + y * width);
  }
}

}  // namespace pose
