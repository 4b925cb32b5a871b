"""Write a graph as ONNX: operators of opset 18, the batch free; INT8 with QuantizeLinear and its inverse."""

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from compress.graph.ir import Graph
from compress.quant.scales import Quantised
from lite_deploy.write.onnx_operators import Model, writer
from tinypose.artifact.engines import onnx_outputs
from tinypose.files import write_whole


def write_onnx(graph: Graph, path: str | Path, quantised: Quantised | None = None) -> None:
    """Write `graph` with input `image`, float32 [N, C, H, W] with N free, and output `heatmaps`.

    Args:
        graph: what to write.
        path: the `.onnx`, written whole or not at all.
        quantised: by name, the convolutions that are in INT8 with the numbers that ARM's kernels use
            (symmetric, 127 steps each way); none, FP32 throughout.
    """
    out = Model(shapes=graph.shapes, quantised=quantised or {})
    out.tensors[graph.input] = "image"
    out.tensors |= dict(zip(graph.outputs, onnx_outputs(len(graph.outputs)), strict=True))
    for node in graph.nodes:
        for name in node.outputs:
            out.tensors.setdefault(name, name)
        write = writer(node)
        write(out, node, [out.tensors[name] for name in node.inputs], [out.tensors[n] for n in node.outputs])
    inputs = [_described("image", graph.shapes[graph.input])]
    outputs = [_described(out.tensors[name], graph.shapes[name]) for name in graph.outputs]
    body = helper.make_graph(out.nodes, "pose", inputs, outputs, out.params)
    # IR version 8 goes with opset 18 and is read by every onnxruntime since 1.14.
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    model.producer_name = "edge-pose"
    onnx.checker.check_model(model)
    with write_whole(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def _described(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape[1:]])
