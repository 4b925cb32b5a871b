"""What a climb found: as a folder for `lite-deploy export`, and as a table and sentences for the terminal."""

from pathlib import Path

from compress.quant.chart import write_sensitivity
from compress.quant.climb import Climb, Rung
from compress.quant.package import MeasuredRecord, RungRecord, write_package
from compress.quant.pay import int8_saving
from compress.quant.settings import SETTINGS, write_settings
from compress.quant.task import Task
from tinypose.files import sha256


def write_result(climb: Climb, folder: Path, config_file: str, rewritten: bool) -> None:
    """Write the folder of `compress.quant.package`, and the sensitivities if they were measured."""
    task, chosen = climb.task, climb.chosen
    if climb.errors:
        metric = task.measure.metric
        write_sensitivity(folder, climb.errors, climb.ap_alone, climb.fp32.ap, chosen.kept, metric)
    fields = {
        "config": task.config.model_dump(mode="json"),
        "config_file": config_file,
        "weights": str(task.config.weights),
        "weights_sha256": sha256(task.weights),
        "rewritten": rewritten,
        "people": len(task.crops),
        "measured": task.measure.people,
        "target": task.config.quant.target,
        "saved_instructions": _saved(task, chosen),
        "fp32_ap": climb.fp32.ap,
        "rungs": [_record(climb, rung) for rung in climb.rungs],
        "chosen": chosen.name,
        "kept_fp32": chosen.kept,
        "errors": climb.errors,
    }
    (folder / SETTINGS).unlink(missing_ok=True)  # of what is replaced
    record = write_package(folder, chosen.graph, chosen.scales, fields)
    if chosen.again:
        write_settings(folder, record, task.graph, chosen.factors)


def columns(climb: Climb) -> tuple[str, ...]:
    """Return the heads of the table whose rows `rows` gives."""
    metric = climb.task.measure.metric
    return "setting", "in INT8", "in FP32", metric, "spread", f"{metric} lost", "5 % to 95 %", "output error"


def rows(climb: Climb) -> list[tuple[str, ...]]:
    """Return the rows of a table, FP32 first."""
    found = [("FP32", "0", "", f"{climb.fp32.ap:.2f}", "", "", "", "")]
    total = sum(node.kind == "conv2d" for node in climb.task.graph.nodes)
    for rung in climb.rungs:
        name = f"{rung.name} (chosen)" if rung is climb.chosen else rung.name
        accuracy, counts = rung.accuracy, (len(rung.scales), total - len(rung.scales))
        low, high = accuracy.interval
        found.append(
            (name, *map(str, counts), f"{accuracy.ap:.2f}", f"{accuracy.spread:.2f}")
            + (f"{climb.fp32.ap - accuracy.ap:.2f}", f"{low:.2f} to {high:.2f}", f"{accuracy.error:.4f}")
        )
    return found


def sentences(climb: Climb) -> list[str]:
    """Say what the chosen setting costs, and how sure its accuracy is."""
    chosen, task = climb.chosen, climb.task
    accuracy, target = chosen.accuracy, task.config.quant.target
    metric, measured = task.measure.metric, task.measure.people
    said = [
        f"left in FP32 for accuracy: {name} (output error {climb.errors[name]:.2g})" for name in chosen.kept
    ]
    if climb.approximated is not None:
        said.append(
            f"hard_swish for SiLU: {metric} {climb.approximated:.2f} in FP32, {climb.fp32.ap:.2f} with SiLU"
        )
    saved = _saved(task, chosen)
    if saved is not None:
        core = "with sdot" if target == "sdot" else "without sdot"
        said.append(
            f"for cores {core}: {len(chosen.scales)} convolutions in INT8 save an estimated "
            f"{saved / 1e6:.1f} million instructions an inference against FP32"
        )
    low, high = accuracy.interval
    drop, draws = climb.fp32.ap - accuracy.ap, len(accuracy.aps)
    said.append(
        f"{metric} lost on these {measured} people: {drop:.2f}, the mean of {draws} draws of the roundings; "
        f"on other people like them: {low:.2f} to {high:.2f} in nine of ten cases"
    )
    if climb.allowed is not None:
        sure = accuracy.sure(climb.allowed)
        said.append(
            f"that such people lose no more than {climb.allowed:g} {metric} is {sure:.0%} sure; more people "
            "in data.val make it surer"
        )
    return said


def _saved(task: Task, rung: Rung) -> int | None:
    target = task.config.quant.target
    return None if target == "any" else round(int8_saving(rung.graph, rung.scales, target == "sdot"))


def _record(climb: Climb, rung: Rung) -> RungRecord:
    accuracy = rung.accuracy
    low, high = accuracy.interval
    measured = MeasuredRecord(
        aps=accuracy.aps,
        mean=accuracy.ap,
        spread=accuracy.spread,
        lost_low=low,
        lost_high=high,
        heatmap_error=accuracy.error,
        sure=None if climb.allowed is None else accuracy.sure(climb.allowed),
    )
    return RungRecord(name=rung.name, quantised=len(rung.scales), kept=len(rung.kept), accuracy=measured)
