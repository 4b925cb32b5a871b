#include "pose/boxes.h"

#include <algorithm>
#include <cfloat>

namespace pose {
namespace {

constexpr size_t kCandidates = 1000;

double Shared(const Box& a, const Box& b) {
  const double width = std::min(a.left + a.width, b.left + b.width) - std::max(a.left, b.left);
  const double height = std::min(a.top + a.height, b.top + b.height) - std::max(a.top, b.top);
  return std::max(width, 0.0) * std::max(height, 0.0);
}

// OpenCV's: rounded to float before it is compared, and 1 for two boxes without an area.
float RoundedOverlap(const Box& a, const Box& b) {
  const double area = a.width * a.height + b.width * b.height;
  if (area <= DBL_EPSILON) return 1;
  const double shared = Shared(a, b);
  return 1.0f - static_cast<float>(1 - shared / (area - shared));
}

float Within(double value, int limit) {
  return std::min(std::max(static_cast<float>(value), 0.0f), static_cast<float>(limit));
}

}  // namespace

Box Rounded(const Box& box) {
  return {static_cast<float>(box.left), static_cast<float>(box.top), static_cast<float>(box.width),
          static_cast<float>(box.height)};
}

bool Same(const Box& a, const Box& b) {
  return a.left == b.left && a.top == b.top && a.width == b.width && a.height == b.height;
}

double Iou(const Box& a, const Box& b) {
  const double shared = Shared(a, b);
  const double all = a.width * a.height + b.width * b.height - shared;
  return all > 0 ? shared / all : 0;
}

Box Clip(const Box& box, int width, int height) {
  const float left = Within(box.left, width), top = Within(box.top, height);
  const float right = Within(static_cast<float>(box.left) + static_cast<float>(box.width), width);
  const float bottom = Within(static_cast<float>(box.top) + static_cast<float>(box.height), height);
  return {left, top, right - left, bottom - top};
}

bool Cut(const Box& box, int width, int height, Box* cut) {
  const double left = std::max(box.left, 0.0), top = std::max(box.top, 0.0);
  const double right = std::min(width - 1.0, left + std::max(box.width - 1, 0.0));
  const double bottom = std::min(height - 1.0, top + std::max(box.height - 1, 0.0));
  *cut = {left, top, right - left, bottom - top};
  return cut->width >= 0 && cut->height >= 0 && std::max(cut->width, cut->height) > 0;
}

std::vector<int> Suppress(const std::vector<Detection>& found, float overlap, int most) {
  std::vector<int> order;
  for (size_t i = 0; i < found.size(); ++i)
    if (found[i].score > 0) order.push_back(static_cast<int>(i));
  std::sort(order.begin(), order.end(), [&](int a, int b) {
    return found[a].score > found[b].score || (found[a].score == found[b].score && a < b);
  });
  if (order.size() > kCandidates) order.resize(kCandidates);
  std::vector<int> kept;
  for (const int i : order) {
    const bool stays = std::all_of(kept.begin(), kept.end(), [&](int better) {
      return RoundedOverlap(found[i].box, found[better].box) <= overlap;
    });
    if (stays) kept.push_back(i);
  }
  if (kept.size() > static_cast<size_t>(most)) kept.resize(most);
  return kept;
}

}  // namespace pose
