"""Camera frames through the app: YUV with strides to RGB, what is too small, and who owns what."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

examples = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def rgb_of(y: np.ndarray, u: np.ndarray, v: np.ndarray, limited: bool) -> np.ndarray:
    """BT.601 in real numbers: planes of one size to float64 [H, W, 3], clipped and not rounded."""
    y, u, v = (each.astype(np.float64) for each in (y, u, v))
    y = (y - 16) * 255 / 219 if limited else y
    u, v = ((each - 128) * (255 / 224 if limited else 1) for each in (u, v))
    red, blue = y + 1.402 * v, y + 1.772 * u
    return np.clip(np.stack([red, (y - 0.299 * red - 0.114 * blue) / 0.587, blue], axis=-1), 0, 255)


def stored(plane: np.ndarray, row: int, pixel: int, rng) -> bytes:
    """A plane with strides, noise between its pixels, and nothing after the last, as Android has it."""
    height, width = plane.shape
    memory = rng.integers(0, 256, row * height + pixel, dtype=np.uint8)
    for y in range(height):
        memory[y * row : y * row + width * pixel : pixel] = plane[y]
    return memory[: row * (height - 1) + (width - 1) * pixel + 1].tobytes()


@examples
@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    pads=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    pixel=st.sampled_from([1, 2]),
    luma_pixel=st.sampled_from([1, 1, 2]),
    rotation=st.sampled_from([0, 90, 180, 270]),
    limited=st.booleans(),
)
def test_yuv_with_strides(ask, tmp_path, seed, width, height, pads, pixel, luma_pixel, rotation, limited):
    rng = np.random.default_rng(seed)
    half = (height + 1) // 2, (width + 1) // 2
    y = rng.integers(0, 256, (height, width), dtype=np.uint8)
    u, v = rng.integers(0, 256, (2, *half), dtype=np.uint8)
    rows = [width * luma_pixel + pads[0], half[1] * pixel + pads[1], half[1] * pixel + pads[1]]
    pixels = [luma_pixel, pixel, pixel]
    paths = []
    for name, plane, row, step in zip("yuv", (y, u, v), rows, pixels, strict=True):
        paths.append(str(tmp_path / name))
        (tmp_path / name).write_bytes(stored(plane, row, step, rng))
    answer = ask("rgba", width=width, height=height, planes=paths, rows=rows, pixels=pixels,
                 rotation=rotation, limited=limited, output=str(tmp_path / "rgba"))  # fmt: skip
    u, v = (each.repeat(2, axis=0).repeat(2, axis=1)[:height, :width] for each in (u, v))
    expected = np.rot90(rgb_of(y, u, v, limited), -rotation // 90)
    assert (answer["height"], answer["width"]) == expected.shape[:2]
    found = np.fromfile(tmp_path / "rgba", np.uint8).reshape(*expected.shape[:2], 4)
    assert (found[..., 3] == 255).all()
    assert np.abs(found[..., :3] - expected).max() < 0.51


def test_frames_that_make_no_sense_are_refused(ask, tmp_path):
    """Before a byte is read: buffers that end too early, strides and sizes that cannot be."""
    (tmp_path / "plane").write_bytes(bytes(12 * 16))
    paths = [str(tmp_path / "plane")] * 3
    right = {"width": 16, "height": 12, "planes": paths, "rows": [16, 8, 8], "pixels": [1, 1, 1],
             "rotation": 0, "limited": False, "output": str(tmp_path / "rgba")}  # fmt: skip
    assert "error" not in ask("rgba", **right)
    for change in (
        {"height": 13},
        {"rows": [17, 8, 8]},
        {"rows": [0, 8, 8]},
        {"pixels": [1, 30, 1]},
        {"rows": [16, -8, 8]},
        {"rotation": 45},
        {"width": 0},
        {"width": 40000},
    ):
        assert "error" in ask("rgba", **{**right, **change}), change


@pytest.mark.parametrize("seed", range(3))
def test_one_thread_owns_the_engines(ask, catalogue, seed):
    """Frames and orders of chance from three threads: see Owners.java."""
    network = next(each for each in catalogue.iterdir() if (each / "expected_x86_fp32.f32").is_file())
    answer = ask("owner", seed=seed, steps=400, folder=str(network))
    assert answer["strangers"] == 0 and answer["closed_twice"] == 0, answer
    assert answer["open"] == 0 and answer["most"] == 1, answer
    assert answer["frames"] == answer["closed"] > 400, answer
    assert answer["runs"] > 10 and answer["results"] > 10 and answer["failures"] > 10, answer
