"""Show what a network is trained on: varied crops with their joints and heatmaps, on one sheet."""

import cv2
import numpy as np

from tinypose.codecs.heatmap import HeatmapCodec, grid_step
from tinypose.data.augment import Variation, move_joints, render
from tinypose.data.examples import TrainingSet, read_person, vary
from tinypose.drawing import contact_sheet, draw_people

HIDDEN, SEEN = 0.1, 1.0  # scores that make `draw_people` draw circles and discs


def preview(
    people: TrainingSet, numbers: list[int], epoch: int, columns: int = 5, height: int = 192
) -> np.ndarray:
    """Draw people as a training epoch sees them.

    Each person is three pictures side by side: the plain crop, the varied crop with the joints (hidden
    ones as circles, those that do not count left out), and, where the network gives heatmaps, the varied crop
    under them.

    Args:
        people: the set.
        numbers: places of people in it.
        epoch: from 0, whose variation to show.
        columns: people side by side.
        height: of a crop on the sheet, pixels.

    Returns:
        uint8 RGB [H, W, 3].
    """
    return contact_sheet([_row(people, number, epoch, height) for number in numbers], columns)


def _row(people: TrainingSet, number: int, epoch: int, height: int) -> np.ndarray:
    person, crop = people.people[number], people.crop
    size = crop.size
    shown = (round(crop.width * height / crop.height), height)
    image = read_person(person)
    variation = vary(people, epoch, number)
    plain, varied = (
        cv2.resize(render(image, each, size, crop.padding, crop.crop), shown, interpolation=cv2.INTER_LINEAR)
        for each in (Variation(np.asarray(person.box, np.float64)), variation)
    )
    joints = move_joints(person.joints, variation, size, crop.padding, people.skeleton, crop.crop)
    targets = people.codec.targets(joints, size)
    pictures = [plain, _with_joints(varied, joints, targets[-1], size, people)]
    if isinstance(people.codec, HeatmapCodec):
        pictures.append(_with_heat(varied, targets[0], size, people.codec))
    return np.concatenate(pictures, axis=1)


def _with_joints(
    varied: np.ndarray, joints: np.ndarray, weights: np.ndarray, size: tuple[int, int], people: TrainingSet
) -> np.ndarray:
    height, width = varied.shape[:2]
    places = (joints[:, :2] + 0.5) * [width / size[0], height / size[1]] - 0.5  # as cv2.resize moves centres
    scores = np.where(weights == 0, 0, np.where(joints[:, 2] > 1, SEEN, HIDDEN))
    return draw_people(varied, np.column_stack([places, scores])[None], people.skeleton)


def _with_heat(
    varied: np.ndarray, maps: np.ndarray, size: tuple[int, int], codec: HeatmapCodec
) -> np.ndarray:
    """Lay the largest value of all heatmaps over the crop, each heatmap pixel where it belongs."""
    height, width = varied.shape[:2]
    step = grid_step(size, codec.heatmap_size(size), codec.grid)
    scale = np.array([width / size[0], height / size[1]])
    matrix = np.array(
        [[step[0] * scale[0], 0, scale[0] / 2 - 0.5], [0, step[1] * scale[1], scale[1] / 2 - 0.5]]
    )
    heat = cv2.warpAffine(maps.max(axis=0), matrix, (width, height))
    colors = cv2.applyColorMap((255 * heat).clip(0, 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    return (0.5 * varied + 0.8 * colors).clip(0, 255).astype(np.uint8)
