"""Where a camera's pixels are on the screen: preview and overlay agree, however all is turned."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

examples = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
quarters = st.sampled_from([0, 90, 180, 270])
sides = st.integers(16, 4000)


def turned(u: np.ndarray, degrees: int) -> np.ndarray:
    """A point of the unit square, turned clockwise around its middle."""
    for _ in range(degrees % 360 // 90):
        u = np.array([1 - u[1], u[0]])
    return u


@examples
@given(
    sensor=quarters,
    display=quarters,
    front=st.booleans(),
    fill=st.booleans(),
    width=sides,
    height=sides,
    view=st.tuples(sides, sides),
    at=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_preview_and_overlay_agree(ask_plain, sensor, display, front, fill, width, height, view, at):
    """A point of the sensor's picture, by the way of the preview and by that of the overlay."""
    rotation = ask_plain("rotation", sensor=sensor, display=display, front=front)["rotation"]
    upright = (width, height) if rotation % 180 == 0 else (height, width)
    answer = ask_plain(
        "transform", width=upright[0], height=upright[1], view_width=view[0], view_height=view[1], fill=fill,
        mirrored=front, display=display,
    )  # fmt: skip
    # The preview: the camera service turns the picture by the sensor's angle, for the screen's natural side,
    # and mirrors that of the front camera; the TextureView stretches it over the view and applies its matrix.
    u = turned(np.array(at), sensor)
    u = np.array([1 - u[0], u[1]]) if front else u
    on_view = u * view
    matrix = np.reshape(answer["texture"], (2, 3))
    shown = matrix @ [*on_view, 1]
    # The overlay: the pipeline turns the frame upright; whole numbers are pixel centres.
    pixel = turned(np.array(at), rotation) * upright - 0.5
    drawn = np.reshape(answer["matrix"], (2, 3)) @ [*pixel, 1]
    np.testing.assert_allclose(drawn, shown, rtol=0, atol=1e-6 * max(view))


@examples
@given(mirrored=st.booleans(), fill=st.booleans(), size=st.tuples(sides, sides), view=st.tuples(sides, sides))
def test_the_picture_is_in_the_middle_and_undistorted(ask_plain, mirrored, fill, size, view):
    answer = ask_plain(
        "transform", width=size[0], height=size[1], view_width=view[0], view_height=view[1], fill=fill,
        mirrored=mirrored, display=0,
    )  # fmt: skip
    matrix, scale = np.reshape(answer["matrix"], (2, 3)), answer["scale"]
    assert matrix[0, 0] == (-scale if mirrored else scale) and matrix[1, 1] == scale
    corners = np.array([[-0.5, -0.5, 1], [size[0] - 0.5, size[1] - 0.5, 1]]) @ matrix.T
    low, high = corners.min(axis=0), corners.max(axis=0)
    np.testing.assert_allclose(low + high, view, rtol=0, atol=1e-6 * max(view))
    over = (high - low) - view
    inside = over <= 1e-6 * max(view)
    assert inside.any() if fill else inside.all()
    assert np.abs(over).min() <= 1e-6 * max(view)  # one side fits exactly


def test_the_usual_phone(ask_plain):
    """Upright, a back camera's frame is turned by 90 degrees and a front camera's by 270."""
    for display, back, front in ((0, 90, 270), (90, 0, 0), (180, 270, 90), (270, 180, 180)):
        assert ask_plain("rotation", sensor=90, display=display, front=False)["rotation"] == back
        assert ask_plain("rotation", sensor=270, display=display, front=True)["rotation"] == front


@pytest.mark.parametrize(
    ("wanted", "frame", "preview"),
    [
        ((640, 480), [640, 480], [1440, 1080]),  # the same ratio, however large others are
        ((1280, 720), [1280, 720], [1920, 1080]),
        ((320, 240), [352, 288], [352, 288]),  # no preview of that ratio: its own size
    ],
)
def test_sizes(ask_plain, wanted, frame, preview):
    sizes = [[1920, 1080], [1280, 720], [640, 480], [352, 288]]
    previews = [[4000, 3000], [1920, 1080], [1440, 1080], [1280, 720], [640, 480]]
    answer = ask_plain(
        "sizes", sizes=sizes, previews=previews, width=wanted[0], height=wanted[1], longest=2400
    )
    assert (answer["frame"], answer["preview"]) == (frame, preview)


@examples
@given(runs=st.lists(st.floats(0.5, 2), max_size=40), steady=st.integers(0, 20))
def test_warm_as_the_benchmark_says(ask_plain, runs, steady):
    from lite_deploy.bench.warmup import is_warm

    runs = runs + [1.0] * steady
    assert ask_plain("warm", runs=runs)["warm"] == is_warm(runs)
