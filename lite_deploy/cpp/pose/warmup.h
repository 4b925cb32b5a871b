// When a warm-up is over: lite_deploy/bench/warmup.py in C++.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace pose {

constexpr int kWarmupWindow = 8;
constexpr double kWarmupTolerance = 0.02;

inline double Median(std::vector<double> values) {
  const size_t half = values.size() / 2;
  std::nth_element(values.begin(), values.begin() + half, values.end());
  if (values.size() % 2) return values[half];
  return (values[half] + *std::max_element(values.begin(), values.begin() + half)) / 2;
}

// The medians of the last two windows of runs differ by less than the tolerance.
inline bool IsWarm(const std::vector<double>& runs) {
  if (runs.size() < 2 * kWarmupWindow) return false;
  const double before = Median({runs.end() - 2 * kWarmupWindow, runs.end() - kWarmupWindow});
  const double last = Median({runs.end() - kWarmupWindow, runs.end()});
  return std::fabs(last - before) <= kWarmupTolerance * before;
}

}  // namespace pose
