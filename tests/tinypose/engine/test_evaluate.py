"""From pictures to AP: on drawn joints with a known answer, and on real people with published weights."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import tinypose.data.coco as coco
from tinypose.codecs.heatmap import grid_step
from tinypose.config import CONFIGS, Config, load_config
from tinypose.engine.evaluate import evaluate, people_to_evaluate, predict, to_results
from tinypose.errors import UserError
from tinypose.network import as_network
from tinypose.skeleton import Skeleton, load_skeleton

# Two joints that have no left and right, so that a finder of colours is right on mirrored pictures too.
MARKS = Skeleton(name="marks", joints=("red", "green"), pairs=(), sigmas=(0.05, 0.05))
PEOPLE_PER_PICTURE = (2, 1, 4)


def draw_blob(picture, channel, x, y, sigma=4.0):
    rows, columns = np.indices(picture.shape[:2])
    blob = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    picture[..., channel] = np.maximum(picture[..., channel], blob)


@pytest.fixture(scope="module")
def marks(tmp_path_factory):
    """A set whose people are a red and a green blob, several a picture."""
    folder = tmp_path_factory.mktemp("marks")
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for image_id, count in enumerate(PEOPLE_PER_PICTURE, 1):
        picture = np.zeros((200, 150 * count, 3))
        for place in range(count):
            corner = np.array([150 * place + 25, 25])
            joints = corner + rng.uniform(20, 80, (2, 2)) * [1, 1.5]
            for channel, (x, y) in enumerate(joints):
                draw_blob(picture, channel, x, y)
            keypoints = np.column_stack([joints, [2, 2]]).ravel().tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": image_id, "category_id": 1, "iscrowd": 0,
                    "area": 10000, "bbox": [*corner.tolist(), 101, 151], "num_keypoints": 2,
                    "keypoints": keypoints,
                }
            )  # fmt: skip
        # Names against the order of the file: results must not depend on the order of reading.
        name = f"{9 - image_id}.png"
        Image.fromarray(picture.astype(np.uint8)).save(folder / name)
        images.append({"id": image_id, "file_name": name, "width": 150 * count, "height": 200})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    (folder / "people.json").write_text(json.dumps(content))
    return coco.load_people(folder / "people.json", folder, MARKS)


def marks_config(**changes):
    return Config.model_validate(
        {
            "model": {"name": "hrnet"},
            "input": {"width": 192, "height": 256, "mean": (0, 0, 0), "std": (1, 1, 1)},
            **changes,
        }
    )


def find_colours(images, grid="stride"):
    """Stand for a perfect network: heatmap pixels read the colour where the grid says they lie."""
    step = grid_step((192, 256), (48, 64), grid)
    rows = np.rint(np.arange(64) * step[1]).astype(int)
    columns = np.rint(np.arange(48) * step[0]).astype(int)
    return [np.ascontiguousarray(images[:, :2, rows[:, None], columns[None, :]])]


@pytest.mark.parametrize("grid", ["stride", "udp"])
@pytest.mark.parametrize("flip", [True, False])
def test_drawn_joints_are_found_where_they_are(marks, grid, flip):
    config = marks_config(eval={"flip": flip, "batch_size": 3}, output={"grid": grid})
    found = predict(lambda images: find_colours(images, grid), marks.people, config, MARKS)
    wanted = np.stack([person.joints for person in marks.people])
    assert found.shape == (7, 2, 3) and found.dtype == np.float32
    assert np.abs(found[..., :2] - wanted[..., :2]).max() < 0.6  # image pixels; half a crop pixel by rint
    metrics, results = evaluate(lambda images: find_colours(images, grid), marks, config, MARKS)
    assert metrics["AP"] == pytest.approx(100)
    assert len(results) == 7 and {each["image_id"] for each in results} == {1, 2, 3}
    json.dumps(results)


def test_the_wrong_grid_is_seen(marks):
    config = marks_config(output={"grid": "udp"})
    found = predict(find_colours, marks.people, config, MARKS)
    wanted = np.stack([person.joints for person in marks.people])
    assert np.abs(found[..., :2] - wanted[..., :2]).max() > 1


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_batches_do_not_matter_and_each_picture_is_read_once(marks, batch_size, monkeypatch):
    read, sizes = [], []

    def reading(path, size):
        read.append(path.name)
        return original(path, size)

    def run(images):
        sizes.append(len(images))
        return find_colours(images)

    original = coco.read_image
    monkeypatch.setattr(coco, "read_image", reading)
    shuffled = [marks.people[i] for i in (4, 0, 6, 2, 1, 5, 3)]
    found = predict(run, shuffled, marks_config(eval={"batch_size": batch_size, "flip": False}), MARKS)
    whole = predict(find_colours, marks.people, marks_config(eval={"flip": False}), MARKS)
    np.testing.assert_array_equal(found, whole[[4, 0, 6, 2, 1, 5, 3]])
    assert len(read[: len(PEOPLE_PER_PICTURE)]) == len(set(read[: len(PEOPLE_PER_PICTURE)])) == 3
    assert max(sizes) <= batch_size and sum(sizes) == 7


def test_nobody_to_look_at():
    assert predict(find_colours, [], marks_config(), MARKS).shape == (0, 2, 3)


def test_doubled_boxes_are_suppressed_and_scores_combined(marks, tmp_path):
    boxes = []
    for person in marks.people:
        entry = {"image_id": person.image_id, "category_id": 1, "bbox": [*person.box[:2], 101, 151]}
        shifted = {**entry, "bbox": [person.box[0] + 2, person.box[1] + 1, 101, 151]}
        boxes += [{**entry, "score": 0.8}, {**shifted, "score": 0.6}]
    (tmp_path / "bbox.json").write_text(json.dumps(boxes))
    found = coco.load_detections(tmp_path / "bbox.json", marks)
    config = marks_config()
    metrics, results = evaluate(find_colours, found, config, MARKS)
    assert len(found.people) == 14 and len(results) == 7
    assert metrics["AP"] == pytest.approx(100)
    keypoints = predict(find_colours, found.people, config, MARKS)
    assert results[0]["score"] == pytest.approx(0.8 * keypoints[0, :, 2].mean())
    unsuppressed = to_results(found.people, keypoints, marks_config(eval={"nms": 1.0}), MARKS)
    assert len(unsuppressed) == 14


def test_a_network_that_does_not_fit_is_named(marks):
    with pytest.raises(UserError, match=r"gives \[7, 1, 64, 48\], expected \[7, 2, 64, 48\]"):
        predict(lambda images: [find_colours(images)[0][:, :1]], marks.people, marks_config(), MARKS)
    with pytest.raises(UserError, match="not finite"):
        predict(lambda images: [find_colours(images)[0] * np.nan], marks.people, marks_config(), MARKS)


def test_a_picture_that_breaks_on_the_way_is_named(marks, tmp_path):
    person = marks.people[0]
    (tmp_path / "broken.png").write_bytes(person.path.read_bytes()[:300])
    broken = coco.Person(1, 1, tmp_path / "broken.png", person.size, person.box, person.joints, person.area)
    with pytest.raises(UserError, match=r"broken\.png: cannot read"):
        predict(find_colours, [broken], marks_config(), MARKS)


def real(shared, size, **changes):
    folder = shared / "data/coco-mini"
    overrides = [
        f"data.val.annotations={folder}/annotations/person_keypoints_val2017.json",
        f"data.val.images={folder}/val2017",
        f"weights={shared}/weights/tinypose_{size}.pdparams",
        *(f"{key}={value}" for key, value in changes.items()),
    ]
    return CONFIGS / f"tinypose_{size}.yml", overrides


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("256x192", {"AP": 67.5, "AP50": 84.7, "AP75": 73.3, "AR": 69.1}),
        ("128x96", {"AP": 57.6, "AP50": 81.3, "AP75": 63.9, "AR": 60.9}),
    ],
)
def test_published_weights_on_real_people(shared, size, expected):
    from tinypose.models import build_model
    from tinypose.models.weights import load_weights

    path, overrides = real(shared, size)
    config = load_config(path, overrides)
    skeleton = load_skeleton(config.skeleton)
    net = build_model(config, len(skeleton.joints))
    load_weights(net, config.weights)
    metrics, _ = evaluate(as_network(net), people_to_evaluate(config, skeleton), config, skeleton)
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(value, abs=0.2), metrics


def call(*arguments):
    from tinypose.cli import app

    return CliRunner().invoke(app, ["eval", *map(str, arguments)])


def with_overrides(overrides):
    return [each for text in overrides for each in ("-o", text)]


def test_the_command_prints_a_table_and_writes_predictions(shared, tmp_path):
    path, overrides = real(shared, "128x96", **{"eval.flip": "false"})
    folder = shared / "data/coco-mini"
    content = json.loads((folder / "annotations/person_keypoints_val2017.json").read_text())
    boxes = [
        {"image_id": each["image_id"], "category_id": 1, "bbox": each["bbox"], "score": 0.9}
        for each in content["annotations"]
        if not each["iscrowd"]
    ]
    (tmp_path / "bbox.json").write_text(json.dumps(boxes))
    overrides.append(f"eval.boxes={tmp_path / 'bbox.json'}")
    saved = tmp_path / "new/keypoints.json"
    result = call("-c", path, *with_overrides(overrides), "--output", saved)
    assert result.exit_code == 0, result.output
    assert "no flip test" in result.output and "AP75" in result.output
    assert "92 people in 32 of 32 pictures" in result.output
    written = json.loads(saved.read_text())
    assert 68 <= len(written) <= 92
    assert set(written[0]) == {"image_id", "category_id", "keypoints", "score"}
    assert len(written[0]["keypoints"]) == 51


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((), "weights: not set"),
        (("-o", "weights=none.pdparams", "-o", "data.val=null"), "data.val: not set"),
        (("-o", "weights=w", "-o", "data.val.annotations=none.json"), "none.json: no such annotation file"),
        (("-o", "weights=w", "--output", "."), "cannot write there"),
        (("-o", "output.blur=4"), "expected an odd number"),
    ],
)
def test_the_users_mistakes(arguments, match):
    result = call("-c", CONFIGS / "tinypose_128x96.yml", *arguments)
    assert isinstance(result.exception, UserError)
    assert match in str(result.exception)
