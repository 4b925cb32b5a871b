// From a picture to people: tinypose/inference/estimator.py in C++.
#pragma once

#include <vector>

#include "pose/person.h"
#include "pose/pose.h"
#include "pose/preprocess.h"

namespace pose {

// What went wrong, if anything: a code and a text that stays.
struct Result {
  pose_status status;
  const char* message;

  bool ok() const { return status == POSE_OK; }
};

constexpr Result kFine{POSE_OK, ""};

// Whether a network sees the whole picture and finds everybody.
inline bool BottomUp(const pose_joints& joints) {
  return joints.codec == POSE_TAGS || joints.codec == POSE_ADAPTIVE || joints.codec == POSE_DEKR;
}

// The map that fits a whole picture into width x height, in its middle (tinypose/whole_picture.py).
Affine InsideMatrix(int picture_width, int picture_height, int width, int height);

// A detector finds people, a pose network finds their joints; or a bottom-up network does both. `times` adds up what
// the stages take.
class Estimator {
 public:
  explicit Estimator(const pose_settings& settings);

  // Where the people are, by the detector or, without one, the whole picture.
  Result Find(const Image& image, std::vector<Detection>* found, pose_times* times);

  // The people in these boxes; boxes that have nothing in the picture are left out. `merge`: of poses that are the
  // same person's, keep the best, and sort by score.
  Result Look(const Image& image, const std::vector<Detection>& found, bool merge, std::vector<Person>* people,
              pose_times* times);

  // Everybody in the picture, best first, by a bottom-up network.
  Result LookAtAll(const Image& image, std::vector<Person>* people, pose_times* times);

  bool bottom_up() const { return BottomUp(settings_.joints); }
  const std::vector<double>& sigmas() const { return sigmas_; }

 private:
  Result FindJoints(const Image& image, const Box& box, std::vector<Keypoint>* joints, pose_times* times);
  bool Decode(const pose_tensor* outputs, const Affine& image_to_crop, std::vector<Keypoint>* joints) const;

  pose_settings settings_;
  std::vector<double> sigmas_;
  std::vector<float> input_;
};

// Milliseconds of a clock that only goes forward.
double Milliseconds();

}  // namespace pose
