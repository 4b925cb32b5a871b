"""Training in several processes: each takes its part of every batch, and gradients are averaged.

Started by `python -m paddle.distributed.launch`; with one process nothing here does anything.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paddle
import paddle.distributed as dist
from paddle import nn

from tinypose.errors import UserError

# What gloo and NCCL say when another process is gone, each in its own words.
LOST = re.compile(
    r"connection (reset|closed|refused)|read error|broken pipe|timed out|unhandled system error",
    re.IGNORECASE,
)


def start_processes() -> tuple[int, int]:
    """Join the other processes, if the launcher started any. Returns (rank, processes)."""
    if dist.get_world_size() > 1:
        dist.init_parallel_env()
    return dist.get_rank(), dist.get_world_size()


@contextmanager
def answered(processes: int, output: Path) -> Iterator[None]:
    """Turn what Paddle raises when another process or its host dies into one line.

    Args:
        processes: of the training.
        output: the run's folder.

    Raises:
        UserError: the others cannot be reached any more.
    """
    try:
        yield
    except (RuntimeError, OSError, SystemError) as error:
        found = LOST.search(str(error)) if processes > 1 else None
        if found is None:
            raise
        where = re.search(r"\[(\d+\.\d+\.\d+\.\d+|[0-9a-f:]*:[0-9a-f:]+)\]", str(error)[found.start() :])
        at = f" at {where[1]}" if where else ""
        raise UserError(
            f"another process of this training{at} has ended, or cannot be reached ({found[0]}); what was "
            f"saved is in {output}: start all of them again, with --resume"
        ) from None


@paddle.no_grad()
def average(values: list[float], processes: int) -> list[float]:
    """Return the mean of each value over the processes."""
    if processes == 1:
        return values
    tensor = paddle.to_tensor(values, dtype="float64")
    dist.all_reduce(tensor)
    return (tensor / processes).tolist()


@paddle.no_grad()
def average_gradients(parameters: list[paddle.Tensor], processes: int) -> None:
    """Give each gradient its mean over the processes; all travel as one tensor."""
    if processes > 1:
        _average_tensors([p.grad for p in parameters if p.grad is not None], processes)


@paddle.no_grad()
def average_statistics(layer: nn.Layer, processes: int) -> None:
    """Give the statistics of batch norm their mean over the processes, which each saw other people."""
    if processes > 1:
        fixed = [tensor for tensor in layer.state_dict().values() if tensor.stop_gradient]
        _average_tensors([tensor for tensor in fixed if tensor.dtype == paddle.float32], processes)


@paddle.no_grad()
def share_weights(layer: nn.Layer, processes: int) -> None:
    """Give all processes the weights of the first."""
    if processes > 1:
        for tensor in layer.state_dict().values():
            dist.broadcast(tensor, src=0)


def _average_tensors(tensors: list[paddle.Tensor], processes: int) -> None:
    if not tensors:
        return
    flat = paddle.concat([tensor.reshape([-1]) for tensor in tensors])
    dist.all_reduce(flat)
    parts = (flat / processes).split([tensor.size for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.reshape(tensor.shape), True)
