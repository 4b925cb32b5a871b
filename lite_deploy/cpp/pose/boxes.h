// Boxes: overlap, suppression, cutting. tinypose/boxes.py in C++.
#pragma once

#include <vector>

#include "pose/affine.h"

namespace pose {

// A box and how sure the detector is of it. Boxes of pictures are held in doubles, and rounded to float where
// Python's are float32, so that both decide alike.
struct Detection {
  Box box;
  float score;
};

// The box with its four numbers rounded to float.
Box Rounded(const Box& box);

bool Same(const Box& a, const Box& b);

// Intersection over union; 0 where both are empty.
double Iou(const Box& a, const Box& b);

// The part of a box that lies in a picture of this size, in float; its width or height is 0 if there is none.
Box Clip(const Box& box, int width, int height);

// Cuts a box to the picture and measures it from pixel centre to pixel centre (tinypose/data/coco.py cut_box);
// false if nothing of it is in the picture.
bool Cut(const Box& box, int width, int height, Box* cut);

// Non-maximum suppression as cv2.dnn.NMSBoxes does it, of equal scores the earlier first: the places of the boxes
// that stay, best first. Those that score 0 or less go, as do those beyond the best 1000; `most` stay at most.
std::vector<int> Suppress(const std::vector<Detection>& found, float overlap, int most);

}  // namespace pose
