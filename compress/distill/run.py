"""Distil: from two configs to a student's checkpoint."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import paddle

from compress.distill.objective import DistillObjective, strength_at
from compress.distill.teacher import Cache, Teacher, check_fit, take_backbone, teacher_config
from tinypose.config import Config
from tinypose.console import err
from tinypose.data.examples import Batch
from tinypose.data.merge import load_training_set
from tinypose.engine import parallel
from tinypose.engine.measure import load_val, main_metric, measure
from tinypose.engine.task import pose_task
from tinypose.engine.train import batch_inputs, fit, start_weights
from tinypose.errors import UserError
from tinypose.models import build_model
from tinypose.network import as_network
from tinypose.skeleton import Skeleton, load_skeleton


def distill(config: Config, output: str | Path, resume: bool = False, quiet: bool = False) -> dict[str, Any]:
    """Train the network of a config on annotated joints and on what a teacher finds.

    Args:
        config: the student's; its section `distill` names the teacher.
        output: a new folder, or with `resume` the folder of the run to go on with.
        resume: go on where the run in `output` stopped; start it if there is none.
        quiet: print nothing.

    Returns:
        The record of the last epoch.

    Raises:
        UserError: configs that do not belong together, or what `tinypose.engine.train.train` raises.
        tinypose.engine.train.Stopped: as `train`.
    """
    settings = config.distill
    if settings is None:
        raise UserError("distill: not set; expected a section with `teacher`, a config")
    rank, _ = parallel.start_processes()
    say: Callable[..., None] = (lambda *_, **__: None) if quiet or rank > 0 else err.print
    skeleton = load_skeleton(config.skeleton)
    teacher_settings = teacher_config(settings)
    check_fit(teacher_settings, config)
    paddle.seed(config.train.seed)
    net = build_model(config, len(skeleton.joints))
    start_weights(net, config, quiet or rank > 0)
    teacher = Teacher(teacher_settings, config, skeleton)
    if settings.head_only:
        take_backbone(net, teacher.net)
        # Batch norm of a backbone that is kept goes by its own statistics.
        config = config.model_copy(update={"train": config.train.model_copy(update={"freeze_norm": True})})
    value = compare(teacher, net, config, skeleton, say) if rank == 0 else None
    people, _ = load_training_set(config, skeleton, variants=settings.variants)
    cache = None
    if settings.cache is not None:
        cache = Cache(settings.cache, people, config, teacher_settings, rank)
    steps = config.train.epochs * people.steps

    def inputs(batch: Batch) -> tuple[Any, ...]:
        known, features = (cache.read(batch) if cache else None), None
        outputs = [known]
        if known is None:
            outputs, features = teacher.targets(batch)
            outputs = [cache.write(batch, outputs[0])] if cache else outputs
        strength = strength_at(batch.epoch * people.steps + batch.step, steps, settings)
        taught = [paddle.to_tensor(each) for each in outputs]
        given = (*batch_inputs(batch), paddle.to_tensor(strength, "float32"), taught)
        return given if features is None else (*given, features)

    objective = DistillObjective(net, settings, config.output, teacher.channels, config.train.hard_joints)
    second = teacher_settings.input if teacher.own_crop else None
    record = fit(
        config,
        output,
        net,
        objective,
        inputs,
        task=pose_task(config, second, settings.variants),
        resume=resume,
        quiet=quiet,
    )
    name = main_metric(config)
    if value is not None and record.get(name) is not None and record[name] > value:
        say(
            f"the student, {name} {record[name]:.1f}, is better than its teacher, {value:.1f}", style="yellow"
        )
    return record


def compare(
    teacher: Teacher, net: paddle.nn.Layer, config: Config, skeleton: Skeleton, say: Callable[..., None]
) -> float | None:
    """Measure the teacher, and the student where it starts from weights; warn if the teacher is worse.

    Returns:
        The teacher's main metric in percent, or None without data.val.
    """
    val = load_val(config, skeleton)
    if val is None:
        say("data.val: not set, so the teacher is not measured", style="yellow")
        return None
    name = main_metric(config)
    seeing = teacher.config.model_copy(update={"data": config.data, "eval": config.eval})
    value = measure(as_network(teacher.net), val, seeing, skeleton, "measuring the teacher")[0][name] or 0.0
    say(f"teacher: {teacher.config.weights}: {name} {value:.1f}", markup=False)
    if config.weights is not None:
        own = measure(as_network(net), val, config, skeleton, "measuring the student")[0][name] or 0.0
        say(f"student: {config.weights}: {name} {own:.1f} before training", markup=False)
        if own > value:
            say("the teacher is worse than the student is already: it will pull it down", style="yellow")
    return value
