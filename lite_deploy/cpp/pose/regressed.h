// Everybody from centres and offsets: tinypose/codecs/regressed.py in C++, for one look at a picture.
#pragma once

#include <vector>

#include "pose/crowd.h"
#include "pose/pose.h"

namespace pose {

// Whether the outputs (heatmaps of joints and centres, and offsets; `higher`: three of heatmaps, finer ones, and
// offsets) are what a network for this input gives; reads no number.
bool FitsOffsets(const pose_tensor* outputs, const pose_network& network, const pose_joints& settings);

// The people, in pixels of the input; false if a number is none.
bool DecodeOffsets(const pose_tensor* outputs, const pose_network& network, const pose_joints& settings,
                   std::vector<Found>* people);

}  // namespace pose
