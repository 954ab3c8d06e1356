"""Random choice of anchors and RoIs that hangs on the image alone, whatever process, batch or device the image is in."""

import torch
from torch import Tensor

_ROI_SALT = 0x5DEECE66D  # the RoIs of an image are drawn otherwise than its anchors
# SplitMix64 (Steele et al., 2014), as signed numbers.
_GOLDEN, _FIRST, _SECOND = -7046029254386353131, -4658895280553007687, -7723592293110705685


class SeededSampler:
    """Chooses positives and negatives of each image for a loss, as torchvision's sampler, all images at once.

    Args:
        batch_size_per_image: how many to choose in each image.
        positive_fraction: at most this share of them positives.

    Attributes:
        seeds: one an image of the batch to come; None draws from torch's global generator.
        positives, negatives: how many the last call chose in the whole batch.
    """

    def __init__(self, batch_size_per_image: int, positive_fraction: float) -> None:
        self.batch_size_per_image = batch_size_per_image
        self.positive_fraction = positive_fraction
        self.seeds: list[int] | None = None
        self.positives = 0
        self.negatives = 0

    def __call__(self, kinds: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """As torchvision's: of every image two masks, the chosen positives and the chosen negatives.

        Args:
            kinds: N an image, the same N in all: 1 or more for positives, 0 for negatives, -1 for neither.
        """
        positive, negative = self.choose(torch.stack(kinds))
        return list(positive.unbind()), list(negative.unbind())

    def choose(self, kinds: Tensor) -> tuple[Tensor, Tensor]:
        """BxN kinds as above -> BxN bool twice, the chosen positives and the chosen negatives."""
        keys = random_keys(self.seeds, *kinds.shape, kinds.device)
        most = int(self.batch_size_per_image * self.positive_fraction)
        positive, count = _first(kinds >= 1, keys, most, most)
        negative, rest = _first(kinds == 0, keys, self.batch_size_per_image, self.batch_size_per_image - count)
        self.positives, self.negatives = torch.stack([count.sum(), rest.sum()]).tolist()
        return positive, negative


def seed_choices(
    anchors: SeededSampler, rois: SeededSampler, seeds: list[int] | None
) -> tuple[SeededSampler, SeededSampler]:
    """Makes the next choices of both samplers hang on these seeds, one an image; returns the two."""
    anchors.seeds = seeds
    rois.seeds = None if seeds is None else [seed ^ _ROI_SALT for seed in seeds]
    return anchors, rois


def random_keys(seeds: list[int] | None, images: int, count: int, device: torch.device) -> Tensor:
    """BxN int64, not negative, hardly ever the same twice; row i hangs on seed i alone."""
    if seeds is None:
        return torch.randint(1 << 62, (images, count), device=device)
    state = torch.tensor(seeds, dtype=torch.int64).to(device)[:, None]
    state = state + _GOLDEN * torch.arange(1, count + 1, device=device)  # wraps, as it should
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        state = (state ^ _shifted(state, shift)) * factor
    return _shifted(state ^ _shifted(state, 31), 2)


def _shifted(state: Tensor, bits: int) -> Tensor:
    """Shifts to the right with zeros from the left, which torch's own shift fills with the sign."""
    return (state >> bits) & ((1 << (64 - bits)) - 1)


def _first(candidates: Tensor, keys: Tensor, most: int, wanted: int | Tensor) -> tuple[Tensor, Tensor]:
    """The candidates with the smallest keys in each row, and how many they are.

    Args:
        candidates: BxN bool.
        most: that any row may choose.
        wanted: that each row chooses if it has so many, a number or one a row (B).
    """
    order = keys.masked_fill(~candidates, torch.iinfo(torch.int64).max)
    best = order.topk(min(most, order.shape[1]), dim=1, largest=False).indices
    count = candidates.sum(dim=1)
    count = count.clamp(max=wanted) if isinstance(wanted, int) else torch.minimum(count, wanted)
    taken = torch.arange(best.shape[1], device=best.device) < count[:, None]
    return torch.zeros_like(candidates).scatter_(1, best, taken), count
