"""A network, whatever computes it: Paddle, a simulation of INT8, an engine, an interpreter."""

from collections.abc import Callable
from typing import Any

import numpy as np

# float32 images [N, 3, H, W] to the list of the network's outputs, float32 arrays whose first axis is N.
Network = Callable[[np.ndarray], list[np.ndarray]]


def as_network(layer: Any) -> Network:
    """Make a Paddle layer a callable on arrays. Puts the layer into inference mode."""
    import paddle  # other runtimes do without it

    layer.eval()

    def run(images: np.ndarray) -> list[np.ndarray]:
        with paddle.no_grad():
            outputs = layer(paddle.to_tensor(images))
        return [each.numpy() for each in (outputs if isinstance(outputs, list | tuple) else [outputs])]

    return run
