"""Prepares a trained network for running: the same function of the image in fewer passes over memory."""

import logging
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.ops.misc import SqueezeExcitation

from mapt_ros.model.mapt import MAPT

_log = logging.getLogger(__name__)

_ALIGNED = 8  # outputs in half precision that matrix units take at a time


def fold_batch_norm(model: MAPT) -> MAPT:
    """Folds every batch norm that follows a convolution into its weights, and lays these out channels last.

    Changes the network in place, and with it the names and values of its weights: for running only, not for training
    or saving.

    Args:
        model: in evaluation mode.

    Returns:
        The same model.

    Raises:
        ValueError: the model is in training mode, where a batch norm depends on the batch.
    """
    if model.training:
        raise ValueError("only a model in evaluation mode can be folded")
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Sequential):
                _fold_pairs(module)
    return model.to(memory_format=torch.channels_last)


def cast_weights(model: MAPT, dtype: torch.dtype) -> MAPT:
    """Casts the weights of convolutions and matrix products once, which ``autocast`` would do in every frame.

    1x1 convolutions become matrix products: on a GPU in half precision a convolution adds its bias in a pass of its own.
    Changes the network in place; from then on it runs under ``autocast`` to that type only.

    Returns:
        The same model.
    """
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            module.to(dtype)
    for module in list(model.modules()):
        if isinstance(module, nn.Sequential):
            _join_activations(module)
        for name, child in module.named_children():
            if _is_pointwise(child):
                setattr(module, name, PointwiseConv(child))
            elif isinstance(child, SqueezeExcitation):
                setattr(module, name, Excitation(child))
    return model


class PointwiseConv(nn.Module):
    """A 1x1 convolution as a matrix product over pixels whose channels lie together.

    Args:
        conv: whose weights it takes.
        relu: whether a ReLU follows, which then costs nothing.
    """

    def __init__(self, conv: nn.Conv2d, relu: bool = False):
        super().__init__()
        self.stride, self.relu = conv.stride, relu
        self.weight = nn.Parameter(conv.weight.detach().flatten(1), requires_grad=False)
        bias = self.weight.new_zeros(len(self.weight)) if conv.bias is None else conv.bias.detach()
        self.bias = nn.Parameter(bias, requires_grad=False)
        spare = -len(self.weight) % _ALIGNED
        self.register_buffer("_padded", F.pad(self.weight, (0, 0, 0, spare)) if spare else None, persistent=False)
        self.register_buffer("_padded_bias", F.pad(self.bias, (0, spare)) if spare else None, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW -> BxKx(H/s)x(W/s), channels last."""
        if self.stride != (1, 1):
            x = x[:, :, :: self.stride[0], :: self.stride[1]]
        rows = x.permute(0, 2, 3, 1)
        flat = rows.reshape(-1, rows.shape[-1])  # of two dimensions, for only then the bias rides along
        if self.relu:
            outcome = torch._addmm_activation(self.bias, flat.to(self.weight.dtype), self.weight.T)
        elif self._padded is not None:
            outcome = F.linear(flat, self._padded, self._padded_bias)[:, : len(self.weight)]
        else:
            outcome = F.linear(flat, self.weight, self.bias)
        outcome = outcome.unflatten(0, rows.shape[:3])
        return outcome.permute(0, 3, 1, 2)


class Excitation(nn.Module):
    """torchvision's ``SqueezeExcitation``, its mean taken row by row, for columns alone do not fill a GPU."""

    def __init__(self, module: SqueezeExcitation):
        super().__init__()
        self.reduce, self.expand = PointwiseConv(module.fc1), PointwiseConv(module.fc2)
        self.activation, self.scale_activation = module.activation, module.scale_activation

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW -> the same, each channel scaled by a number in [0, 1]."""
        rows = x.permute(0, 2, 3, 1)
        means = rows.mean(dim=2, dtype=torch.float32).mean(dim=1).to(x.dtype)[:, :, None, None]
        return x * self.scale_activation(self.expand(self.activation(self.reduce(means))))


def _is_pointwise(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (1, 1)
        and module.groups == 1
        and module.padding == (0, 0)
    )


def _join_activations(layers: nn.Sequential) -> None:
    """Makes one of a 1x1 convolution and the ReLU after it."""
    kept = [i for i, layer in enumerate(layers) if not isinstance(layer, nn.Identity)]
    for first, second in pairwise(kept):
        if _is_pointwise(layers[first]) and type(layers[second]) is nn.ReLU:
            layers[first], layers[second] = PointwiseConv(layers[first], relu=True), nn.Identity()


def _fold_pairs(layers: nn.Sequential) -> None:
    for i in range(len(layers) - 1):
        if isinstance(layers[i], nn.Conv2d) and isinstance(layers[i + 1], nn.BatchNorm2d):
            layers[i] = fuse_conv_bn_eval(layers[i], layers[i + 1])
            layers[i + 1] = nn.Identity()


def warn_of_emulation(precision: str, device: torch.device) -> None:
    """Logs a warning if a device computes a precision in software: the results are right, and late.

    Args:
        precision: ``fp32``, ``bf16`` or ``fp16``.
    """
    if precision == "bf16" and device.type == "cpu" and not _has_bf16():
        _log.warning("precision bf16: this CPU has no instructions for it; fp32 will be several times as fast")


def _has_bf16() -> bool:
    """Whether PyTorch's convolutions on this machine's CPU take bf16 as it is; False where it does not tell."""
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return supported is not None and supported()
