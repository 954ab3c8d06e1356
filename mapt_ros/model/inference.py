"""Prepares a trained network for running: the same function of the image in fewer passes over memory."""

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mapt_ros.model.mapt import MAPT


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

    Changes the network in place; from then on it runs under ``autocast`` to that type only.

    Returns:
        The same model.
    """
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            module.to(dtype)
    return model


def _fold_pairs(layers: nn.Sequential) -> None:
    for i in range(len(layers) - 1):
        if isinstance(layers[i], nn.Conv2d) and isinstance(layers[i + 1], nn.BatchNorm2d):
            layers[i] = fuse_conv_bn_eval(layers[i], layers[i + 1])
            layers[i + 1] = nn.Identity()
