"""All people of a picture from heatmaps and tags: joints with like tags are one person's.

Associative embedding (Newell et al., NIPS 2017) as HigherHRNet decodes it (Cheng et al., CVPR 2020).
Maps are float32; tags are [T, J, H, W], T of them at a pixel: one, or two with the mirrored picture's.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from tinypose.codecs.best_pixel import best_pixels
from tinypose.codecs.peaks import peaks, resize, resize_one
from tinypose.codecs.tag_maps import TagMaps

JOINT_ORDER = (0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16)  # trunk first
NMS_KERNEL = 5
TAG_THRESHOLD = 1.0  # tags nearer than this are one person's


def aggregate(
    scales: Mapping[float, Sequence[np.ndarray]], size: tuple[int, int]
) -> tuple[np.ndarray, TagMaps]:
    """Bring the outputs for one picture at several scales, and mirrored, to one set of maps.

    Args:
        scales: the network's outputs at each scale, 1 among them: heatmaps and tags [2 J, h, w], heatmaps
            [J, 2 h, 2 w], and perhaps the same of the mirrored picture, turned back.
        size: width and height of the result, the picture's at scale 1.

    Returns:
        Heatmaps float32 [J, H, W], the mean of all, and tags of scale 1.
    """
    joints = len(scales[1.0][1])
    heatmaps = np.empty((joints, size[1], size[0]), np.float32)
    for joint, heatmap in enumerate(heatmaps):
        for number, outputs in enumerate(scales.values()):
            fine = outputs[1].shape[:0:-1]
            mean = sum(resize_one(coarse[joint], fine) for coarse in outputs[::2])
            for each in outputs[1::2]:
                mean += each[joint]
            mean /= np.float32(len(outputs) * len(scales))
            if number:
                heatmap += resize_one(mean, size)
            else:
                resize_one(mean, size, heatmap)
    coarse, fine = scales[1.0][::2], scales[1.0][1].shape[:0:-1]
    return heatmaps, enlarged_tags([each[joints:] for each in coarse], fine, size)


def enlarged_tags(maps: Sequence[np.ndarray], fine: tuple[int, int], size: tuple[int, int]) -> TagMaps:
    """Return tags [T] of [J, h, w], enlarged first to `fine`, then to `size`, both width and height."""
    height, width = maps[0].shape[1:]
    if fine == (2 * width, 2 * height) and size == (4 * width, 4 * height):
        return TagMaps(maps, factor=4)
    return TagMaps([resize(resize(each, fine), size) for each in maps])


def decode(
    heatmaps: np.ndarray, tags: TagMaps, threshold: float = 0.1, most: int = 30
) -> tuple[np.ndarray, np.ndarray]:
    """Find all people.

    Args:
        heatmaps: float32 [J, H, W].
        tags: of the same size.
        threshold: a joint that grouping starts from is above it.
        most: so many candidates a joint, and people that others may join.

    Returns:
        Keypoints float32 [P, J, 3], x and y in map pixels and value, and scores float32 [P].
    """
    people = group(*candidates(heatmaps, tags, threshold, most), most=most)
    adjust(heatmaps, people)
    scores = people[..., 2].mean(axis=1)
    refine(heatmaps, tags, people)
    return people[..., :3].astype(np.float32), scores.astype(np.float32)


def candidates(
    heatmaps: np.ndarray, tags: TagMaps, threshold: float, most: int
) -> tuple[list[np.ndarray], int]:
    """Return each joint's highest points, float32 [n, 3 + T]: x, y, value, tags; and T."""
    found = []
    for joint, heatmap in enumerate(heatmaps):
        x, y, value = peaks(heatmap, NMS_KERNEL, most, threshold)
        found.append(np.column_stack([x, y, value, tags.at(joint, x, y).T]).astype(np.float32))
    return found, tags.count


def group(
    found: Sequence[np.ndarray], tags: int, most: int = 30, ignore_too_much: bool = False
) -> np.ndarray:
    """Make people of joints, one joint after another, so that tags differ least in sum.

    Args:
        found: of `candidates`.
        tags: T.
        most: so many people others may join, the first ones.
        ignore_too_much: once there are so many people, no further joint is looked at.

    Returns:
        float32 [P, J, 3 + T]: x, y, value, tags; zeros where a person has no such joint.
    """
    people: dict[float, np.ndarray] = {}
    sums: dict[float, np.ndarray] = {}  # of the tags of a person's joints so far, and their number

    def start(joint: int, candidate: np.ndarray) -> None:
        key = float(candidate[3])
        people.setdefault(key, np.zeros((len(found), 3 + tags), np.float32))[joint] = candidate
        sums[key] = np.append(candidate[3:], np.float32(1))

    order = JOINT_ORDER if len(found) <= len(JOINT_ORDER) else range(len(found))
    for joint in (each for each in order if each < len(found)):
        new = found[joint]
        keys = list(people)[:most]
        if not len(new) or (ignore_too_much and len(keys) == most):
            continue
        if not keys:
            for candidate in new:
                start(joint, candidate)
            continue
        means = np.stack([sums[key] for key in keys])
        means = means[:, :-1] / means[:, -1:]
        distances = np.linalg.norm(new[:, None, 3:] - means[None], axis=2)
        costs = np.round(distances) * 100 - new[:, 2:3]
        if len(new) > len(keys):
            costs = np.pad(costs, ((0, 0), (0, len(new) - len(keys))), constant_values=1e10)
        for row, column in zip(*linear_sum_assignment(costs), strict=True):
            if column < len(keys) and distances[row, column] < TAG_THRESHOLD:
                people[keys[column]][joint] = new[row]
                sums[keys[column]] += np.append(new[row, 3:], np.float32(1))
            else:
                start(joint, new[row])
    return np.stack(list(people.values())) if people else np.zeros((0, len(found), 3 + tags), np.float32)


def adjust(heatmaps: np.ndarray, people: np.ndarray) -> None:
    """Move each joint found, in place, to its pixel's middle and a quarter pixel to the higher neighbour."""
    person, joint = np.nonzero(people[..., 2] > 0)
    x, y = people[person, joint, :2].astype(int).T
    people[person, joint, :2] = _quarter(heatmaps, joint, x, y)


def refine(heatmaps: np.ndarray, tags: TagMaps, people: np.ndarray) -> None:
    """Give people the joints that they lack, in place: the best of height less rounded tag distance."""
    found = people[..., 2] > 0
    sums = np.zeros((tags.count, len(people)), np.float32)
    for joint, having in enumerate(found.T):
        sums[:, having] += tags.at(joint, *people[having, joint, :2].astype(int).T)
    means = sums / np.maximum(found.sum(axis=1), 1).astype(np.float32)
    for joint, heatmap in enumerate(heatmaps):
        lacking = np.flatnonzero(~found[:, joint])
        if not len(lacking) or heatmap.max() <= 0:
            continue
        x, y = best_pixels(heatmap, tags, joint, means[:, lacking])
        values = heatmap[y, x]
        positive = values > 0
        who, x, y = lacking[positive], x[positive], y[positive]
        people[who, joint, :2] = _quarter(heatmaps, np.full(len(x), joint), x, y)
        people[who, joint, 2] = values[positive]


def _quarter(heatmaps: np.ndarray, joint: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    height, width = heatmaps.shape[1:]
    right = heatmaps[joint, y, np.minimum(x + 1, width - 1)] > heatmaps[joint, y, np.maximum(x - 1, 0)]
    below = heatmaps[joint, np.minimum(y + 1, height - 1), x] > heatmaps[joint, np.maximum(y - 1, 0), x]
    return np.column_stack([x + np.where(right, 0.75, 0.25), y + np.where(below, 0.75, 0.25)])
