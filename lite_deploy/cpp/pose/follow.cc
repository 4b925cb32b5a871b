#include "pose/follow.h"

#include <algorithm>
#include <cmath>

namespace pose {
namespace {

// What lies around the joints of someone whom the detector has not seen, as a part of their extent.
constexpr double kMargin = 0.02;
constexpr double kAlike = 0.6;    // IoU of a detected and a followed box from which the followed one will do
constexpr double kCovered = 0.3;  // IoU above which a detected box is that of someone followed
constexpr double kTrust = 0.7;    // what is left of the score of someone whom the detector misses, each time

// The box on a grid of a quarter of a pixel. Joints say where the next crop is, so what the last bits of a box differ
// by from one machine to the next would grow from frame to frame; on a grid it is gone.
Box OnGrid(const Box& box) {
  const auto rounded = [](double value) { return static_cast<double>(std::lrint(value * 4)) / 4; };
  return {rounded(box.left), rounded(box.top), rounded(box.width), rounded(box.height)};
}

TrackerSettings Tracking(const pose_following& settings) {
  TrackerSettings result;
  result.sure = settings.sure;
  result.patience = settings.patience;
  return result;
}

}  // namespace

Follower::Follower(Estimator* estimator, const pose_following& settings)
    : estimator_(estimator), settings_(settings), tracker_(estimator->sigmas(), Tracking(settings)) {}

void Follower::Change(const pose_following& settings) {
  settings_ = settings;
  tracker_.settings = Tracking(settings);
}

Result Follower::operator()(const Image& image, double time, std::vector<Person>* people, pose_times* times) {
  if (!std::isfinite(time) || (begun_ && time <= time_))
    return {POSE_BAD_FRAME, "time: expected a number above that of the frame before"};
  Seen seen;
  const Result result = Look(image, &seen, times);
  if (!result.ok()) return result;
  const double start = Milliseconds();
  *people = Take(seen, time);
  times->follow += Milliseconds() - start;
  return kFine;
}

Result Follower::Look(const Image& image, Seen* seen, pose_times* times) {
  if (estimator_->bottom_up()) {
    const Result result = estimator_->LookAtAll(image, &seen->people, times);
    if (!result.ok()) return result;
    DropTheGone(&seen->people);
    seen->detected = true;
    seen->found.assign(seen->people.size(), Box{0, 0, 0, 0});
    return kFine;
  }
  const std::vector<Detection> followed = Where(image.width, image.height);
  const bool due = !begun_ || since_detection_ + 1 >= settings_.detect_every;
  if (!due && !followed.empty()) {
    const Result result = estimator_->Look(image, followed, true, &seen->people, times);
    if (!result.ok()) return result;
    DropTheGone(&seen->people);
    if (seen->people.size() == followed.size()) {
      seen->detected = false;
      seen->found.assign(followed.size(), Box{0, 0, 0, 0});
      return kFine;
    }
  }
  return Detect(image, followed, seen, times);
}

Result Follower::Detect(const Image& image, const std::vector<Detection>& followed, Seen* seen, pose_times* times) {
  std::vector<Detection> found;
  Result result = estimator_->Find(image, &found, times);
  if (!result.ok()) return result;
  for (Detection& each : found) each.box = OnGrid(each.box);
  const size_t detected = found.size();
  std::vector<Detection> looked = found;
  std::vector<Box> sources;
  for (const Detection& each : found) sources.push_back(each.box);
  for (size_t i = 0; i < followed.size(); ++i) {
    const Box& box = followed[i].box;
    size_t j = 0;  // the detected box that is most like it
    for (size_t k = 1; k < detected; ++k)
      if (Iou(box, found[k].box) > Iou(box, found[j].box)) j = k;
    const double overlap = detected ? Iou(box, found[j].box) : 0;
    const bool closest = detected && std::none_of(followed.begin(), followed.end(), [&](const Detection& other) {
      const double theirs = Iou(other.box, found[j].box);
      return theirs > overlap || (theirs == overlap && &other < &followed[i]);
    });
    if (closest && overlap >= kAlike) {
      looked[j].box = box;  // the joints are found as in the frame before, not shaken by a new box
    } else if (!detected || overlap < kCovered) {
      // Whom the detector misses, as it does now and then, is looked for where they were.
      looked.push_back({box, static_cast<float>(kTrust * followed[i].score)});
      sources.push_back({0, 0, 0, 0});
    }
  }
  result = estimator_->Look(image, looked, true, &seen->people, times);
  if (!result.ok()) return result;
  DropTheGone(&seen->people);
  seen->detected = true;
  seen->found.clear();
  for (const Person& person : seen->people) {
    size_t i = 0;
    while (!Same(looked[i].box, person.box)) ++i;
    seen->found.push_back(sources[i]);
  }
  return kFine;
}

std::vector<Person> Follower::Take(const Seen& seen, double time) {
  std::vector<Person> people = seen.people;
  tracker_.Update(&people, time);
  for (size_t i = 0; i < people.size(); ++i)
    if (seen.found[i].width > 0 && people[i].id != kNobody) LearnMargin(people[i], seen.found[i]);
  people.erase(std::remove_if(people.begin(), people.end(), [](const Person& p) { return p.id == kNobody; }),
               people.end());
  since_detection_ = seen.detected ? 0 : since_detection_ + 1;
  begun_ = true;
  time_ = time;
  for (Person& person : people) SmoothPerson(&person, time);
  return people;
}

// Where those seen in the last frame are looked for in the next, and their boxes' scores.
std::vector<Detection> Follower::Where(int width, int height) const {
  std::vector<Detection> boxes;
  for (const Track& track : tracker_.tracks) {
    Box box;
    const Margin margin = track.has_margin ? track.margin : Margin{kMargin, kMargin, kMargin, kMargin};
    if (track.seen == time_ && FollowBox(track.joints, margin, &box))
      boxes.push_back({OnGrid(Clip(Rounded(box), width, height)), track.box_score});
  }
  return boxes;
}

// Boxes that follow the joints are then like the detector's, and the joints found in them, too: without it, each
// detection makes a joint at rest jump.
void Follower::LearnMargin(const Person& person, const Box& found) {
  Margin margin;
  if (!BoxMargin(found, person.joints, &margin)) return;
  Track* track = TrackOf(person.id);
  const Margin& old = track->has_margin ? track->margin : margin;
  track->margin = {(old.left + margin.left) / 2, (old.top + margin.top) / 2, (old.right + margin.right) / 2,
                   (old.bottom + margin.bottom) / 2};
  track->has_margin = true;
}

// Smooths joints and box together.
void Follower::SmoothPerson(Person* person, double time) {
  const Box& box = person->box;
  const float left = box.left, top = box.top, width = box.width, height = box.height;
  std::vector<Point> points;
  for (const Keypoint& joint : person->joints) points.push_back({joint.x, joint.y});
  points.push_back({left, top});
  points.push_back({left + width, top + height});
  SmoothSettings smoothing;
  smoothing.kind = static_cast<Smooth>(settings_.smooth);
  smoothing.cutoff = settings_.cutoff;
  smoothing.beta = settings_.beta;
  smoothing.constant = settings_.constant;
  TrackOf(person->id)->smoother(smoothing, time, std::sqrt(width * height), &points);
  if (smoothing.kind == Smooth::kNone) return;
  for (size_t j = 0; j < person->joints.size(); ++j) {
    person->joints[j].x = static_cast<float>(points[j].x);
    person->joints[j].y = static_cast<float>(points[j].y);
  }
  const Point &low = points[points.size() - 2], &high = points.back();
  person->box = Rounded({low.x, low.y, high.x - low.x, high.y - low.y});
}

// Leaves out those in whose place there is no one any more.
void Follower::DropTheGone(std::vector<Person>* people) const {
  people->erase(std::remove_if(people->begin(), people->end(),
                               [&](const Person& person) {
                                 return !(person.score >= static_cast<float>(settings_.least)) ||
                                        SureJoints(person.joints) < 3;
                               }),
                people->end());
}

Track* Follower::TrackOf(int id) {
  return &*std::find_if(tracker_.tracks.begin(), tracker_.tracks.end(),
                        [id](const Track& track) { return track.id == id; });
}

}  // namespace pose
