"""What distillation gains: a CPU-sized pair on the synthetic set, several seeds, equal epochs.

    python benchmarks/distill.py [--seeds 3] [--folder output/distill] [-o KEY=VALUE]

Draws the set and trains the student of configs/compress/distill_synthetic.yml, for each seed once plainly and
once with its teacher, the network that `make demo` starts from, everything else alike. Prints each run's AP
on held-out people (flip test) and the mean gain, with the spread. It takes an hour on a CPU, but
goes on where it stopped; what is finished is not done again. The result is written to FOLDER/NAME.json.
"""

import argparse
from pathlib import Path
from statistics import mean, stdev

from tinypose.config import CONFIGS, Config, load_config
from tinypose.console import out, table
from tinypose.cpu import prepare_cpu
from tinypose.data.synthetic import draw_set
from tinypose.files import write_json
from tinypose.skeleton import load_skeleton

PICTURES = {"train": (100, 21), "val": (300, 1000)}  # how many, and the seed that draws them


def main() -> None:
    """Train, compare, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("output/distill"))
    parser.add_argument("-o", "--override", action="append", default=[], help="for the students")
    parser.add_argument("--name", default="distilled", help="of the distilled runs, to compare settings")
    options = parser.parse_args()
    prepare_cpu()
    from compress.distill.run import compare, distill
    from compress.distill.teacher import Teacher, teacher_config
    from tinypose.engine.train import train

    folder = options.folder
    for part, (count, seed) in PICTURES.items():
        draw_set(folder / part, count, seed=seed, workers=2)
    config = configured(folder, options.override)
    skeleton = load_skeleton(config.skeleton)
    teacher = Teacher(teacher_config(config.distill), config, skeleton)
    best = compare(teacher, teacher.net, config, skeleton, out.print)
    runs = []
    for seed in range(options.seeds):
        config = configured(folder, [f"train.seed={seed}", *options.override])
        plain = train(
            config.model_copy(update={"distill": None}), folder / f"plain_{seed}", resume=True, quiet=True
        )
        taught = distill(config, folder / f"{options.name}_{seed}", resume=True, quiet=True)
        runs.append({"seed": seed, "plain": plain["AP"], "distilled": taught["AP"]})
        out.print(f"seed {seed}: plain AP {plain['AP']:.2f}, {options.name} {taught['AP']:.2f}")
    report(runs, best, folder / f"{options.name}.json")


def configured(folder: Path, overrides: list[str]) -> Config:
    """Load the config of the pair with its data in `folder`."""
    data = [
        f"data.{part}.{key}={folder / part / file}"
        for part in PICTURES
        for key, file in (("annotations", "annotations.json"), ("images", "images"))
    ]
    return load_config(CONFIGS / "compress" / "distill_synthetic.yml", [*data, *overrides])


def report(runs: list[dict], teacher: float, path: Path) -> None:
    """Print and write the runs, their means and spread, and the gain."""
    rows = [
        (
            f"seed {r['seed']}",
            *(f"{r[k]:.2f}" for k in ("plain", "distilled")),
            f"{r['distilled'] - r['plain']:+.2f}",
        )
        for r in runs
    ]
    gains = [run["distilled"] - run["plain"] for run in runs]
    columns = {key: [run[key] for run in runs] for key in ("plain", "distilled")} | {"gain": gains}
    rows.append(("mean", *(f"{mean(values):.2f}" for values in columns.values())))
    if len(runs) > 1:
        rows.append(("standard deviation", *(f"{stdev(values):.2f}" for values in columns.values())))
    out.print(table(f"teacher: AP {teacher:.2f}", ("", "plain", "distilled", "gain"), rows))
    write_json(path, {"teacher": teacher, "runs": runs, "mean_gain": mean(gains)})


if __name__ == "__main__":
    main()
