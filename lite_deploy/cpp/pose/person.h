// One person of a picture, and how like two poses are.
#pragma once

#include <vector>

#include "pose/boxes.h"
#include "pose/heatmap.h"

namespace pose {

constexpr double kJointScore = 0.2;   // joints that score less are uncertain
constexpr double kAreaOfBox = 0.53;   // a person's area as a part of their box's
constexpr int kNobody = -1;           // the id of someone who is in no track

struct Person {
  Box box;                       // where they were looked for
  float box_score, score;
  int id;
  std::vector<Keypoint> joints;  // in pixels of the picture
};

// Object keypoint similarity (COCO's) of `a` and `b`, both [joints], `b` moved by (x, y): the mean of
// exp(-d^2 / (2 area (2 sigma)^2)) over the joints that score above `threshold` in both. Their number goes to `common`;
// without any it is 0.
double Oks(const Keypoint* a, const Keypoint* b, int joints, double x, double y, double area, const double* sigmas,
           double threshold, int* common);

// Box score times the mean of the joint scores above kJointScore.
float Rescored(float box_score, const std::vector<Keypoint>& joints);

// The people, best first, without those who are someone better once more (tinypose/inference/estimator.py).
std::vector<Person> Different(const std::vector<Person>& people, const std::vector<double>& sigmas);

// How many joints score above kJointScore.
int SureJoints(const std::vector<Keypoint>& joints);

}  // namespace pose
