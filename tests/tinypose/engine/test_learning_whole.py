"""Everybody of forty drawn pictures is learned by heart by a network that sees them whole (`make slow`)."""

import pytest

from tinypose.config import CONFIGS, load_config
from tinypose.data.synthetic import draw_set
from tinypose.engine.train import train

pytestmark = pytest.mark.slow


def test_forty_pictures_are_learned_by_heart(tmp_path):
    """First where joints are, with tags weighed as published; then whose they are."""
    draw_set(tmp_path / "set", images=40, seed=7, size=(256, 256), people=(1, 3))
    options = ["whole.scale=[1, 1]", "whole.rotation=0", "whole.shift=0", "whole.flip_chance=0"]
    options += ["train.batch_size=4", "train.warmup_steps=20", "train.eval_epochs=20", "eval.flip=false"]
    for part in ("train", "val"):
        options += [f"data.{part}.annotations={tmp_path}/set/annotations.json"]
        options += [f"data.{part}.images={tmp_path}/set/images"]
    first = ["train.epochs=60", "output.tag_weight=1e-3", "output.tag_pull=1"]
    where = load_config(CONFIGS / "higherhrnet_synthetic.yml", options + first)
    train(where, tmp_path / "first", quiet=True)
    second = ["train.epochs=40", f"weights={tmp_path}/first/last.pdparams"]
    whose = load_config(CONFIGS / "higherhrnet_synthetic.yml", options + second)
    result = train(whose, tmp_path / "second", quiet=True)
    print(f"AP {result['AP']:.1f} on the 40 pictures that it was trained on")
    assert result["AP"] > 50
