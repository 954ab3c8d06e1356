"""PAT, TQ, PTQ and sPTQ have the values that the nuScenes devkit gives, and defined ones where it gives none."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from mapt_ros.data.labels import LABEL_DIVISOR, ClassInfo, ClassSet
from mapt_ros.evaluation.pat import PanopticTracking

A, B, S, GONE = LABEL_DIVISOR + 1, 2 * LABEL_DIVISOR + 1, 3 * LABEL_DIVISOR, None
GOLDEN_CLASSES = ClassSet(
    "golden", tuple(ClassInfo(i, name, i < 3, (0, 0, 0)) for i, name in [(1, "a"), (2, "b"), (3, "s")])
)

# Four frames of a thing A, a thing B of another class and stuff S, 4 pixels each; B and S are always perfect.
# What A is predicted as (0: void; GONE: not in the ground truth either) -> expected values.
GOLDEN = [
    ([1, 1, 1, 1], {"pq": 1, "tq": 1, "pat": 1, "ptq": 1}),
    ([1, 1, 2, 2], {"pq": 1, "tq": 0.7886751, "pat": 0.8818540, "ptq": 0.9166667}),
    ([1, 2, 1, 2], {"pq": 1, "tq": 0.5, "pat": 0.6666667, "ptq": 0.75}),
    ([1, 0, 1, 1], {"pq": 0.9523810, "tq": 0.7165064, "pat": 0.8177748}),
    ([1, 0, 0, 1], {"pq": 0.8888889, "tq": 0.5, "pat": 0.64}),
    ([0, 0, 0, 0], {"pq": 0.6666667, "tq": 0.5, "pat": 0.5714286}),
    ([1, 1, GONE, 2], {"pq": 1, "tq": 0.7635231, "pat": 0.8659066, "ptq": 1}),
]

# nuscenes-devkit 1.2.0 on random_sequences(seed), void as its ignored class 0, crowd made void, instance numbers that
# contain the class: seed, min_area -> PAT, PQ, TQ, PTQ, sPTQ.
DEVKIT = {
    (0, 0): (0.18428871, 0.330631547, 0.127746192, 0.476571802, 0.489222801),
    (0, 4): (0.183894042, 0.338313465, 0.126262793, 0.485244766, 0.498500644),
    (0, 9): (0.303309818, 0.375287591, 0.254498604, 0.5288731, 0.544695586),
    (1, 0): (0.267073878, 0.322685681, 0.227812555, 0.514046347, 0.519006664),
    (1, 4): (0.289136391, 0.34268253, 0.250062648, 0.54240276, 0.547983118),
    (1, 9): (0.423914343, 0.388024332, 0.467120272, 0.608209248, 0.615649724),
    (2, 0): (0.327620234, 0.353973952, 0.304918727, 0.587539523, 0.587539523),
    (2, 4): (0.351803723, 0.365544436, 0.339058604, 0.60636943, 0.60636943),
    (2, 9): (0.449810257, 0.418518794, 0.486158984, 0.690741223, 0.690741223),
}


def golden_frame(a: int, b: int = B) -> np.ndarray:
    return np.repeat(np.array([[a, b, S]], np.int32), 4, axis=1)


def track(classes, sequences, **settings) -> PanopticTracking:
    metric = PanopticTracking(classes, **settings)
    for name, frames in sequences.items():
        for truth, predicted in frames:
            metric.add(name, truth, predicted)
    return metric


def values(metric: PanopticTracking) -> dict[str, float | None]:
    means = metric.means()
    return {"pq": metric.quality.means().pq, "tq": means.tq, "pat": means.pat, "ptq": means.ptq, "sptq": means.sptq}


@pytest.mark.parametrize("devkit_exact", [False, True])
@pytest.mark.parametrize(("carried", "expected"), GOLDEN, ids=lambda value: str(value)[:14])
def test_golden_values(carried, expected, devkit_exact):
    frames = [
        (golden_frame(S), golden_frame(S))
        if number is GONE
        else (golden_frame(A), golden_frame(LABEL_DIVISOR + number if number else -1))
        for number in carried
    ]
    got = values(track(GOLDEN_CLASSES, {"0000": frames}, devkit_exact=devkit_exact))
    assert {name: got[name] for name in expected} == pytest.approx(expected, abs=1e-7)


def test_an_absent_class_counts_zero_for_the_devkit_only():
    frames = {"0000": [(golden_frame(A, S), golden_frame(A, S))] * 3}
    exact = values(track(GOLDEN_CLASSES, frames, devkit_exact=True))
    assert (exact["pq"], exact["tq"], exact["pat"]) == pytest.approx((2 / 3, 1, 0.8))
    default = values(track(GOLDEN_CLASSES, frames))
    assert (default["pq"], default["tq"], default["pat"]) == (1, 1, 1)


@pytest.mark.parametrize(("case", "expected"), DEVKIT.items(), ids=str)
def test_random_sequences_score_as_in_the_devkit(classes, random_sequences, case, expected):
    seed, min_area = case
    got = values(track(classes, random_sequences(seed), min_area=min_area, devkit_exact=True))
    assert [got[name] for name in ("pat", "pq", "tq", "ptq", "sptq")] == pytest.approx(expected, abs=1e-6)


def brute_force_tq(sequences, min_area: int) -> dict[tuple, float]:
    """TQ of every thing, from whole lists of what it carried, masks compared one with another."""
    qualities = {}
    for name, frames in sequences.items():
        histories, lengths = {}, Counter()
        for truth, predicted in frames:
            is_thing = np.isin(truth // LABEL_DIVISOR, (3, 7, 11)) & (truth >= 0)
            valid = (truth >= 0) & ~(is_thing & (truth % LABEL_DIVISOR == 0))
            others = [p for p in np.unique(predicted[valid]).tolist() if p // LABEL_DIVISOR in (3, 7, 11)]
            lengths.update(p for p in others if (valid & (predicted == p)).sum() > min_area)
            for label in np.unique(truth[valid & is_thing]).tolist():
                mask = valid & (truth == label)
                if mask.sum() <= min_area:
                    continue
                masks = {p: valid & (predicted == p) for p in others}
                hits = [p for p, other in masks.items() if (mask & other).sum() / (mask | other).sum() > 0.5]
                histories.setdefault(label, []).append(hits[0] if hits else None)
        for label, history in histories.items():
            size, matched = len(history), Counter(p for p in history if p is not None)
            aq = sum(n * n / (size + max(lengths[p] - n, 0)) for p, n in matched.items()) / size
            switches = sum(a is None or a != b for a, b in pairwise(history))
            steadiness = 1 - switches / (size - 1) if size > 1 else 1
            qualities[name, label] = (aq * steadiness) ** 0.5
    return qualities


@pytest.mark.parametrize("min_area", [0, 5])
@pytest.mark.parametrize("seed", range(6))
def test_track_qualities_equal_those_of_whole_histories(classes, random_sequences, seed, min_area):
    sequences = random_sequences(seed)
    metric = track(classes, sequences, min_area=min_area)
    got = {(name, label): tq for name in sequences for label, tq in metric.track_qualities(name)}
    assert got == pytest.approx(brute_force_tq(sequences, min_area))
    assert metric.means().tq == pytest.approx(np.mean(list(got.values())))


def test_stuff_carries_a_thing_s_identity_for_the_devkit_only():
    frames = {"0000": [(golden_frame(A), golden_frame(S))]}
    wide = {"0000": [(golden_frame(A, -1), golden_frame(S, -1))]}  # S covers A and itself: IoU exactly half
    narrow = {"0000": [(golden_frame(A)[:, :8], golden_frame(S)[:, :8])]}
    for scene, exact in ((frames, 0.5), (wide, 0.0), (narrow, 1.0)):
        assert values(track(GOLDEN_CLASSES, scene, devkit_exact=True))["tq"] == exact
    assert values(track(GOLDEN_CLASSES, narrow))["tq"] == 0.5


def test_tq_never_exceeds_one_unless_exactly_as_in_the_devkit():
    # The prediction is matched twice but once has no more than min_area pixels.
    small = golden_frame(A).copy()
    small[0, 3] = -1
    frames = {"0000": [(golden_frame(A), golden_frame(A)), (golden_frame(A), small)]}
    assert values(track(GOLDEN_CLASSES, frames, min_area=3))["tq"] == 1.0
    assert values(track(GOLDEN_CLASSES, frames, min_area=3, devkit_exact=True))["tq"] > 1.0


def test_without_tracks_or_segments_there_is_no_value_and_no_division_by_zero():
    stuff, void = np.full((2, 2), S, np.int32), np.full((2, 2), -1, np.int32)
    crowd = np.full((2, 2), LABEL_DIVISOR, np.int32)
    for exact in (False, True):
        got = values(track(GOLDEN_CLASSES, {"0000": [(stuff, stuff)]}, devkit_exact=exact))
        assert (got["tq"], got["pat"]) == (None, None)
        assert got["ptq"] == 1.0
    for truth in (void, crowd):
        got = values(track(GOLDEN_CLASSES, {"0000": [(truth, stuff)]}))
        assert set(got.values()) == {None}


def test_all_wrong_is_zero_rather_than_undefined():
    missed = {"0000": [(golden_frame(A), np.full((1, 12), -1, np.int32))]}
    assert values(track(GOLDEN_CLASSES, missed)) == {"pq": 0, "tq": 0, "pat": 0, "ptq": 0, "sptq": 0}


def test_sequences_are_kept_apart_and_may_be_interleaved(classes, random_sequences):
    sequences = random_sequences(3)
    whole = track(classes, sequences)
    interleaved = PanopticTracking(classes)
    for number in range(max(map(len, sequences.values()))):
        for name, frames in sequences.items():
            if number < len(frames):
                interleaved.add(name, *frames[number])
    assert interleaved.means() == whole.means()
    assert interleaved.means("0001") == track(classes, {"0001": sequences["0001"]}).means()
