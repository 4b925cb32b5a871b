"""Batch norm over the batches of all processes together.

With small parts of a batch in each process, batch norm's statistics are of few people, and a training
in two processes is not the training in one. Paddle's own `SyncBatchNorm` runs on GPUs only; this one is
made of operations that every device has.
"""

import paddle
import paddle.distributed as dist
from paddle import nn
from paddle.autograd import PyLayer


class SumOfProcesses(PyLayer):
    """The sum of a tensor over the processes. Each one's loss depends on every part, so gradients add up."""

    @staticmethod
    def forward(context, tensor: paddle.Tensor) -> paddle.Tensor:
        """Return the sum, the same in all processes."""
        return _sum(tensor)

    @staticmethod
    def backward(context, gradient: paddle.Tensor) -> paddle.Tensor:
        """Return the sum of the processes' gradients."""
        return _sum(gradient)


class SyncedBatchNorm(nn.BatchNorm2D):
    """`nn.BatchNorm2D` whose statistics in training are of all processes' batches."""

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Keep the shape [N, C, H, W]. N must be the same in all processes."""
        if not self.training:
            return super().forward(x)
        shape = [1, -1, 1, 1]
        count = dist.get_world_size() * (x.size // x.shape[1])
        mean = SumOfProcesses.apply(x.sum(axis=[0, 2, 3])) / count
        centered = x - mean.reshape(shape)
        variance = SumOfProcesses.apply((centered**2).sum(axis=[0, 2, 3])) / count
        scale = self.weight / paddle.sqrt(variance + self._epsilon)
        with paddle.no_grad():
            self._mean.set_value(self._mean * self._momentum + mean * (1 - self._momentum))
            self._variance.set_value(self._variance * self._momentum + variance * (1 - self._momentum))
        return centered * scale.reshape(shape) + self.bias.reshape(shape)


def synchronise_norms(layer: nn.Layer) -> None:
    """Replace each `nn.BatchNorm2D` inside `layer`; parameters, statistics and their names stay."""
    for name, child in layer.named_children():
        if type(child) is nn.BatchNorm2D:
            synced = SyncedBatchNorm(child._num_features, child._momentum, child._epsilon)
            synced.weight, synced.bias = child.weight, child.bias
            synced._mean, synced._variance = child._mean, child._variance
            layer.add_sublayer(name, synced)
        else:
            synchronise_norms(child)


def _sum(tensor: paddle.Tensor) -> paddle.Tensor:
    total = tensor.clone()
    if dist.get_world_size() > 1:
        dist.all_reduce(total)
    return total
