"""Draw one posed person and say which of its joints can be seen."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from tinypose.data.synthetic.canvas import Canvas, Cloth, around, shade
from tinypose.data.synthetic.look import Look
from tinypose.data.synthetic.pose import SIDES, SIGN, Body, Posed

JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee",
    "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
PARTS = (
    "torso", "neck", "skull", "face", "nose", "hair", "skirt", "bag", "left_ear", "right_ear",
    "left_upper_arm", "right_upper_arm", "left_forearm", "right_forearm",
    "left_thigh", "right_thigh", "left_shin", "right_shin",
)  # fmt: skip
OBJECT = 255  # the label of things that are no person
MOST_PEOPLE = (OBJECT - 1) // len(PARTS)

# The parts of its own person that a joint lies on: it is visible where one of them is in front.
ON = {
    "nose": ("nose",),
    "eye": ("face",),
    "ear": ("ear",),
    "shoulder": ("torso", "upper_arm"),
    "elbow": ("upper_arm", "forearm"),
    "wrist": ("forearm",),
    "hip": ("torso", "thigh", "skirt"),
    "knee": ("thigh", "shin"),
    "ankle": ("shin",),
}
Layer = tuple[float, Callable[[], None]]  # depth, and what to draw there


@dataclass(frozen=True)
class Camera:
    """Weak perspective: heights to pixels, with what is near a little larger."""

    scale: float  # pixels a height
    center: np.ndarray  # where the pelvis goes, pixels
    nearness: float  # 1 / distance of the camera, in heights

    def zoom(self, points: np.ndarray) -> np.ndarray:
        """Return the pixels [...] that one height takes up at the depth of `points` [..., 3]."""
        return self.scale / (1 - self.nearness * points[..., 2])

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return float64 [..., 2], pixels, of points [..., 3] in heights."""
        return self.center + self.zoom(points)[..., None] * points[..., :2] * (1, -1)


def draw_person(
    canvas: Canvas, body: Body, posed: Posed, look: Look, camera: Camera, first: int, light: float
) -> None:
    """Draw a person from its farthest part to its nearest.

    Args:
        canvas: what to draw on.
        body: half widths.
        posed: where the points are.
        look: colours and clothes.
        camera: how heights become pixels.
        first: label of the first of PARTS; the others follow it.
        light: where the light comes from, radians, 0 from the right and pi / 2 from above.
    """
    points = np.stack(list(posed.points.values()))
    flat = dict(zip(posed.points, camera.project(points), strict=True))
    zooms = dict(zip(posed.points, camera.zoom(points).tolist(), strict=True))
    towards_light = np.array([np.cos(light), -np.sin(light)])
    brush = _Brush(canvas, body, posed, look, camera, first, towards_light, flat, zooms)
    for _, draw in sorted(brush.layers(), key=lambda layer: layer[0]):
        draw()


def visible(joint: str, posed: Posed, labels: np.ndarray, at: tuple[int, int], first: int) -> bool:
    """Say whether a joint can be seen: it is on this side of its own body and nothing is in front of it.

    Args:
        joint: its name.
        posed: how the person stands.
        labels: uint8 [H, W], the finished map of the picture.
        at: column and row of the joint, inside the picture.
        first: label of the person's first part.
    """
    side, _, kind = joint.rpartition("_")
    part = int(labels[at[1], at[0]]) - first
    if not 0 <= part < len(PARTS) or not faces_camera(side, kind, posed):
        return False
    return PARTS[part] in ON[kind] or PARTS[part] in [f"{side}_{name}" for name in ON[kind]]


def faces_camera(side: str, kind: str, posed: Posed) -> bool:
    """Say whether the surface that a joint lies on is turned to the camera."""
    sign = SIGN.get(side, 0.0)
    if kind == "eye":
        return bool(posed.head[2] @ [0.5 * sign, 0.1, 0.86] > 0.05)
    if kind == "ear":
        return bool(posed.head[2, 0] * sign > -0.3)
    if kind in ("shoulder", "hip"):  # the far one of somebody seen from the side is behind the torso
        return bool(posed.torso[2, 0] * sign > -0.7)
    return True


@dataclass(frozen=True)
class _Brush:
    """The parts of one person, each drawn by the method of its name. Radii are in heights."""

    canvas: Canvas
    body: Body
    posed: Posed
    look: Look
    camera: Camera
    first: int
    light: np.ndarray  # [2], unit length, towards it in the picture
    flat: dict[str, np.ndarray]  # the points in the picture, float64 [2]
    zooms: dict[str, float]  # pixels that a height takes up at each point

    def layers(self) -> list[Layer]:
        """Return every part with its depth; what is nearer comes to lie over what is farther."""
        p, front = self.posed.points, float(self.posed.torso[2, 2])
        middle = float(p["chest"][2] + p["waist"][2]) / 2
        layers: list[Layer] = [
            (middle, self.torso),
            (middle + (0.02 if front > -0.2 else -0.02), self.neck),
            (float(p["head"][2]) + 0.02, self.head),
            # Long hair lies on the back: whoever shows the face has it behind the torso.
            (middle - 0.01 if self.posed.head[2, 2] > 0.15 else float(p["head"][2]) + 0.015, self.hair),
            (middle - 0.14 * front, self.bag),
        ]
        hips = max(p["left_hip"][2], p["right_hip"][2])
        layers.append((float(max((p["left_knee"] + p["right_knee"])[2] / 4, hips)) + 0.012, self.skirt))
        for side in SIDES:
            shoulder, elbow, wrist, hip, knee, ankle = (
                float(p[f"{side}_{name}"][2])
                for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
            )
            # The shoulder is as far as the torso: the other end of the arm decides.
            layers.append(((shoulder + 3 * elbow) / 4, partial(self.upper_arm, side)))
            layers.append(((elbow + 2 * wrist) / 3 + 0.004, partial(self.forearm, side)))
            layers.append(((hip + knee) / 2 - 0.004, partial(self.thigh, side)))
            layers.append(((knee + ankle) / 2 - 0.002, partial(self.shin, side)))
        return layers

    def place(self, *names: str) -> np.ndarray:
        """Return where points are in the picture: float64 [n, 2]."""
        return np.array([self.flat[name] for name in names])

    def size(self, name: str, radius: float) -> float:
        """Return the pixels of a radius at the depth of a point."""
        return radius * self.zooms[name]

    def label(self, part: str) -> int:
        return self.first + PARTS.index(part)

    def roll(self, points: np.ndarray, radii: np.ndarray, cloth: Cloth, part: str) -> None:
        """Draw the hull of circles like something round: darker at the rim, lighter towards the light."""
        along = points[-1] - points[0]
        self.canvas.fill(around(points, radii), shade(cloth.color, 0.78), self.label(part))
        inner = around(points + self.light * radii[:, None] * 0.22, radii * 0.72)
        self.canvas.fill_cloth(inner, cloth, along / (np.linalg.norm(along) + 1e-6))

    def dressed(self, points: np.ndarray, radii: np.ndarray, cloth: Cloth, covered: float, part: str) -> None:
        """Draw a limb between two points, and cloth over the first `covered` of it."""
        if covered < 1:
            self.roll(points, radii, Cloth(self.look.skin), part)
        if covered > 0:
            points = np.array([points[0], points[0] + (points[1] - points[0]) * covered])
            radii = np.array([radii[0], radii[0] + (radii[1] - radii[0]) * covered])
            self.roll(points, radii * self.look.loose, cloth, part)

    def torso(self) -> None:
        look, girth = self.look, 0.6 + 0.4 * self.body.girth
        chest, waist, left, right = self.place("chest", "waist", "left_shoulder", "right_shoulder")
        hips = self.place("left_hip", "right_hip")
        middle = hips.mean(0)
        hip, shoulder = self.size("pelvis", 0.050 * girth), self.size("chest", 0.036 * girth)
        belly = self.size("waist", 0.062 * girth * self.body.belly**0.6)
        ribs = self.size("chest", (0.062 + 0.012 * self.body.belly) * girth)
        self.roll(np.array([middle, *hips]), np.full(3, hip), look.bottom, "torso")
        low = np.array([waist, hips[0] * 0.75 + waist * 0.25, hips[1] * 0.75 + waist * 0.25])
        high = np.array([waist, chest, left, right])
        low_radii, high_radii = np.array([belly, hip, hip]), np.array([belly, ribs, shoulder, shoulder])
        up = (left + right) / 2 - middle
        up = up / (np.linalg.norm(up) + 1e-6)
        rim = shade(look.top.color, 0.78)
        for points, radii in ((low, low_radii), (high, high_radii)):
            self.canvas.fill(around(points, radii), rim, self.label("torso"))
        for points, radii in ((low, low_radii), (high, high_radii)):
            inwards = (points.mean(0) - points) * 0.11 + self.light * belly * 0.18
            self.canvas.fill_cloth(around(points + inwards, radii * 0.78), look.top, up)
        if look.jacket and self.posed.torso[2, 2] > 0.25:  # it is open: what is worn below shows
            front = self.posed.torso @ [0, 0, 0.05]
            line = np.array([self.posed.points[n] + front for n in ("neck", "waist", "pelvis")])
            self.canvas.fill(
                around(self.camera.project(line), self.size("chest", 0.02) * np.array([1.3, 1, 0.8])),
                look.jacket,
            )

    def neck(self) -> None:
        self.roll(
            self.place("neck", "head"),
            self.size("neck", 0.034) * np.array([1, 0.9]),
            Cloth(self.look.skin),
            "neck",
        )

    def hair(self) -> None:
        """The hair that falls down the back: behind a face, in front of a neck."""
        if self.look.hair_style == "long":
            radii = self.size("head", self.body.head) * np.array([0.98, 0.72])
            self.roll(self.place("head", "nape"), radii, Cloth(self.look.hair), "hair")

    def head(self) -> None:
        """Skull and face, two eggs one behind the other, nose and ears, in the order of their depth."""
        look, unit = self.look, self.body.head
        up, front = self.posed.head[:, 1] * unit, self.posed.head[:, 2] * unit
        center, r = self.posed.points["head"], self.size("head", unit)
        covering = {"bald": look.skin, "hat": look.hat}.get(look.hair_style, look.hair)

        def egg(
            middle: np.ndarray, radii: tuple[float, float], color: tuple[int, int, int], part: str
        ) -> None:
            ends = self.camera.project(np.array([middle + up * 0.25, middle - up * 0.35]))
            self.roll(ends, np.array(radii) * r, Cloth(color), part)

        def nose() -> None:
            tip = self.flat["nose"]
            ends = np.array([tip, tip * 0.7 + self.flat["head"] * 0.3])
            self.canvas.fill(
                around(ends, np.array([0.15, 0.1]) * r), shade(look.skin, 0.82), self.label("nose")
            )

        def ear(side: str) -> None:
            if look.hair_style != "long":
                outline = around(self.place(f"{side}_ear"), np.array([0.22 * r]))
                self.canvas.fill(outline, shade(look.skin, 0.85), self.label(f"{side}_ear"))

        skull, face = center + up * 0.18 - front * 0.12, center + front * 0.26 - up * 0.05
        layers: list[Layer] = [
            (float(center[2]), lambda: egg(skull, (0.98, 0.72), covering, "skull")),
            (float(face[2]), lambda: egg(face, (0.72, 0.66), look.skin, "face")),
            (float(self.posed.points["nose"][2]), nose),
        ]
        for side in SIDES:
            layers.append((float(self.posed.points[f"{side}_ear"][2]) + 0.34 * unit, partial(ear, side)))
        for _, draw in sorted(layers, key=lambda layer: layer[0]):
            draw()
        if self.posed.head[2, 2] > -0.05:
            self.features(r)
        if look.hair_style == "hat" and self.posed.head[2, 2] > -0.3:
            brim = self.camera.project(np.array([center + up * 0.5 + front * d for d in (0.2, 1.35)]))
            self.canvas.fill(
                around(brim, np.array([0.32, 0.2]) * r), shade(look.hat, 0.7), self.label("skull")
            )

    def features(self, r: float) -> None:
        """Eyes, mouth and glasses on a face that can be seen; `r` is the head's radius in pixels."""
        look, label = self.look, self.label("face")
        mouth = self.flat["mouth"]
        eyes = [self.place(f"{s}_eye") for s in SIDES if faces_camera(s, "eye", self.posed)]
        for at in eyes:
            if look.glasses:
                self.canvas.fill(around(at, np.array([0.25 * r])), (30, 30, 34))
            self.canvas.fill(around(at, np.array([0.17 * r])), (235, 235, 230), label)
            self.canvas.fill(around(at, np.array([0.11 * r])), shade(look.hair, 0.5))
        if look.glasses and len(eyes) == 2:
            self.canvas.line(eyes[0][0], eyes[1][0], (30, 30, 34), 1)
        wide = self.posed.head[:2, 0] * [1, -1] * 0.26 * r
        self.canvas.line(mouth - wide, mouth + wide, shade(look.skin, 0.5), max(1, round(r * 0.13)))

    def upper_arm(self, side: str) -> None:
        girth = self.body.girth**0.7
        radii = np.array(
            [self.size(f"{side}_shoulder", 0.034 * girth), self.size(f"{side}_elbow", 0.027 * girth)]
        )
        covered = {"none": 0.0, "short": 0.62, "long": 1.0}[self.look.sleeves]
        points = self.place(f"{side}_shoulder", f"{side}_elbow")
        self.dressed(points, radii, self.look.top, covered, f"{side}_upper_arm")

    def forearm(self, side: str) -> None:
        girth, part = self.body.girth**0.7, f"{side}_forearm"
        elbow, wrist, hand = self.place(f"{side}_elbow", f"{side}_wrist", f"{side}_hand")
        radii = np.array(
            [self.size(f"{side}_elbow", 0.026 * girth), self.size(f"{side}_wrist", 0.018 * girth)]
        )
        palm = np.array([radii[1], self.size(f"{side}_hand", 0.024)])
        self.roll(np.array([wrist, hand]), palm, Cloth(self.look.skin), part)
        covered = 0.95 if self.look.sleeves == "long" else 0.0
        self.dressed(np.array([elbow, wrist]), radii, self.look.top, covered, part)

    def thigh(self, side: str) -> None:
        girth = self.body.girth**0.8
        radii = np.array([self.size(f"{side}_hip", 0.050 * girth), self.size(f"{side}_knee", 0.037 * girth)])
        covered = {"long": 1.0, "short": 0.7, "skirt": 0.2}[self.look.legs]
        self.dressed(
            self.place(f"{side}_hip", f"{side}_knee"), radii, self.look.bottom, covered, f"{side}_thigh"
        )

    def shin(self, side: str) -> None:
        girth, part = self.body.girth**0.8, f"{side}_shin"
        knee, ankle, heel, toe = (self.place(f"{side}_{n}")[0] for n in ("knee", "ankle", "heel", "toe"))
        radii = np.array(
            [self.size(f"{side}_knee", 0.036 * girth), self.size(f"{side}_ankle", 0.022 * girth)]
        )
        foot = self.size(f"{side}_toe", 0.020) * np.array([1.15, 0.9])
        self.roll(np.array([heel, toe]), foot, Cloth(self.look.shoes), part)
        covered = 1.0 if self.look.legs == "long" else 0.0
        self.dressed(np.array([knee, ankle]), radii, self.look.bottom, covered, part)

    def skirt(self) -> None:
        if self.look.legs != "skirt":
            return
        hips, knees = self.place("left_hip", "right_hip"), self.place("left_knee", "right_knee")
        hem = hips + (knees - hips) * 0.72
        hip, wide = self.size("pelvis", 0.05), self.size("left_knee", 0.05 * self.look.loose)
        self.roll(np.concatenate([hips, hem]), np.array([hip, hip, wide, wide]), self.look.bottom, "skirt")

    def bag(self) -> None:
        if self.look.bag:
            back = self.posed.torso @ [0, 0, -0.1]
            ends = self.camera.project(np.array([self.posed.points[n] + back for n in ("chest", "waist")]))
            self.roll(ends, self.size("chest", 1.0) * np.array([0.062, 0.07]), Cloth(self.look.bag), "bag")
