"""Write a graph as a Paddle inference model: `.pdmodel` (ProgramDesc) and `.pdiparams`.

The program is made operator by operator, not by tracing a layer, so that nothing stands in it but what
computes: names of one or two letters, no stack traces, no roles, biases that Paddle-Lite can fuse. Every
byte of a program goes through the optimiser into the `.nb`.

A quantised convolution is written as PaddleSlim's QAT writes it (`onnx_format=False`), which is what
Paddle-Lite's `lite_quant_dequant_fuse_pass` turns into INT8 kernels: its input passes through
`fake_quantize_dequantize_moving_average_abs_max` and its weight through
`fake_channel_wise_quantize_dequantize_abs_max`, each with the stored abs-max as scale.
"""

import struct
from pathlib import Path

import numpy as np
from paddle.base.proto import framework_pb2 as proto

from compress.graph.ir import Graph
from compress.quant.scales import Quantised
from lite_deploy.write.paddle_operators import writer
from lite_deploy.write.program import DTYPES, Program
from tinypose.files import write_whole

VERSION = 3003001  # of Paddle, as its own writer of 3.3.1 puts it; 2.x and Paddle-Lite read it


def write_program(
    graph: Graph,
    folder: str | Path,
    quantised: Quantised | None = None,
    stem: str = "model",
    fuse_shuffles: bool = True,
    copy_rows: bool = False,
    portable: bool = False,
) -> None:
    """Write `folder/model.pdmodel` and `folder/model.pdiparams`.

    The input is called `image`, float32 [N, C, H, W] with N free; a single output is called `heatmaps`.

    Args:
        graph: what to write.
        folder: made if it is not there.
        quantised: by name, the convolutions that run in INT8; none, FP32 throughout.
        stem: the files' name.
        fuse_shuffles: write channel shuffles so that Paddle-Lite makes one instruction of each; without,
            they are written as Paddle's own export writes them, which stays three.
        copy_rows: write enlargements by whole factors as one of the width and copies of the rows.
            Paddle-Lite's nearest resize converts coordinates number by number, about 9.5 instructions each;
            so only one of two, or four, is made that way, and the others are copied.
        portable: write what other tools want to read and Paddle-Lite does without: an empty `scale` on
            resizes, which paddle2onnx asks for.
    """
    desc, params = build_program(graph, quantised, fuse_shuffles, copy_rows, portable)
    with write_whole(Path(folder) / f"{stem}.pdmodel") as temporary:
        temporary.write_bytes(desc.SerializeToString())
    with write_whole(Path(folder) / f"{stem}.pdiparams") as temporary:
        temporary.write_bytes(b"".join(_tensor_stream(params[name]) for name in sorted(params)))


def build_program(
    graph: Graph,
    quantised: Quantised | None = None,
    fuse_shuffles: bool = True,
    copy_rows: bool = False,
    portable: bool = False,
) -> tuple[proto.ProgramDesc, dict[str, np.ndarray]]:
    """Return the program and its parameters by name; see `write_program`."""
    out = Program(
        quantised=quantised or {}, fuse_shuffles=fuse_shuffles, copy_rows=copy_rows, portable=portable
    )
    out.tensors[graph.input] = out.variable("image", graph.shapes[graph.input])
    for index, name in enumerate(graph.outputs):
        label = "heatmaps" if len(graph.outputs) == 1 else f"output{index}"
        out.tensors[name] = out.variable(label, graph.shapes[name])
    for name, kind in (("feed", proto.VarType.FEED_MINIBATCH), ("fetch", proto.VarType.FETCH_LIST)):
        variable = out.block.vars.add(name=name, persistable=True)
        variable.type.type = kind
    out.operator("feed", {"X": "feed"}, {"Out": out.tensors[graph.input]}, col=0)
    for node in graph.nodes:
        for name in node.outputs:
            if name not in out.tensors:
                out.tensors[name] = out.variable(out.label(), graph.shapes[name])
        write = writer(node)
        write(out, node, [out.tensors[name] for name in node.inputs], [out.tensors[n] for n in node.outputs])
    for index, name in enumerate(graph.outputs):
        out.operator("fetch", {"X": out.tensors[name]}, {"Out": "fetch"}, col=index)
    out.desc.version.version = VERSION
    return out.desc, out.params


def _tensor_stream(value: np.ndarray) -> bytes:
    """Return a parameter as Paddle stores it: version, no levels of detail, description, numbers."""
    desc = proto.VarType.TensorDesc(data_type=DTYPES[value.dtype.name], dims=value.shape).SerializeToString()
    return struct.pack("<IQIi", 0, 0, 0, len(desc)) + desc + value.tobytes()
