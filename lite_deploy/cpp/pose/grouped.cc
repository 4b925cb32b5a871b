#include "pose/grouped.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "pose/assign.h"
#include "pose/maps.h"

namespace pose {
namespace {

constexpr int kOrder[] = {0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16};  // trunk first
constexpr int kOrdered = sizeof(kOrder) / sizeof(kOrder[0]);
constexpr int kKernel = 5;
constexpr float kAlike = 1;    // tags nearer than this are one person's
constexpr double kNever = 1e10;  // what a pair costs that is none

struct Candidate {
  float x, y, value, tag;
};

// A person while joints are grouped: known by the tag of the first joint.
struct Member {
  float key, sum;  // sum: of the tags of the joints so far
  int count;
  std::vector<Candidate> joints;
};

// A joint's maps in the input's pixels.
struct Joint {
  std::vector<float> heights, tags;
};

float Rounded(float value) { return std::nearbyint(value); }  // halves to even, as numpy

void Start(std::vector<Member>* people, int joints, int joint, const Candidate& candidate) {
  auto same = std::find_if(people->begin(), people->end(), [&](const Member& m) { return m.key == candidate.tag; });
  if (same == people->end()) {
    people->push_back({candidate.tag, 0, 0, std::vector<Candidate>(joints, Candidate{0, 0, 0, 0})});
    same = people->end() - 1;
  }
  same->joints[joint] = candidate;
  same->sum = candidate.tag;
  same->count = 1;
}

// Gives the candidates of one joint to people, so that tags differ least in sum; the others begin new ones.
void Give(const std::vector<Candidate>& candidates, int joint, int joints, int most, std::vector<Member>* people) {
  const int rows = static_cast<int>(candidates.size());
  const int known = std::min(static_cast<int>(people->size()), most), columns = std::max(rows, known);
  std::vector<double> gains(static_cast<size_t>(rows) * columns, -kNever);
  std::vector<float> distances(static_cast<size_t>(rows) * known);
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < known; ++j) {
      const Member& member = (*people)[j];
      const float distance = std::fabs(candidates[i].tag - member.sum / static_cast<float>(member.count));
      distances[static_cast<size_t>(i) * known + j] = distance;
      gains[static_cast<size_t>(i) * columns + j] = -(Rounded(distance) * 100 - candidates[i].value);
    }
  for (const Pair& pair : BestAssignment(gains, rows, columns)) {
    const Candidate& candidate = candidates[pair.row];
    if (pair.column < known && distances[static_cast<size_t>(pair.row) * known + pair.column] < kAlike) {
      Member& member = (*people)[pair.column];
      member.joints[joint] = candidate;
      member.sum += candidate.tag;
      ++member.count;
    } else {
      Start(people, joints, joint, candidate);
    }
  }
}

std::vector<Member> Group(const std::vector<std::vector<Candidate>>& found, int most) {
  const int joints = static_cast<int>(found.size());
  std::vector<Member> people;
  for (int i = 0; i < std::max(joints, kOrdered); ++i) {
    const int joint = joints <= kOrdered ? kOrder[i] : i;
    if (joint >= joints || found[joint].empty()) continue;
    if (people.empty()) {
      for (const Candidate& each : found[joint]) Start(&people, joints, joint, each);
    } else {
      Give(found[joint], joint, joints, most, &people);
    }
  }
  return people;
}

// The pixel's middle, moved by a quarter of a pixel to the higher neighbour.
Keypoint Quarter(const std::vector<float>& heights, int height, int width, int x, int y) {
  const auto at = [&](int u, int v) { return heights[static_cast<size_t>(v) * width + u]; };
  const bool right = at(std::min(x + 1, width - 1), y) > at(std::max(x - 1, 0), y);
  const bool below = at(x, std::min(y + 1, height - 1)) > at(x, std::max(y - 1, 0));
  return {static_cast<float>(x) + (right ? 0.75f : 0.25f), static_cast<float>(y) + (below ? 0.75f : 0.25f), at(x, y)};
}

// The place where the height less the rounded distance from the tag is greatest, the first of equals.
size_t BestPixel(const Joint& joint, float tag) {
  size_t best = 0;
  float greatest = joint.heights[0] - Rounded(std::fabs(joint.tags[0] - tag));
  for (size_t i = 1; i < joint.heights.size(); ++i) {
    if (joint.heights[i] <= greatest) continue;  // no distance makes it better than its height
    const float value = joint.heights[i] - Rounded(std::fabs(joint.tags[i] - tag));
    if (value > greatest) {
      greatest = value;
      best = i;
    }
  }
  return best;
}

}  // namespace

bool AllNumbers(const pose_tensor& output) {
  size_t count = 1;
  for (int i = 0; i < output.rank; ++i) count *= output.shape[i];
  return std::all_of(output.data, output.data + count, [](float value) { return std::isfinite(value); });
}

bool FitsTags(const pose_tensor* outputs, const pose_network& network, int joints) {
  const int height = network.height / 4, width = network.width / 4;
  if (network.width % 4 || network.height % 4) return false;
  return FitsMaps(outputs[0], 2 * joints, height, width) && FitsMaps(outputs[1], joints, 2 * height, 2 * width);
}

bool DecodeTags(const pose_tensor* outputs, const pose_network& network, const pose_joints& settings,
                std::vector<Found>* people) {
  if (!AllNumbers(outputs[0]) || !AllNumbers(outputs[1])) return false;
  const int joints = settings.joints, height = network.height, width = network.width;
  const int coarse_height = outputs[0].shape[2], coarse_width = outputs[0].shape[3];
  const int fine_height = outputs[1].shape[2], fine_width = outputs[1].shape[3];
  const size_t coarse = static_cast<size_t>(coarse_height) * coarse_width;
  const size_t fine = static_cast<size_t>(fine_height) * fine_width, whole = static_cast<size_t>(height) * width;

  std::vector<float> half(fine);
  std::vector<Joint> maps(joints);
  std::vector<std::vector<Candidate>> found(joints);
  for (int j = 0; j < joints; ++j) {
    Joint& joint = maps[j];
    joint.heights.resize(whole);
    joint.tags.resize(whole);
    Resize(outputs[0].data + j * coarse, coarse_height, coarse_width, fine_height, fine_width, half.data());
    for (size_t i = 0; i < fine; ++i) half[i] = (half[i] + outputs[1].data[j * fine + i]) / 2;
    Resize(half.data(), fine_height, fine_width, height, width, joint.heights.data());
    Resize(outputs[0].data + (joints + j) * coarse, coarse_height, coarse_width, fine_height, fine_width, half.data());
    Resize(half.data(), fine_height, fine_width, height, width, joint.tags.data());
    const float threshold = static_cast<float>(settings.threshold);
    for (const Peak& peak : Peaks(joint.heights.data(), height, width, kKernel, settings.most, threshold))
      found[j].push_back({static_cast<float>(peak.x), static_cast<float>(peak.y), peak.value,
                          joint.tags[static_cast<size_t>(peak.y) * width + peak.x]});
  }
  for (const Member& member : Group(found, settings.most)) {
    Found person{std::vector<Keypoint>(joints, Keypoint{0, 0, 0}), 0};
    float tags = 0, count = 0, score = 0;
    for (int j = 0; j < joints; ++j) {
      const Candidate& each = member.joints[j];
      if (!(each.value > 0)) continue;
      person.joints[j] = Quarter(maps[j].heights, height, width, static_cast<int>(each.x), static_cast<int>(each.y));
      tags += each.tag;
      score += each.value;
      ++count;
    }
    person.score = score / static_cast<float>(joints);
    for (int j = 0; j < joints; ++j) {
      if (member.joints[j].value > 0) continue;
      const size_t best = BestPixel(maps[j], tags / std::max(count, 1.0f));
      const int x = static_cast<int>(best % width), y = static_cast<int>(best / width);
      const Keypoint point = Quarter(maps[j].heights, height, width, x, y);
      if (point.score > 0) person.joints[j] = point;
    }
    people->push_back(person);
  }
  return true;
}

}  // namespace pose
