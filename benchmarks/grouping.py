"""How long it takes to find 30 people in a network's maps of a 512x512 picture, on one core.

.venv/bin/python benchmarks/grouping.py
"""

import time

import cv2
import numpy as np

from tinypose.codecs import grouped, regressed
from tinypose.codecs.bottom_up_targets import centred_heatmaps, grouped_heatmaps, offsets
from tinypose.codecs.peaks import resize
from tinypose.codecs.tag_maps import TagMaps
from tinypose.codecs.tags import TagCodec
from tinypose.console import out, table
from tinypose.skeleton import load_skeleton

PEOPLE, SIZE, REPEATS = 30, 512, 9


def main() -> None:
    """Print the median time of each way of decoding."""
    cv2.setNumThreads(1)
    skeleton = load_skeleton("coco17")
    rng = np.random.default_rng(0)
    joints = crowd(rng, len(skeleton.joints))
    codec = TagCodec(name="tags")
    rows = []
    for missing in (0.0, 0.3):
        seen = joints.copy()
        seen[..., 2] = rng.random(seen.shape[:2]) >= missing
        maps, tags = tagged_maps(rng, seen)
        found, _ = grouped.decode(maps, TagMaps(tags))
        name = f"tags, two a joint, {missing:.0%} of the joints missing, white noise in 512x512"
        rows.append((name, len(found), milliseconds(lambda m=maps, t=tags: grouped.decode(m, TagMaps(t)))))
        pair = outputs(rng, seen)
        for mirrored in (1, 2):
            each = {1.0: pair * mirrored}
            found, _ = codec.combine(each, (SIZE, SIZE))
            name = f"tags, {missing:.0%} missing, from {mirrored} of the network's outputs"
            rows.append((name, len(found), milliseconds(lambda e=each: codec.combine(e, (SIZE, SIZE)))))
    heatmaps, points = centred_maps(rng, joints)
    scales = {1.0: (heatmaps, points)}
    for name, decode in (
        ("centres, adaptive", regressed.decode_adaptive),
        ("centres, DEKR", regressed.decode_dekr),
    ):
        found, _ = decode(scales, (SIZE, SIZE))
        rows.append((name, len(found), milliseconds(lambda d=decode: d(scales, (SIZE, SIZE)))))
    shown = [(name, people, f"{time:.1f}") for name, people, time in rows]
    out.print(table(f"{PEOPLE} people, {SIZE}x{SIZE}, one core", ("decoding", "people", "ms"), shown))


def crowd(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return people apart from each other, float [P, J, 3] in input pixels."""
    places = np.stack(np.meshgrid(np.linspace(50, 462, 6), np.linspace(60, 452, 5)), -1).reshape(-1, 1, 2)
    joints = places[:PEOPLE] + rng.normal(0, 16, (PEOPLE, count, 2))
    return np.concatenate([joints.clip(2, SIZE - 3), np.ones((PEOPLE, count, 1))], axis=-1)


def scaled(joints: np.ndarray, size: int) -> np.ndarray:
    """Return joints in the pixels of a map of another size."""
    return joints * [size / SIZE, size / SIZE, 1]


def tagged_maps(
    rng: np.random.Generator, joints: np.ndarray, size: int = SIZE
) -> tuple[np.ndarray, np.ndarray]:
    """Return heatmaps with noise, and two tags a joint, in patches about joints, with noise elsewhere."""
    heatmaps = resize(grouped_heatmaps(scaled(joints, SIZE // 2), SIZE // 2), (size, size)) * 0.8
    heatmaps += rng.random(heatmaps.shape, np.float32) * 0.01
    tags = rng.normal(0, 1, (2, *heatmaps.shape)).astype(np.float32)
    reach = 12 * size // SIZE
    for person, points in enumerate(scaled(joints, size)):
        for joint, (x, y, seen) in enumerate(points):
            if seen:
                x, y = int(x), int(y)
                rows, columns = (slice(max(c - reach, 0), c + reach + 1) for c in (y, x))
                tags[:, joint, rows, columns] = 2 * person
    return heatmaps, tags


def outputs(rng: np.random.Generator, joints: np.ndarray) -> list[np.ndarray]:
    """Return HigherHRNet's two outputs, with noise at their own resolutions."""
    coarse, tags = tagged_maps(rng, joints, SIZE // 4)
    fine, _ = tagged_maps(rng, joints, SIZE // 2)
    return [np.concatenate([coarse, tags[0]]), fine]


def centred_maps(rng: np.random.Generator, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a regressing network's averaged maps."""
    small = scaled(joints, SIZE // 4)
    centre = small.mean(axis=1, keepdims=True)
    small = np.concatenate([small, centre], axis=1)
    heatmaps, _ = centred_heatmaps(small, SIZE // 4, 0.1, per_channel=False)
    distances, _ = offsets(small, np.full(len(small), 4000.0), SIZE // 4)
    noise = rng.random(heatmaps.shape, np.float32) * 0.01
    return heatmaps * 0.8 + noise, regressed.poses(distances)


def milliseconds(work) -> float:
    """Return the median processor time of a call, which other work on the machine changes little."""
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return float(np.median(times) * 1000)


if __name__ == "__main__":
    main()
