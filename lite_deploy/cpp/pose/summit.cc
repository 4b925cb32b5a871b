#include "pose/summit.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace pose {
namespace {

constexpr int kRounds = 60;       // of Levenberg-Marquardt; a fit that needs more is none
constexpr double kEnough = 1e-5;  // a step so small, in pixels or in parts of the height, ends a fit
constexpr int kMostSide = 21;

// The pixels that are fitted to, and where they lie from the middle.
struct Window {
  int columns, rows;
  double dx[kMostSide], dy[kMostSide], values[kMostSide][kMostSide];
};

// The squared error, its gradient, and Gauss-Newton's curvature, halved. Parameters: x, y, height, sigma.
struct Slope {
  double error, gradient[4], curvature[4][4];
};

// A side's Gaussian times distance to the powers 0 to 2, and sums of its square times distance to the powers 0 to 4.
struct Side {
  double g[3][kMostSide], sums[5];
};

Side SideOf(const double* places, int count, double centre, double sigma) {
  Side side{};
  for (int i = 0; i < count; ++i) {
    const double d = places[i] - centre, g = std::exp(d * d * (-0.5 / (sigma * sigma)));
    const double gd = g * d, gdd = gd * d;
    side.g[0][i] = g;
    side.g[1][i] = gd;
    side.g[2][i] = gdd;
    const double products[5] = {g * g, g * gd, gd * gd, gd * gdd, gdd * gdd};
    for (int k = 0; k < 5; ++k) side.sums[k] += products[k];
  }
  return side;
}

// A Gaussian is a product of one in x and one in y, and so are its derivatives: all sums over the window are products
// of sums over a side.
Slope SlopeAt(const double* fit, const Window& window) {
  const double a = fit[2], s = fit[3];
  const Side x = SideOf(window.dx, window.columns, fit[0], s), y = SideOf(window.dy, window.rows, fit[1], s);
  const double *sx = x.sums, *sy = y.sums;
  double v[3][3] = {}, total = 0;  // v[j][i]: sums of values * gy dy^j * gx dx^i
  for (int r = 0; r < window.rows; ++r) {
    double along[3] = {};
    for (int c = 0; c < window.columns; ++c) {
      const double value = window.values[r][c];
      total += value * value;
      for (int i = 0; i < 3; ++i) along[i] += value * x.g[i][c];
    }
    for (int j = 0; j < 3; ++j)
      for (int i = 0; i < 3; ++i) v[j][i] += y.g[j][r] * along[i];
  }
  const double s2 = a / (s * s), s3 = a / (s * s * s), model = sx[0] * sy[0];
  const double q = sx[2] * sy[0] + sx[0] * sy[2];
  Slope slope{total - 2 * a * v[0][0] + a * a * model,
              {s2 * (a * sx[1] * sy[0] - v[0][1]), s2 * (a * sx[0] * sy[1] - v[1][0]), a * model - v[0][0],
               s3 * (a * q - v[0][2] - v[2][0])},
              {}};
  double(&c)[4][4] = slope.curvature;
  c[0][0] = s2 * s2 * sx[2] * sy[0];
  c[1][1] = s2 * s2 * sx[0] * sy[2];
  c[0][1] = s2 * s2 * sx[1] * sy[1];
  c[0][2] = s2 * sx[1] * sy[0];
  c[1][2] = s2 * sx[0] * sy[1];
  c[0][3] = s2 * s3 * (sx[3] * sy[0] + sx[1] * sy[2]);
  c[1][3] = s2 * s3 * (sx[2] * sy[1] + sx[0] * sy[3]);
  c[2][2] = model;
  c[2][3] = s3 * q;
  c[3][3] = s3 * s3 * (sx[4] * sy[0] + 2 * sx[2] * sy[2] + sx[0] * sy[4]);
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < i; ++j) c[i][j] = c[j][i];
  return slope;
}

// Solves matrix * result = right, by elimination with the largest pivots; false if there is no one solution.
bool Solve(double matrix[4][4], const double* right, double* result) {
  double b[4];
  std::copy_n(right, 4, b);
  for (int k = 0; k < 4; ++k) {
    int pivot = k;
    for (int i = k + 1; i < 4; ++i)
      if (std::fabs(matrix[i][k]) > std::fabs(matrix[pivot][k])) pivot = i;
    if (!(std::fabs(matrix[pivot][k]) > 0)) return false;
    std::swap(b[k], b[pivot]);
    for (int j = 0; j < 4; ++j) std::swap(matrix[k][j], matrix[pivot][j]);
    for (int i = k + 1; i < 4; ++i) {
      const double part = matrix[i][k] / matrix[k][k];
      for (int j = k; j < 4; ++j) matrix[i][j] -= part * matrix[k][j];
      b[i] -= part * b[k];
    }
  }
  for (int k = 3; k >= 0; --k) {
    result[k] = b[k];
    for (int j = k + 1; j < 4; ++j) result[k] -= matrix[k][j] * result[j];
    result[k] /= matrix[k][k];
  }
  return true;
}

}  // namespace

bool FitGaussian(const float* map, int height, int width, int x, int y, int radius, Gaussian* result) {
  Window window;
  const int left = std::max(x - radius, 0), top = std::max(y - radius, 0);
  window.columns = std::min(x + radius, width - 1) - left + 1;
  window.rows = std::min(y + radius, height - 1) - top + 1;
  for (int c = 0; c < window.columns; ++c) window.dx[c] = left + c - x;
  for (int r = 0; r < window.rows; ++r) {
    window.dy[r] = top + r - y;
    const float* line = map + static_cast<ptrdiff_t>(top + r) * width + left;
    for (int c = 0; c < window.columns; ++c) window.values[r][c] = line[c];
  }
  double fit[4] = {0, 0, map[static_cast<ptrdiff_t>(y) * width + x], 2}, damping = 1e-3;
  Slope slope = SlopeAt(fit, window);
  for (int round = 0; round < kRounds; ++round) {
    // Each parameter is damped in its own scale (Marquardt 1963).
    double damped[4][4], step[4], trial[4];
    std::copy_n(&slope.curvature[0][0], 16, &damped[0][0]);
    for (int i = 0; i < 4; ++i) damped[i][i] += damping * slope.curvature[i][i] + 1e-12;
    if (!Solve(damped, slope.gradient, step)) return false;
    for (int i = 0; i < 4; ++i) trial[i] = fit[i] - step[i];
    const Slope next = SlopeAt(trial, window);
    const bool better = next.error <= slope.error;
    if (better) {
      std::copy_n(trial, 4, fit);
      slope = next;
    }
    damping = better ? damping / 10 : damping * 10;
    step[2] /= std::max(std::fabs(trial[2]), 1e-12);
    const double size = std::max(std::max(std::fabs(step[0]), std::fabs(step[1])),
                                 std::max(std::fabs(step[2]), std::fabs(step[3])));
    if (size < kEnough) {
      *result = {x + fit[0], y + fit[1], fit[2], fit[3]};
      return std::isfinite(fit[0] + fit[1] + fit[2] + fit[3]);
    }
  }
  return false;
}

}  // namespace pose
