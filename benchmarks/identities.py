r"""How often people change their id on drawn crossings: FairMOT with its tracker by looks, and with joints.

    python benchmarks/identities.py VIDEOS --detector fairmot_synthetic --detector-weights FILE.pdparams \
        --pose tinypose_synthetic --pose-weights tinypose_synthetic_128x96

VIDEOS is a folder of `tinypose synth --video`, drawn with another seed than those of training. The boxes are
FairMOT's every time. People are told apart by looks, motion and overlap; by overlap; by joints and overlap.
"""

import argparse
from pathlib import Path

import numpy as np

from tinypose.console import out, table, track
from tinypose.data.tracks import Tracks, read_tracks
from tinypose.inference.follow_looks import follow_people
from tinypose.inference.networks import NO_POSE, Estimator, open_networks
from tinypose.inference.settings import FollowSettings
from tinypose.metrics.track_eval import track_metrics
from tinypose.video import Video

COLUMNS = ("HOTA", "DetA", "AssA", "MOTA", "IDF1", "switches", "fragments", "missed", "wrong")


def main() -> None:
    """Follow the people of each video in each way, and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", type=Path)
    parser.add_argument("--detector", type=Path, required=True)
    parser.add_argument("--detector-weights")
    parser.add_argument("--pose", type=Path)
    parser.add_argument("--pose-weights")
    parser.add_argument("--box-score", type=float, default=0.4)
    parser.add_argument("--count", type=int, help="only the first so many videos")
    options = parser.parse_args()
    truth = read_tracks(options.videos / "annotations.json", truth=True)
    names = sorted(truth)[: options.count]
    boxes, _ = open_networks(
        Path(NO_POSE), options.detector, None, options.detector_weights, box_score=options.box_score
    )
    ways: list[tuple[str, Estimator, FollowSettings]] = [
        ("looks (FairMOT)", boxes, FollowSettings(tracker="looks")),
        ("box overlap alone", boxes, FollowSettings(tracker="keypoints", detect_every=1)),
    ]
    if options.pose:
        posed, _ = open_networks(
            options.pose, options.detector, options.pose_weights, options.detector_weights,
            box_score=options.box_score,
        )  # fmt: skip
        ways.append(("joints and boxes", posed, FollowSettings(tracker="keypoints", detect_every=1)))
        ways.append(("the same, detecting every 5th", posed, FollowSettings(tracker="keypoints")))
    rows = []
    for way, estimate, settings in ways:
        found = {
            name: follow(options.videos / "videos" / f"{name}.mp4", estimate, settings)
            for name in track(names, way, len(names))
        }
        row = track_metrics({name: truth[name] for name in names}, found)[1]
        rows.append(
            (way, *(f"{row[key]:.1f}" if isinstance(row[key], float) else row[key] for key in COLUMNS))
        )
    people = sum(len(set(truth[name].ids.tolist())) for name in names)
    out.print(table(f"{len(names)} videos, {people} people", ("by", *COLUMNS), rows))


def follow(path: Path, estimate: Estimator, settings: FollowSettings) -> Tracks:
    """Return who was where in a video."""
    people_of = follow_people(estimate, settings)
    frames, ids, boxes = [], [], []
    for frame in Video(path):
        people = people_of(frame.image, frame.time)
        frames += [frame.index] * len(people)
        ids += people.ids.tolist()
        boxes += people.boxes.tolist()
    counts = np.ones(len(ids), bool)
    return Tracks(np.array(frames, int), np.array(ids, int), np.reshape(boxes, (-1, 4)), counts)


if __name__ == "__main__":
    main()
