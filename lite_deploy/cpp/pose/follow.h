// People in video: one id each, joints smoothed, the detector only now and then. tinypose/inference/follow.py in C++.
#pragma once

#include <vector>

#include "pose/estimator.h"
#include "pose/tracker.h"

namespace pose {

// Follows the people of one video. Each frame has two halves: the networks look at it, which changes nothing here;
// then ids are given and joints smoothed. So a frame that fails is as if it had not come.
class Follower {
 public:
  // The estimator must outlive the follower.
  Follower(Estimator* estimator, const pose_following& settings);

  // The people of the next frame, best first. `time` in seconds, later than the last one.
  Result operator()(const Image& image, double time, std::vector<Person>* people, pose_times* times);

  void Change(const pose_following& settings);

 private:
  // People without ids, not smoothed; where the detector found each of them, empty for whom it did not.
  struct Seen {
    std::vector<Person> people;
    bool detected;
    std::vector<Box> found;
  };

  Result Look(const Image& image, Seen* seen, pose_times* times);
  Result Detect(const Image& image, const std::vector<Detection>& followed, Seen* seen, pose_times* times);
  std::vector<Person> Take(const Seen& seen, double time);
  std::vector<Detection> Where(int width, int height) const;
  void LearnMargin(const Person& person, const Box& found);
  void SmoothPerson(Person* person, double time);
  void DropTheGone(std::vector<Person>* people) const;
  Track* TrackOf(int id);

  Estimator* estimator_;
  pose_following settings_;
  Tracker tracker_;
  bool begun_ = false;
  double time_ = 0;
  int since_detection_ = 0;
};

}  // namespace pose
