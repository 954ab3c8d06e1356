"""Ground that is taken: bodies that would touch are refused, those that only cross the same place later are not."""

import numpy as np

from mapt_ros.synthetic.clearance import Clearance, body_circles

STILL = np.zeros(10)


def test_a_body_on_taken_ground_is_refused_and_one_beside_it_is_not():
    taken = Clearance(10)
    taken.add(*body_circles(np.zeros((10, 2)), STILL, 4.5, 1.8))
    for place, free in (((4.0, 0.0), False), ((5.5, 0.0), True), ((0.0, 1.5), False), ((0.0, 2.4), True)):
        circles, radius = body_circles(np.tile(np.array(place), (10, 1)), STILL, 4.5, 1.8)
        assert taken.free(circles, radius, margin=0.2) == free


def test_two_may_use_the_same_place_at_different_times():
    taken, still = Clearance(46), np.zeros(46)
    along = np.linspace(0, 45, 46)
    taken.add(*body_circles(np.stack([along, still], axis=1), still, 4.5, 1.8))
    later = np.stack([along - 12, still], axis=1)
    assert taken.free(*body_circles(later, still, 4.5, 1.8), margin=0.2)
    against = np.stack([45 - along, still], axis=1)
    assert not taken.free(*body_circles(against, still + np.pi, 4.5, 1.8), margin=0.2)


def test_circles_reach_both_ends_of_a_long_body():
    circles, radius = body_circles(np.zeros((1, 2)), np.array([np.pi / 2]), 12.0, 2.5)
    assert abs(circles[0, :, 1].max() + radius - 6.0) < 0.2
    assert np.abs(np.diff(circles[0, :, 1])).max() < 2 * radius
