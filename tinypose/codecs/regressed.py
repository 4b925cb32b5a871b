"""All people of a picture from a heatmap of centres and the joints' offsets from them.

Two kinds: `adaptive` (Sun et al. 2020, "Bottom-Up Human Pose Estimation by Ranking Heatmap-Guided Adaptive
Keypoint Estimates") moves regressed joints to the heatmaps' maxima; `dekr` (Geng et al., CVPR 2021) rates
them by the heatmaps. Maps are float32 [C, H, W]: J heatmaps and the centre's; offsets are pixel minus joint,
x and y of the first joint, of the second and so on. Scales go from the largest down.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from tinypose.codecs.peaks import enlarge, peaks, resize
from tinypose.codecs.summit import fit_gaussians

MOST = 30  # people, and maxima of a heatmap, in the published code
CENTRE_THRESHOLD = 0.01
OTHER_SCALES = 0.001  # adaptive: how much centres count that are found at other scales than 1
ABSORB = 75.0  # pixels from which a heatmap's maximum draws a joint
FITTED_FROM = 0.05  # the least value of a joint that is fitted
WINDOW = 6  # pixels on each side that a joint is fitted to

Maps = tuple[np.ndarray, np.ndarray]  # heatmaps [J + 1, H, W], and poses [J, 2, H, W] in their pixels


def mirror(images: np.ndarray, shift: int, keep: bool) -> np.ndarray:
    """Mirror pictures float32 [N, 3, H, W] and move them to the left by `shift` pixels, as published.

    Then mirrored map columns lie on the picture's. The last columns are zero, or with `keep` as before.
    """
    mirrored = np.ascontiguousarray(images[..., ::-1])
    moved = mirrored.copy() if keep else np.zeros_like(mirrored)
    moved[..., :-shift] = mirrored[..., shift:]
    return moved


def poses(offsets: np.ndarray) -> np.ndarray:
    """Turn offsets [2 J, H, W] into the joints that pixels point at, [J, 2, H, W] (x, y) in map pixels."""
    height, width = offsets.shape[1:]
    return _grid(height, width) - offsets.reshape(-1, 2, height, width)


def offsets_of(points: np.ndarray) -> np.ndarray:
    """Turn poses [J, 2, H, W] back into offsets [2 J, H, W]."""
    return (_grid(*points.shape[2:]) - points).reshape(-1, *points.shape[2:])


def _grid(height: int, width: int) -> np.ndarray:
    return np.stack(np.broadcast_arrays(np.arange(width), np.arange(height)[:, None])).astype(np.float32)


def average_heatmaps(plain: np.ndarray, mirrored: np.ndarray, flip_order: np.ndarray) -> np.ndarray:
    """Average heatmaps [J or J + 1, H, W] of a picture with those of the mirrored one; the centre stays."""
    order = np.append(flip_order, len(flip_order))[: len(mirrored)]
    return (plain + mirrored[order, :, ::-1]) / 2


def average_poses(plain: np.ndarray, mirrored: np.ndarray, flip_order: np.ndarray) -> np.ndarray:
    """Average poses [J, 2, H, W] of a picture with those of the mirrored one."""
    back = mirrored[flip_order][..., ::-1].copy()
    back[:, 0] = back.shape[-1] - 1 - back[:, 0]
    return (plain + back) / 2


def join_higher(branches: Sequence[np.ndarray], fine: np.ndarray) -> np.ndarray:
    """Return the `higher` network's heatmaps at 1/2: the highest of three, averaged with the fine ones.

    Args:
        branches: three of [J + 1, H, W].
        fine: [J, 2 H, 2 W].
    """
    heatmaps = enlarge(np.maximum.reduce(branches), 2)
    heatmaps[:-1] = (heatmaps[:-1] + fine) / 2
    return heatmaps


def double(points: np.ndarray) -> np.ndarray:
    """Return poses [J, 2, H, W] as poses of a map of twice the size."""
    return (2 * points).repeat(2, axis=2).repeat(2, axis=3)


def fuse(maps: Sequence[Maps], size: tuple[int, int]) -> np.ndarray:
    """Return the mean of all scales' heatmaps [J + 1, H, W] at width and height `size`."""
    enlarged = [enlarge_to(heatmaps, size) for heatmaps, _ in maps]
    return enlarged[0] if len(enlarged) == 1 else sum(enlarged) / np.float32(len(enlarged))


def enlarge_to(heatmaps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarge maps to `size`, which is a few times theirs; where it is not quite, resize them."""
    factor, rest = divmod(size[0], heatmaps.shape[2])
    if rest or factor * heatmaps.shape[1] != size[1]:
        return resize(heatmaps, size)
    return enlarge(heatmaps, factor)


def decode_adaptive(
    scales: Mapping[float, Maps],
    size: tuple[int, int],
    threshold: float = CENTRE_THRESHOLD,
    most: int = MOST,
) -> tuple[np.ndarray, np.ndarray]:
    """Find all people as the adaptive network does.

    Args:
        scales: averaged maps at each scale, 1 among them, from the largest down.
        size: width and height of the picture at scale 1.
        threshold: a centre is above it.
        most: so many centres, maxima of a heatmap, and people.

    Returns:
        Keypoints float32 [P, J, 3], x, y in the picture's pixels and value, and scores float32 [P].
    """
    fused = fuse(list(scales.values()), size)
    people, centres = adaptive_proposals(scales, size[0], threshold, most)
    keypoints = absorb(people, centres, fused, most)
    fit(keypoints, centres, fused)
    return keypoints, keypoints[..., 2].mean(axis=1)


def adaptive_proposals(
    scales: Mapping[float, Maps], width: int, threshold: float = CENTRE_THRESHOLD, most: int = MOST
) -> tuple[np.ndarray, np.ndarray]:
    """Return the people that centres point at, without doubles, float32 [P, J, 2], and values [P]."""
    highest = scales[1.0][0][-1].max()
    found = []
    for scale, (heatmaps, points) in scales.items():
        part = 1.0 if scale == 1 else OTHER_SCALES
        centre = heatmaps[-1]
        if scale != 1:
            centre = part * centre / centre.max() * highest
        found.append(propose(centre, points, threshold * part, width / centre.shape[1], most))
    people, values = (np.concatenate(each) for each in zip(*found, strict=True))
    kept = np.array(suppress(people, values, near_by_pixels(people)), int)
    if len(kept) > most:
        kept = kept[np.argsort(-values[kept], kind="stable")[:most]]
    return people[kept], values[kept]


def propose(
    centre: np.ndarray, points: np.ndarray, threshold: float, factor: float, most: int = MOST
) -> tuple[np.ndarray, np.ndarray]:
    """Return where the highest centres [H, W] point at, float32 [n, J, 2] times `factor`, and values."""
    around = sum(centre.shape) / 2
    kernel = 7 if around > 300 else 5 if around > 200 else 3
    x, y, values = peaks(centre, kernel, most, threshold)
    return (points[:, :, y, x].transpose(2, 0, 1) * np.float32(factor)), values


def near_by_pixels(people: np.ndarray, distance: float = 10.0, count: int = 10) -> np.ndarray:
    """Return bool [P, P]: more than `count` joints of both are closer than `distance` pixels."""
    apart = np.linalg.norm(people[:, None] - people[None], axis=-1)
    return (apart < distance).sum(axis=-1) > count


def near_by_extent(people: np.ndarray, part: float = 0.05, count: int | None = None) -> np.ndarray:
    """Return bool [P, P]: more than `count` joints are closer than `part` of the first one's diagonal.

    `count` is 8 of COCO's 17 joints, 7 of CrowdPose's 14, half of them.
    """
    count = people.shape[1] // 2 if count is None else count
    apart = np.linalg.norm(people[:, None] - people[None], axis=-1)
    diagonal = np.linalg.norm(np.ptp(people, axis=1), axis=-1) if len(people) else np.zeros(0)
    return (apart < part * diagonal[:, None, None]).sum(axis=-1) > count


def suppress(people: np.ndarray, values: np.ndarray, near: np.ndarray) -> list[int]:
    """Keep the best of people who are near each other, in order: places in `people`.

    As published, a person whose best neighbour has gone already is left in, for a later one to keep.
    """
    kept: list[int] = []
    ignored = np.zeros(len(people), bool)
    for i in range(len(people)):
        if ignored[i]:
            continue
        group = np.flatnonzero(near[i])
        best = int(group[values[group].argmax()]) if len(group) else i
        if not ignored[best]:
            kept.append(best)
            ignored[group] = True
    return kept


def absorb(people: np.ndarray, centres: np.ndarray, fused: np.ndarray, most: int = MOST) -> np.ndarray:
    """Move regressed joints to the heatmaps' maxima near them.

    Args:
        people: float32 [P, J, 2].
        centres: [P], the centres' values.
        fused: float32 [J + 1, H, W].
        most: so many maxima of a heatmap.

    Returns:
        float32 [P, J, 3] with values: the centre's times the heatmap's.
    """
    count, joints = people.shape[:2]
    result = np.zeros((count, joints, 3), np.float32)
    for joint in range(joints):
        x, y, values = peaks(fused[joint], 5, most)
        values = np.where(values <= CENTRE_THRESHOLD, 0, values)
        spots = people[:, joint]
        # As published: row and column are mistaken for each other where no maximum is near.
        rows = spots[:, 0].astype(int).clip(0, fused.shape[1] - 1)
        columns = spots[:, 1].astype(int).clip(0, fused.shape[2] - 1)
        result[:, joint] = np.column_stack([spots, centres * fused[joint, rows, columns]])
        if not len(x):
            continue
        apart = np.hypot(spots[:, :1] - x, spots[:, 1:] - y)
        nearest = apart.argmin(axis=1)
        drawn = apart[np.arange(count), nearest] < ABSORB
        to = nearest[drawn]
        result[drawn, joint] = np.column_stack([x[to], y[to], centres[drawn] * values[to]])
    return result


def fit(keypoints: np.ndarray, centres: np.ndarray, fused: np.ndarray, border: bool = False) -> None:
    """Put joints, in place, on the summit of a Gaussian through the heatmap around them.

    Args:
        keypoints: float32 [P, J, 3]; those above `FITTED_FROM` move.
        centres: [P]; a joint's value becomes this times the summit's height.
        fused: float32 [J + 1, H, W].
        border: joints on the map's outermost pixels move too.
    """
    height, width = fused.shape[1:]
    person, joint = np.nonzero(keypoints[..., 2] > FITTED_FROM)
    x, y = (keypoints[person, joint, :2] + 0.5).astype(int).T
    if border:
        x, y = x.clip(0, width - 1), y.clip(0, height - 1)
    else:
        inside = (x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)
        person, joint, x, y = person[inside], joint[inside], x[inside], y[inside]
    # People who share a pixel share the fit.
    _, first, of = np.unique(
        np.column_stack([joint, y, x]) @ [height * width, width, 1], return_index=True, return_inverse=True
    )
    fits, good = fit_gaussians(
        fused, joint[first], x[first], y[first], fused[joint[first], y[first], x[first]], WINDOW
    )
    fits, good = fits[of], good[of]
    keypoints[person[good], joint[good], :2] = fits[good, :2]
    keypoints[person[good], joint[good], 2] = fits[good, 2] * centres[person[good]]


def decode_dekr(
    scales: Mapping[float, Maps],
    size: tuple[int, int],
    decay: float = 0.9,
    match: bool = False,
    threshold: float = CENTRE_THRESHOLD,
    most: int = MOST,
) -> tuple[np.ndarray, np.ndarray]:
    """Find all people as DEKR does.

    Args:
        scales: averaged maps at each scale, 1 among them, from the largest down.
        size: width and height of the picture at scale 1.
        decay: how much centres count that are found at other scales than 1; 0.9 for COCO, 0.8 for CrowdPose.
        match: move joints to the heatmaps' maxima, as the adaptive network does; values stay.
        threshold: a centre is above it.
        most: so many centres, maxima of a heatmap, and people.

    Returns:
        Keypoints float32 [P, J, 3], x, y in the picture's pixels and value, and scores float32 [P].
    """
    fused = fuse(list(scales.values()), size)
    people, centres = dekr_proposals(scales, decay, threshold, most)
    heats = heat_values(people, fused)
    kept = suppress(people, heats.mean(axis=1), near_by_extent(people))
    people, centres, heats = people[kept], centres[kept], heats[kept]
    values = centres[:, None] * heats
    keypoints = np.concatenate([people, values[..., None]], axis=-1).astype(np.float32)
    if match:
        moved = absorb(people, centres, fused, most)
        fit(moved, centres, fused, border=True)
        keypoints[..., :2] = moved[..., :2]
    return keypoints, values.mean(axis=1).astype(np.float32)


def dekr_proposals(
    scales: Mapping[float, Maps], decay: float, threshold: float, most: int = MOST
) -> tuple[np.ndarray, np.ndarray]:
    """Return the people that centres point at, doubles among them: float32 [P, J, 2], and values [P]."""
    found = [
        propose(heatmaps[-1], points, threshold, 4 / scale, most)
        for scale, (heatmaps, points) in scales.items()
    ]
    plain = found[list(scales).index(1.0)][1]
    highest = plain.max() if len(plain) else np.float32(0)
    values = [
        each if scale == 1 or not len(each) else each / each.max() * highest * np.float32(decay)
        for scale, (_, each) in zip(scales, found, strict=True)
    ]
    return np.concatenate([people for people, _ in found]), np.concatenate(values)


def heat_values(people: np.ndarray, fused: np.ndarray) -> np.ndarray:
    """Return the fused heatmaps at people's joints, float32 [P, J]."""
    places = np.floor(people).astype(int)
    x, y = places[..., 0].clip(0, fused.shape[2] - 1), places[..., 1].clip(0, fused.shape[1] - 1)
    return fused[np.arange(people.shape[1]), y, x]
