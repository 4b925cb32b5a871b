"""What to compute on: one function says which device, in which precision, and with how many processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import paddle
import paddle.distributed as dist

from tinypose.config_train import TrainConfig
from tinypose.data.examples import Batch
from tinypose.engine import parallel
from tinypose.errors import UserError

# Keys of `train`, and what they are.
GPU_ONLY = {"amp": "mixed precision", "channels_last": "channels last", "pinned": "pinned memory"}


@dataclass(frozen=True)
class Device:
    """Where this process computes.

    Attributes:
        name: as Paddle calls it: `cpu`, or `gpu:0`.
        mixed: whether products are in FP16 and the rest in FP32.
        channels_last: whether Paddle may lay tensors out with channels last.
        waiting: the place in whose memory batches wait; None: as arrays.
        rank: of this process.
        processes: of the training.
    """

    name: str
    mixed: bool = False
    channels_last: bool = False
    waiting: Any = None
    rank: int = 0
    processes: int = 1

    @property
    def is_gpu(self) -> bool:
        """Whether it is a GPU."""
        return self.name.startswith("gpu")


def gpus() -> int:
    """Return how many GPUs this Paddle can compute on."""
    return paddle.device.cuda.device_count() if paddle.is_compiled_with_cuda() else 0


def choose_device(train: TrainConfig | None = None) -> Device:
    """Join the other processes of a training, if there are any, and let Paddle compute on this one's device.

    Each process that `paddle.distributed.launch` starts has a GPU of its own; without one it is the CPU.

    Args:
        train: its `amp`, `channels_last` and `pinned` say how to compute; None: in FP32.

    Raises:
        UserError: one of these without a GPU, or channels last without what Paddle asks for.
    """
    train = train or TrainConfig()
    for name, what in GPU_ONLY.items():
        if getattr(train, name) and not gpus():
            built = paddle.is_compiled_with_cuda()
            why = "Paddle finds none" if built else "this Paddle is built without"
            raise UserError(f"train.{name}: {what} needs a GPU, and {why}; see `tinypose doctor`")
    if train.channels_last and (train.static or not train.amp):
        raise UserError(
            "train.channels_last: Paddle does it in mixed precision and step by step only; "
            "add -o train.amp=true -o train.static=false"
        )
    rank, processes = parallel.start_processes()
    name = f"gpu:{dist.ParallelEnv().device_id}" if gpus() else "cpu"
    paddle.set_device(name)
    waiting = paddle.CUDAPinnedPlace() if train.pinned else None
    return Device(name, train.amp, train.channels_last, waiting, rank, processes)


@contextmanager
def layout(channels_last: bool) -> Iterator[None]:
    """Let Paddle choose channels last while this lasts; its own rule is to do so for FP16 on tensor cores."""
    if not channels_last:
        yield
        return
    from paddle.incubate import autotune

    autotune.set_config({"layout": {"enable": True}})
    try:
        yield
    finally:
        autotune.set_config({"layout": {"enable": False}})


def put_waiting(batch: Batch, place: Any) -> Batch:
    """Return a batch whose images and targets wait in the memory of `place`, pinned for the GPU to fetch."""
    images, *targets = (paddle.to_tensor(each, place=place) for each in (batch.images, *batch.targets))
    return replace(batch, images=images, targets=tuple(targets))


def on_device(array: np.ndarray | paddle.Tensor) -> paddle.Tensor:
    """Return a tensor where Paddle computes.

    What waits in pinned memory is copied while the processor goes on: who gives it keeps it until the step is
    computed, as `run_steps` does with its batch, whose loss it waits for.
    """
    if isinstance(array, np.ndarray):
        return paddle.to_tensor(array)
    return array.to(paddle.device.get_device(), blocking=False)
