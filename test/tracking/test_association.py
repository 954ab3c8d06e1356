"""Who is matched with whom, in which order, and what may never be matched."""

import numpy as np
import pytest

from mapt_ros.tracking.association import associate, mask_overlap
from mapt_ros.tracking.config import TrackerConfig
from mapt_ros.tracking.frame import Association

M, A = Association.MOTION, Association.APPEARANCE


def run(overlap, similarity, mode="combined", same_class=None, **settings):
    overlap, similarity = np.array(overlap, dtype=float), np.array(similarity, dtype=float)
    same = np.ones_like(overlap, dtype=bool) if same_class is None else np.array(same_class, dtype=bool)
    settings = {"motion_threshold": 0.3, "appearance_threshold": 0.5} | settings
    matches = associate(overlap, similarity, same, TrackerConfig(association=mode, **settings))
    return sorted((m.track, m.detection, m.how, m.score) for m in matches)


# Motion says 0-0 and 1-1; appearance says the tracks have changed places.
CROSSED = ([[0.6, 0.1], [0.1, 0.6]], [[0.1, 0.9], [0.9, 0.1]])


@pytest.mark.parametrize("mode", ["combined", "motion"])
def test_motion_first_believes_the_masks(mode):
    assert run(*CROSSED, mode) == [(0, 0, M, 0.6), (1, 1, M, 0.6)]


@pytest.mark.parametrize("mode", ["appearance-first", "appearance"])
def test_appearance_first_believes_the_embeddings(mode):
    assert run(*CROSSED, mode) == [(0, 1, A, 0.9), (1, 0, A, 0.9)]


def test_simultaneous_weighs_both():
    assert run(*CROSSED, "simultaneous") == [(0, 1, A, 0.9), (1, 0, A, 0.9)]  # 0.9 is 0.8 of the way from 0.5 to 1
    overlap, similarity = CROSSED
    weaker = np.where(np.array(similarity) > 0.5, 0.7, similarity)
    assert run(overlap, weaker, "simultaneous") == [(0, 0, M, 0.6), (1, 1, M, 0.6)]


def test_the_second_step_takes_only_what_the_first_left():
    overlap = [[0.8, 0.0, 0.0], [0.0, 0.0, 0.0]]
    similarity = [[0.2, 0.9, 0.9], [0.95, 0.7, 0.6]]
    assert run(overlap, similarity) == [(0, 0, M, 0.8), (1, 1, A, 0.7)]
    assert run(overlap, similarity, "motion") == [(0, 0, M, 0.8)]
    assert run(overlap, similarity, "appearance") == [(0, 1, A, 0.9), (1, 0, A, 0.95)]


def test_the_assignment_is_the_best_altogether_not_greedy():
    overlap = [[0.9, 0.8], [0.8, 0.0]]
    assert run(overlap, np.zeros((2, 2))) == [(0, 1, M, 0.8), (1, 0, M, 0.8)]


@pytest.mark.parametrize("mode", ["combined", "motion"])
def test_one_sure_pair_is_worth_more_than_two_doubtful_ones(mode):
    assert run([[0.9, 0.31], [0.31, 0.0]], np.zeros((2, 2)), mode) == [(0, 0, M, 0.9)]


@pytest.mark.parametrize("mode", ["appearance", "appearance-first", "simultaneous"])
def test_one_sure_likeness_is_worth_more_than_two_doubtful_ones(mode):
    assert run(np.zeros((2, 2)), [[0.97, 0.61], [0.61, 0.1]], mode) == [(0, 0, A, 0.97)]


def test_below_the_thresholds_nothing_is_matched():
    assert run([[0.29]], [[0.49]]) == []
    assert run([[0.3]], [[0.0]]) == [(0, 0, M, 0.3)]
    assert run([[0.0]], [[0.5]]) == [(0, 0, A, 0.5)]
    assert run([[0.0]], [[-0.2]], motion_threshold=0.0, appearance_threshold=-1) == [(0, 0, A, -0.2)]


@pytest.mark.parametrize("mode", ["combined", "motion", "appearance", "appearance-first", "simultaneous"])
def test_classes_never_mix(mode):
    assert run([[0.9]], [[0.9]], mode, same_class=[[False]]) == []


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_nothing_to_match(shape):
    assert run(np.zeros(shape), np.zeros(shape)) == []


def test_a_soft_mask_overlaps_itself_completely():
    masks = np.random.default_rng(0).random((3, 50))
    np.testing.assert_allclose(np.diag(mask_overlap(masks, masks)), 1)


def test_overlap_of_soft_masks_is_iou_where_they_are_hard():
    a = np.array([[1, 1, 0, 0], [0, 0, 0, 0]], dtype=float)
    b = np.array([[0, 1, 1, 0], [1, 1, 0, 0]], dtype=float)
    np.testing.assert_allclose(mask_overlap(a, b), [[1 / 3, 1], [0, 0]])
