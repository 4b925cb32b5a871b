"""What a student that finds everybody at once lacks of such a teacher's outputs."""

from collections.abc import Sequence

import paddle

from tinypose.codecs import Codec
from tinypose.config import Config
from tinypose.engine.bottom_up_loss import OFFSET_WEIGHTS, heatmap_loss, offset_loss, values_at
from tinypose.errors import UserError

Tensors = Sequence[paddle.Tensor]


def tag_parts(outputs: Tensors, taught: Tensors, targets: Tensors, codec: Codec) -> paddle.Tensor:
    """Return the squared error of heatmaps at both resolutions, and of the tags of annotated joints.

    Tags mean nothing but who belongs together; a student that learns its teacher's need not find its own.
    """
    *maps, places = targets
    joints = outputs[1].shape[1]
    total = heatmap_loss(outputs[0][:, :joints], taught[0][:, :joints], maps[1])
    total = total + heatmap_loss(outputs[1], taught[1], maps[3])
    own, seen = values_at(outputs[0][:, joints:], places)
    wanted, _ = values_at(taught[0][:, joints:], places)
    tags = (seen * (own - wanted) ** 2).sum(axis=[1, 2]) / seen.sum(axis=[1, 2]).clip(min=1)
    return (total + codec.tag_weight * tags).mean()


def offset_parts(outputs: Tensors, taught: Tensors, targets: Tensors, codec: Codec) -> paddle.Tensor:
    """Return the squared error of all heatmaps, and the distance of offsets about annotated centres."""
    _, weights, _, counts, *fine = targets
    total = OFFSET_WEIGHTS[codec.kind] * offset_loss(outputs[-1], taught[-1], counts)
    masks = [weights] if not codec.higher else [weights / 3] * 3 + [fine[1]]
    for own, wanted, mask in zip(outputs, taught, masks, strict=False):
        total = total + heatmap_loss(own, wanted, mask).mean()
    return total


def check_whole(teacher: Config, student: Config) -> None:
    """Refuse what the distillation of networks on whole pictures does not know.

    Raises:
        UserError: other outputs or another size of picture, or parts that are for crops.
    """
    settings, size = student.distill, student.input.size
    shapes = [each.output.shapes(1, size) for each in (teacher, student)]
    if shapes[0] != shapes[1] or teacher.input != student.input:
        raise UserError(
            "distill.teacher: outputs of whole pictures are compared pixel by pixel; expected the same "
            "`input` and maps of the same kinds as the student's"
        )
    for name, is_set in (
        ("visible", settings.visible > 0),
        ("flip", settings.flip),
        ("variants", settings.variants is not None),
        ("cache", settings.cache is not None),
        ("features", settings.features > 0 and student.output.name == "offsets"),
    ):
        if is_set:
            raise UserError(f"distill.{name}: not with output.name={student.output.name}; leave it out")
