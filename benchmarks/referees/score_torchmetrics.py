"""PQ of frames, and of tubes of 2, 3 and 4 frames laid side by side, by torchmetrics:
python score_torchmetrics.py CASES.npz RESULT.json"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from cases import Cases, Sequences
from torchmetrics.detection import PanopticQuality

WINDOWS = (1, 2, 3, 4)


def score(cases: Cases, sequences: Sequences, window: int) -> dict:
    """PQ, SQ, RQ on average and PQ of each class.

    torchmetrics forgives predictions that are mostly in the ground truth's void, and misses that are mostly void in the
    prediction. So void is taken out of both sides first, as we do, and predicted void becomes a class that nobody has.
    """
    kinds = {"things": set(cases.things), "stuffs": set(cases.stuff), "allow_unknown_preds_category": True}
    mean = PanopticQuality(**kinds, return_sq_and_rq=True)
    each = PanopticQuality(**kinds, return_per_class=True)

    def encoded(labels: np.ndarray) -> torch.Tensor:
        pairs = np.stack(
            [np.where(labels < 0, 255, labels // cases.divisor), labels % cases.divisor * (labels >= 0)], -1
        )
        return torch.from_numpy(pairs)[None]

    for frames in sequences.values():
        for start in range(len(frames) - window + 1):
            truth, predicted = (np.hstack(maps) for maps in zip(*frames[start : start + window]))
            predicted = filled(cases, predicted)
            ignored = (truth < 0) | cases.crowd(truth)
            truth, predicted = (encoded(np.where(ignored, -1, labels)) for labels in (truth, predicted))
            mean.update(predicted, truth)
            each.update(predicted, truth)
    pq, sq, rq = mean.compute().tolist()
    # Its classes come things first, ascending, and a class that is absent has PQ 0.
    order = sorted(cases.things) + sorted(cases.stuff)
    per_class = dict(zip(map(str, order), each.compute().flatten().tolist()))
    return {"PQ": pq, "SQ": sq, "RQ": rq, "per_class": per_class}


def filled(cases: Cases, predicted: np.ndarray) -> np.ndarray:
    """The prediction with void as the last stuff class, which no case has."""
    return np.where(predicted < 0, max(cases.stuff) * cases.divisor, predicted)


if __name__ == "__main__":
    torch.set_num_threads(1)
    loaded = Cases.load(Path(sys.argv[1]))
    result = {
        f"{seed}/{window}": score(loaded, sequences, window)
        for seed, sequences in loaded.by_seed.items()
        for window in WINDOWS
    }
    Path(sys.argv[2]).write_text(json.dumps(result))
