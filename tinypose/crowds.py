"""Everybody in a whole picture, found by any bottom-up network."""

from collections.abc import Sequence

import numpy as np

from tinypose.codecs import PeopleCodec
from tinypose.codecs.rescore import Rescorer, rescore
from tinypose.config import InputConfig
from tinypose.errors import UserError
from tinypose.geometry import crop_image, invert, transform
from tinypose.network import Network
from tinypose.preprocess import as_read
from tinypose.skeleton import Skeleton
from tinypose.whole_picture import inside_matrix, resize_matrix, resized_size


def find_people(
    network: Network,
    image: np.ndarray,
    settings: InputConfig,
    codec: PeopleCodec,
    skeleton: Skeleton,
    flip: bool = False,
    scales: Sequence[float] = (1.0,),
    fixed: bool = False,
    raw: bool = False,
    rescorer: Rescorer | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find everybody in a picture.

    Args:
        network: what finds them.
        image: uint8 RGB [H, W, 3].
        settings: size and normalisation.
        codec: what the outputs mean.
        skeleton: joints and mirror order.
        flip: look at the mirrored picture too.
        scales: look at the picture at each of these sizes, 1 among them.
        fixed: the network takes pictures of `settings.size` only; the picture is fitted into it. Otherwise
            its shorter side is brought to that size.
        raw: the network takes pixels, 0 to 255, and normalises them itself.
        rescorer: judges the poses.

    Returns:
        Keypoints float32 [P, J, 3], x and y in image pixels and value, and scores float32 [P], best first.

    Raises:
        UserError: outputs of other shapes than the codec decodes, or not finite; several scales of a
            network that takes one size.
    """
    picture = image.shape[1::-1]
    if fixed and tuple(scales) != (1.0,):
        raise UserError("scales: this network takes pictures of one size; only a scale of 1 can be used")
    smallest = min(scales) if codec.rounds_at_smallest else 1.0
    found, matrices = {}, {}
    for scale in sorted(scales, reverse=True):
        size = settings.size if fixed else resized_size(picture, min(settings.size), scale, smallest)
        matrices[scale] = inside_matrix(picture, size) if fixed else resize_matrix(picture, size)
        seen = crop_image(image, matrices[scale], size)[None]
        inputs = as_read(seen, settings, raw)
        outputs = checked(network(inputs), codec, skeleton, size)
        if flip:
            mirrored = [checked(network(each), codec, skeleton, size) for each in codec.mirrors(inputs)]
            outputs = codec.with_mirrored(
                outputs, [o for each in mirrored for o in each], skeleton.flip_order
            )
        found[scale] = [each[0] for each in outputs]
        if scale == 1:
            base = size
    keypoints, scores = codec.combine(found, base)
    keypoints[..., :2] = transform(invert(matrices[1.0]), keypoints[..., :2])
    if rescorer is not None:
        scores = rescore(rescorer, keypoints, scores, skeleton)
    order = np.argsort(-scores, kind="stable")
    return keypoints[order], scores[order]


def checked(
    outputs: list[np.ndarray], codec: PeopleCodec, skeleton: Skeleton, size: tuple[int, int]
) -> list[np.ndarray]:
    """Return a network's outputs for one picture.

    Raises:
        UserError: they have other shapes than the codec decodes, or are not finite.
    """
    expected = [(1, *shape) for shape in codec.shapes(len(skeleton.joints), size)]
    shapes = [each.shape for each in outputs]
    if shapes != expected:
        raise UserError(
            f"the network gives {', '.join(str(list(each)) for each in shapes)}, expected "
            f"{', '.join(str(list(each)) for each in expected)} for output '{codec.name}' and skeleton "
            f"'{skeleton.name}'"
        )
    if not all(np.isfinite(each).all() for each in outputs):
        raise UserError("the network gives numbers that are not finite (NaN or infinity)")
    return outputs
