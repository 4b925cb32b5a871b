"""How much each convolution alone harms the heatmaps when it is quantised."""

from collections.abc import Iterable

import numpy as np
import paddle

from compress.graph.ir import Graph
from compress.graph.run import run
from compress.quant.scales import Scales
from compress.quant.simulate import Simulation
from tinypose.console import track


def sensitivity(
    graph: Graph, scales: Scales, batches: Iterable[np.ndarray], progress: str = "sensitivity"
) -> dict[str, float]:
    """Measure the heatmap error that quantising one convolution causes, for each of them.

    What runs before a convolution is the same whether it is quantised or not, so it is run once: the
    live tensors travel along the graph and each measurement runs only the rest of it.

    Args:
        graph: the network.
        scales: ranges of the convolutions to measure.
        batches: float32 [N, 3, H, W] each.
        progress: what the progress bar says; empty for none.

    Returns:
        Convolution -> relative squared error of the heatmaps, sum (h_q - h)^2 / sum h^2; greatest first.
    """
    simulation = Simulation(graph, scales)
    plain = Simulation(graph, {}).params
    heatmaps = graph.outputs[0]
    squares: dict[str, float] = dict.fromkeys(scales, 0.0)
    total = 0.0
    batches = list(batches)
    steps = [(images, index) for images in batches for index in range(len(graph.nodes))]
    with paddle.no_grad():
        for images, index in track(steps, progress) if progress else steps:
            node = graph.nodes[index]
            if index == 0:
                live = {graph.input: paddle.to_tensor(images)}
                expected = run(graph, images, params=plain)[heatmaps]
                total += float((expected**2).sum())
            after = run(graph, live, params=plain, start=index, stop=index + 1)
            if node.name in scales:
                simulation.set_scales({node.name: scales[node.name]})
                quantised = {"params": simulation.params, "compute": simulation.compute}
                other = run(graph, live, start=index, stop=index + 1, **quantised)
                result = run(graph, other, params=plain, start=index + 1)[heatmaps]
                squares[node.name] += float(((result - expected) ** 2).sum())
            live = after
    errors = {name: square / max(total, 1e-12) for name, square in squares.items()}
    return dict(sorted(errors.items(), key=lambda item: -item[1]))
