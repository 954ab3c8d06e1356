"""The semantic, instance and appearance heads on their own."""

import pytest
import torch
import torch.nn.functional as F

from mapt_ros.model.appearance import AppearanceHead
from mapt_ros.model.backbone import LEVELS, STRIDES, TwoWayFPN
from mapt_ros.model.config import AppearanceConfig, InstanceConfig, ModelConfig, MotionConfig, SemanticConfig
from mapt_ros.model.instance import InstanceHead, mask_overlap_loss
from mapt_ros.model.semantic import SemanticContext, SemanticHead
from mapt_ros.tracking.config import load_config

CHANNELS = 16


def pyramid(height: int, width: int, batch: int = 1) -> dict[str, torch.Tensor]:
    return {level: torch.randn(batch, CHANNELS, height // s, width // s) for level, s in zip(LEVELS, STRIDES)}


@torch.inference_mode()
def test_projecting_before_upsampling_equals_a_1x1_convolution_of_the_upsampled_concatenation():
    torch.manual_seed(0)
    head = SemanticHead(CHANNELS, 5, SemanticConfig(channels=8, dpc_channels=8)).eval()
    levels = pyramid(64, 96)
    captured: dict[str, torch.Tensor] = {}
    for name, conv in head.project.items():
        conv.register_forward_pre_hook(lambda _, inputs, name=name: captured.update({name: inputs[0]}))
    features = head(levels, torch.zeros(1, 3, 64, 96)).features
    up = {name: _to_stride_4(x, features.shape[-2:]) for name, x in captured.items()}
    kernel = torch.cat([head.project[name].weight for name in up], dim=1)
    expected = head.fuse(F.conv2d(torch.cat(list(up.values()), dim=1), kernel))
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize("stride", [2, 4])
def test_the_detail_branch_begins_as_nothing_and_then_moves_logits_where_the_picture_changes(stride):
    torch.manual_seed(0)
    config = SemanticConfig(channels=8, dpc_channels=8, logit_stride=stride, detail_channels=8)
    head = SemanticHead(CHANNELS, 5, config).eval()
    levels, images = pyramid(64, 96), torch.zeros(1, 3, 64, 96)
    other = images.clone()
    other[0, :, 33, 49] = 1.0
    begun = head(levels, other).logits
    assert begun.shape == (1, 5, 64 // stride, 96 // stride)
    assert torch.equal(begun, head(levels, images).logits)
    torch.nn.init.normal_(head.detail.classifier.weight)
    moved = (head(levels, other).logits - head(levels, images).logits).abs().amax(dim=1)[0].nonzero()
    centre = torch.tensor([33 // stride, 49 // stride])
    assert len(moved) > 0
    assert (moved - centre).abs().max() <= 2  # two convolutions of 3x3


@torch.inference_mode()
@pytest.mark.parametrize("detail_channels", [0, 8])
def test_biases_are_added_to_all_logits_as_they_are(detail_channels):
    torch.manual_seed(0)
    config = SemanticConfig(channels=8, dpc_channels=8, logit_stride=2, detail_channels=detail_channels)
    head = SemanticHead(CHANNELS, 5, config).eval()
    if head.detail is not None:
        torch.nn.init.normal_(head.detail.classifier.weight)
    levels, images, biases = pyramid(64, 96), torch.randn(1, 3, 64, 96), torch.randn(5)
    before = head(levels, images).logits
    head.add_biases(biases)
    torch.testing.assert_close(head(levels, images).logits, before + biases[:, None, None])


@torch.inference_mode()
def test_the_semantic_context_begins_as_nothing_and_then_reaches_the_fine_levels_only():
    torch.manual_seed(0)
    context, levels, features = SemanticContext(8, CHANNELS), pyramid(64, 96), torch.randn(1, 8, 16, 24)
    begun = context(levels, features)
    assert all(torch.equal(begun[level], levels[level]) for level in LEVELS)
    for layer in context.project.values():
        torch.nn.init.normal_(layer.weight)
    after = context(levels, features)
    assert list(after) == list(LEVELS)
    assert [not torch.equal(after[level], levels[level]) for level in LEVELS] == [True, True, False, False]
    moved = context(levels, features + F.pad(torch.ones(1, 8, 1, 1), (9, 14, 5, 10)))["P4"] - after["P4"]
    assert moved.abs().amax(dim=1)[0].nonzero().tolist() == [[5, 9]]


def _to_stride_4(x: torch.Tensor, size: torch.Size) -> torch.Tensor:
    while x.shape[-2:] != size:
        x = F.interpolate(x, scale_factor=2, mode="bilinear")
    return x


@torch.inference_mode()
def test_both_ways_of_the_pyramid_reach_every_level():
    torch.manual_seed(0)
    fpn = TwoWayFPN([4, 6, 8, 10], CHANNELS).eval()
    maps = [torch.randn(1, width, 64 // s, 64 // s) for width, s in zip([4, 6, 8, 10], STRIDES)]
    before = fpn(maps)
    for changed in range(4):
        other = [m + 1 if i == changed else m for i, m in enumerate(maps)]
        after = fpn(other)
        assert all(not torch.allclose(after[level], before[level]) for level in LEVELS)


@torch.inference_mode()
def test_each_level_of_the_pyramid_ends_with_its_own_blocks():
    torch.manual_seed(0)
    widths = [4, 6, 8, 10]
    fpn = TwoWayFPN(widths, CHANNELS, blocks=(1, 2, 0, 1)).eval()
    maps = [torch.randn(1, width, 64 // s, 64 // s) for width, s in zip(widths, STRIDES)]
    begun = fpn(maps)
    assert [len(blocks) for blocks in fpn.blocks] == [1, 2, 0, 1]
    for i, level in enumerate(LEVELS):
        for block in fpn.blocks[i]:
            torch.nn.init.normal_(block.narrow.weight)
        after = fpn(maps)
        changed = [name for name in LEVELS if not torch.equal(after[name], begun[name])]
        assert changed == ([level] if fpn.blocks[i] else [])
        begun = after


@torch.inference_mode()
def test_blocks_of_the_semantic_head_change_what_their_branch_says_and_what_hangs_on_it():
    torch.manual_seed(0)
    config = SemanticConfig(channels=8, dpc_channels=8, logit_stride=2, detail_channels=8, detail_blocks=1, blocks=1)
    head = SemanticHead(CHANNELS, 5, config).eval()
    torch.nn.init.normal_(head.detail.classifier.weight)
    levels, images = pyramid(64, 96), torch.randn(1, 3, 64, 96)
    begun = head(levels, images)
    torch.nn.init.normal_(head.detail.blocks[0].narrow.weight)
    detailed = head(levels, images)
    assert torch.equal(detailed.features, begun.features) and not torch.equal(detailed.logits, begun.logits)
    torch.nn.init.normal_(head.blocks[0].narrow.weight)
    refined = head(levels, images)
    assert not torch.equal(refined.features, begun.features) and not torch.equal(refined.logits, detailed.logits)


def test_mask_logits_are_those_of_the_detected_class():
    torch.manual_seed(0)
    config = InstanceConfig(proposals=8, detections=4, box_channels=16, mask_channels=16, score_floor=0.0)
    head = InstanceHead(CHANNELS, 2, config).eval()
    levels = pyramid(64, 96)
    images = torch.zeros(1, 3, 64, 96)
    with torch.inference_mode():
        (found,) = head(levels, [(64, 96)], images)
        logits = head.mask_predictor(head.mask_pool(levels, [found.boxes], [(64, 96)]))
    expected = logits[torch.arange(len(found)), found.labels]
    assert len(found) > 0
    torch.testing.assert_close(found.mask_logits, expected)


def test_mask_overlap_is_one_minus_the_mean_iou():
    wanted = torch.zeros(2, 4, 4)
    wanted[0, :2] = 1  # 8 cells, of which the mask shows half, and 4 more
    wanted[1, 0, 0] = 1  # found
    said = torch.zeros(2, 4, 4)
    said[0, 1:3] = 1
    said[1, 0, 0] = 1
    logits = (120.0 * said - 60).requires_grad_()
    torch.testing.assert_close(mask_overlap_loss(logits, wanted), torch.tensor((1 - 4 / 12) / 2))
    assert mask_overlap_loss(logits[:0], wanted[:0]).item() == 0
    open_question = torch.zeros(2, 4, 4, requires_grad=True)
    mask_overlap_loss(open_question, wanted).backward()
    assert -open_question.grad[1, 0, 0] > 1.3 * -open_question.grad[0, 0, 0] > 0  # a cell counts more in a small mask


def test_masks_are_made_in_boxes_with_a_margin_that_ends_at_the_image():
    config = InstanceConfig(proposals=8, detections=4, box_channels=16, mask_channels=16, score_floor=0.0)
    levels, images = pyramid(64, 96), torch.zeros(1, 3, 64, 96)

    def found(margin: float):
        torch.manual_seed(0)
        head = InstanceHead(CHANNELS, 2, config.model_copy(update={"box_margin": margin})).eval()
        with torch.inference_mode():
            (detections,) = head(levels, [(60, 90)], images)
            masks = head.mask_predictor(head.mask_pool(levels, [detections.boxes], [(60, 90)]))
        return detections, masks[torch.arange(len(masks)), detections.labels]

    (tight, _), (wide, masks) = found(0.0), found(0.25)
    assert torch.equal(tight.scores, wide.scores) and torch.equal(tight.labels, wide.labels)
    for (x0, y0, x1, y1), box in zip(tight.boxes.tolist(), wide.boxes.tolist(), strict=True):
        across, down = (x1 - x0) / 4, (y1 - y0) / 4
        expected = [max(x0 - across, 0), max(y0 - down, 0), min(x1 + across, 90), min(y1 + down, 60)]
        assert box == pytest.approx(expected, abs=1e-4)
    torch.testing.assert_close(wide.mask_logits, masks)


@pytest.fixture
def appearance() -> AppearanceHead:
    torch.manual_seed(0)
    return AppearanceHead(
        CHANNELS, 56, MotionConfig(stride=4, feature_channels=4), AppearanceConfig(channels=8, hidden=16, embedding=6)
    ).eval()


BOXES = [torch.tensor([[4.0, 8.0, 36.0, 40.0], [50.0, 10.0, 80.0, 60.0]])]


@torch.inference_mode()
def test_embeddings_are_unit_vectors_that_see_only_what_is_under_the_mask(appearance):
    levels = pyramid(64, 96)
    left_half = torch.zeros(2, 14, 14)
    left_half[:, :, :6] = 1
    embeddings = appearance(levels, [(64, 96)], BOXES, [left_half], None, [False])
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(2))
    # The first box ends at x = 36; its masked-out right part starts at 4 + 32 * 7 / 14 = 20. GroupNorm sees the whole
    # box, so what is outside the box altogether must not matter at all.
    beyond = {level: x.clone() for level, x in levels.items()}
    beyond["P4"][..., 12:] += 5
    same = appearance(beyond, [(64, 96)], [BOXES[0][:1]], [left_half[:1]], None, [False])
    torch.testing.assert_close(same, embeddings[:1], atol=1e-5, rtol=1e-5)
    nothing = appearance(levels, [(64, 96)], BOXES, [torch.zeros(2, 14, 14)], None, [False])
    torch.testing.assert_close(nothing[0], nothing[1])


@torch.inference_mode()
def test_attention_weighs_the_two_cues(appearance):
    levels = pyramid(64, 96)
    masks = [torch.ones(2, 14, 14)]
    moved = torch.randn(1, 4, 16, 24)
    appearance.attention.weight.zero_()

    def embed(bias: list[float], propagated: torch.Tensor) -> torch.Tensor:
        appearance.attention.bias.copy_(torch.tensor(bias))
        return appearance(levels, [(64, 96)], BOXES, masks, propagated, [True])

    only_appearance = embed([50.0, -50.0], moved)
    torch.testing.assert_close(only_appearance, embed([50.0, -50.0], -3 * moved))
    only_motion = embed([-50.0, 50.0], moved)
    assert not torch.allclose(only_motion, embed([-50.0, 50.0], -3 * moved), atol=1e-3)
    off = appearance(levels, [(64, 96)], BOXES, masks, moved, [True], use_propagated=False)
    torch.testing.assert_close(off, only_appearance, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["regnet_y_400mf", "regnet_y_1_6gf", "regnet_y_3_2gf", "regnet_y_8gf"])
def test_every_backbone_has_its_four_strides(name):
    from mapt_ros.model.backbone import Backbone

    backbone = Backbone(name).eval()
    with torch.inference_mode():
        maps = backbone(torch.zeros(1, 3, 64, 64))
    assert [tuple(m.shape[1:]) for m in maps] == [(w, 64 // s, 64 // s) for w, s in zip(backbone.widths, STRIDES)]


def test_pretrained_weights_that_cannot_be_fetched_are_one_line(monkeypatch, tmp_path):
    from mapt_ros.errors import InputError
    from mapt_ros.model.backbone import Backbone

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(InputError, match="ImageNet weights could not be fetched"):
        Backbone("regnet_y_400mf", pretrained=True)


def test_compact_is_small(tmp_path):
    from mapt_ros.model.checkpoint import save_checkpoint
    from mapt_ros.model.mapt import MAPT

    model = MAPT(load_config("compact").model)
    assert sum(p.numel() for p in model.parameters()) <= 7_000_000
    save_checkpoint(tmp_path / "compact.safetensors", model, half=True)
    assert (tmp_path / "compact.safetensors").stat().st_size <= 15_000_000


def test_the_papers_config_is_the_default():
    assert load_config("regnety_8gf").model == ModelConfig(
        name="regnety_8gf", appearance=AppearanceConfig(channels=128)
    )
