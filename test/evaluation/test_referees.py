"""Our metrics have the values that nuscenes-devkit, trackeval and torchmetrics gave; `make referees` asks them anew."""

import json
from pathlib import Path

import numpy as np
import pytest

from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.evaluation.evaluate import SCORES, Evaluator
from mapt_ros.evaluation.pq import per_class

REFEREES = json.loads((Path(__file__).parent / "referees.json").read_text())
SEEDS = sorted({int(key.split("/")[0]) for key in REFEREES["trackeval"]})


def keys(referee: str, seed: int) -> list[tuple[list[str], dict]]:
    return [(key.split("/")[1:], value) for key, value in REFEREES[referee].items() if key.startswith(f"{seed}/")]


def scored(classes, sequences, **settings) -> Evaluator:
    evaluator = Evaluator(classes, **settings)
    for name, frames in sequences.items():
        for truth, predicted in frames:
            evaluator.add(name, truth, predicted)
    return evaluator


@pytest.mark.parametrize("seed", SEEDS)
def test_panoptic_tracking_as_the_nuscenes_devkit_has_it(classes, random_sequences, seed):
    for (min_area,), expected in keys("nuscenes", seed):
        scores = scored(classes, random_sequences(seed), min_area=int(min_area), devkit_exact=True).scores()
        assert {name: scores[name] for name in expected} == pytest.approx(expected, abs=1e-6)
        assert set(expected) == set(SCORES[:5])


@pytest.mark.parametrize("seed", SEEDS)
def test_clear_mots_idf1_and_hota_as_trackeval_has_them(classes, random_sequences, seed):
    evaluator = scored(classes, random_sequences(seed))
    names = {info.id: info.name for info in classes.classes}
    overall, rows = evaluator.scores(), []
    for (sequence, class_id), expected in keys("trackeval", seed):
        i = list(names).index(int(class_id))
        counts = evaluator.things.counts(None if sequence == "all" else sequence)
        assert (counts.truth[i], counts.predicted[i]) == (expected.pop("truth"), expected.pop("predicted"))
        ours = evaluator.things.per_class(None if sequence == "all" else sequence)[i]
        if ours is not None:
            assert {name: getattr(ours, name.lower()) for name in expected} == pytest.approx(expected, abs=1e-6)
        if sequence == "all":
            row = evaluator.result()["per_class"][names[int(class_id)]]
            assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-6)
            rows.append(expected)
    assert overall["IDS"] == sum(row["IDS"] for row in rows)
    for name in ("sMOTSA", "MOTSA", "IDF1", "HOTA"):
        assert overall[name] == pytest.approx(np.mean([row[name] for row in rows]), abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_pq_and_that_of_tubes_as_torchmetrics_has_them(classes, random_sequences, seed):
    # torchmetrics forgives void in the prediction, so it is made a class there and here.
    void = classes.stuff[-1].id * LABEL_DIVISOR
    filled = {
        name: [(truth, np.where(predicted < 0, void, predicted)) for truth, predicted in frames]
        for name, frames in random_sequences(seed).items()
    }
    evaluator = scored(classes, filled)
    lengths = keys("torchmetrics", seed)
    for (frames,), expected in lengths:
        quality = evaluator.vpq.qualities[int(frames)]
        means = quality.means()
        assert (means.pq, means.sq, means.rq) == pytest.approx(
            [expected[name] for name in ("PQ", "SQ", "RQ")], abs=1e-6
        )
        each = dict(zip((str(info.id) for info in classes.classes), per_class(quality.counts())[0], strict=True))
        assert each == pytest.approx(expected["per_class"], abs=1e-6)
    assert evaluator.scores()["PQ"] == pytest.approx(lengths[0][1]["PQ"], abs=1e-6)
    assert evaluator.scores()["VPQ"] == pytest.approx(np.mean([expected["PQ"] for _, expected in lengths]), abs=1e-6)
