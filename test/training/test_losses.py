"""The four losses: what lowers them, what they ignore, and that they reach every weight."""

import numpy as np
import pytest
import torch

from mapt_ros.data.labels import KITTI_STEP
from mapt_ros.model.mapt import MAPT
from mapt_ros.training.loader import collate
from mapt_ros.training.losses import (
    LossWeights,
    appearance_loss,
    class_weights,
    displacement_loss,
    mapt_losses,
    motion_loss,
    overlap_loss,
    semantic_loss,
)
from mapt_ros.training.tracks import joint_tracks, strided_masks


@pytest.fixture
def pair(tiny_drive):
    return tiny_drive[0], tiny_drive[2]


def batch_of(pair):
    return collate([("a pair", [0, 1], list(pair))], KITTI_STEP).on("cpu", KITTI_STEP).frames


def empty(frame):
    image, labels = frame
    return image, np.where(labels % (1 << 24) > 0, -1, labels)


def test_only_the_hardest_pixels_of_each_image_count():
    target = torch.zeros(2, 4, 4, dtype=torch.long)
    logits = torch.zeros(2, 2, 4, 4)
    logits[:, 0] = 20.0
    logits[0, :, 0] = torch.tensor([0.0, 3.0])[:, None]  # 4 of 16 pixels of the first image are wrong by 3
    wrong = torch.log1p(torch.exp(torch.tensor(3.0)))
    torch.testing.assert_close(semantic_loss(logits, target, hardest=0.25), wrong / 2, atol=1e-5, rtol=0)


def test_overlap_is_one_minus_the_mean_iou_of_the_classes_shown():
    target = torch.tensor([[[0, 0, 0, 1]], [[2, 2, 255, 255]], [[255, 255, 255, 255]]])
    said = torch.tensor([[[0, 0, 1, 1]], [[2, 0, 2, 0]], [[0, 1, 2, 0]]])
    logits = 60.0 * torch.nn.functional.one_hot(said, 3).permute(0, 3, 1, 2)
    expected = [1 - (2 / 3 + 1 / 2) / 2, 1 - 1 / 2]  # the third has no label
    torch.testing.assert_close(overlap_loss(logits, target), torch.tensor(sum(expected) / 2))


def test_overlap_is_as_exact_under_autocast():
    torch.manual_seed(0)
    logits, target = torch.randn(2, 5, 64, 64), torch.randint(0, 5, (2, 64, 64))
    with torch.autocast("cpu", torch.bfloat16):
        half = overlap_loss(logits, target)
    torch.testing.assert_close(half, overlap_loss(logits, target))


def test_overlap_pulls_harder_at_a_pixel_of_a_small_class():
    target = torch.zeros(1, 8, 8, dtype=torch.int64)
    target[:, 0, 0] = 1
    logits = torch.zeros(1, 2, 8, 8, requires_grad=True)
    overlap_loss(logits, target).backward()
    small, large = -logits.grad[0, 1, 0, 0], -logits.grad[0, 0, 1:].mean()
    assert small > 2 * large > 0


def test_the_semantic_loss_takes_both_parts(pair, tiny_network):
    batch = batch_of(pair)
    tiny_network.train()
    plain, more = (
        mapt_losses(tiny_network, batch, LossWeights(semantic_overlap=weight), [3, 4])["semantic"]
        for weight in (0.0, 0.5)
    )
    assert 0 < (more - plain) <= 0.5


def test_the_instance_loss_takes_the_masks_overlap_too(pair, tiny_network):
    batch = batch_of(pair)
    tiny_network.train()
    plain, half, whole = (
        mapt_losses(tiny_network, batch, LossWeights(mask_overlap=weight), [3, 4])["instance"]
        for weight in (0.0, 0.5, 1.0)
    )
    assert 0 < whole - plain <= 1
    torch.testing.assert_close(half - plain, (whole - plain) / 2, atol=1e-5, rtol=1e-4)


def test_balance_gives_rare_classes_their_share():
    classes = torch.tensor([[0] * 12 + [1] * 3 + [255], [255] * 16])
    torch.testing.assert_close(class_weights(classes, 3, 0.0)[0], torch.tensor([1.0] * 15 + [0]))
    even = class_weights(classes, 3, 1.0)[0]
    torch.testing.assert_close(even[:12].sum(), even[12:].sum())
    torch.testing.assert_close(class_weights(classes, 3, 0.5).sum(dim=1), torch.tensor([15.0, 0]))
    rare_wrong = torch.zeros(1, 3, 4, 4)
    rare_wrong[0, 0] = 5.0  # says the common class everywhere
    target = classes[:1].view(1, 4, 4)
    assert semantic_loss(rare_wrong, target, balance=0.5) > 1.5 * semantic_loss(rare_wrong, target)


def test_unlabelled_pixels_do_not_count():
    logits = torch.randn(1, 3, 4, 4)
    target = torch.full((1, 4, 4), 255)
    target[0, 0, 0] = 1
    expected = torch.nn.functional.cross_entropy(logits[0, :, 0, 0][None], torch.tensor([1]))
    torch.testing.assert_close(semantic_loss(logits, target), expected)
    assert semantic_loss(logits, torch.full((1, 4, 4), 255)).item() == 0


def test_a_propagated_mask_that_fits_costs_least():
    target = torch.zeros(2, 8, 8)
    target[:, 2:5, 2:5] = 1
    previous = torch.roll(target, 1, dims=2)
    right = motion_loss(target.clone(), previous, target)
    beside = motion_loss(torch.roll(target, 2, dims=2), previous, target)
    nowhere = motion_loss(torch.zeros_like(target), previous, target)
    assert right < 0.01 < beside and right < nowhere
    none = torch.zeros(0, 8, 8)
    assert motion_loss(none, none, none).item() == 0


def test_a_track_that_all_but_vanishes_costs_no_more_than_one_that_is_lost():
    whole, sliver = torch.zeros(1, 40, 40), torch.zeros(1, 40, 40)
    whole[:, 5:35, 5:35] = 1
    sliver[:, 5, 5:8] = 1
    vanished = motion_loss(whole.clone(), whole, sliver)
    lost = motion_loss(torch.zeros_like(whole), whole, whole)
    assert 1 < vanished <= lost


def test_the_motion_loss_pulls_hardest_where_the_mask_is_all_wrong():
    propagated = torch.zeros(1, 4, 4, requires_grad=True)
    motion_loss(propagated, torch.ones(1, 4, 4), torch.ones(1, 4, 4)).backward()
    assert (propagated.grad < -1).all()


def test_offsets_that_look_where_the_box_came_from_cost_nothing():
    cells = torch.zeros(1, 2, 12, 16)
    cells[0, 0, 4:8, 6:10] = cells[0, 1, 0:4, 0:8] = 1
    before = torch.tensor([[[1.0, 3, 5, 7], [0, 0, 8, 9]]])  # 5 cells left and 1 up; the other was much taller
    now = torch.tensor([[[6.0, 4, 10, 8], [0, 0, 8, 4]]])
    right = torch.zeros(1, 18, 12, 16)
    right[:, 8], right[:, 9] = -1, -5
    assert displacement_loss([right, right], cells, before, now, 8).tolist() == [[0, 0]]
    assert displacement_loss([torch.zeros_like(right)], cells, before, now, 4).tolist() == [[0, 0]]  # too far to reach
    lazy = displacement_loss([torch.zeros_like(right)], cells, before, now, 8)
    torch.testing.assert_close(lazy, torch.tensor([[0.5 + 4.5, 0.0]]))  # the second, cut by something, does not count
    grown = now * 1.1  # about the origin: each cell comes from x / 1.1
    flow = torch.zeros(1, 18, 12, 16)
    flow[:, 8] = (torch.arange(12) + 0.5)[:, None] * (1 / 1.1 - 1)
    flow[:, 9] = (torch.arange(16) + 0.5)[None] * (1 / 1.1 - 1)
    torch.testing.assert_close(displacement_loss([flow], cells, now, grown, 8), torch.zeros(1, 2), atol=1e-5, rtol=0)


def test_tracks_of_other_pairs_do_not_count():
    a, b = torch.eye(2)
    ids = torch.tensor([3, (1 << 32) + 3])  # the same number in two pairs
    alike = appearance_loss(torch.stack([a, a]), ids, torch.stack([a, a]), ids, 0.1)
    assert alike.item() == 0
    assert appearance_loss(torch.stack([a, b]), ids % 3, torch.stack([b, a]), ids % 3, 0.1) > 1


def test_embeddings_of_a_track_shall_be_alike_and_others_not():
    a, b, c = torch.eye(3)
    ids = torch.tensor([4, 7])
    right = appearance_loss(torch.stack([a, b]), ids, torch.stack([b, a]), ids.flip(0), 0.1)
    swapped = appearance_loss(torch.stack([a, b]), ids, torch.stack([a, b]), ids.flip(0), 0.1)
    assert right < 0.01 < swapped
    # A track in one frame only has no positive, and is still a negative for the others.
    with_stranger = appearance_loss(torch.stack([a, b]), ids, torch.stack([a, b, c]), torch.tensor([4, 7, 9]), 0.1)
    assert torch.isfinite(with_stranger) and with_stranger < 0.01
    none = appearance_loss(torch.stack([a]), torch.tensor([1]), torch.stack([b]), torch.tensor([2]), 0.1)
    assert none.item() == 0


def test_masks_become_shares_of_cells():
    mask = torch.zeros(1, 5, 6, dtype=torch.uint8)
    mask[0, :2, :4] = 1
    cells = strided_masks(mask, (8, 8), 4)
    torch.testing.assert_close(cells, torch.tensor([[[0.5, 0.0], [0.0, 0.0]]]))


def test_gradients_from_a_pair_reach_every_parameter(tiny_network, pair):
    torch.manual_seed(0)
    with torch.no_grad():  # offsets that start at zero let nothing through to what is before them
        for conv in (*tiny_network.motion.offset_convs, tiny_network.motion.scale_attention):
            conv.weight.normal_(std=0.05)
    tiny_network.train()
    losses = mapt_losses(tiny_network, batch_of(pair), LossWeights())
    assert set(losses) == {"instance", "semantic", "motion", "appearance"}
    sum(losses.values()).backward()
    without = [name for name, p in tiny_network.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_the_losses_of_things_teach_the_semantic_context(tiny_config, pair):
    instance = tiny_config.instance.model_copy(update={"semantic_context": True})
    torch.manual_seed(0)
    network = MAPT(tiny_config.model_copy(update={"instance": instance})).train()
    for name in ("instance", "appearance"):
        network.zero_grad()
        mapt_losses(network, batch_of(pair), LossWeights(), [1, 2])[name].backward()
        assert all(layer.weight.grad.abs().sum() > 0 for layer in network.context.project.values()), name


def test_the_instance_loss_can_look_at_every_other_frame(tiny_network, pair):
    previous, current = pair
    tiny_network.train()

    def instance(every, first):
        torch.manual_seed(0)
        batch = batch_of((first, current))
        return mapt_losses(tiny_network, batch, LossWeights(instance_every=every), [1, 2])["instance"].item()

    # Of one pair, every second of both frames is the previous one: the current one's things no longer count.
    assert instance(1, previous) != instance(2, previous)
    assert instance(2, empty(previous)) != instance(2, previous)
    batch = batch_of((previous, empty(current)))
    torch.manual_seed(0)
    alone = mapt_losses(tiny_network, batch, LossWeights(instance_every=2), [1, 2])["instance"].item()
    assert alone == pytest.approx(instance(2, previous), rel=1e-3)  # batch norms still see both


@pytest.mark.parametrize("which", ["previous", "current", "both"])
def test_frames_without_things_are_no_error(tiny_network, pair, which):
    frames = [empty(f) if which in (name, "both") else f for name, f in zip(("previous", "current"), pair)]
    tiny_network.train()
    losses = mapt_losses(tiny_network, batch_of(frames), LossWeights())
    total = sum(losses.values())
    total.backward()
    assert torch.isfinite(total)


def test_training_on_one_pair_lowers_every_loss(tiny_network, pair):
    torch.manual_seed(0)
    batch = batch_of(pair)
    optimizer = torch.optim.AdamW(tiny_network.train().parameters(), lr=2e-3)
    history = []
    for _ in range(40):
        losses = mapt_losses(tiny_network, batch, LossWeights())
        optimizer.zero_grad()
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(tiny_network.parameters(), 5.0)
        optimizer.step()
        history.append({name: loss.item() for name, loss in losses.items()})
    first, last = ({name: np.mean([h[name] for h in part]) for name in part[0]} for part in (history[:5], history[-5:]))
    assert sum(last.values()) < 0.75 * sum(first.values())
    assert last["semantic"] < 0.7 * first["semantic"]
    assert last["motion"] < first["motion"]
    assert last["appearance"] < first["appearance"]


def test_tracks_of_several_pairs_are_filled_up_to_one_number(pair):
    previous, current = pair
    samples = [("a", [0, 1], [previous, current]), ("b", [2, 3], [empty(previous), current])]
    batch = collate(samples, KITTI_STEP).on("cpu", KITTI_STEP).frames
    things = batch.previous_things[0], batch.current_things[0]
    size = tuple(-(-side // 32) * 32 for side in previous[1].shape)
    both = joint_tracks(batch.previous_things, batch.current_things, size, 4)
    alone = joint_tracks(batch.previous_things[:1], batch.current_things[:1], size, 4)
    shared = [i for i in things[0].track_ids.tolist() if i in things[1].track_ids.tolist()]
    assert both.valid.sum(dim=1).tolist() == [len(shared), 0] and len(shared) > 1
    for name in ("previous_masks", "masks", "previous_boxes", "boxes"):
        torch.testing.assert_close(getattr(both, name)[:1], getattr(alone, name))
    assert not both.masks[1].any() and (both.boxes[1, :, 2:] > both.boxes[1, :, :2]).all()
    nothing = joint_tracks(batch.previous_things[1:], batch.current_things[1:], size, 4)
    assert nothing.masks.shape == (1, 0, size[0] // 4, size[1] // 4) and nothing.boxes.shape == (1, 0, 4)
