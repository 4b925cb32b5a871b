"""The teacher: what it finds in a batch, from the network or from the disk."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn

from compress.distill.objective import PARTS
from compress.distill.resample import sampling
from compress.distill.whole_pictures import check_whole
from tinypose.config import CONFIGS, Config, DistillConfig, find_config, load_config
from tinypose.data.examples import Batch, TrainingSet, variant
from tinypose.engine.device import on_device
from tinypose.errors import UserError
from tinypose.files import read_json, sha256, write_json
from tinypose.models import build_model
from tinypose.models.weights import load_weights
from tinypose.models.zoo import locate
from tinypose.skeleton import Skeleton


def teacher_config(settings: DistillConfig) -> Config:
    """Load the teacher's config, with the weights that the student's config names.

    Raises:
        UserError: no such config, or no weights.
    """
    path = settings.teacher if settings.teacher.is_file() else CONFIGS / settings.teacher
    path = path if path.is_file() else find_config(settings.teacher)
    config = load_config(path)
    if settings.weights is not None:
        config = config.model_copy(update={"weights": settings.weights})
    if config.weights is None:
        raise UserError(f"{path}: weights: not set, and no distill.weights: a teacher must have learned")
    return config


def check_fit(teacher: Config, student: Config) -> None:
    """Check that the two look at the same thing.

    Raises:
        UserError: other joints, or crops that show other parts of the picture.
    """
    if teacher.skeleton != student.skeleton:
        raise UserError(
            f"distill.teacher: finds the joints of '{teacher.skeleton}', the student those of "
            f"'{student.skeleton}'; expected the same"
        )
    for config, whose in ((teacher, "teacher's"), (student, "student's")):
        if config.output.name not in PARTS:
            raise UserError(
                f"distill: the {whose} output is '{config.output.name}'; expected one of {', '.join(PARTS)}"
            )
    if teacher.output.name != student.output.name:
        raise UserError(
            f"distill.teacher: gives '{teacher.output.name}', the student '{student.output.name}'; expected "
            "the same kind of output on both sides"
        )
    if student.output.name == "simcc":
        _check_simcc(teacher, student)
    if student.output.gives == "people":
        check_whole(teacher, student)
        return
    one, other = teacher.input, student.input
    if one.width * other.height != one.height * other.width or one.padding != other.padding:
        raise UserError(
            f"distill.teacher: sees {one.width}x{one.height} with padding {one.padding:g}, the student "
            f"{other.width}x{other.height} with {other.padding:g}; expected the same ratio and padding"
        )


def _check_simcc(teacher: Config, student: Config) -> None:
    """Refuse what the distillation of SimCC's vectors does not know."""
    settings, size = student.distill, student.input.size
    if teacher.output.bins(teacher.input.size) != student.output.bins(size) or teacher.input != student.input:
        raise UserError(
            "distill.teacher: SimCC's bins are compared one by one; expected the same `input` and the same "
            "`output.split` as the student's"
        )
    if settings.visible:
        raise UserError("distill.visible: is a part for heatmaps; with output.name=simcc use `every`")
    if settings.cache is not None:
        raise UserError("distill.cache: keeps heatmaps only; with output.name=simcc leave it out")


def take_backbone(net: nn.Layer, teacher: nn.Layer) -> None:
    """Give a student its teacher's backbone, to be kept as it is (`distill.head_only`).

    Raises:
        UserError: the two have different backbones.
    """
    own, other = net.backbone.state_dict(), teacher.backbone.state_dict()
    if {k: v.shape for k, v in own.items()} != {k: v.shape for k, v in other.items()}:
        raise UserError(
            "distill.head_only: the teacher has another backbone; expected the student's own `model`"
        )
    for key, tensor in own.items():
        tensor.set_value(other[key])
    for parameter in net.backbone.parameters():
        parameter.stop_gradient = True


class Teacher:
    """A network in inference mode that gives a student's batches their targets.

    Args:
        config: the teacher's.
        student: the student's config; its section `distill` says what is wanted.
        skeleton: of both.
    """

    def __init__(self, config: Config, student: Config, skeleton: Skeleton):
        self.config, self.settings, self.skeleton = config, student.distill, skeleton
        self.net = build_model(config, len(skeleton.joints))
        load_weights(self.net, config.weights)
        self.net.eval()
        self.forward = (
            paddle.jit.to_static(TeacherParts(self.net), full_graph=True)
            if student.train.static
            else TeacherParts(self.net)
        )
        self.forward.eval()
        self.own_crop = config.input != student.input
        heatmaps = config.output.name == "heatmap"
        matrices = sampling(config, student) if heatmaps else None
        self.matrices = None if matrices is None else [paddle.to_tensor(m) for m in matrices]

    @property
    def channels(self) -> int | None:
        """Return the channels of its features, if they are wanted."""
        return self.net.backbone.channels if self.settings.features else None

    @paddle.no_grad()
    def targets(self, batch: Batch) -> tuple[list[np.ndarray], paddle.Tensor | None]:
        """Return what the student should find.

        Returns:
            The outputs, heatmaps [N, J, h, w] at the student's pixels, and features float32 [N, C, h, w]
            there, or None if they are not wanted.
        """
        images = on_device(batch.wide if self.own_crop else batch.images)
        features, *outputs = self.forward(images)
        if self.settings.flip:
            _, *mirrored = self.forward(images.flip(3))
            both = [[each.numpy() for each in side] for side in (outputs, mirrored)]
            joined = self.config.output.with_mirrored(*both, self.skeleton.flip_order)
            outputs = [paddle.to_tensor(each) for each in joined]
        found = [self._at_student(each).numpy() for each in outputs]
        return found, self._at_student(features) if self.settings.features else None

    def _at_student(self, maps: paddle.Tensor) -> paddle.Tensor:
        if self.matrices is None:
            return maps
        rows, columns = self.matrices
        return rows @ maps @ columns


class TeacherParts(nn.Layer):
    """A `PoseNet` that gives its last features before its outputs."""

    def __init__(self, net: nn.Layer):
        super().__init__()
        self.net = net

    def forward(self, images: paddle.Tensor) -> list[paddle.Tensor]:
        """Return features [N, C, h, w], and the outputs."""
        features = self.net.backbone(images)
        return [features, *self.net.outputs(features)]


class Cache:
    """A teacher's heatmaps of crops that come again, in half precision on the disk.

    A line of `known.npy` turns 1 only after its heatmaps are written, so a run may be killed at any
    moment. All values pass through half precision, so that it makes no difference which were cached.

    Args:
        folder: where to; made for one teacher, one set of people and one way to vary them.
        people: the set, with `variants`.
        student: the student's config.
        teacher: the teacher's config.
        rank: of this process; each has its own files.
    """

    def __init__(self, folder: Path, people: TrainingSet, student: Config, teacher: Config, rank: int):
        self.people = people
        crops = people.variants * len(people.people)
        shape = (crops, *student.output.shapes(len(people.skeleton.joints), student.input.size)[0])
        record = _record(people, student, teacher)
        note = folder / f"teacher_rank{rank}.json"
        if note.exists() and read_json(note, "record of a teacher's heatmaps") != record:
            raise UserError(
                f"{folder}: holds the heatmaps of another teacher, or of other crops; give another"
            )
        fresh = not note.exists()
        folder.mkdir(parents=True, exist_ok=True)
        self.maps = _open(folder / f"heatmaps_rank{rank}.npy", np.float16, shape, fresh)
        self.known = _open(folder / f"known_rank{rank}.npy", np.uint8, (crops,), fresh)
        write_json(note, record)

    def places(self, batch: Batch) -> np.ndarray:
        """Return the line of each crop of a batch, int64 [N]."""
        return variant(self.people, batch.epoch) * len(self.people.people) + batch.numbers

    def read(self, batch: Batch) -> np.ndarray | None:
        """Return the heatmaps of a batch, float32 [N, J, h, w], or None if some are not known."""
        places = self.places(batch)
        return self.maps[places].astype(np.float32) if self.known[places].all() else None

    def write(self, batch: Batch, maps: np.ndarray) -> np.ndarray:
        """Keep the heatmaps of a batch, and return them as they will be read."""
        places = self.places(batch)
        self.maps[places] = maps
        self.known[places] = 1
        return self.maps[places].astype(np.float32)


def _record(people: TrainingSet, student: Config, teacher: Config) -> dict[str, Any]:
    facts = {
        "teacher": teacher.model_dump(mode="json", include={"model", "input", "output", "skeleton"}),
        "student": student.model_dump(mode="json", include={"input", "output", "augment"}),
        "flip": student.distill.flip,
        "seed": people.seed,
        "variants": people.variants,
        "people": people.digest(),
    }
    text = json.dumps(facts, sort_keys=True)
    return {"weights": sha256(locate(teacher.weights)), "facts": hashlib.sha256(text.encode()).hexdigest()}


def _open(path: Path, dtype: type, shape: tuple[int, ...], fresh: bool) -> np.memmap:
    if fresh or not path.exists():
        return np.lib.format.open_memmap(path, "w+", dtype, shape)
    return np.lib.format.open_memmap(path, "r+")
