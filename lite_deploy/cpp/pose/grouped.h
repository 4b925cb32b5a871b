// Everybody from heatmaps and tags: tinypose/codecs/grouped.py in C++, for one look at a picture.
#pragma once

#include <vector>

#include "pose/crowd.h"
#include "pose/pose.h"

namespace pose {

// Whether the two outputs (heatmaps and tags at a quarter of the input, heatmaps at half) are what a network for this
// input gives; reads no number.
bool FitsTags(const pose_tensor* outputs, const pose_network& network, int joints);

// The people, in pixels of the input; false if a number is none.
bool DecodeTags(const pose_tensor* outputs, const pose_network& network, const pose_joints& settings,
                std::vector<Found>* people);

}  // namespace pose
