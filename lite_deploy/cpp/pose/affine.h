// From a box in a picture to the crop that the network sees, and back: tinypose/geometry.py in C++.
//
// Coordinates are continuous with pixel centres at whole numbers, and a length counts pixel spacings (UDP:
// Huang et al., CVPR 2020): a crop of W pixels is W - 1 long.
#pragma once

namespace pose {

// The map x' = m[0] x + m[1] y + m[2], y' = m[3] x + m[4] y + m[5].
struct Affine {
  double m[6];
};

// Left, top, width and height in image pixels.
struct Box {
  double left, top, width, height;
};

// Maps image pixels to the pixels of the crop (width x height) around a box that is first grown to the
// crop's aspect ratio and then by `padding`. The box must have an extent.
//
// kUdp: the corners of the grown box fall on the centres of the crop's corner pixels. kPlain: the box's middle falls
// on (width / 2, height / 2) and its width is `width` pixels, as mmpose's networks (RTMPose) were trained.
enum class Crop { kUdp, kPlain };
Affine CropMatrix(const Box& box, int width, int height, double padding, Crop crop = Crop::kUdp);

// The inverse map; all zero if there is none.
Affine Invert(const Affine& map);

// Applies the map to a point in place.
void Transform(const Affine& map, double* x, double* y);

}  // namespace pose
