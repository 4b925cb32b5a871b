"""Where the ranges are defined: `compress.quant.scales`."""

from compress.quant.scales import ConvScale, check_scales, quantise_weight

__all__ = ["ConvScale", "check_scales", "quantise_weight"]


def read_quantised(folder: str | Path) -> tuple[Graph, dict[str, ConvScale], tuple[str, ...]]:
    """Read what `compress quant` wrote: the network, its ranges, and the convolutions left in FP32.

    Args:
        folder: with `graph.npz` and `quant.json`: {"scales": {name: {"input": number, "weight": [numbers]}},
            "kept_fp32": [names]}. Ranges are greatest absolute values.

    Raises:
        UserError: a file is missing or malformed, or the ranges do not fit the network.
    """
    path = Path(folder) / "quant.json"
    content = read_json(path, "quantisation; expected a folder that `compress quant` made")
    graph = load(Path(folder) / "graph.npz")
    try:
        scales = {
            name: ConvScale(float(scale["input"]), np.asarray(scale["weight"], np.float32))
            for name, scale in content["scales"].items()
        }
        kept = [str(name) for name in content.get("kept_fp32", [])]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: malformed: {error!r}; quantise again") from None
    # Transposed convolutions have no place in Paddle-Lite's INT8 patterns that was measured to be right.
    transposed = {node.name for node in graph.nodes if node.kind == "conv2d_transpose"}
    kept += [name for name in scales if name in transposed]
    scales = {name: scale for name, scale in scales.items() if name not in transposed}
    check_scales(graph, scales)
    return graph, scales, tuple(sorted(set(kept)))
