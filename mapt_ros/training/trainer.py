"""A small training loop: enough to overfit scenes with known ground truth."""

from collections.abc import Iterator

import numpy as np
import torch
from tqdm import tqdm

from mapt_ros.data.labels import ClassSet
from mapt_ros.data.targets import instance_targets, semantic_target
from mapt_ros.model.mapt import MAPT
from mapt_ros.training.losses import LossWeights, PairBatch, mapt_losses

Frame = tuple[np.ndarray, np.ndarray]  # HxWx3 uint8 RGB, HxW int32 label map


def make_batch(pairs: list[tuple[Frame, Frame]], classes: ClassSet) -> PairBatch:
    """Stacks (previous, current) frames of one size, with their label maps, into a batch."""
    previous, current = zip(*pairs)

    def images(frames: tuple[Frame, ...]) -> torch.Tensor:
        return torch.from_numpy(np.stack([image for image, _ in frames]))

    def classes_of(frames: tuple[Frame, ...]) -> torch.Tensor:
        return torch.stack([semantic_target(labels, classes) for _, labels in frames])

    return PairBatch(
        images(previous),
        images(current),
        classes_of(previous),
        classes_of(current),
        [instance_targets(labels, classes) for _, labels in previous],
        [instance_targets(labels, classes) for _, labels in current],
    )


def fit(
    model: MAPT,
    batches: Iterator[PairBatch],
    steps: int,
    *,
    learning_rate: float = 2e-3,
    weights: LossWeights | None = None,
    show_progress: bool = True,
) -> list[dict[str, float]]:
    """Trains with AdamW on a one-cycle schedule; leaves the model in evaluation mode.

    Args:
        batches: yields at least ``steps`` batches.

    Returns:
        The losses of every step, by name, and their sum under ``total``.

    Raises:
        FloatingPointError: a loss became NaN or infinite; the step is named.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.15)
    history = []
    model.train()
    progress = tqdm(range(steps), desc="training", unit="step", disable=not show_progress)
    for step in progress:
        losses = mapt_losses(model, next(batches), weights or LossWeights())
        total = sum(losses.values())
        if not torch.isfinite(total):
            parts = ", ".join(f"{name} {value.item():.3g}" for name, value in losses.items())
            raise FloatingPointError(f"step {step}: loss is {total.item()} ({parts})")
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        history.append({name: value.item() for name, value in losses.items()} | {"total": total.item()})
        progress.set_postfix(loss=f"{history[-1]['total']:.2f}")
    model.eval()
    return history
