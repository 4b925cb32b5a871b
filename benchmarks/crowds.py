"""How long a picture takes with ever more people, top-down and bottom-up, and where the two cross.

    python benchmarks/crowds.py POSE DETECTOR --bottom-up CONFIG ... [--plot docs/images/crowds.png]

POSE and DETECTOR are artifact folders (`lite-deploy export`). Of a bottom-up network the config is enough:
its weights do not matter, as what it should see is decoded instead of what it does see. All networks run in
ONNX Runtime on one core; milliseconds are the processor's, which other programs change less than the clock's.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from tinypose import PoseEstimator
from tinypose.codecs import PeopleCodec
from tinypose.codecs.seen import Seen, View
from tinypose.config import load_config
from tinypose.console import out, table, track
from tinypose.data.synthetic import draw_picture
from tinypose.files import write_whole
from tinypose.geometry import crop_image
from tinypose.preprocess import as_read
from tinypose.whole_picture import inside_matrix

COUNTS = (1, 2, 3, 5, 8, 12, 20, 30)
SIZE = (640, 480)
REPEATS = 5


def main() -> None:
    """Print a table, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pose", type=Path)
    parser.add_argument("detector", type=Path)
    parser.add_argument("--bottom-up", nargs="+", default=["higherhrnet_w32_512"], metavar="CONFIG")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    image = draw_picture(seed=6, index=0, size=SIZE, people=(5, 5)).image
    lines = {"top-down: " + options.pose.name: top_down(options.pose, options.detector, image)}
    for name in options.bottom_up:
        lines["bottom-up: " + name] = bottom_up(name, image)
    rows = [(name, *(f"{each:.0f}" for each in line)) for name, line in lines.items()]
    out.print(table("milliseconds a picture of one core, by people", ("", *map(str, COUNTS)), rows))
    first, *others = lines.items()
    for name, line in others:
        out.print(f"{name}: {crossing(first[1], line)}", markup=False)
    if options.plot:
        plot(lines, options.plot)


def top_down(pose: Path, detector: Path, image: np.ndarray) -> list[float]:
    """Return milliseconds by people: the detector once, and each person's crop."""
    estimate = PoseEstimator.from_artifact(pose, detector, "onnxruntime", 1)
    detect = milliseconds(lambda: estimate.find(image))
    rng = np.random.default_rng(0)
    times = []
    for count in track(COUNTS, "top-down"):
        sizes = rng.uniform((40, 90), (120, 240), (count, 2))
        boxes = np.column_stack([rng.uniform(0, 1, (count, 2)) * (np.array(SIZE) - sizes), sizes])
        times.append(detect + milliseconds(lambda b=boxes: estimate(image, b)))
    return times


def bottom_up(name: str, image: np.ndarray) -> list[float]:
    """Return milliseconds by people: the network once, and decoding of outputs with so many people."""
    config = load_config(name)
    size, codec = config.input.size, config.output
    network = session(config)
    matrix = inside_matrix(image.shape[1::-1], size)

    def look() -> None:
        network.run(None, {"image": as_read(crop_image(image, matrix, size)[None], config.input, False)})

    seeing = milliseconds(look, repeats=2)
    times = []
    for count in track(COUNTS, name):
        outputs = ideal_outputs(codec, size[0], count)
        found = len(codec.combine({1.0: outputs}, size)[0])
        if found < 0.8 * count:
            raise SystemExit(f"{name}: {found} people found of {count}: nothing to compare")
        times.append(seeing + milliseconds(lambda o=outputs: codec.combine({1.0: o}, size)))
    return times


def session(config) -> onnxruntime.InferenceSession:
    """Return the network with fresh weights, rewritten as for a phone, in ONNX Runtime on one core."""
    from compress.graph.rewrite import rewrite
    from compress.graph.trace import trace
    from lite_deploy.write.onnx import write_onnx
    from tinypose.models import build_model

    net = build_model(config, 17)
    net.eval()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_onnx(rewrite(trace(net, (1, 3, config.input.height, config.input.width))), path)
        return onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])


def ideal_outputs(codec: PeopleCodec, size: int, count: int) -> list[np.ndarray]:
    """Return one picture's outputs as they should be with so many people in it, and a little noise."""
    rng = np.random.default_rng(count)
    columns = int(np.ceil(np.sqrt(count)))
    cell = size / columns
    middles = np.stack(np.divmod(np.arange(count), columns)[::-1], axis=1) * cell + cell / 2
    spread = min(cell / 6, 40)
    joints = middles[:, None] + rng.normal(0, spread, (count, 17, 2)).clip(-2 * spread, 2 * spread)
    joints = np.concatenate([joints, np.ones((count, 17, 1))], axis=2)
    sizes = codec.map_sizes(size)
    views = [View(joints * [s / size, s / size, 1], np.ones((s, s), np.float32)) for s in sizes]
    box = np.full((count, 2), 4 * spread)
    seen = Seen(tuple(views), joints, box, np.full(count, 5000.0), 1.0, 1.0)
    targets = codec.targets(seen)
    if codec.name == "tags":
        heatmaps, _, fine, _, _ = targets
        tags = rng.normal(0, 0.1, heatmaps.shape).astype(np.float32)
        for person, points in enumerate(views[0].joints):
            for joint, (x, y, _) in enumerate(points.astype(int)):
                tags[joint, max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3] += 2 * person
        outputs = [np.concatenate([heatmaps, tags]), fine]
    else:
        heatmaps, _, offsets, _, *fine = targets
        outputs = [heatmaps] * 3 + [fine[0], offsets] if codec.higher else [heatmaps, offsets]
    return [each + rng.random(each.shape, np.float32) * 0.005 for each in outputs]


def milliseconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the median processor time of a call."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return 1000 * float(np.median(times))


def crossing(first: list[float], other: list[float]) -> str:
    """Say from how many people on the other way is faster."""
    ahead = np.array(first) > np.array(other)
    if not ahead.any():
        return f"slower with up to {COUNTS[-1]} people"
    place = int(ahead.argmax())
    if place == 0:
        return f"faster from {COUNTS[0]} person on"
    # Between the two numbers that were measured, by straight lines.
    before, after = (first[i] - other[i] for i in (place - 1, place))
    share = before / (before - after)
    return (
        f"faster from about {COUNTS[place - 1] + share * (COUNTS[place] - COUNTS[place - 1]):.0f} people on"
    )


def plot(lines: dict[str, list[float]], path: Path) -> None:
    """Draw time over people."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), dpi=90, layout="constrained")
    for name, line in lines.items():
        axes.plot(COUNTS, line, "-o", label=name, markersize=4)
    axes.set(xlabel="people in the picture", ylabel="milliseconds of one core", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend(frameon=False)
    with write_whole(path) as temporary:
        figure.savefig(temporary, format="png")


if __name__ == "__main__":
    main()
