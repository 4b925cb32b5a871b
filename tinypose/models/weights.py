"""Bring weights into a network, or say exactly why they do not fit."""

from pathlib import Path

import numpy as np
from paddle import nn

from tinypose.errors import UserError
from tinypose.models.hrnet import HRNet
from tinypose.models.pose_resnet import PoseResNet
from tinypose.models.torch_file import as_paddle, is_torch_file, read_torch
from tinypose.models.torch_names import own_names
from tinypose.models.zoo import locate
from tinypose.pdparams import read_params, read_state, write_params

__all__ = ["load_backbone", "load_weights", "read_params", "read_state", "write_params"]


def load_weights(net: nn.Layer, source: str | Path, new_head: bool = False) -> list[str]:
    """Fill `net` with weights: all of them, or none if they do not fit.

    Args:
        net: the network; parameters and buffers keep their dtype and place.
        source: a `.pdparams` file, a `.pth` file of RTMPose, HRNet, DEKR, the adaptive network or PoseResNet,
            a URL, or a name of the zoo (see `tinypose.models.zoo`).
        new_head: leave what of a `PoseNet`'s head is missing or of another number of joints as it is, to
            fine-tune for another skeleton.

    Returns:
        The keys that were left as they are; none without `new_head`.

    Raises:
        UserError: the file cannot be had or read, or its keys or shapes differ; they are listed.
    """
    path = locate(source)
    params = _from_torch(net, path) if is_torch_file(path) else read_params(path)
    own = net.state_dict()
    left = []
    head = f"{net.head_key}." if hasattr(net, "head_key") else None
    if new_head:
        left = [k for k in own if k.startswith(head) and (k not in params or not _fits(params[k], own[k]))]
        params = {key: value for key, value in params.items() if key not in left}
    missing = [key for key in own if key not in params and key not in left]
    unexpected = [key for key in params if key not in own]
    misshaped = [key for key in params if key in own and not _fits(params[key], own[key])]
    if missing or unexpected or misshaped:
        shapes = [f"{k}: file {list(params[k].shape)}, network {list(own[k].shape)}" for k in misshaped]
        lines = [f"{path}: these weights do not fit the network"]
        lines += _listing("missing from the file", missing, len(own))
        lines += _listing("unexpected in the file", unexpected, len(params))
        lines += _listing("of another shape", shapes, len(own))
        lines.append(_advice(params, own, misshaped, missing, unexpected, head))
        raise UserError("\n".join(lines))
    for key, value in _checked(path, params, own).items():
        own[key].set_value(value)
    return left


def _from_torch(net: nn.Layer, path: Path, others: bool = False) -> dict[str, np.ndarray]:
    """Return what a `.pth` file holds under this project's names; `others`: it may hold other layers too.

    MMPose's names of RTMPose are those of our layers; HRNet's and PoseResNet's are brought to them.
    """
    params = read_torch(path)
    backbone = getattr(net, "backbone", None)
    resnet = isinstance(backbone, PoseResNet)
    if resnet or isinstance(backbone, HRNet):
        return own_names(params, str(path), resnet, others)
    if any(key.startswith("backbone.") for key in params):
        linear = {f"{name}.weight" for name, each in net.named_sublayers() if isinstance(each, nn.Linear)}
        return as_paddle(params, linear)
    return own_names(params, str(path), others=others)


def load_backbone(net: nn.Layer, source: str | Path) -> list[str]:
    """Fill a network's backbone with what fits of other weights, such as a classifier's.

    Args:
        net: a network with `backbone`.
        source: a `.pdparams` file, or a `.pth` file as `load_weights` reads it, its URL, or a name of the
            zoo; keys with or without `backbone.`.

    Returns:
        The network's keys that were left as they are.

    Raises:
        UserError: the file cannot be had or read, or fits less than half of the backbone's tensors.
    """
    path = locate(source)
    params = _from_torch(net, path, others=True) if is_torch_file(path) else read_params(path)
    params = {key.removeprefix("backbone."): value for key, value in params.items()}
    own = net.backbone.state_dict()
    fitting = [key for key in own if key in params and _fits(params[key], own[key])]
    if 2 * len(fitting) < len(own):
        raise UserError(
            f"{path}: fits {len(fitting)} of the backbone's {len(own)} tensors: these are weights of another "
            "network; check `model` in the config"
        )
    for key, value in _checked(path, {key: params[key] for key in fitting}, own).items():
        own[key].set_value(value)
    filled = {f"backbone.{key}" for key in fitting}
    return [key for key in net.state_dict() if key not in filled]


def _checked(path: Path, params: dict[str, np.ndarray], own: dict) -> dict[str, np.ndarray]:
    """Return weights in the network's types; complain of those that no network can have."""
    with np.errstate(over="ignore"):  # looked for below
        cast = {key: value.astype(_numpy_dtype(own[key])) for key, value in params.items()}
    broken = [key for key, value in params.items() if not np.isfinite(value).all()]
    if broken:
        raise UserError(f"{path}: holds values that are not finite: {', '.join(broken)}")
    if large := [key for key, value in cast.items() if not np.isfinite(value).all()]:
        raise UserError(
            f"{path}: holds values beyond the range of {cast[large[0]].dtype}: {', '.join(large)}"
        )
    negative = [key for key, value in cast.items() if key.endswith("._variance") and (value < 0).any()]
    if negative:
        raise UserError(f"{path}: holds negative variances: {', '.join(negative)}")
    return cast


def _fits(value: np.ndarray, tensor) -> bool:
    return list(value.shape) == list(tensor.shape)


def _numpy_dtype(tensor) -> np.dtype:
    return tensor.numpy().dtype


def _listing(title: str, keys: list[str], total: int) -> list[str]:
    """List keys; of a foreign model's hundreds a few will do."""
    if not keys:
        return []
    shown = keys if len(keys) <= 50 else keys[:5]
    rest = [] if len(shown) == len(keys) else [f"    and {len(keys) - len(shown)} more"]
    return [f"  {title} ({len(keys)} of {total}):", *(f"    {key}" for key in shown), *rest]


def _advice(
    params: dict, own: dict, misshaped: list[str], missing: list[str], unexpected: list[str], head: str | None
) -> str:
    in_head = head is not None and all(key.startswith(head) for key in misshaped)
    if not missing and not unexpected and misshaped and in_head:
        first = misshaped[0]
        return (
            f"They are for {params[first].shape[0]} joints, the config's skeleton has {own[first].shape[0]}: "
            "choose the skeleton that they were trained for, or fine-tune them with a new head"
        )
    if any("_moment" in key or "_pow_acc_" in key for key in unexpected):
        return "This is an optimiser's state, not weights: give the .pdparams file beside it"
    if len(missing) + len(misshaped) > len(own) / 2:
        return "They look like another model's: check `model` in the config"
    return "They look like another variant of this model: check `model` in the config"
