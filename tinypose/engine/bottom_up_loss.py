"""The losses of networks that find all people of a picture at once. Tensors are float32.

Masks are 0 where a picture shows people whose joints nobody has annotated, and 1 elsewhere.
"""

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F

from tinypose.codecs.offsets import OffsetCodec
from tinypose.codecs.tags import TagCodec

SMOOTH = 1 / 9  # distance, in map pixels, up to which the offsets' loss is quadratic
OFFSET_WEIGHTS = {"adaptive": 0.01, "dekr": 0.03}  # of the offsets' loss
RISE = 0.01  # exponent of a target in the weight of its pixel (SWAHR)


def heatmap_loss(predicted: paddle.Tensor, target: paddle.Tensor, mask: paddle.Tensor) -> paddle.Tensor:
    """Return the mean squared difference of each picture's heatmaps, pixels weighted (HigherHRNet, DEKR).

    Args:
        predicted: [N, C, H, W].
        target: of the same shape.
        mask: [N, 1 or C, H, W].

    Returns:
        [N].
    """
    return (mask * (predicted - target) ** 2).mean(axis=[1, 2, 3])


def tag_loss(
    tags: paddle.Tensor, places: paddle.Tensor, weight: float = 1e-3
) -> tuple[paddle.Tensor, paddle.Tensor]:
    """Push people's tags apart and pull a person's together (Newell et al., NIPS 2017).

    Args:
        tags: [N, J, H, W].
        places: int [N, P, J, 2], of `tinypose.codecs.bottom_up_targets.tag_places`.
        weight: of both, as published.

    Returns:
        Push and pull, [N] each, times `weight`. A person without a place does not count.
    """
    values, seen = values_at(tags, places)
    counts = seen.sum(axis=2)
    present = (counts > 0).astype("float32")
    mean = (values * seen).sum(axis=2) / counts.clip(min=1)
    spread = (seen * (values - mean.unsqueeze(2)) ** 2).sum(axis=2) / counts.clip(min=1)
    total = present.sum(axis=1)
    pull = (present * spread).sum(axis=1) / total.clip(min=1)
    alike = paddle.exp(-((mean.unsqueeze(2) - mean.unsqueeze(1)) ** 2))
    pairs = (alike * present.unsqueeze(2) * present.unsqueeze(1)).sum(axis=[1, 2])
    push = 0.5 * (pairs - total) / (total * (total - 1)).clip(min=1)
    return weight * push, weight * pull


def values_at(tags: paddle.Tensor, places: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor]:
    """Return tags [N, J, H, W] at places [N, P, J, 2], and 1 where there is a place, both [N, P, J]."""
    batch, people, joints = places.shape[:3]
    flat = tags.reshape([tags.shape[0], -1])
    index = places[..., 0].astype("int64").reshape([batch, people * joints])
    values = paddle.take_along_axis(flat, index, axis=1).reshape([batch, people, joints])
    return values, (places[..., 1] > 0).astype("float32")


def scale_adaptive_loss(
    predicted: paddle.Tensor, scale: paddle.Tensor, target: paddle.Tensor, mask: paddle.Tensor
) -> tuple[paddle.Tensor, paddle.Tensor]:
    """Let the network choose each Gaussian's width, and weigh pixels by how hard they are (SWAHR).

    Luo et al., "Rethinking the Heatmap Regression for Bottom-up Human Pose Estimation", CVPR 2021.

    Args:
        predicted: heatmaps [N, J, H, W].
        scale: scale maps [N, J, H, W], 0 for a width as it is.
        target: heatmaps [N, J, H, W].
        mask: [N, 1, H, W].

    Returns:
        The heatmaps' loss and the scales', [N] each.
    """
    there = target > 0
    zero = paddle.zeros_like(target)
    scale = paddle.where(there, scale, zero)
    log = paddle.where(there, paddle.log(target.clip(min=1e-38)), zero)
    # The Gaussian raised to the power of 1 + s, to the second order.
    adapted = target + target * log * scale + 0.5 * target * log**2 * scale**2
    rise = paddle.where(there, paddle.exp(RISE * log), zero)
    weight = (1 - predicted).abs() * rise + predicted.abs() * (1 - rise)
    loss = (mask * weight * (predicted - adapted) ** 2).mean(axis=[1, 2, 3])
    return loss, (mask * scale**2).mean(axis=[1, 2, 3])


def offset_loss(predicted: paddle.Tensor, target: paddle.Tensor, weights: paddle.Tensor) -> paddle.Tensor:
    """Return the weighted smooth L1 distance of offsets, over the number of those that count.

    Args:
        predicted: [N, 2 J, H, W].
        target: of the same shape.
        weights: of the same shape, 0 where nothing is learnt.

    Returns:
        [], over all pictures together, as published.
    """
    # Paddle's is Huber's, which is `delta` times the one that grows like the distance.
    distance = F.smooth_l1_loss(predicted, target, reduction="none", delta=SMOOTH) / SMOOTH
    return (weights * distance).sum() / (weights > 0).astype("float32").sum().clip(min=1)


def tags(
    outputs: Sequence[paddle.Tensor], targets: Sequence[paddle.Tensor], codec: TagCodec, hard_joints: None
) -> paddle.Tensor:
    """Return HigherHRNet's loss, a scalar, or SWAHR's where the head gives scale maps.

    Args:
        outputs: of `HigherHead`.
        targets: of `TagCodec.targets`, in batches.
        codec: weighs the tags.
        hard_joints: not for this loss.
    """
    *maps, places = targets
    joints = outputs[1].shape[1]
    push, pull = tag_loss(outputs[0][:, joints:], places, codec.tag_weight)
    total = push + codec.tag_pull * pull
    for stage, predicted in enumerate((outputs[0][:, :joints], outputs[1])):
        target, mask = maps[2 * stage : 2 * stage + 2]
        if len(outputs) == 2:
            total = total + heatmap_loss(predicted, target, mask)
        else:
            loss, scale = scale_adaptive_loss(predicted, outputs[2 + stage], target, mask)
            total = total + loss + scale
    return total.mean()


def offsets(
    outputs: Sequence[paddle.Tensor], targets: Sequence[paddle.Tensor], codec: OffsetCodec, hard_joints: None
) -> paddle.Tensor:
    """Return the adaptive network's or DEKR's loss, a scalar.

    Args:
        outputs: of `AdaptiveHead` or `DekrHead`.
        targets: of `OffsetCodec.targets`, in batches.
        codec: tells which.
        hard_joints: not for this loss.
    """
    heatmaps, weights, distances, counts, *fine = targets
    loss = OFFSET_WEIGHTS[codec.kind] * offset_loss(outputs[-1], distances, counts)
    if not codec.higher:
        return loss + heatmap_loss(outputs[0], heatmaps, weights).mean()
    for branch in outputs[:3]:
        loss = loss + heatmap_loss(branch, heatmaps, weights).mean() / 3
    return loss + heatmap_loss(outputs[3], *fine).mean()
