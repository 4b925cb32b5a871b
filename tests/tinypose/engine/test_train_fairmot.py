"""FairMOT's training on drawn videos: it learns, starts from others' weights, goes on after a kill."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tinypose.data.tracked import load_tracked
from tinypose.detection.weights import load_detector
from tinypose.engine.train_fairmot import train_fairmot
from tinypose.errors import UserError
from tinypose.models.weights import read_params

sys.path.insert(0, str(Path(__file__).parent))
from test_train import assert_same_run  # noqa: E402


def test_training_learns_goes_on_and_loads_again(tmp_path, fairmot_config, video_sets):
    config = fairmot_config(epochs=4, batch_size=4, warmup_steps=0)
    record = train_fairmot(config, tmp_path / "whole", quiet=True)
    lines = [json.loads(line) for line in (tmp_path / "whole" / "epochs.jsonl").read_text().splitlines()]
    assert record["loss"] < 0.6 * lines[0]["loss"]
    with pytest.raises(UserError, match="holds a run already"):
        train_fairmot(config, tmp_path / "whole", quiet=True)
    net = load_detector(config.model_copy(update={"weights": str(tmp_path / "whole" / "last.pdparams")}))
    assert net.reid.classifier.weight.shape[1] == load_tracked(video_sets(1), config)[0].identities
    # From weights of other people, on two sets: all but the classifier is taken over.
    more = config.model_copy(
        update={
            "weights": str(tmp_path / "whole" / "last.pdparams"),
            "data": config.data.model_copy(
                update={"sets": dict(zip("ab", video_sets(2), strict=True)), "datasets": ("a", "b")}
            ),
            "train": config.train.model_copy(update={"epochs": 1, "learning_rate": 1e-9}),
        }
    )
    train_fairmot(more, tmp_path / "more", quiet=True)
    before, after = (read_params(tmp_path / name / "last.pdparams") for name in ("whole", "more"))
    key = "detector.head.size.2.conv.weight"
    np.testing.assert_allclose(before[key], after[key], atol=1e-5)
    assert after["reid.classifier.weight"].shape[1] == 2 * before["reid.classifier.weight"].shape[1]


def test_a_run_killed_while_it_saves_goes_on_to_the_same_end(tmp_path, killed_at, fairmot_config):
    config = fairmot_config(epochs=2, batch_size=8, warmup_steps=2, ema=0.9, save_minutes=1e-6)
    train_fairmot(config, tmp_path / "whole", quiet=True)

    def go_on():
        train_fairmot(config, tmp_path / "run", resume=True, quiet=True)

    assert killed_at(go_on, 3) and killed_at(go_on, 4)
    go_on()
    assert_same_run(tmp_path / "run", tmp_path / "whole")
