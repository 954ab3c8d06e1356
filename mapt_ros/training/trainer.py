"""A small training loop: enough to overfit scenes with known ground truth."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from mapt_ros.data.labels import ClassSet
from mapt_ros.data.targets import instance_targets, semantic_target
from mapt_ros.model.instance import InstanceTargets
from mapt_ros.model.mapt import MAPT
from mapt_ros.training.losses import PairBatch

Frame = tuple[np.ndarray, np.ndarray]  # HxWx3 uint8 RGB, HxW int32 label map


def make_batch(pairs: list[tuple[Frame, Frame]], classes: ClassSet, device: torch.device | str = "cpu") -> PairBatch:
    """Stacks (previous, current) frames of one size, with their label maps, into a batch on a device."""
    previous, current = zip(*pairs)

    def images(frames: tuple[Frame, ...]) -> Tensor:
        return torch.from_numpy(np.stack([image for image, _ in frames])).to(device)

    def classes_of(frames: tuple[Frame, ...]) -> Tensor:
        return torch.stack([semantic_target(labels, classes) for _, labels in frames]).to(device)

    def things(frames: tuple[Frame, ...]) -> list[InstanceTargets]:
        return [instance_targets(labels, classes).to(device) for _, labels in frames]

    return PairBatch(
        images(previous),
        images(current),
        classes_of(previous),
        classes_of(current),
        things(previous),
        things(current),
    )


def fit(
    model: MAPT,
    losses: Iterator[dict[str, Tensor]],
    steps: int,
    *,
    learning_rate: float = 2e-3,
    show_progress: bool = True,
) -> list[dict[str, float]]:
    """Trains with AdamW on a one-cycle schedule; leaves the model in evaluation mode.

    Args:
        losses: computes, each time it is asked, the losses of the next step; asked ``steps`` times.

    Returns:
        The losses of every step, by name, and their sum under ``total``.

    Raises:
        FloatingPointError: a loss or the gradient became NaN or infinite; the step is named. The weights are still those
            of the step before.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=1e-4, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.1)
    history = []
    model.train()
    progress = tqdm(range(steps), desc="training", unit="step", disable=not show_progress)
    for step in progress:
        parts = next(losses)
        total = sum(parts.values())
        numbers = {name: value.item() for name, value in parts.items()} | {"total": total.item()}
        if not torch.isfinite(total):
            raise FloatingPointError(f"step {step}: the loss is not finite ({_in_words(numbers)})")
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        if not torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0).isfinite():
            raise FloatingPointError(f"step {step}: the gradient is not finite ({_in_words(numbers)})")
        optimizer.step()
        schedule.step()
        history.append(numbers)
        progress.set_postfix(loss=f"{numbers['total']:.2f}")
    model.eval()
    return history


def _in_words(numbers: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in numbers.items())
