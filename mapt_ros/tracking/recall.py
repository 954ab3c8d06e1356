"""Class probabilities that are remembered: where motion carries them, they have a say in the next frame's."""

import torch.nn.functional as F
from torch import Tensor

_LEAST = 1e-4  # added to probabilities before their ratio


def class_shares(logits: Tensor, factor: int) -> Tensor:
    """What share of each cell of ``factor`` x ``factor`` logits every class has: BxKxh'xw' -> BxKxhxw in [0, 1]."""
    return F.avg_pool2d(logits.float().softmax(dim=1), factor)


def recalled(logits: Tensor, carried: Tensor | None, share: float | Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """Mixes what a frame says of the classes with what the frame before said.

    The two are compared after the frame's own shares have been blurred as carrying blurs, and only their ratio goes to the
    logits: thin things stay as sharp as the frame shows them.

    Args:
        logits: BxKxh'xw'.
        carried: BxKxhxw class probabilities of the frame before, where motion carries them; 0 in all classes where they
            come from outside. None if there is no frame before.
        share: of the mixture that is the carried ones', in [0, 1).
        factor: h' over h.

    Returns:
        BxKxh'xw' logits, and the BxKxhxw probabilities to remember, in single precision; what is not a number is not
        remembered.
    """
    shares = class_shares(logits, factor)
    if carried is None:
        return logits, shares.nan_to_num()
    own = F.avg_pool2d(shares, 3, stride=1, padding=1, count_include_pad=False)
    mixed = own + share * (carried.float() - own * carried.float().sum(dim=1, keepdim=True))
    ratio = (mixed.clamp(min=0) + _LEAST) / (own + _LEAST)
    said = ratio.log()
    if factor > 1:
        said = F.interpolate(said, scale_factor=factor, mode="bilinear", align_corners=False)
    return logits.float() + said, F.normalize(shares * ratio, p=1, dim=1).nan_to_num()
