"""Damage files of every kind that is read, the same ones each time, and read them. Run by test_fuzz.py."""

import copy
import json
import resource
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import yaml
from PIL import Image

from compress.graph import store
from compress.graph.ir import Graph, Node
from compress.quant.package import read_package, write_package
from compress.quant.scales import ConvScale, weight_ranges
from lite_deploy.bench.results import read_results
from tinypose.config import CONFIGS, Config, DatasetConfig, load_config
from tinypose.data.boxes import read_boxes
from tinypose.data.check import check_set
from tinypose.data.coco import ground_truth
from tinypose.data.merge import load_set
from tinypose.engine.checkpoint import load_state, save_state
from tinypose.errors import UserError
from tinypose.images import read_image
from tinypose.inference.results import SeenLog
from tinypose.inference.sources import find_sources
from tinypose.metrics.boxes import box_ap
from tinypose.pdparams import read_params, write_params
from tinypose.skeleton import load_skeleton
from tinypose.video import Video

ODD = (None, True, -1, 0, 1.5, 1e308, float("nan"), 10**30, "", "x", "\0", [], [[]], {}, {"a": 1}, [1, 2, 3])
COCO = load_skeleton("coco17")


def annotations(folder: Path) -> Path:
    Image.fromarray(np.zeros((80, 100, 3), np.uint8)).save(folder / "a.png")
    joints = [float(v) for joint in range(17) for v in (10 + joint, 20 + joint, 2)]
    people = [
        {"id": n, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 500.0, "num_keypoints": 17,
         "bbox": [10, 20, 31, 41], "keypoints": joints} for n in (1, 2)
    ]  # fmt: skip
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],
        "annotations": people,
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO.joints)}],
    }
    return written(folder / "people.json", json.dumps(content))


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def read_annotations(path: Path) -> None:
    dataset = DatasetConfig(annotations=path, images=path.parent)
    people = load_set(dataset, COCO)
    check_set(dataset, COCO)
    ground_truth(people)
    box_ap(path, [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1.0}])


def mpii(folder: Path) -> Path:
    Image.fromarray(np.zeros((80, 100, 3), np.uint8)).save(folder / "a.png")
    person = {
        "image": "a.png",
        "joints": [[9, 9]] * 16,
        "joints_vis": [1] * 16,
        "center": [9, 9],
        "scale": 0.4,
    }
    return written(folder / "mpii.json", json.dumps([person, person]))


def read_mpii(path: Path) -> None:
    load_set(DatasetConfig(annotations=path, images=path.parent, format="mpii"), load_skeleton("mpii16"))


def boxes(folder: Path) -> Path:
    box = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}
    return written(folder / "boxes.json", json.dumps([box, {**box, "file_name": "a.png"}]))


def config(folder: Path) -> Path:
    values = load_config(CONFIGS / "tinypose_128x96.yml").model_dump(mode="json")
    return written(folder / "config.yml", yaml.safe_dump(values))


def skeleton(folder: Path) -> Path:
    return written(folder / "hand.yml", (CONFIGS / "skeletons" / "coco17.yml").read_text())


def params(folder: Path) -> Path:
    write_params(folder / "net.pdparams", {"a.weight": np.ones((3, 4), np.float32), "b": np.zeros(2)})
    return folder / "net.pdparams"


def picture(suffix: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"a{suffix}")
        return folder / f"a{suffix}"

    return make


def video(folder: Path) -> Path:
    with av.open(str(folder / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for shade in range(4):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * shade, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return folder / "a.mp4"


def read_video(path: Path) -> None:
    find_sources([str(path)])
    for _ in Video(path):
        pass


def small_graph() -> Graph:
    attrs = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1, "relu": True}
    weight = {"weight": np.random.default_rng(0).normal(0, 1, (5, 3, 1, 1)).astype(np.float32)}
    shapes = {"image": (1, 3, 8, 8), "heatmaps": (1, 5, 8, 8)}
    return Graph("image", ["heatmaps"], [Node("conv2d", "a", ["image"], ["heatmaps"], attrs, weight)], shapes)


def graph(folder: Path) -> Path:
    store.save(small_graph(), folder / "graph.npz")
    return folder / "graph.npz"


def package(folder: Path) -> Path:
    made = small_graph()
    fields = {
        "config": load_config(CONFIGS / "tinypose_128x96.yml").model_dump(mode="json"),
        "config_file": "c.yml", "weights": "w", "weights_sha256": "0" * 64, "rewritten": True, "people": 3,
        "measured": 3, "target": "any", "saved_instructions": None, "fp32_ap": 50.0,
        "rungs": [], "chosen": "mse",
        "kept_fp32": [], "errors": {"a": 0.1},
    }  # fmt: skip
    write_package(folder, made, {"a": ConvScale(0.1, weight_ranges(made.nodes[0]))}, fields)
    return folder / "quant.json"


def state(folder: Path) -> Path:
    save_state(folder / "state.npz", {"weights:a": np.ones((3, 4), np.float32)}, {"standing": {"number": 1}})
    return folder / "state.npz"


def results(folder: Path) -> Path:
    run = {"schema": 1, "kind": "run", "started": "2026-01-01T00:00:00+00:00", "device": "local",
           "machine": {}, "artifact": {}, "tools": {}, "options": {}, "folder": "x"}  # fmt: skip
    return written(
        folder / "bench.jsonl", json.dumps(run) + "\n" + json.dumps({"schema": 1, "kind": "done"}) + "\n"
    )


def seen(folder: Path) -> Path:
    frame = {"time": 0.0, "detected": True, "found": [[1, 2, 3, 4]], "boxes": [[1, 2, 3, 4]],
             "box_scores": [1], "keypoints": [[[1, 2, 0.5]] * 17], "scores": [0.5], "ids": [-1]}  # fmt: skip
    return written(folder / "a.seen.jsonl", "\n".join(map(json.dumps, ({"o": 1}, frame, frame))) + "\n")


KINDS: list[tuple[Callable[[Path], Path], Callable[[Path], object]]] = [
    (annotations, read_annotations),
    (mpii, read_mpii),
    (boxes, read_boxes),
    (config, lambda path: load_config(path, schema=Config)),
    (skeleton, load_skeleton),
    (params, read_params),
    (picture(".png"), read_image),
    (picture(".jpg"), read_image),
    (picture(".tif"), read_image),
    (picture(".gif"), read_image),
    (video, read_video),
    (graph, store.load),
    (package, lambda path: read_package(path.parent)),
    (state, load_state),
    (results, read_results),
    (seen, lambda path: SeenLog(path, {"o": 1}, COCO).close()),
]


def damage(path: Path, rng: np.random.Generator) -> None:
    """Change a file: a value within JSON, or bytes: flipped, cut off, doubled, overwritten."""
    data = bytearray(path.read_bytes())
    if path.suffix == ".json" and rng.random() < 0.7:
        content = json.loads(data)
        for _ in range(rng.integers(1, 4)):
            content = replaced(content, rng)
        path.write_text(json.dumps(content))
        return
    for _ in range(rng.integers(1, 6)):
        start = int(rng.integers(max(len(data), 1)))
        length = int(rng.integers(1, 9))
        kind = rng.integers(5)
        if kind == 0:
            data[start : start + length] = rng.bytes(length)
        elif kind == 1:
            data[start : start + length] = b""
        elif kind == 2:
            data[start:start] = data[start : start + 100]
        elif kind == 3:
            del data[start:]
        else:
            data[start : start + length] = b"\xff" * length
    path.write_bytes(bytes(data))


def replaced(tree: object, rng: np.random.Generator) -> object:
    """Return containers with one value somewhere replaced by an odd one, or a key left out."""
    tree = copy.copy(tree)
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree))) if isinstance(tree, list) else []
    if not keys or rng.random() < 0.1:
        return ODD[rng.integers(len(ODD))]
    key = keys[rng.integers(len(keys))]
    if rng.random() < 0.1:
        del tree[key]
    else:
        tree[key] = replaced(tree[key], rng)
    return tree


def main(folder: Path, count: int, memory: int) -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + memory, size + memory))
    warnings.simplefilter("ignore")
    read = refused = 0
    for number in range(count):
        rng = np.random.default_rng(number)
        make, reader = KINDS[number % len(KINDS)]
        own = folder / str(number)
        own.mkdir()
        path = make(own)
        damage(path, rng)
        try:
            reader(path)
            read += 1
        except UserError as error:
            assert str(error).strip(), path
            refused += 1
        except Exception:
            print(f"{number}: {path}", flush=True)
            raise
    print(read, refused)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
