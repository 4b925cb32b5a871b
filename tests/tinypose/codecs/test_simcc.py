"""SimCC against mmpose's own numbers, and what holds for any joints."""

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tinypose.codecs import simcc
from tinypose.engine.simcc_loss import distil_features, distil_logits, simcc_kl

SIZE, SIGMA = (192, 256), (4.9, 5.66)


def draw(seed, shape, scale=1.0):
    return (np.random.RandomState(seed).standard_normal(shape) * scale).astype("float32")


@pytest.fixture
def case(shared):
    return lambda name: np.load(shared / "reference" / f"simcc_{name}.npz")


def test_labels_equal_the_published_ones(case):
    expected = case("encode")
    for person, (joints, visible) in enumerate(zip(expected["keypoints"], expected["visible"], strict=True)):
        x, y, weight = simcc.encode(joints, visible, SIZE, SIGMA)
        np.testing.assert_array_equal(x, expected["label_x"][person])
        np.testing.assert_array_equal(y, expected["label_y"][person])
        np.testing.assert_array_equal(weight, expected["weight"][person])
    x, y, _ = simcc.encode(expected["keypoints"][0], expected["visible"][0], SIZE, SIGMA, normalize=True)
    np.testing.assert_allclose(x, expected["normalized_label_x"][0], atol=1e-7)
    np.testing.assert_allclose(y, expected["normalized_label_y"][0], atol=1e-7)


def test_joints_equal_the_published_ones(case):
    expected = case("decode")
    x, y = expected["simcc_x"] / np.float32(1024), expected["simcc_y"] / np.float32(1024)
    found = simcc.decode(x, y)
    np.testing.assert_array_equal(found[..., :2], expected["keypoints"])
    np.testing.assert_array_equal(found[..., 2], expected["scores"])
    refined = simcc.decode(np.abs(x), np.abs(y), dark=(29, 35))
    np.testing.assert_allclose(refined[..., :2], expected["dark_keypoints_of_abs"], atol=5e-4)


def test_flip_test_equals_the_published_one(case):
    expected = case("flip")
    plain = draw(21, (1, 17, 384)), draw(22, (1, 17, 512))
    back = simcc.flip_back(draw(23, (1, 17, 384)), draw(24, (1, 17, 512)), expected["flip_indices"])
    x, y = ((one + other) / 2 for one, other in zip(plain, back, strict=True))
    np.testing.assert_allclose(x, expected["mean_x"], atol=1e-7)
    np.testing.assert_allclose(y, expected["mean_y"], atol=1e-7)
    found = simcc.decode(x, y)
    np.testing.assert_array_equal(found[..., :2], expected["keypoints"])


@settings(max_examples=50)
@given(
    st.integers(1, 5),
    st.sampled_from([1.0, 2.0, 3.0]),
    st.tuples(st.integers(24, 80), st.integers(24, 80)),
    st.integers(0, 2**31),
)
def test_what_is_encoded_is_decoded_to_half_a_bin(joints, split, size, seed):
    generator = np.random.default_rng(seed)
    points = generator.uniform(0, np.array(size) - 1, (joints, 2))
    x, y, weight = simcc.encode(points, np.ones(joints), size, (4.0, 5.0), split)
    assert weight.all()
    found = simcc.decode(x[None], y[None], split)[0]
    assert np.abs(found[:, :2] - points).max() <= 0.5 / split + 1e-5
    np.testing.assert_allclose(found[:, 2], 1)


def test_mirroring_twice_changes_nothing():
    x, y, order = draw(1, (2, 4, 30)), draw(2, (2, 4, 40)), np.array([0, 2, 1, 3])
    again = simcc.flip_back(*simcc.flip_back(x, y, order), order)
    np.testing.assert_array_equal(again[0], x)
    np.testing.assert_array_equal(again[1], y)


def test_dark_finds_the_summit_of_a_gaussian_between_bins():
    places = np.arange(100)
    values = np.exp(-((places - 41.3) ** 2) / (2 * 6.0**2))[None, None]
    found = simcc.decode(values, values, split=1.0, dark=(29, 29))
    assert np.abs(found[0, 0, :2] - 41.3).max() < 0.05


def test_a_kernel_of_even_size_is_refused():
    with pytest.raises(ValueError, match="odd"):
        simcc.decode(np.ones((1, 1, 8)), np.ones((1, 1, 8)), dark=(4, 4))


@pytest.mark.parametrize(("name", "scale"), [("small", 0.1), ("unit", 1.0)])
def test_losses_and_their_gradients_equal_the_published_ones(case, name, scale):
    labels, expected = case("encode"), case("losses")
    outputs = [paddle.to_tensor(draw(seed, (2, 17, n), scale)) for seed, n in ((31, 384), (32, 512))]
    for each in outputs:
        each.stop_gradient = False
    wanted = [paddle.to_tensor(labels[f"label_{axis}"][:2]) for axis in "xy"]
    weight = paddle.to_tensor(labels["weight"][:2])
    loss = simcc_kl(outputs, wanted, weight)
    loss.backward()
    assert float(loss) == pytest.approx(float(expected[f"kl_{name}"]), rel=1e-6)
    gradient, reference = outputs[0].grad.numpy()[0, :4], expected[f"kl_{name}_grad_x"]
    assert np.abs(gradient - reference).max() <= 3e-5 * np.abs(reference).max()
    norm = float(np.linalg.norm(outputs[1].grad.numpy()))
    assert norm == pytest.approx(float(expected[f"kl_{name}_grad_y_norm"]), rel=3e-5)
    plain = float(simcc_kl(outputs, wanted, weight, label_softmax=False))
    assert plain == pytest.approx(float(expected[f"kl_{name}_no_label_softmax"]), rel=1e-5)
    assert float(simcc_kl(outputs, wanted)) == pytest.approx(
        float(expected[f"kl_{name}_no_weight"]), rel=1e-5
    )
    teacher = [paddle.to_tensor(draw(seed, (2, 17, n), scale)) for seed, n in ((33, 384), (34, 512))]
    taught = float(distil_logits(outputs, teacher))
    assert taught == pytest.approx(float(expected[f"kd_{name}_weight_0.1"]), rel=1e-5)


def test_the_loss_of_features_equals_the_published_one(case):
    maps = [paddle.to_tensor(draw(seed, (2, 384, 8, 6))) for seed in (41, 43)]
    assert float(distil_features(*maps)) == pytest.approx(float(case("losses")["fea_same_384"]), rel=1e-5)


def test_the_codec_joins_a_flip_test_as_published(case):
    expected = case("flip")
    plain, mirrored = [[draw(seed + 2 * i, (1, 17, n)) for seed, n in ((21, 384), (22, 512))] for i in (0, 1)]
    codec = simcc.SimccCodec()
    assert codec.shapes(17, SIZE) == [(17, 384), (17, 512)]
    found = codec.keypoints(codec.with_mirrored(plain, mirrored, expected["flip_indices"]), SIZE)
    np.testing.assert_array_equal(found[..., :2], expected["keypoints"])
    np.testing.assert_array_equal(found[..., 2], expected["scores"])


@pytest.mark.parametrize(
    "wrong", [{"blur": (4, 5)}, {"sigma": (0, 1)}, {"sigma": (float("nan"), 1)}, {"split": 0}]
)
def test_settings_have_bounds(wrong):
    with pytest.raises(ValidationError):
        simcc.SimccCodec(**wrong)
