"""What the sections of configs and of `pose.json` have in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of a config: unknown keys are errors, and values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)
