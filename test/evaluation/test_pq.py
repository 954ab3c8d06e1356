"""Segments are matched and counted as the definition of panoptic quality says, whatever is void, crowd or absent."""

import numpy as np
import pytest

from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.errors import InputError
from mapt_ros.evaluation.overlaps import overlaps
from mapt_ros.evaluation.pq import PanopticQuality, per_class

ROAD, CAR, WALL, PERSON, VOID = 0, 3 * LABEL_DIVISOR, 4 * LABEL_DIVISOR, 7 * LABEL_DIVISOR, -1


def row(*runs: tuple[int, int]) -> np.ndarray:
    """A label map of one row from (label, pixels)."""
    return np.concatenate([np.full(length, label, np.int32) for label, length in runs])[None]


def quality(classes, truth: np.ndarray, predicted: np.ndarray, **settings) -> PanopticQuality:
    result = PanopticQuality(classes, **settings)
    result.add("0000", truth, predicted)
    return result


def segments(labels: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """(label, mask) of all segments of a map, stuff without ids, in the plainest way."""
    labels = np.where((labels >= 0) & ~np.isin(labels // LABEL_DIVISOR, (3, 7, 11)), labels & -LABEL_DIVISOR, labels)
    return [(int(label), labels == label) for label in np.unique(labels) if label >= 0]


def brute_force(frames, class_id: int, min_area: int) -> tuple[int, int, int, float]:
    """TP, FP, FN and the IoU sum of a class, by comparing every mask with every other."""
    tp = fp = fn = 0
    iou_sum = 0.0
    for truth, predicted in frames:
        ignored = (truth < 0) | (np.isin(truth // LABEL_DIVISOR, (3, 7, 11)) & (truth % LABEL_DIVISOR == 0))
        true_masks = [m & ~ignored for label, m in segments(truth) if label // LABEL_DIVISOR == class_id]
        other_masks = [m & ~ignored for label, m in segments(predicted) if label // LABEL_DIVISOR == class_id]
        ious = np.zeros((len(true_masks), len(other_masks)))
        for i, mask in enumerate(true_masks):
            for j, other in enumerate(other_masks):
                ious[i, j] = (mask & other).sum() / max((mask | other).sum(), 1)
        hits = ious > 0.5
        tp += int(hits.sum())
        iou_sum += float(ious[hits].sum())
        # Half of a segment's mask may lie in what is ignored; nothing is left of one that does so entirely.
        fn += sum(m.sum() >= max(min_area, 1) for m, hit in zip(true_masks, hits.any(axis=1), strict=True) if not hit)
        fp += sum(m.sum() >= max(min_area, 1) for m, hit in zip(other_masks, hits.any(axis=0), strict=True) if not hit)
    return tp, fp, fn, iou_sum


@pytest.mark.parametrize("min_area", [0, 5])
@pytest.mark.parametrize("seed", range(6))
def test_counts_equal_those_of_comparing_all_masks(classes, random_sequences, seed, min_area):
    metric = PanopticQuality(classes, min_area=min_area)
    sequences = random_sequences(seed)
    for name, frames in sequences.items():
        for truth, predicted in frames:
            metric.add(name, truth, predicted)
    together = [frame for frames in sequences.values() for frame in frames]
    for name in [*sequences, None]:
        frames, counts = sequences.get(name, together), metric.counts(name)
        for position, info in enumerate(classes.classes):
            got = [values[position] for values in (counts.tp, counts.fp, counts.fn, counts.iou)]
            assert got == pytest.approx(brute_force(frames, info.id, min_area), abs=1e-9), info.name


def test_exactly_half_is_no_match(classes):
    truth = row((CAR + 1, 4), (ROAD, 4))
    counts = quality(classes, truth, row((CAR + 1, 2), (VOID, 2), (ROAD, 4))).counts()
    assert (counts.tp[1], counts.fp[1], counts.fn[1]) == (0, 1, 1)
    counts = quality(classes, truth, row((CAR + 1, 3), (VOID, 1), (ROAD, 4))).counts()
    assert (counts.tp[1], counts.iou[1]) == (1, 0.75)


def test_void_and_crowd_of_the_truth_are_taken_out_of_both_sides(classes):
    truth = row((VOID, 4), (CAR, 4), (CAR + 1, 4))
    # One car reaches far over the void and the crowd, another lies wholly in them.
    counts = quality(classes, truth, row((CAR + 9, 6), (CAR + 8, 6))).counts()
    assert (counts.tp[1], counts.fp[1], counts.fn[1], counts.iou[1]) == (1, 0, 0, 1.0)


def test_stuff_is_one_segment_a_class_even_with_ids(classes):
    assert quality(classes, row((WALL, 8)), row((WALL + 1, 4), (WALL + 2, 4))).means().pq == 1.0


def test_absent_classes_count_for_the_devkit_only(classes):
    frame = row((ROAD, 8))
    assert quality(classes, frame, frame).means().pq == 1.0
    assert quality(classes, frame, frame, devkit_exact=True).means().pq == pytest.approx(1 / 7)


def test_a_class_that_is_only_predicted_counts_zero(classes):
    metric = quality(classes, row((ROAD, 8)), row((ROAD, 6), (WALL, 2)))
    assert metric.means().pq == pytest.approx(0.75 / 2)
    pq, sq, rq = per_class(metric.counts())
    assert (pq[0], sq[0], rq[0]) == (0.75, 0.75, 1.0)


def test_small_unmatched_segments_do_not_count_and_matched_ones_do(classes):
    truth, predicted = row((CAR + 1, 3), (CAR + 2, 3), (ROAD, 8)), row((CAR + 1, 3), (ROAD, 8), (PERSON + 2, 3))
    counts = quality(classes, truth, predicted, min_area=4).counts()
    assert (counts.tp[1], counts.fn[1], counts.fp[3]) == (1, 0, 0)
    counts = quality(classes, truth, predicted, min_area=3).counts()
    assert (counts.tp[1], counts.fn[1], counts.fp[3]) == (1, 1, 1)


def test_all_void_has_no_quality_rather_than_a_division_by_zero(classes):
    assert quality(classes, row((VOID, 8)), row((CAR + 1, 8))).means().pq is None


def test_unknown_classes_and_other_sizes_are_told_and_not_counted(classes):
    metric = PanopticQuality(classes)
    with pytest.raises(InputError, match="class id 1 is not in the class set test"):
        metric.add("0000", row((VOID, 8)), row((LABEL_DIVISOR, 8)))
    with pytest.raises(InputError, match="prediction is 1x8, ground truth is 1x9"):
        metric.add("0000", row((ROAD, 9)), row((ROAD, 8)))
    assert metric.counts().weight.sum() == 0


def test_overlaps_are_the_joint_histogram_also_of_the_highest_class_and_id():
    random = np.random.default_rng(0)
    high = 254 * LABEL_DIVISOR + 65535
    truth, predicted = random.choice(np.array([-1, 0, 5, high]), (2, 9, 7))
    pairs = overlaps(truth, predicted)
    assert len(set(zip(pairs.truth.tolist(), pairs.predicted.tolist(), strict=True))) == len(pairs.pixels)
    for label, other, pixels in zip(pairs.truth, pairs.predicted, pairs.pixels, strict=True):
        assert pixels == ((truth == label) & (predicted == other)).sum() > 0
    assert pairs.pixels.sum() == truth.size
