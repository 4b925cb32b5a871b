"""What smoothing does to a video with one person: steadier joints at rest, and how far moving ones lag.

    python benchmarks/smoothing.py POSE DETECTOR --video VIDEO [--plot docs/images/smoothing.png]

POSE and DETECTOR are artifact folders (`lite-deploy export`).
"""

import argparse
from pathlib import Path

import numpy as np

from tinypose import PeopleInVideo, PoseEstimator, Video
from tinypose.console import out, table
from tinypose.files import write_whole
from tinypose.inference.follow import FollowSettings
from tinypose.skeleton import Skeleton
from tinypose.tracking.measure import jerk, lag

STILL = ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder")
MOVING = ("left_wrist", "right_wrist")
NAMES = {"none": "as found", "one_euro": "1 euro filter", "ema": "exponential mean"}


def main() -> None:
    """Run the networks once and each filter over what they saw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pose", type=Path)
    parser.add_argument("detector", type=Path)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    estimate = PoseEstimator.from_artifact(options.pose, options.detector)
    follow = PeopleInVideo(estimate, FollowSettings(smooth="none"))
    seen = []
    for frame in Video(options.video):
        seen.append(follow.look(frame.image, frame.time))
        follow.take(seen[-1])
    times = np.array([each.time for each in seen])
    paths = {}
    for name in NAMES:
        follow = PeopleInVideo(estimate, FollowSettings(smooth=name))
        people = [follow.take(each) for each in seen]
        if {len(each) for each in people} != {1}:
            raise SystemExit(f"{options.video}: expected one person in every frame")
        paths[name] = np.stack([each.keypoints[0, :, :2] for each in people])
    still = [estimate.skeleton.index(joint) for joint in STILL]
    rows = []
    for name, path in paths.items():
        shake = jerk(path[:, still])
        lags = [
            1000 * lag(paths["none"][:, i], path[:, i], times) for i in map(estimate.skeleton.index, MOVING)
        ]
        rows.append(
            (NAMES[name], f"{shake:.2f}", f"{shake / jerk(paths['none'][:, still]):.2f}", f"{max(lags):.1f}")
        )
    columns = ("", "jerk at rest, px", "ratio", "lag of wrists, ms")
    out.print(table(f"{options.video.name}, {len(seen)} frames", columns, rows))
    if options.plot:
        plot(times, paths, estimate.skeleton, options.plot)


def plot(times: np.ndarray, paths: dict[str, np.ndarray], skeleton: Skeleton, path: Path) -> None:
    """Draw a joint at rest and a moving one, as found and smoothed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 1, figsize=(8, 5), dpi=90, layout="constrained")
    for axis, joint, (start, end) in zip(axes, ("nose", "left_wrist"), ((0, 4), (1.2, 2.2)), strict=True):
        part = (times >= start) & (times <= end)
        index = skeleton.index(joint)
        for name, color, width in (("none", "0.75", 3.5), ("one_euro", "C0", 1.3), ("ema", "C1", 1.3)):
            path_y = paths[name][part, index, 1]
            axis.plot(times[part], path_y, color=color, label=NAMES[name], linewidth=width)
        axis.set_title(f"{joint.replace('_', ' ')}, height in the picture")
        axis.set_ylabel("pixels from the top")
        axis.invert_yaxis()
        axis.grid(alpha=0.3)
    axes[1].set_xlabel("seconds")
    axes[1].legend(loc="lower right")
    with write_whole(path) as temporary:
        figure.savefig(temporary)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
