"""What to compute on: one function says which device, in which precision, and with how many processes."""

from dataclasses import dataclass

import paddle
import paddle.distributed as dist

from tinypose.engine import parallel
from tinypose.errors import UserError


@dataclass(frozen=True)
class Device:
    """Where this process computes.

    Attributes:
        name: as Paddle calls it: `cpu`, or `gpu:0`.
        mixed: whether products are in FP16 and the rest in FP32.
        rank: of this process.
        processes: of the training.
    """

    name: str
    mixed: bool = False
    rank: int = 0
    processes: int = 1

    @property
    def is_gpu(self) -> bool:
        """Whether it is a GPU."""
        return self.name.startswith("gpu")


def gpus() -> int:
    """Return how many GPUs this Paddle can compute on."""
    return paddle.device.cuda.device_count() if paddle.is_compiled_with_cuda() else 0


def choose_device(mixed: bool = False) -> Device:
    """Join the other processes of a training, if there are any, and let Paddle compute on this one's device.

    Each process that `paddle.distributed.launch` starts has a GPU of its own; without one it is the CPU.

    Args:
        mixed: `train.amp`.

    Raises:
        UserError: mixed precision without a GPU.
    """
    if mixed and not gpus():
        why = "this Paddle is built without" if not paddle.is_compiled_with_cuda() else "Paddle finds none"
        raise UserError(f"train.amp: mixed precision needs a GPU, and {why}; see `tinypose doctor`")
    rank, processes = parallel.start_processes()
    name = f"gpu:{dist.ParallelEnv().device_id}" if gpus() else "cpu"
    paddle.set_device(name)
    return Device(name, mixed, rank, processes)
