#include "pose/smooth.h"

#include <cmath>

namespace pose {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kSpeedCutoff = 2.0;  // hertz, of the filter on the speed itself
constexpr double kMemory = 0.5;       // seconds, the longest gap that is smoothed over

// How much of a new value a first-order low-pass takes in `step` seconds.
double Alpha(double cutoff, double step) { return 1 - std::exp(-2 * kPi * cutoff * step); }

void Blend(double amount, const Point& to, Point* from) {
  from->x += amount * (to.x - from->x);
  from->y += amount * (to.y - from->y);
}

}  // namespace

void Smoother::operator()(const SmoothSettings& settings, double time, double size, std::vector<Point>* points) {
  if (settings.kind == Smooth::kNone) {
    begun_ = false;  // what was smoothed before does not pull afterwards
    return;
  }
  const double step = time - time_;
  const bool goes_on = begun_ && 0 < step && step <= kMemory && smooth_.size() == points->size();
  if (!goes_on) {
    speed_.assign(points->size(), Point{0, 0});
    smooth_ = *points;
  }
  for (size_t i = 0; goes_on && i < points->size(); ++i) {
    const Point& now = (*points)[i];
    double amount;
    if (settings.kind == Smooth::kOneEuro) {
      const Point speed{(now.x - raw_[i].x) / (step * size), (now.y - raw_[i].y) / (step * size)};
      Blend(Alpha(kSpeedCutoff, step), speed, &speed_[i]);
      // One cutoff a joint: with one an axis, a curve would be cut along the axes.
      const double fast = std::sqrt(speed_[i].x * speed_[i].x + speed_[i].y * speed_[i].y);
      amount = Alpha(settings.cutoff + settings.beta * fast, step);
    } else {
      amount = 1 - std::exp(-step / settings.constant);
    }
    Blend(amount, now, &smooth_[i]);
  }
  begun_ = true;
  time_ = time;
  raw_ = *points;
  *points = smooth_;
}

}  // namespace pose
