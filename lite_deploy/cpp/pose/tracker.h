// Who is who from frame to frame, and where to look next: tinypose/tracking/tracker.py in C++.
#pragma once

#include <vector>

#include "pose/person.h"
#include "pose/smooth.h"

namespace pose {

// How far a detector's box reaches beyond the joints in it, in parts of their extent.
struct Margin {
  double left, top, right, bottom;
};

// One person over time.
struct Track {
  int id;                        // counted from 1, never given again
  std::vector<Keypoint> joints;  // the last ones seen
  Box box;
  float box_score;
  double seen;                   // when, in seconds
  double velocity_x, velocity_y;  // pixels a second, of the middle of the box
  bool has_margin;
  Margin margin;                  // of the detector's boxes, once it found them
  Smoother smoother;              // of joints and box, as long as the person is remembered
};

struct TrackerSettings {
  double sure = 0.3;      // score from which someone unknown becomes a track; also the first round's
  double alike = 0.1;     // likeness below which two are not the same person
  double patience = 1.0;  // for how many seconds someone out of sight is remembered
};

// Gives each person an id. One video, frames in order.
//
// Association goes in two rounds, as in ByteTrack (Zhang et al., ECCV 2022): confident people first, with everybody
// who is remembered; then the doubtful ones, with those who were seen a moment ago. Likeness is the mean of OKS and
// box overlap.
class Tracker {
 public:
  Tracker(const std::vector<double>& sigmas, const TrackerSettings& settings);

  // Sets the ids of the people of the next frame: kNobody for doubtful people who resemble no one.
  void Update(std::vector<Person>* people, double time);

  TrackerSettings settings;
  std::vector<Track> tracks;

 private:
  double Likeness(const Person& person, const Track& track, double time) const;
  void Match(std::vector<Person>* people, const std::vector<int>& rows, const std::vector<int>& columns, double time,
             std::vector<bool>* free);

  std::vector<double> sigmas_;
  int last_id_ = 0;
  bool begun_ = false;
  double time_ = 0;
};

// How far `box` reaches beyond the joints that score kJointScore or more; false without an extent.
bool BoxMargin(const Box& box, const std::vector<Keypoint>& joints, Margin* margin);

// The box to look in next for someone whose joints were found; false without an extent.
bool FollowBox(const std::vector<Keypoint>& joints, const Margin& margin, Box* box);

}  // namespace pose
