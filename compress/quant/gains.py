"""How much of the noise in a convolution's output arrives at the heatmaps: one backward pass for all."""

from collections.abc import Iterable

import numpy as np
import paddle

from compress.graph.ir import Graph, Node
from compress.graph.run import prepare, run

PROBES = 2  # random directions a batch; more than two change the factors found from it little


def noise_gains(graph: Graph, batches: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Estimate the gain from noise in each channel that a convolution writes to the heatmaps.

    Noise of variance n in channel o adds gain[o] n to the relative squared error of the heatmaps, to first
    order and as if it were independent from pixel to pixel. The squared Jacobian that this takes is
    estimated by its products with random signs (Hutchinson 1989).

    Args:
        graph: the network.
        batches: float32 [N, 3, H, W] each.

    Returns:
        Convolution -> float64 [O].
    """
    params = prepare(graph)
    convolutions = {node.name for node in graph.convolutions()}
    fused = {node.name for node in graph.convolutions() if node.attrs.get("relu")}
    gains = {node.name: np.zeros(graph.shapes[node.outputs[0]][1]) for node in graph.convolutions()}
    generator = np.random.default_rng(0)
    power = 0.0
    for images in batches:
        written: dict[str, paddle.Tensor] = {}

        def keep(node: Node, outputs: list[paddle.Tensor], written: dict = written) -> None:
            if node.name in convolutions:
                outputs[0].retain_grads()
                written[node.name] = outputs[0]

        x = paddle.to_tensor(images)
        x.stop_gradient = False
        results = run(graph, {graph.input: x}, params=params, after=keep)
        outputs = [results[name] for name in graph.outputs]
        power += sum(float((each.detach() ** 2).sum()) for each in outputs)
        for probe in range(PROBES):
            signs = [paddle.to_tensor(generator.choice(np.float32([-1, 1]), each.shape)) for each in outputs]
            paddle.autograd.backward(outputs, signs, retain_graph=probe < PROBES - 1)
            for name, tensor in written.items():
                # Behind a ReLU only what is active passes noise on.
                squared = tensor.grad**2 * (tensor > 0).cast("float32") if name in fused else tensor.grad**2
                gains[name] += squared.sum([0, 2, 3]).numpy() / PROBES
                tensor.clear_gradient()
    return {name: gain / max(power, 1e-12) for name, gain in gains.items()}
