#include "pose/person.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

namespace pose {
namespace {

// OKS above which two poses in one picture are the same person's.
constexpr double kSame = 0.6;
// Scores are compared as floats where Python's are float32, so that both decide alike on 0.2 itself.
constexpr float kFloatJointScore = static_cast<float>(kJointScore);

float Area(const Box& box) {
  return static_cast<float>(kAreaOfBox) * (static_cast<float>(box.width) * static_cast<float>(box.height));
}

}  // namespace

double Oks(const Keypoint* a, const Keypoint* b, int joints, double x, double y, double area, const double* sigmas,
           double threshold, int* common) {
  double sum = 0;
  *common = 0;
  for (int j = 0; j < joints; ++j) {
    if (!(a[j].score > threshold && b[j].score > threshold)) continue;
    const double dx = a[j].x - (b[j].x + x), dy = a[j].y - (b[j].y + y), width = 2 * sigmas[j];
    sum += std::exp(-(dx * dx + dy * dy) / (2 * (area + DBL_EPSILON) * (width * width)));
    ++*common;
  }
  return sum / std::max(*common, 1);
}

float Rescored(float box_score, const std::vector<Keypoint>& joints) {
  double sum = 0;
  int count = 0;
  for (const Keypoint& joint : joints) {
    if (!(joint.score > kJointScore)) continue;
    sum += joint.score;
    ++count;
  }
  return static_cast<float>(box_score * (sum / std::max(count, 1)));
}

std::vector<Person> Different(const std::vector<Person>& people, const std::vector<double>& sigmas) {
  std::vector<int> rest;
  for (size_t i = 0; i < people.size(); ++i) rest.push_back(static_cast<int>(i));
  std::sort(rest.begin(), rest.end(), [&](int a, int b) {
    return people[a].score > people[b].score || (people[a].score == people[b].score && a < b);
  });
  std::vector<Person> kept;
  while (!rest.empty()) {
    const Person& best = people[rest[0]];
    kept.push_back(best);
    rest.erase(rest.begin());
    // Compared are the joints that are sure in both: where the unsure ones go, each box says otherwise.
    rest.erase(std::remove_if(rest.begin(), rest.end(),
                              [&](int i) {
                                const double area = (Area(best.box) + Area(people[i].box)) / 2;
                                int common;
                                const double alike =
                                    Oks(best.joints.data(), people[i].joints.data(), static_cast<int>(sigmas.size()), 0,
                                        0, area, sigmas.data(), kFloatJointScore, &common);
                                return alike > kSame && common >= 3;
                              }),
               rest.end());
  }
  return kept;
}

int SureJoints(const std::vector<Keypoint>& joints) {
  return static_cast<int>(
      std::count_if(joints.begin(), joints.end(), [](const Keypoint& j) { return j.score > kFloatJointScore; }));
}

}  // namespace pose
