"""Everybody of forty drawn pictures is learned by heart by networks that see them whole (`make slow`)."""

import pytest

from tinypose.config import CONFIGS, load_config
from tinypose.data.synthetic import draw_set
from tinypose.engine.train import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def learn(tmp_path_factory):
    """Return a function that trains a config on the pictures, and returns the AP on them and the weights."""
    folder = tmp_path_factory.mktemp("heart")
    draw_set(folder / "set", images=40, seed=7, size=(256, 256), people=(1, 3))
    options = ["whole.scale=[1, 1]", "whole.rotation=0", "whole.shift=0", "whole.flip_chance=0"]
    options += ["train.batch_size=4", "train.warmup_steps=20", "train.eval_epochs=20", "eval.flip=false"]
    for part in ("train", "val"):
        options += [f"data.{part}.annotations={folder}/set/annotations.json"]
        options += [f"data.{part}.images={folder}/set/images"]

    def run(name, output, *more):
        result = train(load_config(CONFIGS / f"{name}.yml", [*options, *more]), folder / output, quiet=True)
        print(f"{output}, {name}: AP {result['AP']:.1f} on the 40 pictures that it was trained on")
        return result["AP"], folder / output / "last.pdparams"

    return run


@pytest.fixture(scope="module")
def higher(learn):
    """First where joints are, with tags weighed as published; then whose they are."""
    _, where = learn(
        "higherhrnet_synthetic", "first", "train.epochs=60", "output.tag_weight=1e-3", "output.tag_pull=1"
    )
    return learn("higherhrnet_synthetic", "second", "train.epochs=40", f"weights={where}")


def test_higherhrnet_learns_forty_pictures_by_heart(higher):
    assert higher[0] > 50


@pytest.mark.parametrize(
    ("name", "epochs"), [("higherhrnet_synthetic_swahr", 40), ("adaptive_synthetic", 70)]
)
def test_others_learn_them_with_its_backbone(learn, higher, name, epochs):
    ap, _ = learn(name, name, f"train.epochs={epochs}", f"train.backbone={higher[1]}")
    assert ap > 50
