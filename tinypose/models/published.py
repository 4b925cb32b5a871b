"""What is published of the networks whose configs ship: accuracy, size and cost, each with where it stands.

Numbers here are others'. Accuracy is in percent, on the whole of the set that is named. Parameters are in
millions; some projects count batch norms' running statistics among them. "GFLOPs" are multiply-adds, counted
in 10^9 or, where `binary`, in 2^30; `by_outputs` says that transposed convolutions were counted as if each
output read the whole kernel, which is four times what they compute with stride 2.
"""

import difflib
import json
from dataclasses import dataclass

from tinypose.config import CONFIGS
from tinypose.errors import UserError
from tinypose.files import read_json

_DETECTION = "PaddleDetection, configs/keypoint/README.md"
_TINY = "PaddleDetection, configs/keypoint/tiny_pose/README.md"
_PICODET = "PaddleDetection, configs/picodet/README.md"
_LEGACY = "PaddleDetection, configs/picodet/legacy_model/README.md"
_FAIRMOT = "PaddleDetection, configs/mot/fairmot/README.md"
_HRNET = "leoxiaobin/deep-high-resolution-net.pytorch, README.md"
_SIMPLE = "microsoft/human-pose-estimation.pytorch, README.md; GFLOPs: " + _HRNET
_LITE = "PaddleDetection, configs/keypoint/README.md; parameters, GFLOPs: HRNet/Lite-HRNet, README.md"
_MMPOSE = "open-mmlab/mmpose, configs/body_2d_keypoint/topdown_heatmap"
_RTMPOSE = "open-mmlab/mmpose, projects/rtmpose/README.md (trained on AI Challenger too)"
_HIGHER = "PaddleDetection, configs/keypoint/README.md; GFLOPs: HRNet/HigherHRNet-Human-Pose-Estimation"
_DEKR = "HRNet/DEKR, README.md"
_ADAPTIVE = "HRNet/HRNet-Bottom-Up-Pose-Estimation, README.md"

ANNOTATED, DETECTED, WHOLE = "annotated", "AP 56.4", "none"  # "AP 56.4": a detector of that AP
_COCO, _MPII, _MOT = "COCO val2017", "MPII val", "MOT-16 train"


@dataclass(frozen=True)
class Network:
    """A network that ships as a config, and what is published of it; None: nothing is.

    Attributes:
        config: its name.
        source: where the numbers stand.
        data: what it was measured on.
        value: AP, or PCKh where `data` is MPII's, MOTA where it is MOT-16's, in percent.
        strict: PCKh@0.1 in percent.
        boxes: whose boxes people were cut out by.
        parameters: millions.
        gflops: multiply-adds, billions.
        binary: a billion is 2^30 there.
        by_outputs: transposed convolutions are counted by their outputs there.
        weights: a name in `tinypose.models.zoo.ZOO`.
        by_hand: the file of the weights, read as it is, in the folder that the source's README links to.
        quant: the INT8 settings that ship, by name.
    """

    config: str
    source: str
    data: str = _COCO
    value: float | None = None
    strict: float | None = None
    boxes: str = ANNOTATED
    parameters: float | None = None
    gflops: float | None = None
    binary: bool = False
    by_outputs: bool = False
    weights: str | None = None
    by_hand: str | None = None
    quant: str | None = None

    @property
    def metric(self) -> str:
        """The name of what `value` is."""
        return {_MPII: "PCKh", _MOT: "MOTA"}.get(self.data, "AP")


def _of(config: str, source: str, value: float | None = None, weights: bool = False, **more) -> Network:
    """Return a network whose weights, if there are any, have the config's name."""
    return Network(config, source, value=value, weights=config if weights else None, **more)


def _tiny(size: str, value: float, gflops: float) -> Network:
    name = f"tinypose_{size}"
    return _of(name, _TINY, value, True, parameters=1.36, gflops=gflops, quant=f"{name}_int8")


def _higher(name: str, value: float, gflops: float) -> Network:
    more = {"parameters": 28.6, "gflops": gflops, "by_outputs": True}
    weights = name.replace("higherhrnet_w32", "higherhrnet_hrnet_w32")
    return Network(name, _HIGHER, value=value, boxes=WHOLE, weights=weights, **more)


def _adaptive(size: str, value: float, file: str, **more) -> Network:
    file = f"pose_{file}.pth"
    return _of(f"adaptive_{size}", _ADAPTIVE, value, boxes=WHOLE, by_outputs=True, by_hand=file, **more)


def _resnets() -> list[Network]:
    """PoseResNet at five sizes a depth; GFLOPs are published for three of them."""
    rows = {  # parameters, then AP and GFLOPs at 256x192 and 384x288, PCKh and PCKh@0.1 at 256 and 384
        50: (34.0, (70.4, 8.9), (72.2, 20.0), (88.5, 33.9), (89.1, 38.0)),
        101: (53.0, (71.4, 12.4), (73.6, 27.9), (89.1, 34.0), (90.0, 38.9)),
        152: (68.6, (72.0, 15.7), (74.3, 35.3), (89.6, 35.0), (90.2, 39.4)),
    }
    result = []
    for depth, (parameters, *coco, small, large) in rows.items():
        size = {"parameters": parameters, "binary": True, "by_outputs": True}
        for (value, gflops), at in zip(coco, ("256x192", "384x288"), strict=True):
            name = f"pose_resnet_{depth}_{at}"
            file = f"pose_coco/{name}.pth.tar"
            result.append(_of(name, _SIMPLE, value, boxes=DETECTED, gflops=gflops, by_hand=file, **size))
        for (value, strict), at in ((small, "256x256"), (large, "384x384")):
            name = f"pose_resnet_{depth}_{at}_mpii"
            file = f"pose_mpii/pose_resnet_{depth}_{at}.pth.tar"
            result.append(_of(name, _SIMPLE, value, data=_MPII, strict=strict, by_hand=file, **size))
    return result


_W32, _W48 = {"parameters": 28.5}, {"parameters": 63.6, "boxes": DETECTED, "binary": True}

NETWORKS = (
    _tiny("256x192", 68.8, 0.32),
    _tiny("128x96", 58.1, 0.08),
    _of("lite_hrnet_18_256x192", _LITE, 66.5, True, parameters=1.1, gflops=0.2052),
    _of("lite_hrnet_18_384x288", _LITE, 69.7, True, parameters=1.1, gflops=0.4616),
    _of("lite_hrnet_30_256x192", _LITE, 69.4, True, parameters=1.8, gflops=0.3192),
    _of("lite_hrnet_30_384x288", _LITE, 72.5, True, parameters=1.8, gflops=0.7178),
    _of("wider_naive_hrnet_18_256x192", _DETECTION, 67.6, True),
    Network(
        "dark_wider_naive_hrnet_18_256x192", _DETECTION, value=68.4, weights="wider_naive_hrnet_18_256x192"
    ),
    _of("hrnet_w32_256x192", _DETECTION, 76.9, True, gflops=7.68, **_W32),
    _of("hrnet_w32_384x288", _DETECTION, 77.8, True, gflops=17.3, **_W32),
    _of("dark_hrnet_w32_256x192", _DETECTION, 78.0, True, gflops=7.68, **_W32),
    _of("dark_hrnet_w32_384x288", _DETECTION, 78.3, True, gflops=17.3, **_W32),
    _of("hrnet_w48_256x192", _HRNET, 75.1, gflops=14.6, by_hand="pose_hrnet_w48_256x192.pth", **_W48),
    _of("hrnet_w48_384x288", _HRNET, 76.3, gflops=32.9, by_hand="pose_hrnet_w48_384x288.pth", **_W48),
    _of("dark_hrnet_w48_256x192", _DETECTION, gflops=14.6, **_W48),
    _of("hrnet_w32_256x256_mpii", _DETECTION, 90.6, True, data=_MPII, strict=38.5, **_W32),
    _of("fall_dark_hrnet_w32_256x192", _DETECTION, 87.1, True, data="falls, not published", **_W32),
    _of("hrnet_w32_256x192_crowdpose", _MMPOSE, 67.5, True, data="CrowdPose test", boxes="YOLOv3", **_W32),
    _of("hrnet_w32_256x192_aic", _MMPOSE, 32.3, True, data="AIC val", **_W32),
    *_resnets(),
    _of("rtmpose_t_256x192", _RTMPOSE, 68.5, True, boxes=DETECTED, parameters=3.34, gflops=0.36),
    _of("rtmpose_s_256x192", _RTMPOSE, 72.2, True, boxes=DETECTED, parameters=5.47, gflops=0.68),
    _of("rtmpose_m_256x192", _RTMPOSE, 75.8, True, boxes=DETECTED, parameters=13.59, gflops=1.93),
    _higher("higherhrnet_w32_512", 67.1, 47.9),
    _higher("higherhrnet_w32_640", 68.3, 74.8),
    _higher("higherhrnet_w32_512_swahr", 68.9, 47.9),
    _adaptive(
        "w32_512",
        67.8,
        "hrnet_w32_reg_delaysep_bg01_stn_512_adam_lr1e-3_coco_x140",
        parameters=30.7,
        gflops=64.9,
    ),
    _adaptive(
        "w48_640",
        70.1,
        "hrnet_w48_reg_delaysep_bg01_stn_640_adam_lr1e-3_coco_x140",
        parameters=66.8,
        gflops=174.3,
    ),
    _adaptive(
        "higher_w48_640",
        71.3,
        "higher_hrnet_w48_reg_delaysep_bg01_0025_stn_640_adam_lr1e-3_coco_x140",
        parameters=66.9,
        gflops=181.9,
    ),
    _adaptive(
        "w32_512_crowdpose",
        64.9,
        "hrnet_w32_reg_delaysep_bg01_stn_512_adam_lr1e-3_crowdpose_x300",
        data="CrowdPose test",
    ),
    _of(
        "dekr_w32_512",
        _DEKR,
        68.0,
        boxes=WHOLE,
        parameters=29.6,
        gflops=45.4,
        by_hand="pose_dekr_hrnetw32_coco.pth",
    ),
    _of(
        "dekr_w48_640",
        _DEKR,
        71.0,
        boxes=WHOLE,
        parameters=65.7,
        gflops=141.5,
        by_hand="pose_dekr_hrnetw48_coco.pth",
    ),
    _of("picodet_s_192_pedestrian", _TINY, 29.0, True, boxes=WHOLE),
    _of("picodet_s_320_pedestrian", _TINY, 38.5, True, boxes=WHOLE),
    _of("picodet_s_192_lcnet_pedestrian", _DETECTION, None, True, boxes=WHOLE),
    _of("picodet_s_320_lcnet_pedestrian", _DETECTION, None, True, boxes=WHOLE),
    _of("picodet_s_320_coco", _LEGACY, 27.1, True, boxes=WHOLE, parameters=0.99, gflops=0.73),
    _of("picodet_s_416_coco", _LEGACY, 30.7, True, boxes=WHOLE, parameters=0.99, gflops=1.24),
    _of("picodet_s_320_coco_lcnet", _PICODET, 29.1, True, boxes=WHOLE, parameters=1.18, gflops=0.97),
    _of("fairmot_dla34", _FAIRMOT, 83.2, True, data=_MOT, boxes=WHOLE),
    _of("fairmot_dla34_864x480", _FAIRMOT, 80.8, True, data=_MOT, boxes=WHOLE),
    _of("fairmot_dla34_576x320", _FAIRMOT, 74.0, True, data=_MOT, boxes=WHOLE),
)


@dataclass(frozen=True)
class Counted:
    """What this project counts of a network: written by `scripts/count_zoo.py` to counted.json.

    Attributes:
        width: of the input, pixels.
        height: of the input, pixels.
        parameters: learnt numbers.
        multiply_adds: of convolutions and matrix products, for one input.
        instructions: on ARM by precision, estimated, one thread: `fp32`, `fp16`, `int8` (with sdot, where
            INT8 pays); empty where they were not counted.
    """

    width: int
    height: int
    parameters: int
    multiply_adds: int
    instructions: dict[str, int]


def counted() -> dict[str, Counted]:
    """Return what was counted, by config."""
    return {name: Counted(**values) for name, values in read_json(CONFIGS / "counted.json", "table").items()}


def network(name: str) -> Network:
    """Return a network by the name of its config or of its weights.

    Raises:
        UserError: there is none of that name.
    """
    for each in NETWORKS:
        if name in (each.config, each.weights):
            return each
    names = [each.config for each in NETWORKS]
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else "; `tinypose zoo` lists them"
    raise UserError(f"{name}: no network of the zoo{hint}")


def dumps(table: dict[str, Counted]) -> str:
    """Return the content of `configs/counted.json`, a line a network."""
    lines = [f"  {json.dumps(name)}: {json.dumps(vars(each))}" for name, each in table.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"
