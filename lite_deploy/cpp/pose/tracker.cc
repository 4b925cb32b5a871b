#include "pose/tracker.h"

#include <algorithm>
#include <cmath>

#include "pose/assign.h"

namespace pose {
namespace {

// The corners between which the joints lie that score `threshold` or more; false with fewer than 3 such joints, or
// all in one place.
bool Extent(const std::vector<Keypoint>& joints, double threshold, Box* extent) {
  int count = 0;
  double left = 0, top = 0, right = 0, bottom = 0;
  for (const Keypoint& joint : joints) {
    if (!(joint.score >= threshold)) continue;
    left = count ? std::min<double>(left, joint.x) : joint.x;
    right = count ? std::max<double>(right, joint.x) : joint.x;
    top = count ? std::min<double>(top, joint.y) : joint.y;
    bottom = count ? std::max<double>(bottom, joint.y) : joint.y;
    ++count;
  }
  *extent = {left, top, right - left, bottom - top};
  return count >= 3 && std::max(extent->width, extent->height) > 0;
}

void Renew(Track* track, const Person& person, double time) {
  const double step = time - track->seen;
  if (step > 0) {
    const Box &now = person.box, &before = track->box;
    // Averaged over about a fifth of a second: single frames jitter.
    const double blend = 1 - std::exp(-step / 0.2);
    const double x = (now.left + now.width / 2) - (before.left + before.width / 2);
    const double y = (now.top + now.height / 2) - (before.top + before.height / 2);
    track->velocity_x += blend * (x / step - track->velocity_x);
    track->velocity_y += blend * (y / step - track->velocity_y);
  }
  track->joints = person.joints;
  track->box = person.box;
  track->box_score = person.box_score;
  track->seen = time;
}

}  // namespace

Tracker::Tracker(const std::vector<double>& sigmas, const TrackerSettings& settings)
    : settings(settings), sigmas_(sigmas) {}

double Tracker::Likeness(const Person& person, const Track& track, double time) const {
  // Moving on for half a second at most.
  const double ahead = std::min(std::max(time - track.seen, 0.0), 0.5);
  const double x = track.velocity_x * ahead, y = track.velocity_y * ahead;
  const Box expected{track.box.left + x, track.box.top + y, track.box.width, track.box.height};
  int common;
  const double similarity =
      Oks(person.joints.data(), track.joints.data(), static_cast<int>(sigmas_.size()), x, y,
          kAreaOfBox * (track.box.width * track.box.height), sigmas_.data(), kJointScore, &common);
  return (similarity + Iou(person.box, expected)) / 2;
}

void Tracker::Match(std::vector<Person>* people, const std::vector<int>& rows, const std::vector<int>& columns,
                    double time, std::vector<bool>* free) {
  std::vector<double> value;
  for (const int i : rows)
    for (const int j : columns) {
      const double likeness = Likeness((*people)[i], tracks[j], time);
      value.push_back(likeness >= settings.alike ? likeness : 0);
    }
  const int width = static_cast<int>(columns.size());
  for (const Pair& pair : BestAssignment(value, static_cast<int>(rows.size()), width)) {
    const double likeness = value[static_cast<size_t>(pair.row) * width + pair.column];
    if (!(likeness >= settings.alike)) continue;
    Person& person = (*people)[rows[pair.row]];
    const int number = columns[pair.column];
    person.id = tracks[number].id;
    (*free)[number] = false;
    Renew(&tracks[number], person, time);
  }
}

void Tracker::Update(std::vector<Person>* people, double time) {
  tracks.erase(std::remove_if(tracks.begin(), tracks.end(),
                              [&](const Track& track) { return !(time - track.seen <= settings.patience); }),
               tracks.end());
  std::vector<int> sure, doubtful, all, recent;
  for (size_t i = 0; i < people->size(); ++i) {
    (*people)[i].id = kNobody;
    ((*people)[i].score >= static_cast<float>(settings.sure) ? sure : doubtful).push_back(static_cast<int>(i));
  }
  std::vector<bool> was_seen, free(tracks.size(), true);
  for (const Track& track : tracks) was_seen.push_back(!begun_ || track.seen >= time_);
  for (size_t j = 0; j < tracks.size(); ++j) all.push_back(static_cast<int>(j));
  Match(people, sure, all, time, &free);
  for (size_t j = 0; j < tracks.size(); ++j)
    if (was_seen[j] && free[j]) recent.push_back(static_cast<int>(j));
  Match(people, doubtful, recent, time, &free);
  for (const int i : sure) {
    Person& person = (*people)[i];
    if (person.id != kNobody) continue;
    person.id = ++last_id_;
    tracks.push_back({person.id, person.joints, person.box, person.box_score, time, 0, 0, false, {}, {}});
  }
  begun_ = true;
  time_ = time;
}

bool BoxMargin(const Box& box, const std::vector<Keypoint>& joints, Margin* margin) {
  Box extent;
  // Python compares float32 with float32 here, and float64 in FollowBox.
  if (!Extent(joints, static_cast<float>(kJointScore), &extent)) return false;
  const double size = std::max(extent.width, extent.height);
  const auto part = [size](double beyond) { return std::min(std::max(beyond / size, -0.1), 0.5); };
  // The far side of the box is a float32 in Python.
  const float right = static_cast<float>(box.left) + static_cast<float>(box.width);
  const float bottom = static_cast<float>(box.top) + static_cast<float>(box.height);
  *margin = {part(extent.left - box.left), part(extent.top - box.top), part(right - (extent.left + extent.width)),
             part(bottom - (extent.top + extent.height))};
  return true;
}

bool FollowBox(const std::vector<Keypoint>& joints, const Margin& margin, Box* box) {
  Box extent;
  if (!Extent(joints, kJointScore, &extent)) return false;
  const double size = std::max(extent.width, extent.height);
  const double left = extent.left - margin.left * size, top = extent.top - margin.top * size;
  *box = {left, top, extent.left + extent.width + margin.right * size - left,
          extent.top + extent.height + margin.bottom * size - top};
  return true;
}

}  // namespace pose
