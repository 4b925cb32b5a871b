"""Maps read between their pixels, as training on a CPU does it; gradients are in test_bottom_up_models.py."""

import numpy as np
import paddle

from tinypose.models.deformable import MATRIX, SteeredConv


def outcome(layer, x, steer):
    """Return the output, and the gradients of its squares' sum by both inputs and the kernels."""
    x, steer = (paddle.to_tensor(each, stop_gradient=False) for each in (x, steer))
    layer.clear_gradients()
    y = layer(x, steer, 2)
    (y**2).sum().backward()
    return [each.numpy() for each in (y, x.grad, steer.grad, layer.weight.grad)]


def test_the_compiled_step_computes_the_same():
    paddle.seed(1)
    layer = SteeredConv(4)
    layer.train()
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, 4, 5, 7)).astype(np.float32)
    # Some points lie far outside of the maps.
    steer = rng.normal(scale=2, size=(2, MATRIX, 5, 7)).astype(np.float32)
    plain = outcome(layer, x, steer)
    compiled = outcome(paddle.jit.to_static(layer, full_graph=True), x, steer)
    for one, other in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-4)


def test_an_offset_that_is_not_a_number_gives_none():
    layer = SteeredConv(3)
    layer.train()
    steer = np.full((1, MATRIX, 4, 4), np.nan, np.float32)
    assert np.isnan(outcome(layer, np.ones((1, 3, 4, 4), np.float32), steer)[0]).all()
