"""How vehicles drive: they stop where they must, keep their distance, slow down for bends, and never jump."""

import numpy as np
import pytest

from mapt_ros.synthetic.driving import TIME_STEP, Stop, drive
from mapt_ros.synthetic.paths import Path

STRAIGHT = Path(np.stack([np.linspace(0, 300, 601), np.zeros(601)], axis=1))
TIMES = np.arange(0, 20, TIME_STEP)


def test_a_red_light_is_not_passed_before_its_time_and_then_passed():
    ride = drive(STRAIGHT, TIMES, 10, 10, half_length=2.2, stops=(Stop(60, 12.0),))
    assert ride.along[TIMES < 12].max() + 2.2 < 60
    assert ride.speed[TIMES < 12].min() < 0.3
    assert ride.along[-1] > 62


def test_a_light_that_is_behind_stops_nobody():
    ride = drive(STRAIGHT, TIMES, 70, 10, stops=(Stop(60, 20.0),))
    assert ride.speed.min() > 9


@pytest.mark.parametrize("leading_speed", [0.0, 3.0])
def test_a_slower_vehicle_in_front_is_never_touched(leading_speed):
    rear = 60 + leading_speed * TIMES
    ride = drive(STRAIGHT, TIMES, 5, 13, half_length=2.2, leader=rear)
    assert (rear - ride.along - 2.2).min() > 1
    assert abs(ride.speed[-1] - leading_speed) < 0.5


def test_a_vehicle_enters_a_bend_slowly_enough():
    angle = np.linspace(-np.pi / 2, 0, 40)
    bend = np.stack([60 + 12 * np.cos(angle), 12 + 12 * np.sin(angle)], axis=1)
    path = Path(np.concatenate([np.stack([np.linspace(0, 59.5, 120), np.zeros(120)], axis=1), bend]))
    ride = drive(path, TIMES, 5, 14)
    inside = (ride.along > 62) & (ride.along < path.length - 2)
    assert inside.any() and (ride.speed[inside] ** 2 / 12).max() < 4.2
    assert ride.speed.max() > 10


def test_speed_is_what_the_places_say_and_never_backwards():
    ride = drive(STRAIGHT, TIMES, 5, 9, stops=(Stop(50, 8.0),))
    np.testing.assert_allclose(np.diff(ride.along) / TIME_STEP, ride.speed[1:], atol=1e-6)
    assert ride.speed.min() >= 0
