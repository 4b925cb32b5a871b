"""Where the time goes from picture to people: milliseconds a frame by stage.

    python benchmarks/pipeline.py POSE DETECTOR --video VIDEO --picture PICTURE

POSE and DETECTOR are artifact folders (`lite-deploy export`). One column for each engine,
number of threads, and how often the detector runs. A stage's time is that of a typical call (the median, or
another quantile) times its calls a frame. With `--clock cpu` it is the processor's time of the main thread:
on a machine that others use, that is what the stage takes, but it is right for engines of one thread only.
`in all` is their sum without reading, drawing and writing, which have threads of their own; the last
line is the time that passes from frame to frame when, as in `tinypose infer`, they go on beside the networks
(not with `--clock cpu`: no processor's clock knows what runs side by side).
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from tinypose import PeopleInVideo, PoseEstimator, Video, VideoWriter, read_image
from tinypose.artifact.engines import ENGINES
from tinypose.console import out, table
from tinypose.inference.background import ahead, behind
from tinypose.inference.follow import FollowSettings
from tinypose.inference.people import no_people

NETWORKS = ("find people", "find joints")
STAGES = ("squeeze", "find people", "boxes", "crops", "find joints", "joints", "merge", "follow")
BESIDE = ("read", "draw", "write")
CLOCKS = {"wall": time.perf_counter, "cpu": time.thread_time}


class Stopwatch:
    """Collects how long calls take, by stage; of a stage within another, the outer one has the rest."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)
        self._clock = clock
        self._inner = 0.0

    def around(self, stage: str, function: Callable) -> Callable:
        """Return `function`, timed."""

        def timed(*arguments):
            outer, self._inner = self._inner, 0.0
            start = self._clock()
            result = function(*arguments)
            took = self._clock() - start
            self.times[stage].append(took - self._inner)
            self._inner = outer + took
            return result

        return timed

    def per_frame(self, frames: int, quantile: float) -> dict[str, float]:
        """Return milliseconds a frame by stage."""
        return {
            stage: 1000 * float(np.quantile(times, quantile)) * len(times) / frames
            for stage, times in self.times.items()
        }


def main() -> None:
    """Measure and print a table for the video and one for the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pose", type=Path)
    parser.add_argument("detector", type=Path)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--picture", type=Path, required=True)
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=ENGINES)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--every", nargs="+", type=int, default=[1, 5])
    parser.add_argument("--quantile", type=float, default=0.5)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    options = parser.parse_args()
    if options.clock == "cpu" and max(options.threads) > 1:
        parser.error("--clock cpu: sees the main thread only; give --threads 1")
    clock = CLOCKS[options.clock]
    picture = read_image(options.picture)
    of_video, of_picture = [], []
    for engine in options.engines:
        for threads in options.threads:
            if engine == "paddle-lite" and threads > 1:
                continue  # its Python package has one
            cv2.setNumThreads(threads)
            estimate = PoseEstimator.from_artifact(options.pose, options.detector, engine, threads)
            estimate(picture)
            for every in options.every:
                settings = FollowSettings(detect_every=every)
                times, wall = measure_video(estimate, options.video, settings, clock, options.quantile)
                of_video.append((engine, threads, every, times, wall))
            of_picture.append(
                (engine, threads, 1, *measure_picture(estimate, picture, clock, options.quantile))
            )
    show(f"{options.video.name}: ms a frame", of_video, "as infer", STAGES + BESIDE)
    people = len(estimate(picture))
    show(f"{options.picture.name}, {people} people: ms a picture", of_picture, "untimed", STAGES[:-1])


def measure_video(
    estimate: PoseEstimator,
    path: Path,
    settings: FollowSettings,
    clock: Callable[[], float],
    quantile: float,
) -> tuple[dict[str, float], float | None]:
    """Return milliseconds a frame by stage, one after another, and by the wall clock, overlapped."""
    watch = Stopwatch(clock)
    follow = PeopleInVideo(timed(estimate, watch), settings)
    frames = iter(Video(path))
    with tempfile.TemporaryDirectory() as folder:
        with VideoWriter(Path(folder) / "drawn.mp4", 30) as writer:
            read = watch.around("read", lambda: next(frames, None))
            look, take = watch.around("merge", follow.look), watch.around("follow", follow.take)
            draw, write = watch.around("draw", lambda people, image: people.draw(image)), writer.write
            write = watch.around("write", write)
            count = 0
            while (frame := read()) is not None:
                people = take(look(frame.image, frame.time))
                write(draw(people, frame.image), frame.time)
                count += 1
        if clock is not CLOCKS["wall"]:
            return watch.per_frame(count, quantile), None
        with VideoWriter(Path(folder) / "overlapped.mp4", 30) as writer:
            follow = PeopleInVideo(estimate, settings)
            start = time.perf_counter()
            with behind(lambda people, frame: writer.write(people.draw(frame.image), frame.time)) as submit:
                for frame in ahead(Video(path)):
                    submit(follow(frame.image, frame.time), frame)
            wall = 1000 * (time.perf_counter() - start) / count
    return watch.per_frame(count, quantile), wall


def measure_picture(
    estimate: PoseEstimator,
    picture: np.ndarray,
    clock: Callable[[], float],
    quantile: float,
    runs: int = 20,
) -> tuple[dict[str, float], float]:
    """Return milliseconds a picture by stage, and of a call that is not taken apart."""
    watch = Stopwatch(clock)
    look = watch.around("merge", timed(estimate, watch))
    whole = Stopwatch(clock)
    plain = whole.around("all", estimate)
    for _ in range(runs):
        look(picture)
        plain(picture)
    return watch.per_frame(runs, quantile), whole.per_frame(runs, quantile)["all"]


def timed(estimate: PoseEstimator, watch: Stopwatch) -> PoseEstimator:
    """Return the same estimator with a stopwatch around each of its stages."""
    pose, detector = estimate.pose, estimate.detect
    squeeze = watch.around("squeeze", detector.preprocess)
    find_people = watch.around("find people", detector.run)
    boxes = watch.around("boxes", detector.postprocess)
    crops = watch.around("crops", pose.preprocess)
    find_joints = watch.around("find joints", pose.inference)
    joints = watch.around("joints", pose.postprocess)
    nobody = no_people(estimate.skeleton).keypoints

    def find(image):
        return boxes(find_people(squeeze(image)), image.shape[1], image.shape[0])

    def look(image, where):
        if not len(where):
            return nobody
        inputs, matrices = crops(image, where)
        return joints(find_joints(inputs), matrices)

    return replace(estimate, pose=look, detect=find)


def show(title: str, rows: list, whole: str, stages: tuple[str, ...]) -> None:
    """Print one column for each measurement; the last line is the share of all but the networks."""
    names = (*stages, "in all", "of it, not the networks", whole)
    lines: list[list[str]] = [[name] for name in names if name != whole or rows[0][-1] is not None]
    for *_, times, wall in rows:
        serial = sum(times.get(stage, 0) for stage in STAGES)
        networks = sum(times.get(stage, 0) for stage in NETWORKS)
        values = [f"{times.get(stage, 0):.2f}" for stage in stages]
        values += [f"{serial:.1f}", f"{100 * (1 - networks / serial):.0f} %"]
        values += [] if wall is None else [f"{wall:.1f}"]
        for line, value in zip(lines, values, strict=True):
            line.append(value)
    columns = [
        f"{engine}\n{threads} thread{'s' * (threads > 1)}\nevery {every}"
        for engine, threads, every, *_ in rows
    ]
    out.print(table(title, ("", *columns), lines))


if __name__ == "__main__":
    main()
