"""Compares our scores of the random cases with the referees', and keeps theirs for the ordinary tests.

    python -m benchmarks.referees.compare write CASES.npz
    python -m benchmarks.referees.compare check CASES.npz FOLDER

``make referees`` calls both, and between them each referee in its own environment.
"""

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.referees.cases import Cases, Sequences
from mapt_ros.data.labels import LABEL_DIVISOR, ClassSet
from mapt_ros.evaluation.mots import ThingTracking
from mapt_ros.evaluation.pat import PanopticTracking
from mapt_ros.evaluation.pq import per_class
from mapt_ros.evaluation.vpq import VideoPanopticQuality

Metric = TypeVar("Metric", PanopticTracking, ThingTracking, VideoPanopticQuality)

TESTS = Path(__file__).parents[2] / "test" / "evaluation"
SEEDS = 24
KEPT = 6  # seeds whose values the tests hold
TOLERANCE = 1e-6


def main() -> None:
    """Exit code 1 if a score differs."""
    task, path = sys.argv[1], Path(sys.argv[2])
    shared = _shared()
    classes: ClassSet = shared.CLASSES
    if task == "write":
        ids, things = ([c.id for c in chosen] for chosen in (classes.classes, classes.things))
        random = {seed: shared._random_sequences(seed) for seed in range(SEEDS)}
        Cases(ids, things, LABEL_DIVISOR, random).save(path)
        return
    cases = Cases.load(path)
    found = {name: json.loads((Path(sys.argv[3]) / f"{name}.json").read_text()) for name in OURS}
    bad = False
    for name, theirs in found.items():
        ours = OURS[name](classes, cases)
        differences = {key: difference(ours[key], value) for key, value in theirs.items()}
        worst = max(differences, key=differences.__getitem__)
        print(f"{name}: {len(theirs)} cases, largest difference {differences[worst]:.1e} ({worst})")
        bad |= differences[worst] > TOLERANCE
    if bad:
        raise SystemExit(1)
    kept = {
        name: {key: _rounded(value) for key, value in theirs.items() if int(key.split("/")[0]) < KEPT}
        for name, theirs in found.items()
    }
    (TESTS / "referees.json").write_text(json.dumps(kept, indent=0) + "\n")


def nuscenes(classes: ClassSet, cases: Cases) -> dict[str, dict[str, float | None]]:
    """SEED/MIN_AREA -> PAT and its kin, as the devkit has them."""
    result = {}
    for seed, sequences in cases.by_seed.items():
        for min_area in (0, 4, 9):
            metric = seen(PanopticTracking(classes, min_area=min_area, devkit_exact=True), sequences)
            means, pq = metric.means(), metric.quality.means().pq
            values = {"PAT": means.pat, "PQ": pq, "TQ": means.tq, "PTQ": means.ptq, "sPTQ": means.sptq}
            result[f"{seed}/{min_area}"] = values
    return result


def trackeval(classes: ClassSet, cases: Cases) -> dict[str, dict[str, float]]:
    """SEED/SEQUENCE/CLASS and SEED/all/CLASS -> CLEAR-MOTS, IDF1 and HOTA."""
    result = {}
    for seed, sequences in cases.by_seed.items():
        metric = seen(ThingTracking(classes), sequences)
        for name in (*sequences, None):
            counts = metric.counts(name)
            for i, (info, scores) in enumerate(zip(classes.classes, metric.per_class(name), strict=True)):
                values = {"truth": int(counts.truth[i]), "predicted": int(counts.predicted[i])}
                if scores is not None:  # without ground truth TrackEval gives 0, we give nothing
                    values |= {"IDS": scores.ids, "fragmentations": scores.fragmentations, "MOTSA": scores.motsa}
                    values |= {"sMOTSA": scores.smotsa, "IDF1": scores.idf1, "HOTA": scores.hota}
                    values |= {"DetA": scores.deta, "AssA": scores.assa}
                result[f"{seed}/{name or 'all'}/{info.id}"] = values
    return result


def torchmetrics(classes: ClassSet, cases: Cases) -> dict[str, dict]:
    """SEED/FRAMES -> PQ of tubes, their predicted void made a class (see score_torchmetrics.py)."""
    result = {}
    void = max(cases.stuff) * cases.divisor
    for seed, sequences in cases.by_seed.items():
        filled = {name: [(t, np.where(p < 0, void, p)) for t, p in frames] for name, frames in sequences.items()}
        for frames, quality in seen(VideoPanopticQuality(classes), filled).qualities.items():
            means, each = quality.means(), per_class(quality.counts())[0].tolist()
            of_class = {str(info.id): value for info, value in zip(classes.classes, each, strict=True)}
            result[f"{seed}/{frames}"] = {"PQ": means.pq, "SQ": means.sq, "RQ": means.rq, "per_class": of_class}
    return result


def seen(metric: Metric, sequences: Sequences) -> Metric:
    """The metric after it took all frames."""
    for name, frames in sequences.items():
        for truth, predicted in frames:
            metric.add(name, truth, predicted)
    return metric


OURS = {"nuscenes": nuscenes, "trackeval": trackeval, "torchmetrics": torchmetrics}


def difference(ours: dict, theirs: dict) -> float:
    """The largest among the values that both have."""
    return max(
        difference(value, theirs[name]) if isinstance(value, dict) else abs(value - theirs[name])
        for name, value in ours.items()
    )


def _rounded(value: dict | float) -> dict | float:
    return {k: _rounded(v) for k, v in value.items()} if isinstance(value, dict) else round(value, 9)


def _shared() -> object:
    """The tests' conftest.py, where the random cases are made."""
    spec = spec_from_file_location("cases_of_tests", TESTS / "conftest.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
