// From FairMOT's maps to people: tinypose/codecs/fairmot.py in C++, boxes without looks.
#pragma once

#include <vector>

#include "pose/boxes.h"
#include "pose/pose.h"

namespace pose {

// Whether the four maps (middles, sizes, offsets, looks) are what a network for this input gives; reads no number.
bool FitsFairMOT(const pose_tensor* maps, const pose_network& network);

// Adds the people of a picture of width x height, best first; false if a number that is needed is none.
bool DecodeFairMOT(const pose_tensor* maps, const pose_network& network, const pose_boxes& settings, int width,
                   int height, std::vector<Detection>* people);

}  // namespace pose
