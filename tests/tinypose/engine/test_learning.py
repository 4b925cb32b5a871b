"""Real people are learned: minutes of training each, so run by hand (`make slow`)."""

import json

import pytest

from tinypose.config import CONFIGS, load_config
from tinypose.engine.evaluate import evaluate, people_to_evaluate
from tinypose.engine.train import train
from tinypose.models import build_model
from tinypose.models.weights import load_weights
from tinypose.network import as_network
from tinypose.skeleton import load_skeleton

pytestmark = pytest.mark.slow

STILL = [
    "augment.scale=0",
    "augment.rotation_chance=0",
    "augment.flip_chance=0",
    "augment.half_body_chance=0",
    "augment.drop_chance=0",
    "augment.shift=0",
    "augment.color=0",
    "augment.hsv=[0,0,0]",
    "augment.blur_chance=0",
    "augment.median_chance=0",
    "augment.hole_chance=0",
    "late_augment=null",
    "train.late=1",
    "eval.flip=false",
]


def coco_mini(shared, part: str) -> tuple:
    """Return the annotations and the pictures of a part."""
    data = shared / "data" / "coco-mini"
    return data / "annotations" / f"person_keypoints_{part}2017.json", data / f"{part}2017"


def on_data(train: tuple, val: tuple) -> list[str]:
    """Return the overrides that name both sets, annotations and pictures each."""
    keys = ("annotations", "images")
    sets = {"train": train, "val": val}
    return [f"data.{part}.{key}={path}" for part in sets for key, path in zip(keys, sets[part], strict=True)]


def twenty_people(shared, folder):
    """Write annotations of the first 20 people with at least ten joints; nobody else is in them."""
    content = json.loads(coco_mini(shared, "train")[0].read_text())
    chosen = [each for each in content["annotations"] if each["num_keypoints"] >= 10 and not each["iscrowd"]]
    content["annotations"] = chosen[:20]
    pictures = {each["image_id"] for each in chosen[:20]}
    content["images"] = [each for each in content["images"] if each["id"] in pictures]
    (folder / "twenty.json").write_text(json.dumps(content))
    return folder / "twenty.json"


def learned_by_heart(shared, folder, config, options):
    """Train on twenty people; return the options that name them, and the last record."""
    people = (twenty_people(shared, folder), coco_mini(shared, "train")[1])
    options = [*STILL, *options, *on_data(people, people)]
    settings = ["train.batch_size=10", "train.epochs=200", "train.eval_epochs=200"]
    settings += ["train.learning_rate=2e-3", "train.warmup_steps=20", "train.decay=cosine"]
    loaded = load_config(CONFIGS / f"{config}.yml", [*options, *settings])
    result = train(loaded, folder / "run", quiet=True)
    print(f"{config}: AP {result['AP']:.1f} on the 20 people that it was trained on")
    return options, result


@pytest.mark.parametrize(
    ("config", "options"),
    [
        ("tinypose_128x96", []),
        ("lite_hrnet_18_256x192", ["input.width=96", "input.height=128", "output.sigma=1"]),
        ("hrnet_w18_128x96", []),
    ],
)
def test_twenty_people_are_learned_by_heart(shared, tmp_path, config, options):
    _, result = learned_by_heart(shared, tmp_path, config, options)
    assert result["AP"] > 95


def test_rtmpose_learns_twenty_people_by_heart_and_int8_keeps_them(shared, tmp_path):
    from compress.quant.climb import quantise
    from compress.quant.task import read_task

    smaller = ["input.width=96", "input.height=128", "output.sigma=[3.5,4]"]
    options, result = learned_by_heart(shared, tmp_path, "rtmpose_t_256x192", smaller)
    assert result["AP"] > 95
    weights = f"weights={tmp_path / 'run' / 'best.pdparams'}"
    config = load_config("rtmpose_t_256x192", [*options, weights, "quant.method=ptq", "quant.target=any"])
    climb = quantise(read_task(config, tmp_path), tmp_path / "int8")
    accuracy = climb.chosen.accuracy
    print(f"INT8: AP {accuracy.ap:.2f} of {climb.fp32.ap:.2f}, error of the vectors {accuracy.error:.5f}")
    assert climb.fp32.ap - accuracy.ap <= 0.5 and len(climb.chosen.scales) == 41


def test_fine_tuning_keeps_what_published_weights_know(shared, tmp_path):
    options = [f"weights={shared}/weights/tinypose_128x96.pdparams", "train.eval_epochs=4"]
    options += on_data(coco_mini(shared, "train"), coco_mini(shared, "val"))
    config = load_config(CONFIGS / "tinypose_128x96_finetune.yml", options)
    skeleton = load_skeleton(config.skeleton)
    net = build_model(config, len(skeleton.joints))
    load_weights(net, config.weights)
    before = evaluate(as_network(net), people_to_evaluate(config, skeleton), config, skeleton, "")[0]["AP"]
    after = train(config, tmp_path / "run", quiet=True)["AP"]
    print(f"AP {before:.2f} before fine-tuning, {after:.2f} after")
    assert after > before - 0.5
