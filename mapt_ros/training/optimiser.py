"""The optimiser, which weights it lets decay, and the moving average of the weights."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from mapt_ros.training.recipe import OptimiserConfig


def make_optimiser(model: nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    """SGD or AdamW over two groups: weights, which decay, and norms and biases, which do not."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if config.kind == "adamw":
        return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(config.momentum, 0.999), fused=True)
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)


def make_average(model: nn.Module, decay: float) -> AveragedModel:
    """A moving average of the weights and of the norms' statistics.

    Its memory grows with the steps up to the given decay: early on, long memory would keep random weights alive.
    """

    @torch.no_grad()
    def update(averages: list[Tensor], values: list[Tensor], updates: Tensor) -> None:
        if not averages[0].is_floating_point():
            torch._foreach_copy_(averages, values)
            return
        reached = min(decay, (1 + int(updates)) / (10 + int(updates)))
        torch._foreach_lerp_(averages, values, 1 - reached)

    return AveragedModel(model, multi_avg_fn=update, use_buffers=True)
