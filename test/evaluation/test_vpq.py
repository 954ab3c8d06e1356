"""VPQ is the PQ of tubes: windows of one to four frames, sliding over each sequence by itself."""

import numpy as np
import pytest

from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.evaluation.pq import PanopticQuality
from mapt_ros.evaluation.vpq import WINDOWS, VideoPanopticQuality

ROAD, CAR = 0, 3 * LABEL_DIVISOR


def seen(classes, sequences, **settings) -> VideoPanopticQuality:
    metric = VideoPanopticQuality(classes, **settings)
    for name, frames in sequences.items():
        for truth, predicted in frames:
            metric.add(name, truth, predicted)
    return metric


def frame(label: int) -> np.ndarray:
    return np.repeat(np.array([[label, ROAD]], np.int32), 4, axis=1)


@pytest.mark.parametrize("min_area", [0, 6])
@pytest.mark.parametrize("seed", range(4))
def test_tubes_are_segments_of_frames_laid_side_by_side(classes, random_sequences, seed, min_area):
    sequences = random_sequences(seed)
    metric = seen(classes, sequences, min_area=min_area)
    for window in WINDOWS:
        expected = PanopticQuality(classes, min_area=min_area)
        for name, frames in sequences.items():
            for start in range(len(frames) - window + 1):
                expected.add(name, *(np.hstack(maps) for maps in zip(*frames[start : start + window], strict=True)))
        for name in (*sequences, None):
            assert metric.means(name)[window] == pytest.approx(expected.means(name).pq)


def test_a_changed_id_costs_the_windows_that_see_it(classes):
    # Four frames, the id changes in the middle; road is perfect throughout.
    frames = [(frame(CAR + 1), frame(CAR + track_id)) for track_id in (1, 1, 2, 2)]
    # Of the windows of two, the middle one loses the car: TP 2, FN 1, FP 2; of three each keeps a tube of 2/3.
    cars = {1: 1.0, 2: 2 / (2 + 0.5 + 1.0), 3: 2 * (2 / 3) / (2 + 1.0), 4: 0.0}
    metric = seen(classes, {"0000": frames})
    assert metric.means() == {window: pytest.approx((car + 1) / 2) for window, car in cars.items()}
    assert metric.vpq() == pytest.approx((sum(cars.values()) / 4 + 1) / 2)
    assert metric.per_class()[:3] == [1.0, pytest.approx(sum(cars.values()) / 4), None]


def test_windows_longer_than_a_sequence_are_left_out(classes):
    metric = seen(classes, {"0000": [(frame(CAR + 1), frame(CAR + 1))] * 2, "0001": [(frame(CAR + 1), frame(CAR + 2))]})
    assert metric.means() == {1: 1.0, 2: 1.0, 3: None, 4: None}
    assert metric.vpq() == 1.0


def test_without_a_segment_there_is_no_quality(classes):
    assert seen(classes, {"0000": [(np.full((1, 8), -1, np.int32), frame(CAR + 1))] * 4}).vpq() is None


def test_merging_sequences_changes_nothing(classes, random_sequences):
    sequences = random_sequences(2)
    merged = VideoPanopticQuality(classes)
    for name, frames in sequences.items():
        merged.merge(seen(classes, {name: frames}))
    assert merged.means() == seen(classes, sequences).means()
