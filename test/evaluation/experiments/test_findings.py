"""Break points and fronts: what the tables claim follows from their rows by a plain rule."""

import pytest

from mapt_ros.data.labels import KITTI_STEP
from mapt_ros.evaluation.experiments.findings import DISPLACEMENTS, break_point, correct_by_displacement, pat_stq_front
from mapt_ros.evaluation.experiments.measures import Measured
from mapt_ros.evaluation.experiments.study import Row
from mapt_ros.evaluation.variants import Variant


def shares(*values: tuple[float | None, int]) -> list[tuple[float | None, int]]:
    return [*values, *[(None, 0)] * (len(DISPLACEMENTS) - len(values))]


@pytest.mark.parametrize(
    ("values", "point"),
    [
        (((0.9, 50), (0.8, 50), (0.49, 20)), 4),
        (((0.9, 50), (0.1, 19), (0.5, 50), (0.4, 30)), 8),  # too few say nothing, and half is not broken
        (((0.9, 50), (0.8, 50)), None),
    ],
)
def test_association_breaks_in_the_first_bin_with_fewer_than_half_correct(values, point):
    assert break_point(shares(*values)) == point


def test_rows_are_pooled_by_displacement():
    rows = [Measured.none(KITTI_STEP) for _ in range(2)]
    for row, correct in zip(rows, (True, False), strict=True):
        row.associations.displacement += [1.0, 200.0]
        row.associations.found += [True, correct]
        row.associations.correct += [correct, correct]
    assert correct_by_displacement(rows)[0] == (0.5, 2)
    assert correct_by_displacement(rows)[-1] == (1.0, 1)
    assert correct_by_displacement(rows)[1] == (None, 0)


def test_the_front_holds_what_nothing_beats_in_both():
    points = {"chosen": (0.5, 0.5), "a": (0.6, 0.4), "b": (0.4, 0.6), "c": (0.5, 0.5), "d": (0.3, 0.6), "e": (0.2, 0.2)}
    rows = [
        Row("", "", Variant(name, "combined"), Measured.none(KITTI_STEP), {"PAT": pat, "STQ": stq})
        for name, (pat, stq) in points.items()
    ]
    rows.append(Row("", "", Variant("none", "combined"), Measured.none(KITTI_STEP), {"PAT": None, "STQ": 0.9}))
    findings = pat_stq_front(rows)
    assert findings.values == {"front": ["a", "chosen", "b"], "chosen_on_front": True, "best": {"PAT": "a", "STQ": "b"}}
