// Smoothing of points over time, in seconds and not in frames: tinypose/tracking/smooth.py in C++.
#pragma once

#include <vector>

namespace pose {

struct Point {
  double x, y;
};

enum class Smooth { kOneEuro, kEma, kNone };

struct SmoothSettings {
  Smooth kind = Smooth::kOneEuro;
  double cutoff = 1.0;    // one euro: hertz, for a point at rest; lower is steadier
  double beta = 20.0;     // one euro: hertz for a speed of one person size a second; higher lags less
  double constant = 0.05;  // ema: after so many seconds, 63 % of a step has been followed
};

// Smooths the points of one person: the 1 euro filter (Casiez, Roussel, Vogel, CHI 2012) or an exponential mean.
// After a gap of more than half a second it starts afresh.
class Smoother {
 public:
  // Smooths in place. `time` in seconds, later than the last one; `size` of the person in pixels.
  void operator()(const SmoothSettings& settings, double time, double size, std::vector<Point>* points);

 private:
  bool begun_ = false;
  double time_ = 0;
  std::vector<Point> raw_, speed_, smooth_;
};

}  // namespace pose
