"""Small tensors that are the same in every frame, made once a device: a copy from the host would wait for the device."""

from functools import cache

import torch
from torch import Tensor


@cache
def constant(values: tuple, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The values as a tensor that nobody may write to. It lives on, for captured CUDA graphs read it where it lies."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)
