"""A network prepared for running is the same function of the image."""

import copy

import pytest
import torch

from mapt_ros.model import inference
from mapt_ros.model.inference import Excitation, PointwiseConv, cast_weights, fold_batch_norm, warn_of_emulation
from mapt_ros.model.layers import ResidualBlock
from mapt_ros.model.mapt import MAPT, FrameState


@pytest.fixture
def network(tiny_config):
    """The tiny network with residual blocks and a detail branch, in evaluation mode."""
    torch.manual_seed(0)
    semantic = tiny_config.semantic.model_copy(update={"detail_channels": 8, "detail_blocks": 1, "blocks": 1})
    return MAPT(tiny_config.model_copy(update={"semantic": semantic, "fpn_blocks": (1, 1, 0, 0)})).eval()


@torch.inference_mode()
@pytest.mark.parametrize("cast", [False, True])
def test_folding_and_matrix_products_change_nothing_but_the_last_digits(network, cast):
    for module in network.modules():  # weights and statistics as training leaves them
        if isinstance(module, ResidualBlock):
            torch.nn.init.xavier_normal_(module.narrow.weight)
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.3)
            module.running_var.uniform_(0.5, 2)
            module.weight.uniform_(0.5, 2)
            module.bias.normal_(std=0.3)
    folded = fold_batch_norm(copy.deepcopy(network))
    if cast:
        cast_weights(folded, torch.float32)
        kinds = [type(module) for module in folded.modules()]
        assert kinds.count(PointwiseConv) > 50 and kinds.count(Excitation) == 16
    batch = network.prepare([torch.randint(0, 256, (64, 96, 3), dtype=torch.uint8)])
    state = FrameState(torch.randn(16, 16, 24), torch.rand(2, 16, 24))
    wanted, got = (model(batch, [state])[0] for model in (network, folded))
    scale = wanted.semantic_logits.abs().max().item()
    torch.testing.assert_close(got.semantic_logits, wanted.semantic_logits, atol=1e-4 * scale, rtol=0)
    torch.testing.assert_close(got.propagated_masks, wanted.propagated_masks, atol=1e-4, rtol=0)
    torch.testing.assert_close(got.detections.boxes, wanted.detections.boxes, atol=1e-2, rtol=0)
    torch.testing.assert_close(got.detections.embeddings, wanted.detections.embeddings, atol=1e-3, rtol=0)


@pytest.mark.parametrize("outputs", [16, 19])
@pytest.mark.parametrize(
    ("stride", "relu", "bias"), [(1, False, True), (1, True, True), (2, True, True), (2, False, False)]
)
def test_a_1x1_convolution_is_a_matrix_product(outputs, stride, relu, bias):
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(8, outputs, 1, stride=stride, bias=bias)
    x = torch.randn(2, 8, 7, 9)
    with torch.no_grad():
        wanted = conv(x).relu() if relu else conv(x)
        for given in (x, x.contiguous(memory_format=torch.channels_last)):
            torch.testing.assert_close(PointwiseConv(conv, relu)(given), wanted, atol=1e-5, rtol=0)


def test_a_network_in_training_is_not_folded(tiny_network):
    with pytest.raises(ValueError, match="evaluation"):
        fold_batch_norm(tiny_network.train())


@pytest.mark.parametrize("native", [False, True])
def test_a_precision_that_the_cpu_lacks_is_warned_of(native, monkeypatch, caplog):
    monkeypatch.setattr(inference, "_has_bf16", lambda: native)
    for precision, device in (("fp32", "cpu"), ("bf16", "cuda"), ("fp16", "cuda")):
        warn_of_emulation(precision, torch.device(device))
    assert not caplog.records
    warn_of_emulation("bf16", torch.device("cpu"))
    assert ["fp32" in record.getMessage() for record in caplog.records] == [True] * (not native)
