"""Train a network: from a config to a folder with checkpoints."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn

from tinypose.config import Config, InputConfig
from tinypose.console import err
from tinypose.data.batches import Batch, TrainingSet
from tinypose.data.coco import PeopleSet
from tinypose.data.loader import Loader, open_loader
from tinypose.data.merge import load_training_set
from tinypose.engine import checkpoint, parallel
from tinypose.engine.curves import draw_curves
from tinypose.engine.evaluate import as_run
from tinypose.engine.loss import HeatmapObjective
from tinypose.engine.measure import load_val, main_metric, measure
from tinypose.engine.optimiser import Average, make_optimiser, optimiser_state, rate_at, restore_optimiser
from tinypose.engine.progress import StopRequest, TrainingBar
from tinypose.errors import UserError
from tinypose.files import write_json
from tinypose.models import build_model
from tinypose.models.weights import load_weights
from tinypose.skeleton import Skeleton, load_skeleton

Inputs = Callable[[Batch], tuple[paddle.Tensor, ...]]


class Stopped(Exception):
    """The run was asked to stop. Its state is saved, and it can go on. `signal` is what asked."""

    def __init__(self, message: str, signal: int):
        super().__init__(message)
        self.signal = signal


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
        skeleton: of the network.
        people: whom to train on.
        val: whom to measure on, or None.
        net: the network whose weights are kept.
        objective: the layer that is trained; it holds `net`, and its `forward` returns the loss.
        inputs: turns a batch into the arguments of `objective`.
        optimiser: of the objective's parameters.
        average: of the network's weights, or None.
        processes: that train together.
        rank: of this process among them.
    """

    config: Config
    output: Path
    skeleton: Skeleton
    people: TrainingSet
    val: PeopleSet | None
    net: nn.Layer
    objective: nn.Layer
    inputs: Inputs
    optimiser: paddle.optimizer.Optimizer
    average: Average | None
    processes: int
    rank: int

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return self.config.train.epochs * self.people.steps


def train(config: Config, output: str | Path, resume: bool = False, quiet: bool = False) -> dict[str, Any]:
    """Train the network of a config.

    Args:
        config: its sections `quant` and `distill` are not used.
        output: a new folder, or with `resume` the folder of the run to go on with.
        resume: go on where the run in `output` stopped; start it if there is none.
        quiet: no progress bar and no lines.

    Returns:
        The record of the last epoch.

    Raises:
        UserError: data, weights or a folder that cannot be used, or a loss that is not finite.
        Stopped: by Ctrl-C or SIGTERM, after saving where the run stands.
    """
    skeleton = load_skeleton(config.skeleton)
    paddle.seed(config.train.seed)
    net = build_model(config.model, len(skeleton.joints))
    if config.weights is not None:
        load_weights(net, config.weights, config.train.new_head)
    objective = HeatmapObjective(net, config.train.hard_joints)
    return fit(config, output, net, objective, batch_inputs, resume=resume, quiet=quiet)


def batch_inputs(batch: Batch) -> tuple[paddle.Tensor, ...]:
    """Return what `HeatmapObjective` takes."""
    return tuple(paddle.to_tensor(each) for each in (batch.images, batch.heatmaps, batch.weights))


def fit(
    config: Config,
    output: str | Path,
    net: nn.Layer,
    objective: nn.Layer,
    inputs: Inputs,
    second: InputConfig | None = None,
    variants: int | None = None,
    resume: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Train `objective` and keep the weights of `net`, which is a part of it.

    Args:
        config: data, augmentation and training.
        output: the run's folder.
        net: images [N, 3, H, W] -> heatmaps [N, J, h, w].
        objective: returns a scalar loss.
        inputs: turns a batch into the arguments of `objective`.
        second: a second crop that `inputs` needs, such as a teacher's.
        variants: see `TrainingSet`.
        resume: see `train`.
        quiet: see `train`.

    Returns:
        The record of the last epoch.

    Raises:
        UserError, Stopped: see `train`.
    """
    output = Path(output)
    rank, processes = parallel.start_processes()
    quiet = quiet or rank > 0
    skeleton = load_skeleton(config.skeleton)
    people, lines = load_training_set(config, skeleton, second, variants)
    if people.batch_size % processes:
        raise UserError(
            f"train.batch_size: {people.batch_size} people do not divide among {processes} processes"
        )
    val = load_val(config, skeleton)
    lines += [f"{config.data.val.annotations.name}, to measure on: {val.summary}"] if val else []
    going = False
    if rank == 0:
        going = checkpoint.start_run(output, config, {"people": people.digest()}, resume)
    going = parallel.average([float(going)], processes)[0] > 0
    set_norm(objective, config)
    average = Average(net, config.train.ema) if config.train.ema else None
    optimiser = make_optimiser(objective, config.train)
    run = Run(
        config, output, skeleton, people, val, net, objective, inputs, optimiser, average, processes, rank
    )
    standing = restore(run) if going else Standing()
    parallel.share_weights(objective, processes)
    if not quiet:
        for line in lines:
            err.print(line, markup=False)
        if going:
            err.print(f"going on after {standing.number} of {run.steps} steps", markup=False)
    if not finished(run, standing):
        with ExitStack() as stack:
            stop = stack.enter_context(StopRequest())
            share = (rank, processes)
            loader = stack.enter_context(
                open_loader(people, standing.number, run.steps, config.train.workers, share)
            )
            bar = stack.enter_context(TrainingBar(standing.number, people.steps, config.train.epochs, quiet))
            run_steps(run, standing, loader, bar, stop)
    return standing.history[-1]


def run_steps(run: Run, standing: Standing, loader: Loader, bar: TrainingBar, stop: StopRequest) -> None:
    """Take the steps that are left, measuring and saving as the config says."""
    config = run.config.train
    objective = paddle.jit.to_static(run.objective, full_graph=True) if config.static else run.objective
    parameters = [p for p in run.objective.parameters() if not p.stop_gradient]
    saved = time.monotonic()
    train_mode(run)
    while not finished(run, standing):
        start, waited = time.perf_counter(), loader.waited
        batch = next(loader)
        run.optimiser.set_lr(rate_at(standing.number, run.steps, config))
        loss = objective(*run.inputs(batch))
        value, stopping = parallel.average([float(loss), float(stop.signal is not None)], run.processes)
        if not np.isfinite(value):
            raise UserError(report_loss(run, standing, batch, float(loss)))
        loss.backward()
        parallel.average_gradients(parameters, run.processes)
        run.optimiser.step()
        run.optimiser.clear_grad()
        if run.average:
            run.average.update(standing.number)
        standing.number += 1
        standing.loss += value
        standing.seconds += time.perf_counter() - start
        standing.waited += loader.waited - waited
        done = (standing.number - 1) % run.people.steps + 1
        bar.step(standing.number, standing.loss / done, done * run.people.batch_size / standing.seconds)
        if done == run.people.steps:
            finish_epoch(run, standing, bar)
            saved = time.monotonic()
        elif stopping or time.monotonic() - saved > 60 * config.save_minutes:
            save(run, standing)
            saved = time.monotonic()
        if stopping and not finished(run, standing):
            raise Stopped(
                f"{run.output}: stopped after {standing.number} of {run.steps} steps; --resume goes on",
                stop.signal or 0,
            )


def finish_epoch(run: Run, standing: Standing, bar: TrainingBar) -> None:
    """Measure if it is time, write what there is to keep, and save."""
    config = run.config.train
    epoch = standing.number // run.people.steps
    parallel.average_statistics(run.net, run.processes)
    record = {
        "epoch": epoch,
        "step": standing.number,
        "loss": standing.loss / run.people.steps,
        "learning_rate": rate_at(standing.number - 1, run.steps, config),
        "images_per_second": run.people.steps * run.people.batch_size / standing.seconds,
        "waited": standing.waited / standing.seconds,
    }
    live = use_average(run)
    name, better = main_metric(run.config), False
    measured = run.val is not None and (epoch % config.eval_epochs == 0 or epoch == config.epochs)
    if measured and run.rank == 0:
        record.update(measure(as_run(run.net), run.val, run.config, run.skeleton, progress="")[0])
    if measured:
        value = record.get(name) or 0.0
        value = parallel.average([value if run.rank == 0 else 0.0], run.processes)[0] * run.processes
        better = standing.best is None or value > standing.best
        standing.best = value if better else standing.best
        standing.worse = 0 if better else standing.worse + 1
    standing.history.append(record)
    if run.rank == 0:
        params = {key: value.numpy() for key, value in run.net.state_dict().items()}
        if not all(np.isfinite(value).all() for value in params.values()):
            raise UserError(f"{run.output}: the weights are no longer finite; a lower learning rate may help")
        if better or run.val is None:
            checkpoint.write_checkpoint(run.output / "best.pdparams", params, run.config, record)
        checkpoint.write_checkpoint(run.output / "last.pdparams", params, run.config, record)
        checkpoint.write_history(run.output / "epochs.jsonl", standing.history)
    put_back(run, live)
    train_mode(run)
    standing.loss = standing.seconds = standing.waited = 0.0
    save(run, standing)
    bar.epoch(record, name, better)
    if run.rank == 0 and finished(run, standing):
        draw_curves(run.output / "curves.png", standing.history, name)


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
    checkpoint.save_state(run.output / "state.npz", arrays, asdict(standing))


def restore(run: Run) -> Standing:
    """Bring a run to where its saved state stands."""
    path = run.output / "state.npz"
    arrays, facts = checkpoint.load_state(path)
    groups: dict[str, dict[str, np.ndarray]] = {"weights": {}, "optimiser": {}, "average": {}}
    for key, array in arrays.items():
        group, _, name = key.partition(":")
        groups[group][name] = array
    own = run.objective.state_dict()
    if own.keys() != groups["weights"].keys():
        raise UserError(f"{path}: the state of another network")
    for key, tensor in own.items():
        tensor.set_value(groups["weights"][key])
    restore_optimiser(run.optimiser, run.objective, groups["optimiser"])
    if run.average:
        run.average.values = {key: paddle.to_tensor(value) for key, value in groups["average"].items()}
    return Standing(**facts)


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


def train_mode(run: Run) -> None:
    """Put the objective into training mode, batch norm only if it is to learn."""
    run.objective.train()
    set_norm(run.objective, run.config)


def set_norm(layer: nn.Layer, config: Config) -> None:
    """Keep batch norm in inference mode if the config freezes it."""
    if not config.train.freeze_norm:
        return
    for each in layer.sublayers():
        if isinstance(each, nn.BatchNorm2D):
            each.eval()


def report_loss(run: Run, standing: Standing, batch: Batch, loss: float) -> str:
    """Save which people the loss was not finite on; returns what to tell the user."""
    path = run.output / f"bad_batch_rank{run.rank}.json"
    people = [run.people.people[number] for number in batch.numbers]
    write_json(
        path,
        {
            "step": standing.number,
            "epoch": standing.number // run.people.steps + 1,
            "loss": str(loss),
            "people": [
                {"annotation": p.annotation_id, "image": p.image_id, "path": str(p.path)} for p in people
            ],
        },
    )
    return (
        f"{run.output}: the loss is {loss} at step {standing.number}; the batch's people are in {path}. "
        "A lower learning rate, a longer warm-up or train.clip may help"
    )
