// A Gaussian through the pixels around a point: tinypose/codecs/summit.py in C++.
#pragma once

namespace pose {

struct Gaussian {
  double x, y, height, sigma;
};

// Fits height * exp(-d^2 / (2 sigma^2)) by least squares to the pixels within `radius` (to 10) of (x, y), cut at the
// map's border. It starts at (x, y) with the map's height and a sigma of 2. False if the fit has not converged.
bool FitGaussian(const float* map, int height, int width, int x, int y, int radius, Gaussian* fit);

}  // namespace pose
