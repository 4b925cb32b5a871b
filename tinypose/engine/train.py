"""Train a network: from a config to a folder with checkpoints."""

import time
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn

from tinypose.config import Config
from tinypose.console import err
from tinypose.data.examples import Batch
from tinypose.data.loader import Loader, open_loader
from tinypose.engine import checkpoint, parallel
from tinypose.engine.curves import check_visualdl, draw_curves, write_visualdl
from tinypose.engine.device import choose_device, layout, on_device, put_waiting
from tinypose.engine.loss import PoseObjective
from tinypose.engine.optimiser import Average, make_optimiser, rate_at
from tinypose.engine.progress import StopRequest, TrainingBar
from tinypose.engine.state import Inputs, Run, Standing, finished, put_back, restore, save, use_average
from tinypose.engine.sync_norm import synchronise_norms
from tinypose.engine.task import Task, metric_of, pose_task
from tinypose.errors import UserError
from tinypose.files import claim_folder, write_json
from tinypose.models import build_model
from tinypose.models.weights import load_backbone, load_weights
from tinypose.network import as_network
from tinypose.skeleton import load_skeleton


class Stopped(Exception):
    """The run was asked to stop. Its state is saved, and it can go on. `signal` is what asked."""

    def __init__(self, message: str, signal: int):
        super().__init__(message)
        self.signal = signal


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
    net = build_model(config, len(skeleton.joints))
    start_weights(net, config, quiet)
    objective = PoseObjective(net, config.output, config.train.hard_joints)
    return fit(config, output, net, objective, batch_inputs, resume=resume, quiet=quiet)


def start_weights(net: nn.Layer, config: Config, quiet: bool = False) -> None:
    """Give a network the weights that its config starts from: `train.backbone`, then `weights`."""
    if config.train.backbone is not None:
        left = load_backbone(net, config.train.backbone)
        if not quiet:
            count = len(net.state_dict())
            err.print(f"{config.train.backbone}: fills {count - len(left)} of {count} tensors", markup=False)
    if config.weights is not None:
        load_weights(net, config.weights, config.train.new_head)


def batch_inputs(batch: Batch) -> tuple[paddle.Tensor, list[paddle.Tensor]]:
    """Return what `PoseObjective` takes."""
    return on_device(batch.images), [on_device(each) for each in batch.targets]


def fit(
    config: Config,
    output: str | Path,
    net: nn.Layer,
    objective: nn.Layer,
    inputs: Inputs,
    task: Task | None = None,
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
        task: data and measurement; None: a pose network's.
        resume: see `train`.
        quiet: see `train`.

    Returns:
        The record of the last epoch.

    Raises:
        UserError, Stopped: see `train`.
    """
    output = Path(output)
    if config.train.visualdl:
        check_visualdl()
    device = choose_device(config.train)
    rank, processes = device.rank, device.processes
    quiet = quiet or rank > 0
    with claim_folder(output) if rank == 0 else nullcontext():
        run, standing, lines, going = _prepare(
            config, output, net, objective, inputs, task or pose_task(config), resume, rank, processes
        )
        if not quiet:
            for line in lines:
                err.print(line, markup=False)
            if going:
                err.print(f"going on after {standing.number} of {run.steps} steps", markup=False)
        if not finished(run, standing):
            with ExitStack() as stack:
                stop = stack.enter_context(StopRequest())
                share = (rank, processes)
                stack.enter_context(layout(device.channels_last))
                ready = device.waiting and partial(put_waiting, place=device.waiting)
                loader = stack.enter_context(
                    open_loader(run.people, standing.number, run.steps, config.train.workers, share, ready)
                )
                bar = TrainingBar(standing.number, run.people.steps, config.train.epochs, quiet)
                stack.enter_context(parallel.answered(processes, output))
                run_steps(run, standing, loader, stack.enter_context(bar), stop)
    return standing.history[-1]


def _prepare(
    config: Config,
    output: Path,
    net: nn.Layer,
    objective: nn.Layer,
    inputs: Inputs,
    task: Task,
    resume: bool,
    rank: int,
    processes: int,
) -> tuple[Run, Standing, list[str], bool]:
    """Load data and bring the run to where it stands; also say what was loaded, and whether it goes on."""
    people, lines = task.load()
    if people.batch_size % processes:
        raise UserError(
            f"train.batch_size: {people.batch_size} people do not divide among {processes} processes"
        )
    val = task.validation()
    lines += [val.line] if val else []
    going = False
    if rank == 0:
        going = checkpoint.start_run(output, config, {"people": people.digest()}, resume)
    going = parallel.average([float(going)], processes)[0] > 0
    if config.train.sync_norm and processes > 1:
        synchronise_norms(objective)
    set_norm(objective, config)
    run = Run(
        config=config,
        output=output,
        people=people,
        val=val,
        net=net,
        objective=objective,
        inputs=inputs,
        optimiser=make_optimiser(objective, config.train),
        scaler=paddle.amp.GradScaler(enable=config.train.amp),
        average=Average(net, config.train.ema, config.train.ema_warmup) if config.train.ema else None,
        processes=processes,
        rank=rank,
    )
    standing = restore(run) if going else Standing()
    parallel.share_weights(objective, processes)
    return run, standing, lines, going


def run_steps(run: Run, standing: Standing, loader: Loader, bar: TrainingBar, stop: StopRequest) -> None:
    """Take the steps that are left, measuring and saving as the config says."""
    config = run.config.train
    # The synchronised batch norm talks to other processes, which a static graph cannot do.
    static = config.static and not (config.sync_norm and run.processes > 1)
    objective = paddle.jit.to_static(run.objective, full_graph=True) if static else run.objective
    parameters = [p for p in run.objective.parameters() if not p.stop_gradient]
    saved = time.monotonic()
    train_mode(run)
    while not finished(run, standing):
        start, waited = time.perf_counter(), loader.waited
        batch = next(loader)
        run.optimiser.set_lr(rate_at(standing.number, run.steps, config))
        with paddle.amp.auto_cast(enable=config.amp):
            loss = objective(*run.inputs(batch))
        value, stopping = parallel.average([float(loss), float(stop.signal is not None)], run.processes)
        if not np.isfinite(value):
            raise UserError(report_loss(run, standing, batch, float(loss)))
        run.scaler.scale(loss).backward()
        parallel.average_gradients(parameters, run.processes)
        run.scaler.step(run.optimiser)
        run.scaler.update()
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
    name, better = metric_of(run.val), False
    measured = run.val is not None and (epoch % config.eval_epochs == 0 or epoch == config.epochs)
    if measured and run.rank == 0:
        record.update(run.val.measure(as_network(run.net)))
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
    bar.epoch(record, name, better, run.val.how if run.val else "")
    if config.visualdl and run.rank == 0:
        write_visualdl(run.output / "visualdl", record)
    if run.rank == 0 and finished(run, standing):
        draw_curves(run.output / "curves.png", standing.history, name)


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
