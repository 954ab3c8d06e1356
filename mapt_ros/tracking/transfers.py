"""Small arrays to a device, and tensors back to the host, with as little waiting as there can be."""

import numpy as np
import torch
from torch import Tensor


def upload(values: np.ndarray, device: torch.device) -> Tensor:
    """A small array on the device, without waiting for it."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def put(values: np.ndarray, target: Tensor) -> None:
    """Writes a small array over a tensor, without waiting for it."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    target.copy_(tensor.pin_memory() if target.is_cuda else tensor, non_blocking=True)


def download(tensors: list[Tensor]) -> list[np.ndarray]:
    """Tensors of one device on the host, after a single wait."""
    if not tensors or tensors[0].device.type != "cuda":
        return [t.numpy() for t in tensors]
    copies = [torch.empty(t.shape, dtype=t.dtype, pin_memory=True).copy_(t, non_blocking=True) for t in tensors]
    torch.cuda.current_stream(tensors[0].device).synchronize()
    return [c.numpy() for c in copies]
