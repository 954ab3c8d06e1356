"""Anchors and RoIs of all images at once get what torchvision's loops give them one by one."""

import pytest
import torch
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork

from mapt_ros.model.matching import choose_rois, match_anchors, padded_places
from mapt_ros.model.sampling import SeededSampler, random_keys, seed_choices


def random_boxes(count, generator, side=60.0):
    corners = torch.rand(count, 2, generator=generator) * 100
    return torch.cat([corners, corners + 4 + torch.rand(count, 2, generator=generator) * side], dim=1)


@pytest.mark.parametrize("counts", [(3, 0, 5), (1,), (0, 0)])
def test_anchors_are_matched_as_torchvision_does(counts, tiny_network):
    generator = torch.Generator().manual_seed(0)
    anchors = random_boxes(400, generator)
    truth = [random_boxes(n, generator) for n in counts]
    rpn = tiny_network.instance.rpn
    wanted_kinds, wanted_boxes = RegionProposalNetwork.assign_targets_to_anchors(
        rpn, [anchors] * len(counts), [{"boxes": t} for t in truth]
    )
    kinds, boxes = match_anchors(anchors, truth, 0.7, 0.3)
    for got, wanted, got_boxes, boxes_wanted in zip(kinds, wanted_kinds, boxes, wanted_boxes):
        assert torch.equal(got, wanted)
        assert torch.equal(got_boxes[got == 1], boxes_wanted[got == 1])
    assert (kinds == 1).sum() >= sum(counts) > 0 or sum(counts) == 0


def test_rois_are_matched_as_torchvision_does(tiny_network):
    generator = torch.Generator().manual_seed(1)
    truth = [random_boxes(n, generator) for n in (4, 0, 2)]
    labels = [torch.tensor([1, 2, 1, 2]), torch.empty(0, dtype=torch.int64), torch.tensor([2, 1])]
    proposals = [torch.cat([t + 2, random_boxes(20, generator)]) for t in truth]
    joined = [torch.cat([p, t]) for p, t in zip(proposals, truth)]
    heads = tiny_network.instance.roi_heads
    matched, wanted = RoIHeads.assign_targets_to_proposals(heads, joined, truth, labels)
    rois = choose_rois(proposals, truth, labels, SeededSampler(1000, 1.0), 0.5)  # chooses all
    assert rois.counts == [len(j) for j in joined]
    assert torch.equal(rois.boxes, torch.cat(joined))
    assert torch.equal(rois.labels, torch.cat(wanted))
    first = torch.tensor([0, 4, 4]).repeat_interleave(torch.tensor(rois.counts))
    thing = rois.labels > 0
    assert torch.equal(rois.things[thing], (torch.cat(matched) + first)[thing])
    assert torch.equal(rois.truth[thing], torch.cat(truth)[rois.things[thing]])


def test_images_without_things_give_background_only():
    proposals = [torch.tensor([[0.0, 0, 8, 8], [4, 4, 9, 9]]), torch.empty(0, 4)]
    none = [torch.empty(0, 4)] * 2
    rois = choose_rois(proposals, none, [torch.empty(0, dtype=torch.int64)] * 2, SeededSampler(8, 0.25), 0.5)
    assert rois.counts == [2, 0] and rois.labels.tolist() == [0, 0] and rois.truth.shape == (2, 4)


def test_a_choice_keeps_the_numbers_and_hangs_on_the_image_alone():
    kinds = torch.zeros(2, 1000)
    kinds[:, :300] = 1
    kinds[:, 900:] = -1
    kinds[1, 10:300] = -1
    sampler, rois = seed_choices(SeededSampler(256, 0.5), SeededSampler(256, 0.5), [5, 9])
    positive, negative = sampler.choose(kinds)
    assert positive.sum(dim=1).tolist() == [128, 10] and negative.sum(dim=1).tolist() == [128, 246]
    assert (sampler.positives, sampler.negatives) == (138, 374)
    assert (kinds[positive] == 1).all() and (kinds[negative] == 0).all()
    sampler.seeds = [9]
    again = sampler.choose(kinds[1:])
    assert torch.equal(again[0][0], positive[1]) and torch.equal(again[1][0], negative[1])
    assert not torch.equal(rois.choose(kinds)[1], negative)  # other seeds, other choices


def test_few_candidates_are_all_taken():
    sampler = SeededSampler(256, 0.25)
    positive, negative = sampler.choose(torch.tensor([[1, 0, -1, 0], [0, 0, 0, 0]]))
    assert positive.tolist() == [[True, False, False, False], [False] * 4]
    assert negative.tolist() == [[False, True, False, True], [True] * 4]


def test_keys_are_evenly_spread_and_repeat():
    keys = random_keys([1, 2], 2, 4000, torch.device("cpu"))
    assert (keys >= 0).all() and len(keys.unique()) == 8000
    assert torch.equal(keys[1:], random_keys([2], 1, 4000, torch.device("cpu")))
    shares = torch.bincount((keys[0] >> 59).long(), minlength=8) / 4000  # in eighths of the range
    assert (shares - 1 / 8).abs().max() < 0.02


def test_places_of_items_in_a_list_of_all():
    places, valid = padded_places([2, 0, 3], 3, torch.device("cpu"))
    assert places[valid].tolist() == [0, 1, 2, 3, 4]
    assert valid.tolist() == [[True, True, False], [False] * 3, [True] * 3]
