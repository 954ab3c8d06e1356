"""PAT, PQ, TQ, PTQ and sPTQ of the cases by nuscenes-devkit: python score_nuscenes.py CASES.npz RESULT.json"""

import json
import sys
from pathlib import Path

import numpy as np
from cases import Cases, Sequences
from nuscenes.eval.panoptic.panoptic_track_evaluator import PanopticTrackingEval

MIN_AREAS = (0, 4, 9)


def score(cases: Cases, sequences: Sequences, min_area: int) -> dict[str, float]:
    """The devkit's classes are 1..C, things first, 0 is ignored: void, and what we hold for crowd."""
    order = cases.things + cases.stuff
    numbers = np.zeros(256, np.int64)
    numbers[order] = np.arange(1, len(order) + 1)

    def encoded(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        labels = labels.ravel()
        classes = np.where(labels < 0, 0, numbers[labels // cases.divisor])
        # An instance number holds its class, for the devkit looks for instances within all classes at once.
        return classes, np.where(labels < 0, 0, classes * 65536 + labels % cases.divisor)

    evaluator = PanopticTrackingEval(len(order) + 1, len(cases.things) + 1, ignore=[0], min_points=min_area)
    for name, frames in sequences.items():
        rows = [[None], [None], [None], [None]]
        for truth, predicted in frames:
            now = *encoded(predicted), *encoded(np.where(cases.crowd(truth), -1, truth))
            rows = [[*row, labels][-2:] for row, labels in zip(rows, now)]
            evaluator.add_batch_panoptic(name, *rows)
    pat, pq, tq = evaluator.get_pat()
    ptq, _, sptq, _ = evaluator.get_ptq()
    return {"PAT": float(pat), "PQ": float(pq), "TQ": float(tq), "PTQ": float(ptq), "sPTQ": float(sptq)}


if __name__ == "__main__":
    loaded = Cases.load(Path(sys.argv[1]))
    result = {
        f"{seed}/{min_area}": score(loaded, sequences, min_area)
        for seed, sequences in loaded.by_seed.items()
        for min_area in MIN_AREAS
    }
    Path(sys.argv[2]).write_text(json.dumps(result))
