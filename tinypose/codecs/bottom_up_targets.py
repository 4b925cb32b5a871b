"""What bottom-up networks learn from: heatmaps of whole pictures, tags' places, offsets from centres.

Joints are in the pixels of the map in question, centres of pixels at whole numbers; maps are square.
"""

import numpy as np

RADIUS = 4  # offsets are learnt in a square of so many pixels about the centre
JOINT_SIGMA, CENTRE_SIGMA = 2.0, 4.0  # of regressing networks, in map pixels


def grouped_heatmaps(joints: np.ndarray, size: int, sigmas: np.ndarray | float = 2.0) -> np.ndarray:
    """Draw HigherHRNet's heatmaps: Gaussians centred on the pixel that the joint lies in, cut at 3 sigma.

    Args:
        joints: float [P, J, 3], x and y in map pixels, v above 0 where annotated.
        size: of the map.
        sigmas: in map pixels; with SWAHR one a person, float [P].

    Returns:
        float32 [J, size, size].
    """
    people, count = joints.shape[:2]
    maps = np.zeros((count, size, size), np.float32)
    sigmas = np.broadcast_to(np.asarray(sigmas, np.float64), people)
    for person, joint in zip(*np.nonzero(_inside(joints, size)), strict=True):
        centre, sigma = joints[person, joint, :2].astype(int), sigmas[person]
        low = np.maximum(np.round(centre - 3 * sigma - 1), 0).astype(int)
        high = np.minimum(np.round(centre + 3 * sigma + 2), size).astype(int)
        _draw(maps[joint], centre, sigma, low, high)
    return maps


def tag_places(joints: np.ndarray, size: int, most: int = 30) -> np.ndarray:
    """Return where each person's tags are read.

    Args:
        joints: float [P, J, 3], as of `grouped_heatmaps`; people past `most` are left out.
        size: of the map.
        most: people in the result.

    Returns:
        int32 [most, J, 2]: a person's annotated joints in the map, one after another: place in the
        flattened [J, size, size], and 1; then zeros.
    """
    places = np.zeros((most, joints.shape[1], 2), np.int32)
    inside = _inside(joints, size)
    for person in range(min(len(joints), most)):
        numbers = np.flatnonzero(inside[person])
        x, y = joints[person, numbers, :2].astype(int).T
        places[person, : len(numbers), 0] = numbers * size * size + y * size + x
        places[person, : len(numbers), 1] = 1
    return places


def centred_heatmaps(
    joints: np.ndarray, size: int, background: float, per_channel: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the heatmaps of networks that regress from a centre (Geng et al. 2021), and how pixels count.

    Args:
        joints: float [P, J + 1, 3], the centre last; x and y in map pixels, v above 0 where annotated.
        size: of the map.
        background: how much pixels far from all joints count.
        per_channel: far from all joints of the same kind (DEKR), else from all joints (adaptive).

    Returns:
        float32 [J + 1, size, size], and weights float32 [J + 1 or 1, size, size].
    """
    count = joints.shape[1]
    maps = np.zeros((count, size, size), np.float32)
    weights = np.full((count if per_channel else 1, size, size), background, np.float32)
    for person, joint in zip(*np.nonzero(_inside(joints, size)), strict=True):
        # As published: the last of COCO's 18 maps is wide; that of skeletons with fewer joints is not.
        sigma = JOINT_SIGMA if joint < 17 else CENTRE_SIGMA
        centre = joints[person, joint, :2]
        low = np.maximum(np.floor(centre - 3 * sigma - 1), 0).astype(int)
        high = np.minimum(np.ceil(centre + 3 * sigma + 2), size).astype(int)
        _draw(maps[joint], centre, sigma, low, high)
        weights[joint if per_channel else 0, low[1] : high[1], low[0] : high[0]] = 1
    return maps, weights


def offsets(joints: np.ndarray, areas: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what pixels about each person's centre learn: pixel minus joint.

    Args:
        joints: float [P, J + 1, 3], the centre last, as of `centred_heatmaps`.
        areas: float [P], of people in input pixels; the smaller of two has the pixels they share.
        size: of the map.

    Returns:
        Offsets float32 [2 J, size, size], x and y of the first joint, of the second and so on; and
        weights of that shape, one over the root of the area.
    """
    count = joints.shape[1] - 1
    result = np.zeros((2 * count, size, size), np.float32)
    weights = np.zeros_like(result)
    # Of the person whose joint a pixel has. The published code keeps one for all joints, in single precision,
    # and so by rounding half of the people lose joints to larger ones who have more of them annotated.
    owner = np.zeros((count, size, size))
    inside = _inside(joints, size)
    for person in np.flatnonzero(inside[:, -1]):
        centre = joints[person, -1, :2].astype(int)
        low, high = np.maximum(centre - RADIUS, 0), np.minimum(centre + RADIUS, size)
        rows, columns = slice(low[1], high[1]), slice(low[0], high[0])
        y, x = np.mgrid[rows, columns]
        for joint in np.flatnonzero(inside[person, :-1]):
            pair = slice(2 * joint, 2 * joint + 2)
            taken = (result[pair, rows, columns] != 0).any(axis=0)
            free = ~(taken & (owner[joint, rows, columns] < areas[person]))
            mine = np.stack([x, y]) - joints[person, joint, :2, None, None]
            result[pair, rows, columns] = np.where(free, mine, result[pair, rows, columns])
            weights[pair, rows, columns][:, free] = 1 / np.sqrt(areas[person])
            owner[joint, rows, columns][free] = areas[person]
    return result, weights


def _inside(joints: np.ndarray, size: int) -> np.ndarray:
    """Return bool [P, J]: annotated and in the map."""
    return (joints[..., 2] > 0) & (joints[..., :2] >= 0).all(axis=-1) & (joints[..., :2] < size).all(axis=-1)


def _draw(target: np.ndarray, centre: np.ndarray, sigma: float, low: np.ndarray, high: np.ndarray) -> None:
    """Draw a Gaussian of height 1 into the window from `low` to `high`, where it is the higher one."""
    x, y = (
        np.exp(-((np.arange(low[axis], high[axis]) - centre[axis]) ** 2) / (2 * sigma**2))
        for axis in range(2)
    )
    window = target[low[1] : high[1], low[0] : high[0]]
    np.maximum(window, (y[:, None] * x).astype(np.float32), out=window)
