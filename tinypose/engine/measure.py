"""Measure a network by the metric of the set it is measured on."""

from tinypose.config import Config
from tinypose.data.coco import PeopleSet
from tinypose.engine.evaluate import Run, evaluate, people_to_evaluate
from tinypose.skeleton import Skeleton


def main_metric(config: Config) -> str:
    """Return the name of the metric that decides which checkpoint is best."""
    return "AP"


def measure(
    run: Run, people: PeopleSet, config: Config, skeleton: Skeleton, progress: str = "evaluating"
) -> dict[str, float | None]:
    """Measure a network on a set of people; returns percentages by name.

    Args:
        run: float32 [N, 3, H, W] -> float32 [N, J, h, w].
        people: of `data.val`.
        config: `data.val.format` decides the metric.
        skeleton: of the network.
        progress: what the progress bar says; empty for none.
    """
    return evaluate(run, people, config, skeleton, progress)[0]


def load_val(config: Config, skeleton: Skeleton) -> PeopleSet | None:
    """Load `data.val`, if it is set."""
    return None if config.data.val is None else people_to_evaluate(config, skeleton)
