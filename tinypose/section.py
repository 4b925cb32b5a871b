"""What the sections of configs and of `pose.json` have in common."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

# What a length in a crop is, see `tinypose.geometry`.
Crop = Literal["udp", "plain"]
LARGEST_INPUT = 2048  # pixels a side of what a network sees
MOST = 10_000_000  # of whatever is counted: epochs, people, steps


class Section(BaseModel):
    """A part of a config: unknown keys are errors, no number is NaN or infinite, and values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _parts_of_white(values: tuple[float, ...]) -> tuple[float, ...]:
    if max(values) > 1:
        shown = ", ".join(f"{value / 255:.4g}" for value in values)
        raise ValueError(
            "expected parts of 1, where white is 1; these look like pixels of 0 to 255, as other projects "
            f"write them: divide by 255, which gives [{shown}]"
        )
    return values


_Mean = Annotated[float, Field(ge=0, le=255)]
_Std = Annotated[float, Field(ge=1e-3, le=255)]
Mean = Annotated[tuple[_Mean, _Mean, _Mean], AfterValidator(_parts_of_white)]
Std = Annotated[tuple[_Std, _Std, _Std], AfterValidator(_parts_of_white)]


def _smaller_first(bounds: tuple[float, float]) -> tuple[float, float]:
    if not 0 < bounds[0] <= bounds[1]:
        raise ValueError("expected two numbers above 0, the smaller one first")
    return bounds


Bounds = Annotated[tuple[float, float], AfterValidator(_smaller_first)]

_Part = Annotated[float, Field(le=1)]
Parts = Annotated[tuple[_Part, _Part], AfterValidator(_smaller_first)]
_Shade = Annotated[float, Field(ge=0, le=255)]
Shades = tuple[Annotated[float, Field(ge=0, le=180)], _Shade, _Shade]
