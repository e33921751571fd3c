"""Batch normalisation over the processes of a run, on CPU as well as GPU."""

import torch
import torch.distributed as dist
from torch import nn


class _SumOverProcesses(torch.autograd.Function):
    """All-reduce whose gradient is the all-reduced gradient."""

    @staticmethod
    def forward(ctx, tensor: torch.Tensor) -> torch.Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, grad: torch.Tensor) -> torch.Tensor:
        return _SumOverProcesses.apply(grad)  # differentiable again: a gradient penalty asks for it


class SyncBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation over the batches of all processes, on CPU as well as GPU.

    torch's own SyncBatchNorm refuses CPU tensors. Equal batch sizes per process are assumed, as
    the sampler makes them. One process: plain BatchNorm2d.
    """

    needs_all_processes = True  # in training: one of them alone would wait for the others

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not (self.training and dist.is_initialized()):
            return super().forward(x)
        count = x.numel() // x.shape[1] * dist.get_world_size()
        mean = _SumOverProcesses.apply(x.sum((0, 2, 3))) / count
        centred = x - _per_channel(mean)
        variance = _SumOverProcesses.apply(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            unbiased = variance * (count / max(1, count - 1))
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return centred * _per_channel(scale) + _per_channel(self.bias)


def _per_channel(values: torch.Tensor) -> torch.Tensor:
    return values.view(1, -1, 1, 1)
