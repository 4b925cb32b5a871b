"""Parameters' names in the PyTorch repositories of HRNet's family and of PoseResNet, brought to ours.

HRNet (leoxiaobin/deep-high-resolution-net.pytorch), HRNet/DEKR and the adaptive network of Sun et al. 2020
name their layers alike; MMPose puts `backbone.` and `keypoint_head.` or `head.` before the same names.
PoseResNet (microsoft/human-pose-estimation.pytorch) has torchvision's names. PyTorch's batch norm statistics
are `running_mean` and `running_var`, or already `_mean` and `_variance`.
"""

import re

import numpy as np

from tinypose.errors import UserError

_BLOCK = r"(conv|bn)(\d)"  # a convolution and its norm are neighbours there, one layer here
_DROPPED = re.compile(r"(^|\.)(regular_matrix|num_batches_tracked)$")  # constants, and a counter

# What comes before a name's last part, and what it becomes. The first that fits counts.
_RULES = [
    (rf"{_BLOCK}", lambda m: f"backbone.conv_layer1_{m[2]}.{_part(m[1])}"),
    (rf"layer1\.(\d)\.{_BLOCK}", lambda m: f"backbone.{_la1(m[1])}.conv{m[3]}.{_part(m[2])}"),
    (r"layer1\.(\d)\.downsample\.(\d)", lambda m: f"backbone.{_la1(m[1])}.conv_down.{_part(m[2])}"),
    (
        r"transition(\d)\.(\d)(?:\.0)?\.(\d)",
        lambda m: f"backbone.tr{m[1]}.transition_tr{m[1]}_layer_{int(m[2]) + 1}.{_part(m[3])}",
    ),
    (
        rf"stage(\d)\.(\d)\.branches\.(\d)\.(\d)\.{_BLOCK}",
        lambda m: (
            f"{_module(m)}.branches_func.bb_{_short(m)}_branch_layer_{int(m[3]) + 1}_{int(m[4]) + 1}"
            f".conv{m[6]}.{_part(m[5])}"
        ),
    ),
    (
        r"stage(\d)\.(\d)\.fuse_layers\.(\d)\.(\d)(?:\.(\d))?\.(\d)",
        lambda m: (
            f"{_module(m)}.fuse_func.residual_{_short(m)}_layer_{int(m[3]) + 1}_{int(m[4]) + 1}"
            f"{f'_{int(m[5]) + 1}' if m[5] else ''}.{_part(m[6])}"
        ),
    ),
    # The three dilations share their kernels: every one of them has a copy in the file.
    (
        r"(multi_level_layers_4x_\w+)\.(\d)\.0\.(transform_matrix_conv|stn_conv)(\d)(?=\.weight)",
        lambda m: f"offset_head.{m[1]}.{'matrix' if m[3].startswith('t') else 'conv'}{m[4]}",
    ),
    (
        r"(multi_level_layers_4x_\w+)\.(\d)\.0\.transform_matrix_conv(\d)\.bias",
        lambda m: f"offset_head.{m[1]}.branches.{m[2]}.bias{m[3]}",
    ),
    (
        r"(multi_level_layers_4x_\w+)\.(\d)\.0\.bn(\d)",
        lambda m: f"offset_head.{m[1]}.branches.{m[2]}.norm{m[3]}",
    ),
    (r"final_layer", lambda m: "final_conv"),
    (r"deconv_layers\.0\.0\.(\d)", lambda m: f"offset_head.deconv_layers.{m[1]}"),
    (rf"deconv_layers\.0\.1\.0\.{_BLOCK}", lambda m: f"offset_head.deconv_layers.3.conv{m[2]}.{_part(m[1])}"),
    (rf"head_heatmap\.0\.0\.{_BLOCK}", lambda m: f"offset_head.head_heatmap.0.conv{m[2]}.{_part(m[1])}"),
    (
        r"(transition_cls|transition_reg|transition_heatmap|transition_offset|final_layers|head_heatmap"
        r"|offset_feature_layers|offset_final_layer)(?=\.)",
        lambda m: f"offset_head.{m[1]}",
    ),
]

_RESNET = [
    (r"(?:conv1|bn1|layer\d\.\d+\.(?:(?:conv|bn)\d|downsample\.\d))", lambda m: f"backbone.{m[0]}"),
    # A transposed convolution, its norm, and a ReLU, three times over.
    (
        r"deconv_layers\.(\d)",
        lambda m: f"backbone.deconv_layers.{int(m[1]) // 3}.{('conv', 'norm')[int(m[1]) % 3]}",
    ),
    (r"final_layer", lambda m: "final_conv"),
]


def own_names(
    params: dict[str, np.ndarray], source: str, resnet: bool = False, others: bool = False
) -> dict[str, np.ndarray]:
    """Return a PyTorch checkpoint's arrays under this project's names.

    Args:
        params: names and values as the repositories of HRNet, DEKR, the adaptive network, PoseResNet, or
            MMPose save them.
        source: the file, for error messages.
        resnet: of PoseResNet, whose first layers are called as HRNet's.
        others: leave out what is not known, such as a classifier's last layers.

    Raises:
        UserError: a name that is not known, or copies of a shared kernel that differ.
    """
    result: dict[str, np.ndarray] = {}
    for told, value in params.items():
        name = re.sub(r"^(backbone|keypoint_head|head)\.", "", told)
        name = name.replace("running_mean", "_mean").replace("running_var", "_variance")
        if _DROPPED.search(name):
            continue
        own = own_name(name, resnet)
        if own is None and others:
            continue
        if own is None:
            family = "PoseResNet's" if resnet else "HRNet's, DEKR's or the adaptive network's"
            raise UserError(f"{source}: '{told}' is no layer of {family}")
        if re.search(r"\.bias[12]$", own):
            value = value.reshape(1, -1, 1, 1)
        if own in result and not np.array_equal(result[own], value):
            raise UserError(f"{source}: '{told}' differs from the other dilations' kernels, which it shares")
        result[own] = value
    return result


def own_name(name: str, resnet: bool = False) -> str | None:
    """Return this project's name for a PyTorch name with Paddle's statistics, or None if it is not known."""
    for pattern, replace in _RESNET if resnet else _RULES:
        if (match := re.match(rf"{pattern}(?=\.|$)", name)) is not None:
            return replace(match) + name[match.end() :]
    return None


def _part(kind: str) -> str:
    return "conv" if kind in ("conv", "0") else "norm"


def _la1(block: str) -> str:
    return f"la1.block_layer2_{int(block) + 1}"


def _short(match: re.Match) -> str:
    return f"st{match[1]}_{int(match[2]) + 1}"


def _module(match: re.Match) -> str:
    return f"backbone.st{match[1]}.stage_{_short(match)}"
