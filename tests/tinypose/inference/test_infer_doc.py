"""The example of docs/infer.md runs as it stands there."""

import subprocess
import sys
from itertools import islice
from pathlib import Path

from tinypose import Video, VideoWriter

DOC = Path(__file__).resolve().parents[3] / "docs" / "infer.md"


def example() -> str:
    """Return the indented lines of the section that is about Python."""
    section = DOC.read_text().split("\n## In Python\n")[1].split("\n## ")[0]
    return "\n".join(line[4:] for line in section.splitlines() if line.startswith("    ") or not line)


def test_the_example_runs(shared, pose_folder, detector_folder, tmp_path):
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "tinypose").symlink_to(pose_folder)
    (tmp_path / "output" / "picodet").symlink_to(detector_folder)
    (tmp_path / "photo.jpg").symlink_to(shared / "samples" / "hrnet_demo.jpg")
    with VideoWriter(tmp_path / "film.mp4", 30) as writer:
        for frame in islice(Video(shared / "samples" / "exercise.mp4"), 12):
            writer.write(frame.image, frame.time)
    script = example() + "\nprint(len(entries), sorted(arrays), drawn.shape, people.ids)"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    first, last = result.stdout.splitlines()
    assert first.startswith("score 0.") and "nose at [1" in first
    assert last == "1 ['box_scores', 'boxes', 'ids', 'keypoints', 'scores'] (423, 359, 3) [1]"
    assert len(list(Video(tmp_path / "followed.mp4"))) == 12


def test_every_option_of_the_doc_is_one():
    """And every option that is not about where weights come from is in the doc."""
    import re

    from typer.testing import CliRunner

    from tinypose.cli import app

    text = DOC.read_text()
    helped = CliRunner().invoke(app, ["infer", "--help"], env={"COLUMNS": "200"}).output
    known = set(re.findall(r"--[a-z-]+", helped)) - {"--help", "--draw", "--output"}
    assert known - set(re.findall(r"--[a-z-]+", text)) == set()
