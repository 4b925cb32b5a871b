"""What a person looks like: skin, hair and clothes."""

from dataclasses import dataclass

import numpy as np

from tinypose.data.synthetic.canvas import Cloth, Color, pick

SKINS = ((255, 224, 196), (241, 194, 160), (224, 172, 125), (198, 134, 90), (141, 85, 54), (92, 56, 38))
HAIRS = (
    (28, 22, 20),
    (58, 38, 26),
    (104, 68, 40),
    (170, 120, 62),
    (222, 186, 122),
    (150, 150, 150),
    (150, 60, 30),
)


@dataclass(frozen=True)
class Look:
    """What a person wears and how its hair is."""

    skin: Color
    hair: Color
    hair_style: str  # bald, short, long, hat
    hat: Color
    top: Cloth
    bottom: Cloth
    shoes: Color
    sleeves: str  # none, short, long
    legs: str  # long, short, skirt
    jacket: Color | None  # an open one, and the colour that shows between its halves
    bag: Color | None  # on the back
    glasses: bool
    loose: float  # how much wider than the limb the clothes are


def sample_look(rng: np.random.Generator, scale: float) -> Look:
    """Draw clothes, skin and hair; `scale` (pixels a height) sets the periods of patterns."""
    lighter = int(rng.integers(len(SKINS) - 1))
    share = rng.random()
    skin = tuple(int(a + (b - a) * share) for a, b in zip(SKINS[lighter], SKINS[lighter + 1], strict=True))
    top, bottom = _cloth(rng, scale, 0.5), _cloth(rng, scale, 0.15)
    if rng.random() < 0.12:  # overalls, a dress, a tracksuit
        bottom = top
    return Look(
        skin=skin,
        hair=_near(rng, HAIRS[rng.integers(len(HAIRS))]),
        hair_style=pick(rng, {"bald": 0.08, "short": 0.48, "long": 0.30, "hat": 0.14}),
        hat=_color(rng),
        top=top,
        bottom=bottom,
        shoes=_color(rng),
        sleeves=pick(rng, {"none": 0.15, "short": 0.42, "long": 0.43}),
        legs=pick(rng, {"long": 0.6, "short": 0.23, "skirt": 0.17}),
        jacket=_color(rng) if rng.random() < 0.25 else None,
        bag=_color(rng) if rng.random() < 0.12 else None,
        glasses=bool(rng.random() < 0.2),
        loose=rng.uniform(1.02, 1.22),
    )


def _cloth(rng: np.random.Generator, scale: float, patterned: float) -> Cloth:
    pattern = "plain"
    if rng.random() < patterned:
        pattern = pick(rng, {"stripes": 1, "pinstripes": 1, "checks": 1, "dots": 1})
    return Cloth(_color(rng), pattern, _color(rng), max(3.0, scale * rng.uniform(0.03, 0.09)))


def _color(rng: np.random.Generator) -> Color:
    """Draw a colour as clothes have: greys often, bright ones too."""
    if rng.random() < 0.35:
        gray = int(rng.integers(15, 240))
        return _near(rng, (gray, gray, gray))
    value, strength = rng.uniform(50, 245), rng.beta(1.6, 1.6)
    return tuple(int(value * (1 - strength * lack)) for lack in rng.random(3))  # type: ignore[return-value]


def _near(rng: np.random.Generator, color: Color) -> Color:
    return tuple(min(255, max(0, c + int(d))) for c, d in zip(color, rng.integers(-14, 15, 3), strict=True))  # type: ignore
