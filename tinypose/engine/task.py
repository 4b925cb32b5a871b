"""What a run of training learns: the data it takes and how it is measured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tinypose.config import Config, InputConfig
from tinypose.data.examples import TrainingSet
from tinypose.data.merge import load_training_set
from tinypose.data.tracked import TrackedSet
from tinypose.data.whole import WholeSet
from tinypose.engine.measure import load_val, main_metric, measure
from tinypose.network import Network
from tinypose.skeleton import load_skeleton


@dataclass(frozen=True)
class Validation:
    """What a network is measured on.

    Attributes:
        line: about the data.
        measure: gives percentages by name for a network.
        metric: the name of the one that decides which checkpoint is best.
        how: how it was measured, to stand behind the number.
    """

    line: str
    measure: Callable[[Network], dict[str, float | None]]
    metric: str
    how: str = ""


@dataclass(frozen=True)
class Task:
    """How a run gets what it needs; both are called once the run begins.

    Attributes:
        load: returns what to train on, and a line about each set in it.
        validation: returns what to measure on, or None.
    """

    load: Callable[[], tuple[TrainingSet | WholeSet | TrackedSet, list[str]]]
    validation: Callable[[], Validation | None]


def pose_task(config: Config, second: InputConfig | None = None, variants: int | None = None) -> Task:
    """Return the task of a pose network; `second` and `variants` are `TrainingSet`'s."""
    skeleton = load_skeleton(config.skeleton)

    def validation() -> Validation | None:
        val = load_val(config, skeleton)
        if val is None:
            return None
        return Validation(
            line=f"{config.data.val.annotations.name}, to measure on: {val.summary}",
            measure=lambda network: measure(network, val, config, skeleton, progress="")[0],
            metric=main_metric(config),
            how=" (flip test)" if config.eval.flip else " (no flip test)",
        )

    return Task(lambda: load_training_set(config, skeleton, second, variants), validation)


def metric_of(validation: Any) -> str:
    """Return the metric's name; without anything to measure on, AP, which nobody then has."""
    return "AP" if validation is None else validation.metric
