"""The whole network: sizes, missing predecessors, empty frames, batches."""

import pytest
import torch

from mapt_ros.model.mapt import FrameState

SIZES = [(375, 1242), (370, 1226), (192, 640), (33, 65)]


def image(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (height, width, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
@pytest.mark.parametrize("size", SIZES)
def test_every_output_fits_the_image_at_odd_sizes(tiny_network, tiny_config, size):
    batch = tiny_network.prepare([image(*size)])
    first = tiny_network(batch, [None])[0]
    height, width = (-(-side // 32) * 32 for side in size)
    assert batch.images.shape == (1, 3, height, width)
    assert first.semantic_logits.shape == (19, height // 4, width // 4)
    assert first.semantic.shape == (tiny_config.semantic.channels, height // 4, width // 4)
    assert first.propagated_masks is None
    boxes = first.detections.boxes
    assert boxes.shape[1] == 4 and (boxes >= 0).all()
    assert (boxes[:, 2::2] <= size[1]).all() and (boxes[:, 3::2] <= size[0]).all()
    assert first.detections.mask_logits.shape == (len(boxes), 28, 28)
    assert first.detections.embeddings.shape == (len(boxes), 8)

    masks = torch.rand(3, height // 4, width // 4)
    second = tiny_network(batch, [FrameState(first.semantic, masks)])[0]
    assert second.propagated_masks.shape == masks.shape


@torch.inference_mode()
def test_no_tracks_and_no_detections_are_no_error(tiny_network):
    tiny_network.instance.roi_heads.score_thresh = 1.1
    batch = tiny_network.prepare([image(64, 96)])
    first = tiny_network(batch, [None])[0]
    assert len(first.detections) == 0 and first.detections.embeddings.shape == (0, 8)
    second = tiny_network(batch, [FrameState(first.semantic, first.semantic.new_zeros(0, 16, 24))])[0]
    assert second.propagated_masks.shape == (0, 16, 24)


@torch.inference_mode()
def test_a_predecessor_changes_the_embeddings_unless_propagated_features_are_off(tiny_network):
    torch.nn.init.normal_(tiny_network.motion.offset_convs[0].weight, std=0.5)
    batch = tiny_network.prepare([image(96, 128)])
    first = tiny_network(batch, [None])[0]
    state = FrameState(first.semantic + torch.randn_like(first.semantic), torch.zeros(0, 24, 32))
    with_motion = tiny_network(batch, [state])[0].detections.embeddings
    without = tiny_network(batch, [state], use_propagated=False)[0].detections.embeddings
    alone = tiny_network(batch, [None], use_propagated=False)[0].detections.embeddings
    assert not torch.allclose(with_motion, without, atol=1e-4)
    torch.testing.assert_close(without, alone)


@torch.inference_mode()
def test_a_batch_of_cameras_gives_what_each_gives_alone(tiny_network):
    images = [image(64, 96, seed) for seed in range(3)]
    first = [tiny_network(tiny_network.prepare([i]), [None])[0] for i in images]
    states = [
        FrameState(first[0].semantic, torch.rand(2, 16, 24)),
        None,
        FrameState(first[2].semantic, torch.rand(0, 16, 24)),
    ]
    together = tiny_network(tiny_network.prepare(images), states)
    for i, state, joint in zip(images, states, together):
        alone = tiny_network(tiny_network.prepare([i]), [state])[0]
        torch.testing.assert_close(joint.semantic_logits, alone.semantic_logits, atol=1e-4, rtol=1e-4)
        assert (joint.propagated_masks is None) == (state is None)
        if state is not None:
            torch.testing.assert_close(joint.propagated_masks, alone.propagated_masks, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(joint.detections.embeddings, alone.detections.embeddings, atol=1e-3, rtol=1e-3)


def test_input_height_shrinks_the_image_and_keeps_its_shape(tiny_config):
    from mapt_ros.model.mapt import MAPT

    network = MAPT(tiny_config.model_copy(update={"input_height": 96})).eval()
    batch = network.prepare([image(375, 1242)])
    assert batch.sizes == [(96, 318)]
    assert batch.images.shape == (1, 3, 96, 320)
