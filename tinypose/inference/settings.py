"""How people are followed: the settings that both trackers take."""

from typing import Literal

from pydantic import Field

from tinypose.section import Section


class FollowSettings(Section):
    """How people are followed."""

    tracker: Literal["keypoints", "looks"] = Field(
        "keypoints", description="keypoints: by joints and boxes; looks: by what FairMOT sees of people"
    )
    detect_every: int = Field(5, ge=1, description="frames from one detection to the next; 1: every frame")
    sure: float = Field(0.2, ge=0, le=1, description="a person's score from which a new id is given")
    least: float = Field(0.1, ge=0, le=1, description="a person's score below which there is no one")
    patience: float = Field(1.0, ge=0, description="for how many seconds someone out of sight is remembered")
    smooth: Literal["one_euro", "ema", "none"] = "one_euro"
    cutoff: float = Field(1.0, gt=0, description="one_euro: hertz, for joints at rest; lower is steadier")
    beta: float = Field(
        20.0, ge=0, description="one_euro: hertz for one person size a second; higher lags less"
    )
    constant: float = Field(0.05, gt=0, description="ema: time constant in seconds")
