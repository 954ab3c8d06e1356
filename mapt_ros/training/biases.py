"""Class biases after training: those under which the mean IoU over frames of the training data is highest.

The semantic loss looks at the hardest pixels and may weigh rare classes more, so its logits are not probabilities: near
the borders of two classes the rarer one wins too often. One number a class, added to the classifier's bias, sets right
what of this is the same everywhere.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mapt_ros.data.frames import Dataset
from mapt_ros.data.targets import IGNORED, semantic_target
from mapt_ros.model.mapt import MAPT

_STEPS = (0.8, 0.4, 0.2, 0.1)
_ROUNDS = 2  # over all classes with each step
_STRIDE = 4  # every n-th row and column of the image


@torch.inference_mode()
def fit_biases(model: MAPT, datasets: list[Dataset], frames: int) -> Tensor:
    """K biases for the classifier, one a class of the network.

    Args:
        model: left in evaluation mode.
        datasets: in the network's classes.
        frames: how many frames to look at, spread evenly over all data.
    """
    model.eval()
    places = [(sequence, t) for dataset in datasets for sequence in dataset.sequences for t in range(len(sequence))]
    parts = [_pixels(model, *sequence.frame(t)) for sequence, t in places[:: max(1, len(places) // frames)][:frames]]
    logits, target = (torch.cat(part, dim=-1) for part in zip(*parts))
    return best_biases(logits, target)


def best_biases(logits: Tensor, target: Tensor) -> Tensor:
    """Coordinate ascent of the mean IoU.

    Args:
        logits: KxP.
        target: P int64 class indices.

    Returns:
        K biases; 0 for classes that the target does not hold.
    """
    biases = logits.new_zeros(len(logits))
    best = mean_iou(logits, target)
    for step in _STEPS:
        for index in [*target.unique().tolist()] * _ROUNDS:
            for move in (-step, step):
                tried = biases.clone()
                tried[index] += move
                reached = mean_iou(logits + tried[:, None], target)
                if reached > best:
                    best, biases = reached, tried
    return biases


def mean_iou(logits: Tensor, target: Tensor) -> float:
    """Mean IoU over the classes that the target holds, KxP logits against P indices."""
    kinds = len(logits)
    counts = torch.bincount(target * kinds + logits.argmax(dim=0), minlength=kinds**2).view(kinds, kinds).double()
    either = counts.sum(dim=0) + counts.sum(dim=1) - counts.diag()
    return (counts.diag() / either.clamp(min=1))[counts.sum(dim=1) > 0].mean().item()


def _pixels(model: MAPT, image, labels) -> tuple[Tensor, Tensor]:
    """Logits KxP and class indices P of some labelled pixels of a frame."""
    batch = model.prepare([torch.from_numpy(image)])
    logits = model.semantic(model.encode(batch.images), batch.images).logits.float()
    (height, width), (rows, columns) = batch.sizes[0], labels.shape
    logits = F.interpolate(logits, scale_factor=model.semantic.logit_stride, mode="bilinear")[..., :height, :width]
    seen = slice(_STRIDE // 2, None, _STRIDE)
    y, x = (torch.arange(n)[seen] for n in (rows, columns))
    chosen = logits[0][:, y * height // rows][:, :, x * width // columns].flatten(1)
    target = semantic_target(labels, model.config.classes)[seen, seen].flatten().to(chosen.device)
    return chosen[:, target != IGNORED], target[target != IGNORED]
