"""The estimate of ARM instructions against those counted on Paddle-Lite's ARM runtime."""

import numpy as np
import pytest

from compress.graph.rewrite import rewrite
from compress.graph.run import run
from compress.graph.trace import trace
from compress.quant.scales import ConvScale, quantise, weight_ranges
from lite_deploy.nb.estimate import estimate
from lite_deploy.nb.read import read_nb
from lite_deploy.nb.slim import slim
from lite_deploy.write.lite import run_optimiser
from lite_deploy.write.paddle import write_program
from tinypose.config import Config, LiteHRNetConfig
from tinypose.models import build_model

INPUT = {"width": 96, "height": 128}

# Millions of instructions, one thread: counted without rewriting, and what rewriting is to reach at most.
COUNTED = {
    (128, 96): {"fp32": (59.7, 39.2), "fp16": (50.2, 34.9), "int8": (55.6, 38.0)},
    (256, 192): {"fp32": (221.3, 145.9), "fp16": (174.5, 127.5), "int8": (193.7, 135.0)},
}


@pytest.mark.parametrize("size", [(128, 96), pytest.param((256, 192), marks=pytest.mark.slow)])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_tinypose_before_and_after_rewriting(tmp_path, size, precision):
    net = build_model(
        Config(model=LiteHRNetConfig(name="lite_hrnet", variant="wider_naive"), input=INPUT), 17
    )
    traced = trace(net, (1, 3, *size))
    counted, limit = COUNTED[size][precision]
    instructions = []
    for graph, rewritten in ((traced, False), (rewrite(traced), True)):
        scales = ranges(graph, size) if precision == "int8" else None
        quantised = quantise(graph, scales or {})
        write_program(graph, tmp_path, quantised, fuse_shuffles=rewritten, copy_rows=rewritten)
        out = tmp_path / "out.nb"
        program = tmp_path / "model.pdmodel", tmp_path / "model.pdiparams"
        run_optimiser(*program, out, "arm", fp16=precision == "fp16")
        instructions.append(len(slim(read_nb(out)).operators))
        model = slim(read_nb(out)) if rewritten else read_nb(out)
        assert "shuffle_channel" not in {op.type for op in model.operators}
        assert ("transpose2" in {op.type for op in model.operators}) != rewritten
        millions = estimate(model, size) / 1e6
        print(f"{precision} {size}: {millions:.1f} M, {len(model.operators)} instructions")
        if rewritten:
            assert millions < 1.01 * limit  # the estimate is not surer
        else:
            assert abs(millions - counted) < 0.03 * counted
    assert instructions[1] <= instructions[0] - 100


def ranges(graph, size) -> dict[str, ConvScale]:
    """Ranges for all convolutions but the first, from noise."""
    image = np.random.default_rng(0).standard_normal((1, 3, *size)).astype(np.float32)
    _, *others = graph.convolutions()
    tensors = run(graph, image, keep={node.inputs[0] for node in others})
    largest = {name: float(tensor.abs().max()) for name, tensor in tensors.items()}
    return {node.name: ConvScale(largest[node.inputs[0]], weight_ranges(node)) for node in others}
