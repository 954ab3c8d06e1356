"""What the last frame said of the classes has its share in what this one says, and no more."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mapt_ros import PanopticTracker
from mapt_ros.data.labels import LABEL_BITS
from mapt_ros.tracking.recall import class_shares, recalled

SKY = 10


def one_sided(certainty: float = 3.0) -> torch.Tensor:
    """1x3x8x12 logits: the first class to the left, the second to the right."""
    logits = torch.zeros(1, 3, 8, 12)
    logits[:, 0, :, :6] = certainty
    logits[:, 1, :, 6:] = certainty
    return logits


def test_shares_are_the_mean_probabilities_of_a_cell():
    logits = torch.randn(2, 3, 4, 8, generator=torch.Generator().manual_seed(0))
    shares = class_shares(logits, 2)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(2, 2, 4))
    torch.testing.assert_close(shares[1, :, 1, 3], logits[1].softmax(dim=0)[:, 2:, 6:].mean(dim=(1, 2)))


@pytest.mark.parametrize("factor", [1, 2])
def test_nothing_carried_changes_nothing(factor):
    logits = one_sided()
    cells = class_shares(logits, factor)
    for carried in (None, torch.zeros_like(cells)):
        mixed, kept = recalled(logits, carried, 0.6, factor)
        torch.testing.assert_close(mixed, logits)
        torch.testing.assert_close(kept, cells)


def test_a_share_of_nothing_changes_nothing():
    logits = one_sided()
    mixed, _ = recalled(logits, torch.full((1, 3, 4, 6), 1 / 3), 0.0, 2)
    torch.testing.assert_close(mixed, logits)


def test_in_the_midst_of_a_class_probabilities_are_mixed():
    logits = one_sided()
    carried = torch.zeros(1, 3, 4, 6)
    carried[:, 2] = 1
    mixed, kept = recalled(logits, carried, 0.25, 2)
    own = logits[0, :, 4, 1].softmax(dim=0)
    expected = 0.75 * own + 0.25 * torch.tensor([0.0, 0.0, 1.0])
    torch.testing.assert_close(mixed[0, :, 4, 1].softmax(dim=0), expected, atol=2e-3, rtol=0)
    torch.testing.assert_close(kept[0, :, 2, 0], expected, atol=2e-3, rtol=0)
    torch.testing.assert_close(kept.sum(dim=1), torch.ones(1, 4, 6))


def test_what_is_no_number_is_forgotten():
    logits = one_sided()
    logits[:, :, 0, 0] = torch.nan
    _, kept = recalled(logits, None, 0.25, 2)
    _, kept_then = recalled(logits, kept, 0.25, 2)
    for memory in (kept, kept_then):
        assert torch.isfinite(memory).all() and memory[0, :, 0, 0].sum() == 0
    mixed, _ = recalled(one_sided(), kept_then, 0.25, 2)
    assert torch.isfinite(mixed).all()


def test_what_was_carried_blurred_does_not_blur_a_thin_thing():
    logits = torch.zeros(1, 2, 9, 9)
    logits[:, 0], logits[:, 0, :, 4], logits[:, 1, :, 4] = 2, 0, 2  # a pole, one cell wide
    carried = torch.nn.functional.avg_pool2d(logits.softmax(dim=1), 3, stride=1, padding=1, count_include_pad=False)
    mixed, _ = recalled(logits, carried, 0.5, 1)
    torch.testing.assert_close(mixed, logits)


@pytest.mark.parametrize("graphs", [False, True])
def test_what_a_tracker_remembers_has_a_say_in_its_next_frame(tiny_weights, tiny_drive, graphs):
    (first, _), (second, _) = tiny_drive[:2]
    sky = {}
    for memory in (0.0, 0.9):
        tracker = PanopticTracker.load(
            tiny_weights, device="cpu", semantic_memory=memory, graphs=graphs, min_stuff_area=0
        )
        tracker(first)
        previous = tracker.state.previous
        assert (previous.classes is None) is (memory == 0)
        if memory:
            classes = torch.zeros_like(previous.classes)
            classes[SKY] = 1
            tracker.state.previous = replace(previous, classes=classes)
        sky[memory] = np.mean(tracker(second).labels >> LABEL_BITS == SKY)
    assert sky[0.9] > max(2 * sky[0.0], 0.3)
