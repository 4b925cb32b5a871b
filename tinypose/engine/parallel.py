"""Training in several processes: each takes its part of every batch, and gradients are averaged.

Started by `python -m paddle.distributed.launch`; with one process nothing here does anything.
"""

import paddle
import paddle.distributed as dist
from paddle import nn


def start_processes() -> tuple[int, int]:
    """Join the other processes, if the launcher started any. Returns (rank, processes)."""
    if dist.get_world_size() > 1:
        dist.init_parallel_env()
    return dist.get_rank(), dist.get_world_size()


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
