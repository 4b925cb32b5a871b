"""Articulated people in three dimensions: body lengths, joint angles, and the joints that follow.

Lengths are in heights of a typical adult. The body's frame: x to its own left, y up, z out of the chest. The
camera's: x to the right of the picture, y up, z towards the viewer, so that a larger z is nearer. Both are
the same for somebody who faces the camera.
"""

import math
from dataclasses import dataclass

import numpy as np

from tinypose.data.synthetic.canvas import pick

SIDES = ("left", "right")
SIGN = {"left": 1.0, "right": -1.0}

# Degrees, uniform between the two; each side draws its own. Flexion is forward, `out` away from the middle,
# `turn` inwards about the limb's own axis.
LEGS = {
    "stand": {"flex": (-8, 15), "out": (1, 13), "turn": (-30, 10), "knee": (0, 15), "spine": (-6, 10)},
    "walk": {"flex": (15, 32), "out": (0, 6), "turn": (-10, 5), "knee": (20, 60), "spine": (-2, 10)},
    "run": {"flex": (32, 62), "out": (0, 8), "turn": (-10, 5), "knee": (60, 115), "spine": (6, 28)},
    "sit": {"flex": (68, 100), "out": (0, 22), "turn": (-15, 10), "knee": (55, 108), "spine": (-14, 22)},
    "squat": {"flex": (75, 118), "out": (8, 35), "turn": (-20, 5), "knee": (85, 140), "spine": (10, 42)},
    "lunge": {"flex": (-25, 85), "out": (0, 20), "turn": (-15, 10), "knee": (10, 95), "spine": (-5, 25)},
    "wide": {"flex": (-15, 25), "out": (15, 42), "turn": (-35, 0), "knee": (0, 30), "spine": (-8, 15)},
    "kick": {"flex": (-15, 100), "out": (0, 35), "turn": (-20, 10), "knee": (0, 60), "spine": (-22, 15)},
}
LEG_SHARES = {
    "stand": 0.30, "walk": 0.17, "run": 0.10, "sit": 0.16,
    "squat": 0.06, "lunge": 0.06, "wide": 0.09, "kick": 0.06,
}  # fmt: skip
ARMS = {
    "hang": {"flex": (-12, 18), "out": (3, 16), "turn": (0, 55), "elbow": (2, 40)},
    "overhead": {"flex": (-10, 25), "out": (115, 172), "turn": (-60, 60), "elbow": (0, 75)},
    "hands_up": {"flex": (-10, 25), "out": (50, 105), "turn": (-110, -60), "elbow": (35, 125)},
    "hips": {"flex": (-28, 0), "out": (32, 58), "turn": (50, 90), "elbow": (75, 112)},
    "folded": {"flex": (12, 48), "out": (0, 20), "turn": (35, 85), "elbow": (70, 122)},
    "reach": {"flex": (50, 105), "out": (-5, 32), "turn": (-20, 50), "elbow": (0, 45)},
    "to_head": {"flex": (20, 60), "out": (25, 70), "turn": (-40, 30), "elbow": (115, 146)},
    "sideways": {"flex": (-15, 20), "out": (60, 105), "turn": (-30, 60), "elbow": (0, 50)},
    "any": {"flex": (-40, 120), "out": (0, 115), "turn": (-70, 90), "elbow": (0, 135)},
}
ARM_SHARES = {
    "hang": 0.34, "overhead": 0.10, "hands_up": 0.08, "hips": 0.07, "folded": 0.10,
    "reach": 0.09, "to_head": 0.06, "sideways": 0.06, "any": 0.10,
}  # fmt: skip
VIEWS = {"front": 0, "back": 180, "left": 90, "right": -90}
VIEW_SHARES = {"front": 0.55, "back": 0.17, "left": 0.14, "right": 0.14}
EVENLY = {"left": 1.0, "right": 1.0}


@dataclass(frozen=True)
class Body:
    """Lengths and half widths of one person, in heights of a typical adult."""

    torso: float
    shoulder: float
    hip: float
    upper_arm: float
    forearm: float
    thigh: float
    shin: float
    neck: float
    head: float  # radius
    girth: float  # of limbs, 1 is typical
    belly: float  # 1 is typical


@dataclass(frozen=True)
class Posed:
    """A person's points in the camera's frame (float64 [3], heights), and how torso and head are turned."""

    points: dict[str, np.ndarray]
    torso: np.ndarray  # [3, 3], columns: the torso's left, up and front
    head: np.ndarray  # [3, 3], the same of the head


def sample_body(rng: np.random.Generator) -> Body:
    """Draw a body: adults of many builds and, one in seven, a child with a larger head and shorter limbs."""
    child = rng.random() < 0.14
    limbs = rng.uniform(0.78, 0.92) if child else rng.uniform(0.92, 1.09)
    wide = rng.uniform(0.85, 1.2)

    def vary(value: float, by: float = 0.06) -> float:
        return value * rng.uniform(1 - by, 1 + by)

    return Body(
        torso=vary(0.285),
        shoulder=vary(0.110, 0.08) * wide,
        hip=vary(0.068, 0.1) * wide,
        upper_arm=vary(0.165) * limbs,
        forearm=vary(0.145) * limbs,
        thigh=vary(0.235) * limbs,
        shin=vary(0.235) * limbs,
        neck=vary(0.045, 0.25),
        head=vary(0.066) * (rng.uniform(1.15, 1.4) if child else 1.0),
        girth=rng.uniform(0.8, 1.35),
        belly=rng.uniform(0.8, 1.5),
    )


def sample_posed(rng: np.random.Generator, body: Body, yaw: float | None = None) -> Posed:
    """Draw a pose and a direction of view, and return where that puts the body's points.

    Args:
        rng: where chance comes from.
        body: whose lengths to use.
        yaw: degrees about the vertical, 0 facing the camera and 180 from behind; none: drawn.
    """
    legs = pick(rng, LEG_SHARES)
    if yaw is None:
        yaw = rng.normal(0, 35) + VIEWS[pick(rng, VIEW_SHARES)]
    roll = rng.normal(0, 6)
    if (
        legs in ("stand", "wide", "sit", "kick") and rng.random() < 0.12
    ):  # lying, or a handstand gone sideways
        roll += SIGN[pick(rng, EVENLY)] * rng.normal(90, 12)
    view = _about_z(roll) @ _about_x(rng.normal(6, 9)) @ _about_y(yaw)
    bend = 1.0 if legs in ("stand", "walk", "run", "sit") else 2.2
    torso = view @ _about_x(rng.uniform(*LEGS[legs]["spine"])) @ _about_z(rng.normal(0, 4 * bend))
    torso = torso @ _about_y(rng.normal(0, 7 * bend))
    head = torso @ _about_y(max(-70, min(70, rng.normal(0, 24)))) @ _about_x(rng.normal(4, 12))
    head = head @ _about_z(rng.normal(0, 8))

    points = _trunk(body, torso, head)
    phase = rng.uniform(0, 2 * np.pi)
    points |= _legs(rng, body, view, legs, phase)
    points |= _arms(rng, body, torso, legs, phase)
    return Posed(points, torso, head)


def walking_posed(rng: np.random.Generator, body: Body, legs: str, yaw: float, phase: float) -> Posed:
    """Return a moment of somebody's walk.

    Args:
        rng: how they walk and hold themselves: in the same state, the same person's way.
        body: whose lengths to use.
        legs: `stand`, `walk` or `run`.
        yaw: degrees about the vertical, 0 facing the camera, 90 to the right of the picture.
        phase: of the stride, radians.
    """
    view = _about_z(rng.normal(0, 2)) @ _about_x(rng.normal(6, 5)) @ _about_y(yaw)
    torso = view @ _about_x(rng.uniform(*LEGS[legs]["spine"])) @ _about_z(rng.normal(0, 3))
    head = torso @ _about_y(rng.normal(0, 15)) @ _about_x(rng.normal(4, 8))
    points = _trunk(body, torso, head)
    points |= _legs(rng, body, view, legs, phase)
    points |= _arms(rng, body, torso, legs, phase)
    return Posed(points, torso, head)


def _trunk(body: Body, torso: np.ndarray, head: np.ndarray) -> dict[str, np.ndarray]:
    points = {"pelvis": np.zeros(3), "neck": torso @ [0, body.torso * 1.03, 0]}
    points["chest"] = torso @ [0, body.torso * 0.74, 0.0]
    points["waist"] = torso @ [0, body.torso * 0.36, 0.012 * body.belly]
    return points | _head(body, points["neck"], torso, head)


def _head(body: Body, neck: np.ndarray, torso: np.ndarray, head: np.ndarray) -> dict[str, np.ndarray]:
    r = body.head
    center = neck + torso @ [0, body.neck, 0.012] + head @ [0, r * 0.95, r * 0.15]
    points = {"head": center, "nape": center + head @ [0, -1.7 * r, -0.55 * r]}
    points["nose"] = center + head @ [0, -0.2 * r, 1.02 * r]
    points["mouth"] = center + head @ [0, -0.6 * r, 0.8 * r]
    for side in SIDES:
        points[f"{side}_eye"] = center + head @ [SIGN[side] * 0.38 * r, 0.14 * r, 0.84 * r]
        points[f"{side}_ear"] = center + head @ [SIGN[side] * 0.90 * r, -0.05 * r, -0.02 * r]
    return points


def _legs(
    rng: np.random.Generator, body: Body, view: np.ndarray, name: str, phase: float
) -> dict[str, np.ndarray]:
    ranges = LEGS[name]
    swing, lift = rng.uniform(*ranges["flex"]), rng.uniform(*ranges["knee"])
    lead = pick(rng, EVENLY)
    points = {}
    for side in SIDES:
        out, turn = rng.uniform(*ranges["out"]), rng.uniform(*ranges["turn"])
        flex, knee = rng.uniform(*ranges["flex"]), rng.uniform(*ranges["knee"])
        if name in ("walk", "run"):  # the two legs swing half a period apart
            at = phase + (np.pi if side == "right" else 0.0)
            flex, knee = swing * np.sin(at), 6 + lift * max(0.0, np.cos(at - 0.35))
        elif name in ("kick", "lunge") and side != lead:  # the leg that carries the weight
            flex, knee = rng.uniform(-20, 5), rng.uniform(0, 25 if name == "kick" else 60)
        sign = SIGN[side]
        hip = view @ [sign * body.hip, 0, 0]
        upper = view @ _about_z(sign * out) @ _about_x(-flex) @ _about_y(-sign * turn)
        lower = upper @ _about_x(knee)
        foot = lower @ _about_x(rng.normal(8, 10))
        points[f"{side}_hip"] = hip
        points[f"{side}_knee"] = hip + upper @ [0, -body.thigh, 0]
        points[f"{side}_ankle"] = points[f"{side}_knee"] + lower @ [0, -body.shin, 0]
        points[f"{side}_heel"] = points[f"{side}_ankle"] + foot @ [0, -0.025, -0.018]
        points[f"{side}_toe"] = points[f"{side}_ankle"] + foot @ [0, -0.030, 0.088]
    return points


def _arms(
    rng: np.random.Generator, body: Body, torso: np.ndarray, legs: str, phase: float
) -> dict[str, np.ndarray]:
    names = [pick(rng, ARM_SHARES), pick(rng, ARM_SHARES)]
    if rng.random() < 0.5:
        names[1] = names[0]
    points = {}
    for side, name in zip(SIDES, names, strict=True):
        ranges = ARMS[name]
        flex, out, turn, elbow = (rng.uniform(*ranges[key]) for key in ("flex", "out", "turn", "elbow"))
        if name == "hang" and legs in ("walk", "run"):  # each arm swings against the leg of its side
            at = phase + (np.pi if side == "right" else 0.0)
            flex = -(45 if legs == "run" else 25) * np.sin(at)
            elbow = rng.uniform(65, 110) if legs == "run" else elbow
        sign = SIGN[side]
        shoulder = torso @ [sign * body.shoulder, body.torso + 0.05 * body.upper_arm * (out > 80), 0]
        upper = torso @ _about_z(sign * out) @ _about_x(-flex) @ _about_y(-sign * turn)
        lower = upper @ _about_x(-elbow)
        points[f"{side}_shoulder"] = shoulder
        points[f"{side}_elbow"] = shoulder + upper @ [0, -body.upper_arm, 0]
        points[f"{side}_wrist"] = points[f"{side}_elbow"] + lower @ [0, -body.forearm, 0]
        points[f"{side}_hand"] = points[f"{side}_wrist"] + lower @ [0, -0.042, 0.006]
    return points


def _about_x(degrees: float) -> np.ndarray:
    c, s = _cos_sin(degrees)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _about_y(degrees: float) -> np.ndarray:
    c, s = _cos_sin(degrees)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _about_z(degrees: float) -> np.ndarray:
    c, s = _cos_sin(degrees)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _cos_sin(degrees: float) -> tuple[float, float]:
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
