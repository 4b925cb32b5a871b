"""Pictures of the screens: the overlay by the app's own code on the JVM, the rest from its layouts.

They lie in output/ afterwards, for a person to look at.
"""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
WIDTH, HEIGHT = 412, 846  # density-independent pixels of a phone


@pytest.fixture(scope="module")
def layout_page():
    spec = importlib.util.spec_from_file_location("layout_page", HERE / "layout_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def overlay(ask, catalogue, tmp_path, mirrored: bool) -> tuple[np.ndarray, dict]:
    """The picture of the self-test with the people and figures that the app draws over it."""
    image = cv2.imread(str(catalogue / "picture.png"))
    np.ascontiguousarray(image[..., ::-1]).tofile(tmp_path / "image.rgb")
    lines = ["-", "tinypose_128x96, arm_fp16", "Cool"]
    answer = ask("screen", catalogue=str(catalogue), model="x86_fp32", image=str(tmp_path / "image.rgb"),
                 width=image.shape[1], height=image.shape[0], picture=str(catalogue / "picture.png"),
                 view_width=WIDTH, view_height=HEIGHT, density=1.0, lines=lines, mirrored=mirrored,
                 output=str(tmp_path / "overlay.png"))  # fmt: skip
    assert "error" not in answer, answer
    return cv2.imread(str(tmp_path / "overlay.png")), answer


def test_the_overlay_draws_joints_where_they_are(ask, catalogue, tmp_path):
    """Each certain joint lies under a disc of the app's; mirrored, on the other side."""
    for mirrored in (False, True):
        drawn, answer = overlay(ask, catalogue, tmp_path, mirrored)
        (person,) = answer["people"]
        joints = np.reshape(person["joints"], (-1, 3))
        scale = WIDTH / 640
        seen = joints[joints[:, 2] >= 0.2]
        assert len(seen) > 8
        for x, y, _ in seen:
            across = (639 - x if mirrored else x) * scale + 0.5 * scale
            down = (HEIGHT - 480 * scale) / 2 + (y + 0.5) * scale
            near = drawn[int(down) - 3 : int(down) + 4, int(across) - 3 : int(across) + 4].reshape(-1, 3)
            known = [
                (255, 145, 0),
                (0, 128, 255),
                (110, 200, 60),
                (255, 255, 255),
            ]  # BGR: sides, middle
            assert min(np.abs(near.astype(int) - color).sum(axis=1).min() for color in known) < 60


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_pictures_of_the_screens(ask, catalogue, layout_page, tmp_path, language, dark):
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("needs chromium, which this machine lacks")
    overlay(ask, catalogue, tmp_path, False)
    page = layout_page.Page(language, dark, {}, {"overlay": "overlay.png"})
    filled = {
        "sentence": page.string("running"),
        "choose_model": "tinypose_128x96",
        "choose_precision": page.string("best").replace("%1$s", "arm_fp16"),
        "choose_threads": "2", "choose_interval": page.string("frames").replace("%1$d", "5"),
        "choose_smoothing": page.string("one_euro"), "choose_camera": page.string("back") + " 0",
        "choose_size": "480",
    }  # fmt: skip
    page = layout_page.Page(language, dark, filled, {"overlay": "overlay.png"})
    target = Path(__file__).resolve().parents[3] / "output"
    target.mkdir(exist_ok=True)
    for name, shown in (("main", set()), ("settings", {"sheet"})):
        (tmp_path / "page.html").write_text(page.html("main", WIDTH, HEIGHT, shown), encoding="utf-8")
        picture = target / f"app_{name}_{language}_{'dark' if dark else 'light'}.png"
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                   f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={picture}",
                   (tmp_path / "page.html").as_uri()]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, timeout=600)
        image = cv2.imread(str(picture))
        assert image.shape == (HEIGHT, WIDTH, 3) and len(np.unique(image.reshape(-1, 3), axis=0)) > 100
