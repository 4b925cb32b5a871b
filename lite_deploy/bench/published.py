"""Figures that others published, to stand beside what is measured; always marked as published."""

from dataclasses import dataclass

SOURCE = "PaddleDetection, configs/keypoint/tiny_pose/README.md, release 2.4"
SOURCE_URL = "https://github.com/PaddlePaddle/PaddleDetection/tree/release/2.4/configs/keypoint/tiny_pose"
CONDITIONS = (
    "COCO val2017, ground-truth boxes; latency of the network for one person on a Qualcomm Snapdragon 865, "
    "Paddle-Lite, 4 threads"
)


@dataclass(frozen=True)
class PublishedSpeed:
    """AP in percent and latency of the network alone, in milliseconds."""

    name: str
    precision: str
    width: int
    height: int
    ap: float
    latency_ms: float


FIGURES = (
    PublishedSpeed("PP-TinyPose 128x96", "fp32", 96, 128, 58.1, 4.57),
    PublishedSpeed("PP-TinyPose 128x96", "fp16", 96, 128, 58.1, 3.27),
    PublishedSpeed("PP-TinyPose 256x192", "fp32", 192, 256, 68.8, 14.07),
    PublishedSpeed("PP-TinyPose 256x192", "fp16", 192, 256, 68.8, 8.33),
)
