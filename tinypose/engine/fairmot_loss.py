"""What FairMOT is trained to make small: finding people, and telling them apart (Zhang et al., IJCV 2021)."""

import math

import paddle
import paddle.nn.functional as F

SIZE_WEIGHT = 0.1
TARGETS = ("heatmap", "place", "offset", "size", "there", "identity")  # their order in a batch


def focal_loss(logits: paddle.Tensor, target: paddle.Tensor) -> paddle.Tensor:
    """Return the focal loss of heatmaps [N, C, h, w], per middle (CornerNet: Law and Deng, 2018)."""
    found = paddle.clip(F.sigmoid(logits), 1e-4, 1 - 1e-4)
    middle = (target == 1).astype("float32")
    hit = (1 - found) ** 2 * paddle.log(found) * middle
    miss = (1 - target) ** 4 * found**2 * paddle.log(1 - found) * (1 - middle)
    return -(hit.sum() + miss.sum()) / paddle.clip(middle.sum(), min=1.0)


def at_places(maps: paddle.Tensor, places: paddle.Tensor) -> paddle.Tensor:
    """Return the values of maps [N, C, h, w] at places int64 [N, K] (row * width + column): [N, K, C]."""
    flat = maps.flatten(2).transpose([0, 2, 1])
    return paddle.take_along_axis(flat, places.unsqueeze(2), axis=1)


def distance_loss(
    maps: paddle.Tensor, target: paddle.Tensor, places: paddle.Tensor, there: paddle.Tensor
) -> paddle.Tensor:
    """Return the mean absolute difference at the middles that are there.

    Args:
        maps: float32 [N, C, h, w].
        target: float32 [N, K, C].
        places: int64 [N, K].
        there: [N, K], 1 where there is a box.
    """
    weight = there.unsqueeze(2).astype("float32")
    off = paddle.abs(at_places(maps, places) - target) * weight
    return off.sum() / (maps.shape[1] * weight.sum() + 1e-4)


def detection_loss(
    outputs: list[paddle.Tensor], targets: dict[str, paddle.Tensor]
) -> tuple[paddle.Tensor, paddle.Tensor, paddle.Tensor]:
    """Return the losses of the heatmap, the sizes and the offsets; they count 1, 0.1 and 1.

    Args:
        outputs: logits, sizes and offsets of `tinypose.detection.fairmot.CenterHead`.
        targets: of `tinypose.codecs.centres.centre_targets`, padded to K boxes: `heatmap`, `place`, `offset`,
            `size`, and `there` [N, K].
    """
    logits, size, offset = outputs
    where = targets["place"], targets["there"]
    return (
        focal_loss(logits, targets["heatmap"]),
        distance_loss(size, targets["size"], *where),
        distance_loss(offset, targets["offset"], *where),
    )


def looks_loss(
    looks: paddle.Tensor, classifier: paddle.nn.Layer, targets: dict[str, paddle.Tensor]
) -> paddle.Tensor:
    """Return the cross entropy of telling who each person is.

    Args:
        looks: float32 [N, D, h, w], of any length.
        classifier: from looks to identities.
        targets: `place` and `there` as above, and `identity` int64 [N, K], -1 where it is not known.
    """
    identities = classifier.weight.shape[1]
    scale = math.sqrt(2) * math.log(identities - 1)
    identity, there = targets["identity"], targets["there"].astype("bool")
    chosen = paddle.where(there, identity, paddle.full_like(identity, -1))
    unit = F.normalize(at_places(looks, targets["place"]), axis=2)
    scores = classifier(unit * scale).reshape([-1, identities])
    # Summed here: Paddle's mean divides by all rows where the ignored index is negative.
    known = paddle.clip((chosen >= 0).astype("float32").sum(), min=1.0)
    return F.cross_entropy(scores, chosen.reshape([-1]), ignore_index=-1, reduction="sum") / known


def weighted_sum(
    detection: paddle.Tensor, looks: paddle.Tensor, det_weight: paddle.Tensor, reid_weight: paddle.Tensor
) -> paddle.Tensor:
    """Return both losses, each weighted by a learned uncertainty (Kendall et al., CVPR 2018)."""
    tasks = paddle.exp(-det_weight) * detection + paddle.exp(-reid_weight) * looks
    return 0.5 * (tasks + det_weight + reid_weight).sum()
