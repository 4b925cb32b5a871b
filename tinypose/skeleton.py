"""Skeletons as data: one YAML file says all there is to know about a set of joints."""

from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from tinypose.config import CONFIGS
from tinypose.config_file import read_yaml
from tinypose.errors import UserError
from tinypose.section import Section
from tinypose.validation import validate

Channel = Annotated[int, Field(ge=0, le=255)]


class Limb(Section):
    """A line between two joints, and its colour."""

    joints: tuple[str, str]
    color: tuple[Channel, Channel, Channel] = Field(description="RGB")


class Skeleton(Section):
    """Joints in the order of the heatmaps, and what is known of them."""

    model_config = ConfigDict(allow_inf_nan=True)  # the sigmas' bounds, below, say more

    name: str
    joints: tuple[str, ...] = Field(min_length=1)
    pairs: tuple[tuple[str, str], ...] = Field(description="left and right of the same joint")
    sigmas: tuple[float, ...] = Field(description="OKS: standard deviation of annotators, COCO's sigmas")
    limbs: tuple[Limb, ...] = ()
    upper_body: tuple[str, ...] = Field((), description="joints that a half-body crop keeps together")
    links: tuple[tuple[str, str], ...] = Field(
        (), description="rescoring: joints whose distances a person is judged by"
    )
    trunk: tuple[tuple[str, str], ...] = Field((), description="rescoring: the links that tell its size")
    thresholds: tuple[float, ...] = Field(
        (),
        description="score from which each joint is there, as `tinypose eval --thresholds` chose; none: 0.2",
    )
    head_segment: tuple[str, str] | None = Field(None, description="PCKh: the joints that span the head")

    @model_validator(mode="after")
    def _consistent(self) -> "Skeleton":
        if len(set(self.joints)) != len(self.joints):
            raise ValueError("a joint stands twice in `joints`")
        if len(self.sigmas) != len(self.joints):
            raise ValueError(f"expected {len(self.joints)} sigmas, one a joint, found {len(self.sigmas)}")
        if self.thresholds and len(self.thresholds) != len(self.joints):
            raise ValueError(f"expected {len(self.joints)} thresholds, found {len(self.thresholds)}")
        if any(not 0 <= threshold <= 2 for threshold in self.thresholds):
            raise ValueError("thresholds must be from 0 to 2")
        if any(not 0 < sigma < 1 for sigma in self.sigmas):  # relative to the person's size; NaN fails too
            raise ValueError("sigmas must be above 0 and below 1")
        paired = [joint for pair in self.pairs for joint in pair]
        if len(set(paired)) != len(paired):
            raise ValueError("a joint stands twice in `pairs`")
        named = {*paired, *self.upper_body, *(j for limb in self.limbs for j in limb.joints)}
        named.update(self.head_segment or ())
        named.update(joint for link in self.links for joint in link)
        if odd := [" - ".join(link) for link in self.trunk if link not in self.links]:
            raise ValueError(f"trunk: not in `links`: {', '.join(odd)}")
        if unknown := sorted(named - set(self.joints)):
            raise ValueError(f"not in `joints`: {', '.join(unknown)}")
        return self

    def index(self, joint: str) -> int:
        """Return the place of a joint among the heatmaps."""
        return self.joints.index(joint)

    @cached_property
    def flip_order(self) -> np.ndarray:
        """Return int64 [J]: where each joint of the mirrored picture comes from. Its own inverse."""
        order = np.arange(len(self.joints))
        for left, right in self.pairs:
            i, j = self.index(left), self.index(right)
            order[i], order[j] = j, i
        return order

    @cached_property
    def limb_indices(self) -> list[tuple[int, int]]:
        """Return the limbs as pairs of joint numbers."""
        return [(self.index(limb.joints[0]), self.index(limb.joints[1])) for limb in self.limbs]

    @cached_property
    def upper_body_indices(self) -> list[int]:
        """Return the joint numbers of the upper body."""
        return [self.index(joint) for joint in self.upper_body]


def load_skeleton(name: str | Path) -> Skeleton:
    """Load a skeleton by the name of one that ships (`coco17`) or by the path of a YAML file.

    Raises:
        UserError: there is none of that name, or the file contradicts itself.
    """
    path = Path(name)
    if path.suffix not in (".yml", ".yaml"):
        path = CONFIGS / "skeletons" / f"{name}.yml"
        if not path.is_file():
            known = ", ".join(sorted(each.stem for each in path.parent.glob("*.yml")))
            raise UserError(f"skeleton: no '{name}'; expected a .yml file or one of: {known}")
    values = read_yaml(path, "skeleton")
    return validate(Skeleton, values, {}, str(path))
