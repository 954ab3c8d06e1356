"""Charts show every value where it belongs, gaps as gaps, and never fall over."""

import cv2
import numpy as np
import pytest

from mapt_ros.viz.chart import PALETTE, Chart, Series, draw, round_ticks


def pixels(chart: Chart) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(draw([chart]), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def columns_of(image: np.ndarray, series: int, below: int = 60) -> np.ndarray:
    """Where a series' colour is, below the legend: its pixels' columns and the count in each."""
    found = (image[below:] == PALETTE[series]).all(axis=2)
    return found.sum(axis=0)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (14.3, 20.3, [14, 16, 18, 20, 22]), (0, 0, [0, 0.2, 0.4, 0.6, 0.8, 1.0])],
)
def test_axes_end_at_round_numbers(low, high, expected):
    assert round_ticks(low, high).tolist() == pytest.approx(expected)


def test_a_bar_of_twice_the_value_is_twice_as_high():
    image = pixels(Chart("", "", "", (Series("a", ((0, 10.0), (1, 20.0)), "bars"),), ("one", "two")))
    heights = columns_of(image, 0)
    left, right = heights[: 640 // 2].max(), heights[640 // 2 :].max()
    assert right == pytest.approx(2 * left, abs=3)


def test_a_gap_is_drawn_as_a_gap():
    points = ((0.0, 1.0), (1.0, None), (2.0, 1.0), (3.0, 2.0))
    drawn = columns_of(pixels(Chart("", "", "", (Series("a", points, "line"),))), 0)
    first, last = np.flatnonzero(drawn)[[0, -1]]
    assert (drawn[first + 12 : first + (last - first) // 2] == 0).all()  # nothing joins the first point


@pytest.mark.parametrize("points", [(), ((0, None),), ((0, 0.0),)])
@pytest.mark.parametrize("kind", ["bars", "line", "points"])
def test_charts_without_values_are_empty_frames(points, kind):
    chart = Chart("t", "x", "y", (Series("a", points, kind),), ("only",), ((0.0, "mark"),))
    assert pixels(chart).shape == (420, 640, 3)
