"""How large the files of a network of the zoo are, by form and precision; weights do not matter to it.

    .venv/bin/python benchmarks/sizes.py lite_hrnet_30_256x192

INT8 is all convolutions, as PACT has it (configs/compress/pact_*.yml). Paddle's own export is what
`paddle.jit.save` of this version writes of the network as trained.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import tempfile
from pathlib import Path

import paddle

from compress.graph.rewrite import rewrite
from compress.graph.rules.gates import split_hard_swish
from compress.graph.trace import trace
from compress.quant.scales import ConvScale, quantise, weight_ranges
from lite_deploy.write.lite import optimise
from lite_deploy.write.onnx import write_onnx
from lite_deploy.write.paddle import write_program
from tinypose.config import load_config
from tinypose.console import out, table
from tinypose.models import build_model
from tinypose.models.profile import count_parameters
from tinypose.skeleton import load_skeleton


def main() -> None:
    """Write the files, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    name = parser.parse_args().config
    config = load_config(name)
    net = build_model(config, len(load_skeleton(config.skeleton).joints))
    net.eval()
    width, height = config.input.size
    graph = rewrite(trace(net, (1, 3, height, width)))
    scales = {each.name: ConvScale(1.0, weight_ranges(each)) for each in graph.convolutions()}
    int8 = quantise(graph, scales)
    whole = split_hard_swish(graph, int8)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        spec = [paddle.static.InputSpec([None, 3, height, width], "float32", name="image")]
        paddle.jit.save(net, str(place / "paddle" / "model"), input_spec=spec)
        rows = [("Paddle's own export", "FP32", _size(place / "paddle"))]
        write_program(graph, place / "fp32", portable=True)
        rows.append(("Paddle, rewritten", "FP32", _size(place / "fp32")))
        write_program(whole, place / "int8", int8)
        rows.append(("Paddle, rewritten, as PaddleSlim stores INT8", "INT8", _size(place / "int8")))
        for precision in ("fp32", "fp16", "int8"):
            source = place / ("int8" if precision == "int8" else "fp32")
            program = source / "model.pdmodel", source / "model.pdiparams"
            optimise(*program, place / "nb" / "model.nb", "arm", precision)
            rows.append((".nb for ARM", precision.upper(), _size(place / "nb")))
        write_onnx(graph, place / "onnx" / "model.onnx")
        rows.append(("ONNX", "FP32", _size(place / "onnx")))
        write_onnx(whole, place / "onnx" / "model.onnx", int8)
        rows.append(("ONNX", "INT8", _size(place / "onnx")))
    title = f"{name}: {count_parameters(net) / 1e6:.2f} million parameters, {len(int8)} convolutions"
    out.print(table(title, ("files", "precision", "MB"), [(*row[:2], f"{row[2] / 1e6:.2f}") for row in rows]))


def _size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.iterdir())


if __name__ == "__main__":
    main()
