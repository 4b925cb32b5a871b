"""How fast training is on this machine: loading alone, the step alone, and both.

    python benchmarks/train.py [--config FILE] [--batch 32] [--steps 12] [-o KEY=VALUE]

Loading is timed with as many processes as `train.workers` says. The step is timed as Paddle runs it by
default, with `tinypose.cpu.prepare_cpu`, and as one static graph with it, each in a process of its own,
because the settings have to be made before Paddle is imported. "Both" is the training as it is, with its
share of time spent waiting for batches. Results are printed as a table.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tinypose.config import CONFIGS, Config, load_config
from tinypose.console import out, table
from tinypose.cpu import cores
from tinypose.data.synthetic import draw_set

WARM_UP = 3  # steps before the clock starts: tracing, memory, caches


def main() -> None:
    """Draw people, time, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=CONFIGS / "tinypose_128x96.yml")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("-o", "--override", action="append", default=[])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        people = Path(folder) / "people"
        draw_set(people, 200, seed=0, size=(640, 480), people=(2, 4), workers=2)
        settings = [
            *options.override,
            f"data.train.annotations={people / 'annotations.json'}",
            f"data.train.images={people / 'images'}",
            f"train.batch_size={options.batch}",
            "data.datasets=[]",
        ]
        config = load_config(options.config, settings)
        loading = loading_rate(config, options.steps)
        rows = [("loading alone", f"{config.train.workers} processes", f"{loading:.0f}", "-", "-")]
        for name, prepared, static in (
            ("step alone", False, False),
            ("step alone", True, False),
            ("step alone", True, True),
        ):
            found = in_own_process(step_rate, config, options.steps, prepared, static)
            how = f"{'static graph' if static else 'dygraph'}, CPU {'prepared' if prepared else 'as it is'}"
            rows.append((name, how, f"{found['rate']:.1f}", f"{found['cpu']:.1f}", "-"))
        found = in_own_process(training_rate, config, options.steps, True, config.train.static)
        how = f"{'static graph' if config.train.static else 'dygraph'}, CPU prepared"
        rows.append(("both", how, f"{found['rate']:.1f}", f"{found['cpu']:.1f}", f"{found['waited']:.2%}"))
    size = f"{config.input.height}x{config.input.width}"
    title = f"{options.config.stem}, {size}, batch {options.batch}, {cores()} cores"
    columns = ("", "how", "images/s", "ms CPU/image", "waiting")
    out.print(table(title, columns, rows))


def loading_rate(config: Config, steps: int) -> float:
    """Return people a second that the loader makes when nobody else works."""
    from tinypose.data.loader import open_loader

    people = training_set(config)
    with open_loader(people, 0, 4 * steps, config.train.workers) as loader:
        next(loader)
        start = time.perf_counter()
        count = sum(len(batch.numbers) for batch in loader)
        return count / (time.perf_counter() - start)


def step_rate(config: Config, steps: int, static: bool) -> dict[str, float]:
    """Return people a second, and milliseconds of CPU each, of the step on a batch that stays."""
    step, batch = make_step(config, static)
    for _ in range(WARM_UP):
        step(batch)
    start, cpu = time.perf_counter(), time.process_time()
    for _ in range(steps):
        step(batch)
    count = steps * len(batch.numbers)
    return {
        "rate": count / (time.perf_counter() - start),
        "cpu": 1000 * (time.process_time() - cpu) / count,
    }


def training_rate(config: Config, steps: int, static: bool) -> dict[str, float]:
    """Return the same of the training as it is, and the share of time that it waits for batches."""
    from tinypose.data.loader import open_loader

    step, _ = make_step(config, static)
    count, start, cpu, waited = 0, 0.0, 0.0, 0.0
    with open_loader(training_set(config), 0, WARM_UP + steps, config.train.workers) as loader:
        for number, batch in enumerate(loader):
            if number == WARM_UP:
                start, cpu, waited = time.perf_counter(), time.process_time(), loader.waited
            step(batch)
            count += len(batch.numbers) * (number >= WARM_UP)
        seconds = time.perf_counter() - start
        return {
            "rate": count / seconds,
            "cpu": 1000 * (time.process_time() - cpu) / count,
            "waited": (loader.waited - waited) / seconds,
        }


def training_set(config: Config):
    """Return the people of the config, ready to make batches of."""
    from tinypose.data.merge import load_training_set
    from tinypose.skeleton import load_skeleton

    return load_training_set(config, load_skeleton(config.skeleton))[0]


def make_step(config: Config, static: bool):
    """Return a function that takes a batch one step further, and a batch."""
    import paddle

    from tinypose.data.loader import numbered_batch
    from tinypose.engine.loss import PoseObjective
    from tinypose.engine.optimiser import make_optimiser
    from tinypose.engine.train import batch_inputs
    from tinypose.models import build_model

    people = training_set(config)
    objective = PoseObjective(build_model(config, len(people.skeleton.joints)), config.output)
    optimiser = make_optimiser(objective, config.train)
    forward = paddle.jit.to_static(objective, full_graph=True) if static else objective

    def step(batch) -> None:
        loss = forward(*batch_inputs(batch))
        float(loss)
        loss.backward()
        optimiser.step()
        optimiser.clear_grad()

    return step, numbered_batch(people, 0, (0, 1))


def in_own_process(work, config: Config, steps: int, prepared: bool, static: bool) -> dict[str, float]:
    """Run `work` in a fresh process, with or without `prepare_cpu`."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return json.loads(pool.submit(_work, work, config, steps, prepared, static).result())


def _work(work, config: Config, steps: int, prepared: bool, static: bool) -> str:
    if prepared:
        from tinypose.cpu import prepare_cpu

        prepare_cpu()
    return json.dumps(work(config, steps, static))


if __name__ == "__main__":
    main()
