#include "pose/regressed.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "pose/maps.h"
#include "pose/summit.h"

namespace pose {
namespace {

constexpr float kCentre = 0.01f;      // a heatmap's maximum no higher than this counts as nothing
constexpr double kAbsorb = 75;        // pixels from which a heatmap's maximum draws a joint
constexpr float kFittedFrom = 0.05f;  // the least value of a joint that is fitted
constexpr int kWindow = 6;            // pixels on each side that a joint is fitted to
constexpr float kNearPixels = 10;     // adaptive: joints closer than this are alike,
constexpr int kNearJoints = 10;       // and people with more such joints one
constexpr float kNearPart = 0.05f;    // DEKR: the same in parts of a person's diagonal, and half of the joints

struct Spot {
  float x, y;
};

// A person that a centre points at.
struct Proposal {
  std::vector<Spot> joints;
  float centre, value;  // the centre's height; by which the better of two alike is chosen
};

// Maps of one resolution, [channels, height, width].
struct Maps {
  int height, width;
  std::vector<float> values;

  size_t plane() const { return static_cast<size_t>(height) * width; }
  const float* operator[](int channel) const { return values.data() + channel * plane(); }
  float at(int channel, int x, int y) const { return (*this)[channel][static_cast<size_t>(y) * width + x]; }
};

Maps Copied(const pose_tensor& output) {
  Maps maps{output.shape[2], output.shape[3], {}};
  maps.values.assign(output.data, output.data + output.shape[1] * maps.plane());
  return maps;
}

Maps Enlarged(const Maps& maps, int channels, int factor) {
  Maps result{maps.height * factor, maps.width * factor, {}};
  result.values.resize(channels * result.plane());
  for (int i = 0; i < channels; ++i)
    Enlarge(maps[i], maps.height, maps.width, factor, result.values.data() + i * result.plane());
  return result;
}

// The heatmaps at 1/4, or `higher` those at 1/2: the highest of three, averaged with the fine ones.
Maps Heatmaps(const pose_tensor* outputs, const pose_joints& settings) {
  Maps maps = Copied(outputs[0]);
  if (!settings.higher) return maps;
  for (int k = 1; k < 3; ++k)
    for (size_t i = 0; i < maps.values.size(); ++i) maps.values[i] = std::max(maps.values[i], outputs[k].data[i]);
  Maps result = Enlarged(maps, settings.joints + 1, 2);
  for (size_t i = 0; i < settings.joints * result.plane(); ++i)
    result.values[i] = (result.values[i] + outputs[3].data[i]) / 2;
  return result;
}

std::vector<Proposal> Propose(const Maps& heatmaps, const pose_tensor& offsets, const pose_joints& settings,
                              int width) {
  const double around = (heatmaps.height + heatmaps.width) / 2.0;
  const int kernel = around > 300 ? 7 : around > 200 ? 5 : 3;
  const float factor = static_cast<float>(width) / static_cast<float>(heatmaps.width);
  const int fine = heatmaps.width / offsets.shape[3];  // 2 where heatmaps are finer than offsets
  const size_t plane = static_cast<size_t>(offsets.shape[2]) * offsets.shape[3];
  std::vector<Proposal> proposals;
  for (const Peak& peak : Peaks(heatmaps[settings.joints], heatmaps.height, heatmaps.width, kernel, settings.most,
                                static_cast<float>(settings.threshold))) {
    const int x = peak.x / fine, y = peak.y / fine;
    const float* here = offsets.data + static_cast<size_t>(y) * offsets.shape[3] + x;
    Proposal proposal{{}, peak.value, peak.value};
    for (int j = 0; j < settings.joints; ++j) {
      const float dx = here[2 * j * plane], dy = here[(2 * j + 1) * plane];
      proposal.joints.push_back({(static_cast<float>(x) - dx) * static_cast<float>(fine) * factor,
                                 (static_cast<float>(y) - dy) * static_cast<float>(fine) * factor});
    }
    proposals.push_back(proposal);
  }
  return proposals;
}

float Length(float x, float y) { return std::sqrt(x * x + y * y); }

float Diagonal(const std::vector<Spot>& joints) {
  Spot low = joints[0], high = joints[0];
  for (const Spot& each : joints) {
    low = {std::min(low.x, each.x), std::min(low.y, each.y)};
    high = {std::max(high.x, each.x), std::max(high.y, each.y)};
  }
  return Length(high.x - low.x, high.y - low.y);
}

// Whether more than `count` joints of both are closer than `distance`.
bool Near(const Proposal& a, const Proposal& b, float distance, int count) {
  int alike = 0;
  for (size_t j = 0; j < a.joints.size(); ++j)
    if (Length(a.joints[j].x - b.joints[j].x, a.joints[j].y - b.joints[j].y) < distance) ++alike;
  return alike > count;
}

// The best of people who are near each other. As published, someone whose best neighbour has gone already is left in,
// for a later one to keep.
std::vector<Proposal> Suppress(const std::vector<Proposal>& people, bool dekr) {
  std::vector<Proposal> kept;
  std::vector<bool> ignored(people.size(), false);
  for (size_t i = 0; i < people.size(); ++i) {
    if (ignored[i]) continue;
    const int joints = static_cast<int>(people[i].joints.size());
    const float distance = dekr ? kNearPart * Diagonal(people[i].joints) : kNearPixels;
    std::vector<size_t> group;
    for (size_t k = 0; k < people.size(); ++k)
      if (Near(people[i], people[k], distance, dekr ? joints / 2 : kNearJoints)) group.push_back(k);
    size_t best = group.empty() ? i : group[0];
    for (const size_t k : group)
      if (people[k].value > people[best].value) best = k;
    if (ignored[best]) continue;
    kept.push_back(people[best]);
    for (const size_t k : group) ignored[k] = true;
  }
  return kept;
}

int Limited(float value, int size) {
  return static_cast<int>(std::min(std::max(value, 0.0f), static_cast<float>(size - 1)));
}

// Moves regressed joints to the heatmaps' maxima near them; values are the centre's times the heatmap's.
std::vector<std::vector<Keypoint>> Absorb(const std::vector<Proposal>& people, const Maps& fused, int joints,
                                          int most) {
  std::vector<std::vector<Keypoint>> result(people.size(), std::vector<Keypoint>(joints));
  for (int j = 0; j < joints; ++j) {
    const std::vector<Peak> peaks = Peaks(fused[j], fused.height, fused.width, 5, most, 0);
    for (size_t p = 0; p < people.size(); ++p) {
      const Spot& spot = people[p].joints[j];
      // As published: row and column are mistaken for each other where no maximum is near.
      const int row = Limited(spot.x, fused.height), column = Limited(spot.y, fused.width);
      Keypoint& point = result[p][j];
      point = {spot.x, spot.y, people[p].centre * fused.at(j, column, row)};
      double nearest = kAbsorb;
      for (const Peak& peak : peaks) {
        const double dx = static_cast<double>(spot.x) - peak.x, dy = static_cast<double>(spot.y) - peak.y;
        const double apart = std::sqrt(dx * dx + dy * dy);
        if (apart >= nearest) continue;
        nearest = apart;
        const float value = peak.value <= kCentre ? 0 : peak.value;
        point = {static_cast<float>(peak.x), static_cast<float>(peak.y), people[p].centre * value};
      }
    }
  }
  return result;
}

// Puts joints on the summit of a Gaussian through the heatmap around them. `border`: those on the outermost pixels too.
void Fit(const Maps& fused, float centre, bool border, std::vector<Keypoint>* joints) {
  for (size_t j = 0; j < joints->size(); ++j) {
    Keypoint& point = (*joints)[j];
    if (!(point.score > kFittedFrom)) continue;
    int x = Limited(point.x + 1.5f, fused.width + 2) - 1, y = Limited(point.y + 1.5f, fused.height + 2) - 1;
    const bool inside = x > 0 && x < fused.width - 1 && y > 0 && y < fused.height - 1;
    if (!border && !inside) continue;
    x = std::min(std::max(x, 0), fused.width - 1);
    y = std::min(std::max(y, 0), fused.height - 1);
    Gaussian fit;
    if (!FitGaussian(fused[static_cast<int>(j)], fused.height, fused.width, x, y, kWindow, &fit)) continue;
    point = {static_cast<float>(fit.x), static_cast<float>(fit.y), static_cast<float>(fit.height * centre)};
  }
}

float MeanScore(const std::vector<Keypoint>& joints) {
  float sum = 0;
  for (const Keypoint& each : joints) sum += each.score;
  return sum / static_cast<float>(joints.size());
}

}  // namespace

bool FitsOffsets(const pose_tensor* outputs, const pose_network& network, const pose_joints& settings) {
  const int height = network.height / 4, width = network.width / 4, joints = settings.joints;
  const int branches = settings.higher ? 3 : 1;
  if (network.width % 4 || network.height % 4) return false;
  for (int i = 0; i < branches; ++i)
    if (!FitsMaps(outputs[i], joints + 1, height, width)) return false;
  if (settings.higher && !FitsMaps(outputs[3], joints, 2 * height, 2 * width)) return false;
  return FitsMaps(outputs[settings.higher ? 4 : 1], 2 * joints, height, width);
}

bool DecodeOffsets(const pose_tensor* outputs, const pose_network& network, const pose_joints& settings,
                   std::vector<Found>* found) {
  const int count = settings.higher ? 5 : 2, joints = settings.joints;
  for (int i = 0; i < count; ++i)
    if (!AllNumbers(outputs[i])) return false;
  const bool dekr = settings.codec == POSE_DEKR;
  const Maps heatmaps = Heatmaps(outputs, settings);
  const Maps fused = Enlarged(heatmaps, joints, network.width / heatmaps.width);
  std::vector<Proposal> people = Propose(heatmaps, outputs[count - 1], settings, network.width);
  for (const Proposal& each : people)
    for (const Spot& spot : each.joints)
      if (!std::isfinite(spot.x) || !std::isfinite(spot.y)) return false;
  if (dekr) {
    for (Proposal& each : people) {
      float sum = 0;
      for (int j = 0; j < joints; ++j)
        sum += fused.at(j, Limited(each.joints[j].x, fused.width), Limited(each.joints[j].y, fused.height));
      each.value = sum / static_cast<float>(joints);
    }
  }
  people = Suppress(people, dekr);
  std::vector<std::vector<Keypoint>> moved(people.size());
  if (!dekr || settings.match) moved = Absorb(people, fused, joints, settings.most);
  for (size_t p = 0; p < people.size(); ++p) {
    if (!moved[p].empty()) Fit(fused, people[p].centre, dekr, &moved[p]);
    Found person{moved[p], 0};
    if (dekr) {
      person.joints.resize(joints);
      for (int j = 0; j < joints; ++j) {
        const Spot& spot = people[p].joints[j];
        Keypoint& point = person.joints[j];
        if (!settings.match) point = {spot.x, spot.y, 0};
        point.score = people[p].centre * fused.at(j, Limited(spot.x, fused.width), Limited(spot.y, fused.height));
      }
    }
    person.score = MeanScore(person.joints);
    found->push_back(person);
  }
  return true;
}

}  // namespace pose
