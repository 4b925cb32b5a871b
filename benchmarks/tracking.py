"""How often people lose their id when they walk past each other: by overlap, by overlap and OKS, ByteTrack.

    python benchmarks/tracking.py ANNOTATIONS

ANNOTATIONS is COCO's JSON: its fully annotated people are set walking to and fro on one line, at 40 to 250
pixels a second and 150 pixels tall. Joints jitter by 2 pixels; one detection in ten is missed, and of those
hidden behind someone six in ten. Counted are changes of id, over twelve scenes of eight seconds. ByteTrack is
that of `supervision`, where it is installed.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tinypose.boxes import iou
from tinypose.console import out, table
from tinypose.files import read_json
from tinypose.skeleton import load_skeleton
from tinypose.tracking.tracker import NOBODY, Tracker

SCENES, SECONDS, WIDTH, HEIGHT = 12, 8, 800, 150
MISSED, MISSED_BEHIND, BEHIND = 0.1, 0.6, 25

# One frame: its time, and who is seen in it, with joints [J, 3] and box [4].
Scene = list[tuple[float, list[int], np.ndarray, np.ndarray]]


def main() -> None:
    """Count changes of id and print a row for each way of telling people apart."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("annotations", type=Path)
    poses = whole_people(parser.parse_args().annotations)
    sigmas = load_skeleton("coco17").sigmas
    ways: dict[str, Callable[[Scene, int], list]] = {
        "overlap": lambda scene, rate: follow(scene, OverlapOnly(sigmas)),
        "overlap and OKS (tinypose)": lambda scene, rate: follow(scene, Tracker(sigmas)),
    }
    try:
        import supervision
    except ImportError:
        pass
    else:
        ways["ByteTrack (supervision)"] = lambda scene, rate: byte_track(scene, rate, supervision)
    cases = [(rate, people) for rate in (30, 10) for people in (2, 4, 6)]
    rows = []
    for name, way in ways.items():
        counts = []
        for rate, people in cases:
            scenes = [make_scene(poses, people, rate, seed) for seed in range(SCENES)]
            counts.append(sum(changes(way(scene, rate)) for scene in scenes))
        rows.append((name, *counts))
    columns = ("changes of id", *(f"{people} people, {rate} fps" for rate, people in cases))
    out.print(table(f"{SCENES} scenes of {SECONDS} seconds", columns, rows))


def whole_people(path: Path) -> list[np.ndarray]:
    """Return the joints [17, 3] of people with 14 joints or more, 150 pixels tall, about the origin."""
    people = []
    for entry in read_json(path)["annotations"]:
        joints = np.array(entry["keypoints"], float).reshape(-1, 3)
        seen = joints[:, 2] > 0
        if seen.sum() < 14:
            continue
        low, high = joints[seen, :2].min(axis=0), joints[seen, :2].max(axis=0)
        joints[:, :2] = (joints[:, :2] - (low + high) / 2) / (high - low).max() * HEIGHT
        joints[:, 2] = 0.9 * seen
        people.append(joints)
    return people


def make_scene(poses: list[np.ndarray], people: int, rate: int, seed: int) -> Scene:
    """Let people walk to and fro."""
    rng = np.random.default_rng(seed)
    chosen = [poses[i] for i in rng.choice(len(poses), people, replace=False)]
    start, y = rng.uniform(0, WIDTH, people), rng.uniform(200, 230, people)
    speed = rng.uniform(40, 250, people) * rng.choice([-1, 1], people)
    scene = []
    for number in range(SECONDS * rate):
        x = np.abs((start + speed * number / rate) % (2 * WIDTH) - WIDTH)
        seen, joints, boxes = [], [], []
        for i, pose in enumerate(chosen):
            hidden = (np.abs(x[:i] - x[i]) < BEHIND).any()
            if rng.uniform() < (MISSED_BEHIND if hidden else MISSED):
                continue
            moved = pose + [x[i], y[i], 0] + np.append(rng.normal(0, 2, (17, 2)), np.zeros((17, 1)), axis=1)
            low, high = moved[moved[:, 2] > 0, :2].min(axis=0) - 8, moved[moved[:, 2] > 0, :2].max(axis=0) + 8
            seen.append(i)
            joints.append(moved)
            boxes.append(np.concatenate([low, high - low]) + rng.normal(0, 2, 4))
        scene.append((number / rate, seen, np.reshape(joints, (-1, 17, 3)), np.reshape(boxes, (-1, 4))))
    return scene


class OverlapOnly(Tracker):
    """The same tracker, blind to joints."""

    def _likeness(self, keypoints: np.ndarray, boxes: np.ndarray, time: float) -> np.ndarray:
        if not len(boxes) or not self.tracks:
            return np.zeros((len(boxes), len(self.tracks)))
        return iou(boxes, np.stack([track.at(time)[1] for track in self.tracks]))


def follow(scene: Scene, tracker: Tracker) -> list[list[tuple[int, int]]]:
    """Return for each frame who got which id."""
    result = []
    for time, seen, joints, boxes in scene:
        scores = np.full(len(seen), 0.8)
        result.append(list(zip(seen, tracker.update(joints, boxes, scores, scores, time), strict=True)))
    return result


def byte_track(scene: Scene, rate: int, supervision) -> list[list[tuple[int, int]]]:
    """Return for each frame who got which id by ByteTrack, with its defaults."""
    tracker = supervision.ByteTrack(frame_rate=rate)
    result = []
    for _, seen, _, boxes in scene:
        corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
        found = supervision.Detections(
            xyxy=corners,
            confidence=np.full(len(seen), 0.8),
            class_id=np.zeros(len(seen), int),
            data={"who": np.array(seen, int)},
        )
        tracked = tracker.update_with_detections(found)
        result.append(
            list(zip(tracked.data.get("who", []), tracked.tracker_id, strict=True)) if len(tracked) else []
        )
    return result


def changes(frames: list[list[tuple[int, int]]]) -> int:
    """Count how often someone has another id than when last seen."""
    last: dict[int, int] = {}
    count = 0
    for frame in frames:
        for person, number in frame:
            if number != NOBODY:
                count += last.get(person, number) != number
                last[person] = number
    return count


if __name__ == "__main__":
    main()
