"""Interval policies: what they draw, and that adaptive ones cover what the motion head reaches."""

import numpy as np
import pytest

from mapt_ros.model.config import MotionConfig
from mapt_ros.training.interval import (
    AdaptiveInterval,
    FixedInterval,
    UniformInterval,
    choose_interval,
    motion_reach,
)


def draw(policy, speed, longest=20, count=200, reach=64.0):
    random = np.random.default_rng(0)
    return [choose_interval(policy, longest, lambda tau: np.array([speed * tau]), reach, random) for _ in range(count)]


def test_fixed_is_fixed_and_uniform_covers_its_range():
    assert set(draw(FixedInterval(frames=3), 5)) == {3}
    taus, counts = np.unique(draw(UniformInterval(least=2, most=5), 5), return_counts=True)
    assert taus.tolist() == [2, 3, 4, 5] and counts.min() > 30


def test_wishes_beyond_the_sequence_are_cut():
    assert set(draw(UniformInterval(least=1, most=9), 5, longest=3)) == {1, 2, 3}
    assert max(draw(AdaptiveInterval(most=9), 0.5, longest=4)) == 4


def test_adaptive_displacements_cover_the_reach_for_slow_and_fast_alike():
    for speed in (6.0, 12.0, 30.0):
        moved = np.array(draw(AdaptiveInterval(most=12), speed)) * speed
        assert moved.max() <= 64 + speed / 2  # as far as the motion head follows, and no farther
        near, far = np.mean(moved <= 32), np.mean(moved > 32)
        assert min(near, far) > 0.3


def test_adaptive_takes_short_intervals_where_things_are_fast():
    assert np.mean(draw(AdaptiveInterval(most=12), 40)) < 2
    assert np.mean(draw(AdaptiveInterval(most=12), 3)) > 5


def test_without_instances_any_interval_will_do():
    random = np.random.default_rng(0)
    taus = {choose_interval(AdaptiveInterval(most=3), 9, lambda tau: np.empty(0), 64, random) for _ in range(100)}
    assert taus == {1, 2, 3}


def test_the_reach_follows_stride_and_dilations():
    assert motion_reach(MotionConfig(stride=4, dilations=(1, 12)), typical_offset=4) == 64
    assert motion_reach(MotionConfig(stride=8, dilations=(1, 3)), typical_offset=4) == 56


def test_a_range_upside_down_is_refused():
    with pytest.raises(ValueError, match="least 4 is more than most 2"):
        UniformInterval(least=4, most=2)
