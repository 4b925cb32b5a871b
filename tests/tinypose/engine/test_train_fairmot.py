"""FairMOT's training on drawn videos: it learns, starts from others' weights, goes on after a kill."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from tinypose.config import DatasetConfig
from tinypose.data.synthetic.video_set import draw_videos
from tinypose.data.tracked import load_tracked
from tinypose.detection.config import load_detector_config
from tinypose.detection.weights import load_detector
from tinypose.engine.train_fairmot import train_fairmot
from tinypose.errors import UserError
from tinypose.models.weights import read_params

sys.path.insert(0, str(Path(__file__).parent))
from test_train import assert_same_run  # noqa: E402


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "videos"
    draw_videos(folder, 2, seed=3, size=(160, 96), people=(3, 4), seconds=1.0, rate=8)
    return folder


def config_of(videos, **train):
    overrides = [f"train.{key}={value}" for key, value in train.items()]
    return load_detector_config(
        "fairmot_synthetic",
        [
            f"data.train.annotations={videos / 'annotations.json'}",
            f"data.train.images={videos / 'sequences'}",
            "data.val=null", "input.width=96", "input.height=64", "model.width=8", "model.looks=8",
            "train.workers=0", *overrides,
        ],
    )  # fmt: skip


def sets(videos, count):
    annotations = videos / "annotations.json"
    return [DatasetConfig(annotations=annotations, images=videos / "sequences")] * count


def test_training_learns_goes_on_and_loads_again(videos, tmp_path):
    config = config_of(videos, epochs=4, batch_size=4, warmup_steps=0)
    record = train_fairmot(config, tmp_path / "whole", quiet=True)
    lines = [json.loads(line) for line in (tmp_path / "whole" / "epochs.jsonl").read_text().splitlines()]
    assert record["loss"] < 0.6 * lines[0]["loss"]
    with pytest.raises(UserError, match="holds a run already"):
        train_fairmot(config, tmp_path / "whole", quiet=True)
    net = load_detector(config.model_copy(update={"weights": str(tmp_path / "whole" / "last.pdparams")}))
    assert net.reid.classifier.weight.shape[1] == load_tracked(sets(videos, 1), config)[0].identities
    # From weights of other people, on two sets: all but the classifier is taken over.
    more = config.model_copy(
        update={
            "weights": str(tmp_path / "whole" / "last.pdparams"),
            "data": config.data.model_copy(
                update={"sets": dict(zip("ab", sets(videos, 2), strict=True)), "datasets": ("a", "b")}
            ),
            "train": config.train.model_copy(update={"epochs": 1, "learning_rate": 1e-9}),
        }
    )
    train_fairmot(more, tmp_path / "more", quiet=True)
    before, after = (read_params(tmp_path / name / "last.pdparams") for name in ("whole", "more"))
    key = "detector.head.size.2.conv.weight"
    np.testing.assert_allclose(before[key], after[key], atol=1e-5)
    assert after["reid.classifier.weight"].shape[1] == 2 * before["reid.classifier.weight"].shape[1]


def test_a_run_killed_while_it_saves_goes_on_to_the_same_end(videos, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    replace, count, moment = os.replace, 0, 0

    def killing(source, target):
        nonlocal count
        count += 1
        if count == moment:
            raise Killed
        replace(source, target)

    config = config_of(videos, epochs=2, batch_size=8, warmup_steps=2, ema=0.9, save_minutes=1e-6)
    train_fairmot(config, tmp_path / "whole", quiet=True)
    monkeypatch.setattr(os, "replace", killing)
    killed = 0
    for moment in (3, 4, 1000):  # noqa: B007 (`killing` reads it)
        count = 0
        try:
            train_fairmot(config, tmp_path / "run", resume=True, quiet=True)
        except Killed:
            killed += 1
    assert killed == 2
    assert_same_run(tmp_path / "run", tmp_path / "whole")
