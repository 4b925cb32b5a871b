// From PicoDet's maps to people: tinypose/codecs/picodet.py in C++.
#pragma once

#include <vector>

#include "pose/boxes.h"
#include "pose/pose.h"

namespace pose {

constexpr int kLevels = 4;  // maps for strides 8, 16, 32 and 64

// Whether the four maps are what a network for this input gives; reads no number.
bool FitsPicoDet(const pose_tensor* maps, const pose_network& network, const pose_boxes& settings);

// Adds the boxes of people, in input pixels and in no order; false if some are not numbers.
bool DecodePicoDet(const pose_tensor* maps, const pose_boxes& settings, std::vector<Detection>* found);

// The people in a picture of width x height, best first, given all decoded boxes in the network's input.
std::vector<Detection> ChoosePeople(const std::vector<Detection>& found, const pose_network& network,
                                    const pose_boxes& settings, int width, int height);

}  // namespace pose
