"""Look for what is wrong with a data set before weeks of training find out."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinypose.config import DatasetConfig
from tinypose.data.coco import PeopleSet, Person, Picture
from tinypose.data.merge import load_set
from tinypose.errors import UserError
from tinypose.images import read_image
from tinypose.skeleton import Skeleton

# How far left and right must lie apart to tell a side: in extents of the person's joints, and in pixels.
LEAST_SIDES = {"shoulder": 0.1, "hip": 0.1, "eye": 0.03, "ear": 0.04}
LEAST_PIXELS = 3.0
Progress = Callable[[list, str], Iterable]
FAR = 0.25  # of the box's longer side
MANY = 8  # people with the same joint in the same pixel
OUTSIDE = 2.0  # pixels that a box or a joint may lie outside the picture: rounding, and MPII's count from 1


@dataclass(frozen=True)
class Finding:
    """Something wrong: what, in which file, and the id of the image or annotation."""

    kind: str
    file: str
    where: str
    detail: str


@dataclass
class Report:
    """What a set holds, and what is wrong with it.

    Attributes:
        summary: a line about people and pictures.
        counts: (name, number) of people, pictures, joints.
        joints: (joint, annotated, visible, hidden, part of people in percent).
        findings: everything that was found.
    """

    summary: str
    counts: list[tuple[str, int]]
    joints: list[tuple[str, int, int, int, float]]
    findings: list[Finding] = field(default_factory=list)


def check_set(
    dataset: DatasetConfig, skeleton: Skeleton, progress: Progress = lambda items, what: items
) -> Report:
    """Read a set with every picture of it, and report what is wrong.

    Args:
        dataset: the set, of any format.
        skeleton: of the annotations.
        progress: wraps the people and the pictures while they are looked at, for a progress bar.

    Raises:
        UserError: the annotation file cannot be read at all.
    """
    people = load_set(dataset, skeleton, present=False)
    findings: list[Finding] = []
    if dataset.format != "mpii":
        findings += check_entries(people)
    for person in progress(people.people, "looking at people"):
        findings += check_person(person, skeleton)
    findings += check_doubles(people)
    findings += check_pictures(progress(list(people.pictures.values()), "reading pictures"))
    all_joints = np.stack([person.joints for person in people.people])
    annotated = (all_joints[..., 2] > 0).sum(axis=0)
    visible = (all_joints[..., 2] > 1).sum(axis=0)
    rows = [
        (name, int(a), int(v), int(a - v), 100 * float(a) / len(people.people))
        for name, a, v in zip(skeleton.joints, annotated, visible, strict=True)
    ]
    counts = [
        ("pictures", len(people.pictures)),
        ("pictures with people", len({person.image_id for person in people.people})),
        ("people", len(people.people)),
        ("annotated joints", int(annotated.sum())),
    ]
    return Report(people.summary, counts, rows, findings)


def check_entries(people: PeopleSet) -> list[Finding]:
    """Find annotations of a COCO file that contradict themselves or their picture."""
    findings = []
    seen: set[Any] = set()
    for entry in people.source.entries:
        picture = people.pictures[entry.image_id]
        where = f"annotation {entry.annotation_id}"
        if entry.annotation_id is not None and entry.annotation_id in seen:
            findings.append(Finding("id twice", picture.path.name, where, "another annotation has it too"))
        seen.add(entry.annotation_id)
        if entry.crowd or entry.joints is None:
            continue
        found = int((entry.joints[:, 2] > 0).sum())
        if entry.stated is not None and entry.stated != found:
            detail = f"says {entry.stated}, has {found}"
            findings.append(Finding("wrong num_keypoints", picture.path.name, where, detail))
        if entry.box is None:
            continue
        x, y, w, h = entry.box
        width, height = picture.size
        beyond = max(-x, -y, x + w - width, y + h - height)
        if w <= 0 or h <= 0:
            findings.append(Finding("box without extent", picture.path.name, where, f"{w:g}x{h:g}"))
        elif beyond > OUTSIDE:
            findings.append(
                Finding("box outside the picture", picture.path.name, where, f"by {beyond:.0f} pixels")
            )
    return findings


def check_person(person: Person, skeleton: Skeleton) -> list[Finding]:
    """Find joints outside picture and box, and left and right that have changed places."""
    findings = []
    file, where = person.path.name, f"annotation {person.annotation_id}"
    width, height = person.size
    joints = person.joints
    annotated = joints[:, 2] > 0
    x, y = joints[:, 0], joints[:, 1]
    beyond = np.maximum(np.maximum(-x, x - (width - 1)), np.maximum(-y, y - (height - 1)))
    for number in np.flatnonzero(annotated & (beyond > OUTSIDE)):
        findings.append(
            Finding(
                "joint out of frame", file, where, f"{skeleton.joints[number]} by {beyond[number]:.0f} pixels"
            )
        )
    left, top, box_width, box_height = person.box
    margin = FAR * max(box_width, box_height) + OUTSIDE
    off = np.maximum(
        np.maximum(left - x, x - (left + box_width)), np.maximum(top - y, y - (top + box_height))
    )
    for number in np.flatnonzero(
        (joints[:, 2] > 1) & (off > margin)
    ):  # COCO's boxes leave out what is hidden
        findings.append(
            Finding(
                "visible joint far outside the box",
                file,
                where,
                f"{skeleton.joints[number]} by {off[number]:.0f} pixels",
            )
        )
    if swapped := looks_swapped(joints, skeleton):
        findings.append(Finding("left and right swapped?", file, where, swapped))
    return findings


def looks_swapped(joints: np.ndarray, skeleton: Skeleton) -> str:
    """Say which joints look as if left and right had changed places; empty if none do.

    Seen from the front, every left joint lies on the same side of the body's axis, from the back on the
    other. Shoulders and hips that clearly contradict each other make one suspect, and so do eyes and ears,
    and eyes on the wrong side where nose and eyes are visible. It is a suspicion: people can twist.

    Args:
        joints: float [J, 3].
        skeleton: its left-right pairs; the joints are known by COCO's names.
    """
    place = {name: joints[number] for number, name in enumerate(skeleton.joints) if joints[number, 2] > 0}
    axis = np.array([0.0, -1.0])
    torso = [f"{side}_{part}" for part in ("shoulder", "hip") for side in ("left", "right")]
    if all(name in place for name in torso):
        shoulders, hips = (place[f"left_{p}"][:2] + place[f"right_{p}"][:2] for p in ("shoulder", "hip"))
        length = np.linalg.norm(shoulders - hips)
        axis = (shoulders - hips) / length if length > 0 else axis
    span = max(np.ptp(np.array([joint[:2] for joint in place.values()]), axis=0)) if place else 0
    clear = {}
    for part, least in LEAST_SIDES.items():
        if f"left_{part}" in place and f"right_{part}" in place:
            across = place[f"left_{part}"][:2] - place[f"right_{part}"][:2]
            side = float(axis[0] * across[1] - axis[1] * across[0])  # above 0: seen from the front
            if abs(side) > max(least * span, LEAST_PIXELS):
                clear[part] = side
    seen = all(place.get(name, (0, 0, 0))[2] > 1 for name in ("nose", "left_eye", "right_eye"))
    if seen and clear.get("eye", 0) < 0:
        return "nose and eyes are visible, but the left eye is where the right one should be"
    for one, other in (("shoulder", "hip"), ("eye", "ear")):
        if clear.get(one, 0) * clear.get(other, 0) < 0:
            front, back = (one, other) if clear[one] > 0 else (other, one)
            return f"{front}s from the front, {back}s from the back"
    return ""


def check_doubles(people: PeopleSet) -> list[Finding]:
    """Find people who are annotated twice in a picture: all their common joints lie on each other."""
    findings = []
    for number, other in sorted(_near(people.people)):
        one, two = people.people[number], people.people[other]
        common = (one.joints[:, 2] > 0) & (two.joints[:, 2] > 0)
        distance = np.abs(one.joints[common, :2] - two.joints[common, :2])
        if common.sum() >= 4 and distance.max() < 1:
            where = f"annotations {one.annotation_id} and {two.annotation_id}"
            findings.append(Finding("person twice", one.path.name, where, "joints are the same"))
    return findings


def _near(people: Sequence[Person]) -> set[tuple[int, int]]:
    """Return pairs of people in one picture with a joint in the same place, to a pixel, and some others.

    Not by looking at all pairs, of which a crowd has millions: joints are sorted into cells of two pixels,
    of four grids that lie a pixel apart, so that two joints less than a pixel apart share a cell of one.
    """
    pictures = {image_id: number for number, image_id in enumerate(dict.fromkeys(p.image_id for p in people))}
    number, joint = np.nonzero(np.stack([person.joints[:, 2] > 0 for person in people]))
    picture = np.array([pictures[person.image_id] for person in people])[number]
    places = np.stack([person.joints[:, :2] for person in people])[number, joint]
    pairs: set[tuple[int, int]] = set()
    for shift in ((0, 0), (0, 1), (1, 0), (1, 1)):
        cells = np.floor((places + shift) / 2).astype(np.int64)
        keys = np.column_stack([picture, joint, cells])
        order = np.lexsort(keys.T)
        keys, who = keys[order], number[order]
        for step in range(1, MANY):  # a file with more in one place is told by these
            same = np.flatnonzero((keys[step:] == keys[:-step]).all(axis=1))
            if not same.size:
                break
            both = np.sort(np.column_stack([who[same], who[same + step]]), axis=1)
            pairs.update(map(tuple, both.tolist()))
    return pairs


def check_pictures(pictures: Iterable[Picture]) -> list[Finding]:
    """Read every picture whole; find those that are missing, broken or of another size."""

    def problem(picture: Picture) -> Finding | None:
        try:
            read_image(picture.path, picture.size)
        except UserError as error:
            detail = str(error).removeprefix(f"{picture.path}: ")
            return Finding("broken picture", str(picture.path), f"image {picture.image_id}", detail)
        return None

    with ThreadPoolExecutor(4) as pool:
        return [found for found in pool.map(problem, pictures) if found is not None]
