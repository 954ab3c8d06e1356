"""STQ, SQ and AQ have deeplab2's values, and defined ones where there is nothing to measure."""

from collections import Counter

import numpy as np
import pytest

from mapt_ros.data.labels import LABEL_DIVISOR, ClassInfo, ClassSet
from mapt_ros.errors import InputError
from mapt_ros.evaluation.stq import SegmentationTrackingQuality

BLACK = (0, 0, 0)
CAR_SKY = ClassSet("car-sky", (ClassInfo(0, "car", True, BLACK), ClassInfo(1, "sky", False, BLACK)))
SKY_GREEN_CAR = ClassSet(
    "sky-vegetation-car",
    tuple(ClassInfo(i, name, i == 2, BLACK) for i, name in enumerate(("sky", "vegetation", "car"))),
)

# The unit cases of STQ in deeplab2 (evaluation/numpy/segmentation_and_tracking_quality_test.py, Apache-2.0, copyright
# 2021 The Deeplab2 Authors), one row of pixels each: a car's id (0: crowd in the truth), s = sky.
# Truth, prediction -> STQ, AQ, SQ.
ONE_ROW = [
    ("11111", "11111", 1, 1, 1),
    ("11111", "11222", 0.721110283, 0.520000041, 1),
    ("11111", "12222", 0.824621129, 0.680000007, 1),
    ("11111", "12345", 0.447213599, 0.200000003, 1),
    ("11111", "12122", 0.721110283, 0.520000041, 1),
    ("11111", "s1111", 0.505964444, 0.640000045, 0.4),
    ("011111", "111111", 1, 1, 1),
    ("011111", "222211", 0.721110283, 0.520000041, 1),
    ("011111", "22s111", 0.408248294, 0.400000006, 0.416666667),
    ("s1111", "11111", 0.565685429, 0.800000012, 0.4),
    ("s1111", "22211", 0.424264063, 0.449999988, 0.4),
    ("s1111", "22s11", 0.300000006, 0.300000012, 0.3),
]
# Their larger case: three frames of 8x8 pixels as (truth, prediction), . = sky, v = vegetation, digits = cars.
THREE_FRAMES = [
    (
        "........ ........ ...2.vvv .2222vvv 222222vv 2222222v 2222222v 222222vv",
        "........ ........ .....v.. ...22vvv .22221vv 2222211v 2222111v 2222111v",
    ),
    (
        "........ ........ .2..vv.. 222vvvv. 2222vvvv 22222vvv 22222vvv 2222vvvv",
        "........ ........ ....vv.. .222vvvv 2222vvvv 22222vvv 222211vv 22221vvv",
    ),
    (
        "........ ........ ........ 2.vvv... 22vvvv.. 222vvvv. 222vvvvv 222vvvvv",
        "........ ........ ....v... ..vvvv.. 222vvv.. 222vvvvv 2222vvvv 2222vvvv",
    ),
]
THREE_FRAMES_EXPECTED = (0.668417735, 0.553665817, 0.806952958)

# deeplab2's STQuality on random_sequences(seed): STQ, AQ, SQ.
DEEPLAB2 = {
    0: (0.307188873, 0.232233429, 0.406336865),
    1: (0.345146193, 0.296714919, 0.40148266),
    2: (0.347021272, 0.29930493, 0.402344735),
}


def picture(text: str, meaning: dict[str, int]) -> np.ndarray:
    """A label map from rows of characters; those without a meaning are ids of cars."""
    car = meaning["car"] * LABEL_DIVISOR
    rows = [[meaning[c] * LABEL_DIVISOR if c in meaning else car + int(c) for c in row] for row in text.split()]
    return np.array(rows, dtype=np.int32)


def measure(classes, sequences) -> SegmentationTrackingQuality:
    metric = SegmentationTrackingQuality(classes)
    for name, frames in sequences.items():
        for truth, predicted in frames:
            metric.add(name, truth, predicted)
    return metric


def values(metric, sequence: str | None = None) -> tuple[float | None, ...]:
    means = metric.means(sequence)
    return means.stq, means.aq, means.sq


@pytest.mark.parametrize(("truth", "predicted", "stq", "aq", "sq"), ONE_ROW)
def test_unit_cases(truth, predicted, stq, aq, sq):
    meaning = {"car": 0, "s": 1}
    frames = [(picture(truth, meaning), picture(predicted, meaning))]
    assert values(measure(CAR_SKY, {"1": frames})) == pytest.approx((stq, aq, sq), abs=1e-6)


def test_unit_case_of_three_frames():
    meaning = {".": 0, "v": 1, "car": 2}
    frames = [(picture(truth, meaning), picture(predicted, meaning)) for truth, predicted in THREE_FRAMES]
    metric = measure(SKY_GREEN_CAR, {"1": frames})
    assert values(metric) == pytest.approx(THREE_FRAMES_EXPECTED, abs=1e-6)
    assert values(metric, "1") == values(metric)


@pytest.mark.parametrize(("seed", "expected"), DEEPLAB2.items())
def test_random_sequences_score_as_in_deeplab2(classes, random_sequences, seed, expected):
    assert values(measure(classes, random_sequences(seed))) == pytest.approx(expected, abs=1e-6)


def brute_force(sequences) -> tuple[float, float]:
    """AQ and SQ by walking over all pixels one by one."""
    things, shared, true_area, area, tubes = (3, 7, 11), Counter(), Counter(), Counter(), {}
    intersection, union = Counter(), Counter()
    for name, frames in sequences.items():
        for truth, predicted in frames:
            for t, p in zip(truth.ravel().tolist(), predicted.ravel().tolist(), strict=True):
                true_class, other_class = t // LABEL_DIVISOR, p // LABEL_DIVISOR  # -1 for void
                if t >= 0:
                    union.update({true_class, other_class})
                    intersection[true_class] += true_class == other_class
                crowd = true_class in things and t % LABEL_DIVISOR == 0
                if true_class in things and not crowd:
                    true_area[name, t] += 1
                    tubes.setdefault((name, t), set())
                if other_class in things and not crowd:
                    area[name, p] += 1
                    if true_class in things:
                        shared[name, t, p] += 1
                        tubes[name, t].add(p)
    aq = [
        sum(shared[name, t, p] ** 2 / (true_area[name, t] + area[name, p] - shared[name, t, p]) for p in others)
        / true_area[name, t]
        for (name, t), others in tubes.items()
    ]
    return np.mean(aq), np.mean([intersection[c] / union[c] for c in union])


@pytest.mark.parametrize("seed", range(6))
def test_sums_equal_those_of_walking_over_all_pixels(classes, random_sequences, seed):
    sequences = random_sequences(seed)
    metric = measure(classes, sequences)
    for name in [None, *sequences]:
        _, aq, sq = values(metric, name)
        assert (aq, sq) == pytest.approx(brute_force(sequences if name is None else {name: sequences[name]}))


def test_per_class_values_are_what_the_means_are_made_of(classes, random_sequences):
    metric = measure(classes, random_sequences(1))
    ious, aqs = metric.class_ious(), metric.class_aqs()
    assert np.nanmean(ious) == metric.means().sq
    assert [aq is None for aq in aqs] == [True, False, True, False, True, True, True]
    assert np.isnan(ious).tolist() == [False, False, False, False, False, True, True, False]
    assert ious[-1] == 0  # void that is predicted on labelled pixels


def test_without_tracks_or_labels_there_is_no_value_and_no_division_by_zero():
    sky, void = np.full((2, 2), LABEL_DIVISOR, np.int32), np.full((2, 2), -1, np.int32)
    crowd = np.zeros((2, 2), np.int32)
    assert values(measure(CAR_SKY, {"1": [(sky, sky)]})) == (None, None, 1.0)
    assert values(measure(CAR_SKY, {"1": [(crowd, crowd)]})) == (None, None, 1.0)
    assert values(measure(CAR_SKY, {"1": [(void, sky)]})) == (None, None, None)
    assert values(measure(CAR_SKY, {"1": [(crowd + 1, void)]})) == (0.0, 0.0, 0.0)


def test_unknown_classes_are_told_and_not_counted():
    metric = SegmentationTrackingQuality(CAR_SKY)
    with pytest.raises(InputError, match="class id 9 is not in the class set car-sky"):
        metric.add("1", np.zeros((2, 2), np.int32), np.full((2, 2), 9 * LABEL_DIVISOR, np.int32))
    assert metric.sequences == []
