"""The sections of a config that say how a network is trained, learns from another, and is brought to INT8."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from tinypose.section import MOST, Section


class TrainConfig(Section):
    """How a network is trained."""

    epochs: int = Field(210, ge=1, le=MOST)
    batch_size: int = Field(32, ge=1, le=65_536, description="of all processes together")
    seed: int = Field(0, ge=0, lt=2**63)
    late: float = Field(
        1.0, ge=0, le=1, description="when crops begin to vary as `late_augment` says, a part of the epochs"
    )
    backbone: str | None = Field(None, description="start from a classifier's weights: file, URL, zoo name")
    new_head: bool = Field(False, description="leave out the last layer of `weights` if it does not fit")
    freeze_norm: bool = Field(False, description="batch norm keeps the statistics of `weights`")
    sync_norm: bool = Field(False, description="batch norm over the batches of all processes together")

    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: float = Field(1e-3, gt=0, le=1000)
    weight_decay: float = Field(0.0, ge=0, le=1000, description="adam: L2; adamw: decoupled, not on vectors")
    warmup_steps: int = Field(500, ge=0, le=MOST)
    warmup_factor: float = Field(0.001, ge=0, le=1, description="what the rate starts at, as a part of it")
    decay: Literal["step", "cosine", "flat_cosine", "linear", "none"] = "step"
    milestones: tuple[float, ...] = Field((0.8, 0.95), description="step: when, as parts of the epochs")
    gamma: float = Field(0.1, gt=0, le=1, description="step: what the rate is multiplied by")
    final_factor: float = Field(
        0.0, ge=0, le=1, description="cosine, linear: the last rate, as a part of the first"
    )
    clip: float | None = Field(None, gt=0, description="bound on the norm of all gradients together")

    hard_joints: int | None = Field(
        None, ge=1, description="OHKM: only the worst of each person's joints count"
    )
    ema: float | None = Field(None, gt=0, lt=1, description="decay of the averaged weights, which are kept")
    ema_warmup: float | None = Field(
        None,
        gt=0,
        le=MOST,
        description="steps in which the average begins to be slow, as MMEngine counts them",
    )
    amp: bool = Field(False, description="mixed precision, FP16 and FP32; on a GPU only")
    channels_last: bool = Field(
        False, description="Paddle lays tensors out as its kernels like them best; with amp, without static"
    )
    pinned: bool = Field(
        False, description="batches wait in pinned memory, and come to the GPU beside the step before"
    )
    static: bool = Field(True, description="compile the step into one static graph")

    workers: int = Field(2, ge=0, le=256, description="processes that make batches; 0: make them in between")
    visualdl: bool = Field(False, description="write curves for VisualDL too; needs the extra `visualdl`")
    eval_epochs: int = Field(1, ge=1, le=MOST, description="measure every so many epochs, and after the last")
    patience: int | None = Field(
        None, ge=1, description="stop after so many measurements without a better one"
    )
    save_minutes: float = Field(
        10.0, gt=0, le=100_000, description="save for resuming at least this often, and every epoch"
    )


class DistillConfig(Section):
    """What a student learns from a teacher. The parts of the loss are added with these weights."""

    teacher: Path = Field(description="the teacher's config; from the working directory or from configs/")
    weights: str | None = Field(None, description="the teacher's weights, where its config names none")
    flip: bool = Field(False, description="the teacher's outputs are averaged with the mirrored ones")
    head_only: bool = Field(
        False, description="the teacher's backbone is kept as it is; the head alone learns, from its start"
    )
    truth: float = Field(0.5, ge=0, le=1e6, description="weight of the annotated joints")
    visible: float = Field(
        0.0, ge=0, le=1e6, description="weight of the teacher's heatmaps of annotated joints"
    )
    every: float = Field(0.5, ge=0, le=1e6, description="weight of the teacher's outputs of all joints")
    features: float = Field(
        0.0, ge=0, le=1e6, description="weight of the teacher's last features, by an adapter"
    )
    decay: Literal["none", "linear", "cosine"] = Field(
        "none", description="how the teacher's parts fall to `final_factor` over the training"
    )
    final_factor: float = Field(0.0, ge=0, le=1)
    variants: int | None = Field(
        None, ge=1, le=MOST, description="so many varied crops a person, instead of new ones"
    )
    cache: Path | None = Field(None, description="folder for the teacher's heatmaps of these crops")

    @model_validator(mode="after")
    def _consistent(self) -> "DistillConfig":
        if self.visible + self.every + self.features == 0:
            raise ValueError("visible, every, features: at least one above 0")
        if self.head_only and self.features > 0:
            raise ValueError("features: are the teacher's own with head_only; set it to 0")
        if self.cache is not None and self.variants is None:
            raise ValueError("cache: needs `variants`, as new crops in every epoch never come again")
        if self.cache is not None and self.features > 0:
            raise ValueError("cache: keeps heatmaps only; set `features` to 0")
        return self


class QuantTrainConfig(TrainConfig):
    """pact, lsq: how to train. Batch norm is folded, so its statistics do not move."""

    epochs: int = Field(10, ge=1, le=MOST)
    batch_size: int = Field(16, ge=1, le=65_536, description="of all processes together")
    learning_rate: float = Field(
        2e-5, gt=0, le=1000, description="of weights, in units of their channel's greatest"
    )
    warmup_steps: int = Field(20, ge=0, le=MOST)
    decay: Literal["step", "cosine", "none"] = "cosine"
    static: Literal[False] = Field(False, description="fake quantisation runs step by step")


class QuantConfig(Section):
    """How a network is brought to INT8 after training."""

    target: Literal["sdot", "no-sdot", "any"] = Field(
        "sdot",
        description="the core: what is not cheaper in INT8 there stays in FP32; any: all in INT8",
    )
    people: int = Field(512, ge=1, le=MOST, description="people from data.train to calibrate on, at most")
    batch_size: int = Field(16, ge=1, le=65_536)
    ranges: Literal["search", "abs_max", "percentile", "mse", "kl"] = Field(
        "search", description="search: for each tensor that of the others with the least heatmap error"
    )
    percentile: float = Field(99.99, gt=50, le=100)
    equalise: bool = Field(True, description="move scale from outlier channels into the weights")
    silu: Literal["exact", "hard_swish"] = Field(
        "exact", description="hard_swish: an approximation in place of SiLU; what it costs is measured"
    )
    keep_fp32: int | Literal["auto"] = Field(
        "auto", description="how many of the most sensitive convolutions stay in FP32"
    )
    max_drop: float = Field(0.5, ge=0, le=100, description="AP that `auto` may lose")
    max_fp32: int = Field(10, ge=0, le=MOST, description="how many convolutions `auto` may leave in FP32")
    sensitivity: Literal["heatmap", "ap"] = Field("heatmap", description="what orders the convolutions")
    method: Literal["auto", "ptq", "pact", "lsq"] = Field(
        "auto", description="ptq: never train; auto: lsq, if `auto` has not reached the accuracy otherwise"
    )
    teacher: float = Field(1.0, ge=0, le=1, description="pact, lsq: share of the FP32 network in the loss")
    train: QuantTrainConfig = QuantTrainConfig()
