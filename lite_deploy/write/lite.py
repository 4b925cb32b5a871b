"""Turn a Paddle inference model into a `.nb` with Paddle-Lite's optimiser.

The optimiser ends the process on any error and prints from C++, so it runs in a process of its own.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from lite_deploy.nb.combinations import check_build
from lite_deploy.nb.file import LiteModel
from lite_deploy.nb.read import read_nb
from lite_deploy.nb.slim import slim
from lite_deploy.nb.write import write_nb
from tinypose.errors import UserError


def optimise(
    model: str | Path, params: str | Path, out: str | Path, target: str, precision: str
) -> LiteModel:
    """Write the `.nb` of a program.

    The optimiser's file is then made smaller (`lite_deploy.nb.slim`); what it computes stays the same.

    Args:
        model: the `.pdmodel`.
        params: the `.pdiparams`.
        out: the `.nb`, written whole or not at all.
        target: arm or x86.
        precision: fp32, fp16 or int8; the program must be quantised for int8, and only for it.

    Returns:
        What the file holds.

    Raises:
        UserError: the combination is known to be wrong, or the optimiser failed; with its last words.
    """
    model, params = Path(model).resolve(), Path(params).resolve()
    for path in (model, params):
        if not path.is_file():
            raise UserError(f"{path}: no such file; expected a Paddle inference model (.pdmodel, .pdiparams)")
    check_build(target, precision, is_quantised(model))
    with tempfile.TemporaryDirectory(prefix="lite-deploy-") as folder:
        made = Path(folder) / "out.nb"
        run_optimiser(model, params, made, target, fp16=precision == "fp16")
        result = read_nb(made)
    if (result.target(), result.precision()) != (target, precision):
        raise UserError(
            f"{model}: asked for {target} {precision}, but Paddle-Lite's optimiser made "
            f"{result.target()} {result.precision()}; nothing was written"
        )
    result = slim(result)
    write_nb(result, out)
    return result


def is_quantised(model: str | Path) -> bool:
    """Say whether a `.pdmodel` has operators that quantise."""
    data = Path(model).read_bytes()
    return b"fake_quantize_" in data or b"quantize_linear" in data


def run_optimiser(model: Path, params: Path, out: Path, target: str, fp16: bool = False) -> None:
    """Run Paddle-Lite's optimiser in a process of its own.

    Raises:
        UserError: it failed; with its last words.
    """
    command = [
        sys.executable,
        "-m",
        "lite_deploy.write.lite",
        *map(str, (model, params, out.with_suffix(""))),
    ]
    command += [target, "fp16" if fp16 else "fp32"]
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run(command, capture_output=True, text=True, errors="replace", cwd=root, check=False)
    if run.returncode or not out.is_file():
        words = [line for line in (run.stdout + run.stderr).splitlines() if line.strip()]
        raise UserError(
            f"{model}: Paddle-Lite's optimiser failed (exit code {run.returncode}): "
            f"{' | '.join(words[-3:]) or 'it said nothing'}"
        )


def _main(model: str, params: str, out: str, target: str, precision: str) -> None:
    from paddlelite.lite import Opt

    opt = Opt()
    opt.set_model_file(model)
    opt.set_param_file(params)
    opt.set_model_type("naive_buffer")
    if precision == "fp16":
        opt.enable_fp16()  # after set_valid_places it would be ignored without a word
    opt.set_valid_places(target)
    opt.set_optimize_out(out)
    opt.run()


if __name__ == "__main__":
    _main(*sys.argv[1:])
