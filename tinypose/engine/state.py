"""A run of training: what it works on, where it stands, and how that is kept."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn
from pydantic import TypeAdapter, ValidationError

from tinypose.config import Config
from tinypose.data.examples import Batch, TrainingSet
from tinypose.data.tracked import TrackedSet
from tinypose.data.whole import WholeSet
from tinypose.engine import checkpoint
from tinypose.engine.optimiser import Average, optimiser_state, restore_optimiser
from tinypose.engine.task import Validation
from tinypose.errors import UserError

Inputs = Callable[[Batch], tuple[Any, ...]]  # tensors and lists of them


@dataclass
class Standing:
    """Where a run stands.

    Attributes:
        number: of the next step, counted through all epochs.
        loss: sum of the losses of this epoch's steps so far.
        seconds: that this epoch's steps took so far.
        waited: of these, how many they waited for batches.
        best: the best measurement so far, or None.
        worse: measurements since then.
        history: a record an epoch.
    """

    number: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    waited: float = 0.0
    best: float | None = None
    worse: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """What the steps of a run work on.

    Attributes:
        config: of the run.
        output: its folder.
        people: whom to train on.
        val: what to measure on, or None.
        net: the network whose weights are kept.
        objective: the layer that is trained; it holds `net`, and its `forward` returns the loss.
        inputs: turns a batch into the arguments of `objective`.
        optimiser: of the objective's parameters.
        scaler: scales the loss for mixed precision; without, it does nothing.
        average: of the network's weights, or None.
        processes: that train together.
        rank: of this process among them.
    """

    config: Config
    output: Path
    people: TrainingSet | WholeSet | TrackedSet
    val: Validation | None
    net: nn.Layer
    objective: nn.Layer
    inputs: Inputs
    optimiser: paddle.optimizer.Optimizer
    scaler: paddle.amp.GradScaler
    average: Average | None
    processes: int
    rank: int

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return self.config.train.epochs * self.people.steps


def finished(run: Run, standing: Standing) -> bool:
    """Return whether all steps are done, or measurements have not become better for too long."""
    patience = run.config.train.patience
    return standing.number >= run.steps or (patience is not None and standing.worse >= patience)


def save(run: Run, standing: Standing) -> None:
    """Write everything that is needed to go on from here."""
    if run.rank > 0:
        return
    groups = {
        "weights": run.objective.state_dict(),
        "optimiser": optimiser_state(run.optimiser, run.objective),
        "average": run.average.values if run.average else {},
    }
    arrays = {
        f"{group}:{key}": value.numpy() for group, each in groups.items() for key, value in each.items()
    }
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise UserError(f"{run.output}: the weights are no longer finite; a lower learning rate may help")
    facts = {
        "arrays": {key: list(array.shape) for key, array in arrays.items()},
        "standing": asdict(standing),
        "scaler": {key: np.asarray(value).tolist() for key, value in run.scaler.state_dict().items()},
    }
    checkpoint.save_state(run.output / "state.npz", arrays, facts)


def restore(run: Run) -> Standing:
    """Bring a run to where its saved state stands.

    Raises:
        UserError: the state is damaged, of another network, or an entry of it is missing.
    """
    path = run.output / "state.npz"
    arrays, facts = checkpoint.load_state(path)
    found = {key: list(array.shape) for key, array in arrays.items()}
    expected = facts.get("arrays")
    if not isinstance(expected, dict):
        raise UserError(f"{path}: damaged: does not say which arrays it has; begin a new run")
    if found != expected:
        odd = [key for key in {**found, **expected} if found.get(key) != expected.get(key)]
        raise UserError(f"{path}: damaged: missing or of another shape: {', '.join(odd[:5])}")
    groups: dict[str, dict[str, np.ndarray]] = {"weights": {}, "optimiser": {}, "average": {}}
    for key, array in arrays.items():
        group, _, name = key.partition(":")
        if group not in groups or not np.issubdtype(array.dtype, np.number):
            raise UserError(
                f"{path}: damaged: holds '{key}' of type {array.dtype}, which is no part of a state"
            )
        if not np.isfinite(array).all():
            raise UserError(f"{path}: damaged: '{key}' holds numbers that are not finite")
        groups[group][name] = array
    own = run.objective.state_dict()
    _check_fits(path, groups["weights"], own)
    if run.average:
        _check_fits(path, groups["average"], run.average.values)
    try:
        standing = TypeAdapter(Standing).validate_python(facts.get("standing"))
        if not 0 <= standing.number <= run.steps:
            raise ValueError(f"stands at step {standing.number} of {run.steps}")
        if standing.number == run.steps and not standing.history:
            raise ValueError("at its end without a record of an epoch")
        scaler = facts["scaler"]
        if scaler:
            run.scaler.load_state_dict(scaler | {"scale": np.array(scaler["scale"], np.float32)})
        restore_optimiser(run.optimiser, run.objective, groups["optimiser"])
    except (ValidationError, KeyError, TypeError, ValueError, AssertionError) as error:
        raise UserError(f"{path}: damaged, cannot go on from it ({type(error).__name__}: {error})") from None
    for key, tensor in own.items():
        tensor.set_value(groups["weights"][key])
    if run.average:
        run.average.values = {key: paddle.to_tensor(value) for key, value in groups["average"].items()}
    return standing


def _check_fits(path: Path, arrays: dict[str, np.ndarray], tensors: dict[str, paddle.Tensor]) -> None:
    if arrays.keys() != tensors.keys() or any(
        list(arrays[key].shape) != list(tensor.shape) for key, tensor in tensors.items()
    ):
        raise UserError(f"{path}: the state of another network")


def use_average(run: Run) -> dict[str, np.ndarray]:
    """Give the network its averaged weights, if there are any; returns those it had."""
    if run.average is None:
        return {}
    own = run.net.state_dict()
    live = {key: tensor.numpy() for key, tensor in own.items()}
    for key, tensor in own.items():
        tensor.set_value(run.average.values[key])
    return live


def put_back(run: Run, live: dict[str, np.ndarray]) -> None:
    """Undo `use_average`."""
    own = run.net.state_dict()
    for key, value in live.items():
        own[key].set_value(value)
