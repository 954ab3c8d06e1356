"""CLEAR-MOTS, IDF1 and HOTA of the cases by trackeval, read from KITTI-MOTS text files that this writes:
python score_trackeval.py CASES.npz RESULT.json"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import trackeval
from cases import Cases
from pycocotools.mask import encode

# KITTI-MOTS knows two classes, so the first two of ours that are things take their places; 10 is what it ignores.
NAMES = ("car", "pedestrian")
IGNORED = 10


def main(cases_path: Path, result_path: Path) -> None:
    """Every seed is a tracker's run of its own over sequences of its own."""
    cases = Cases.load(cases_path)
    result = {}
    with TemporaryDirectory() as folder:
        for seed, sequences in cases.by_seed.items():
            root = Path(folder) / str(seed)
            for name, frames in sequences.items():
                write(root / "gt" / "label_02" / f"{name}.txt", [lines(truth, cases, True) for truth, _ in frames])
                write(
                    root / "ours" / "us" / "data" / f"{name}.txt", [lines(other, cases, False) for _, other in frames]
                )
            lengths = {name: len(frames) for name, frames in sequences.items()}
            for name, classes in run(root, lengths).items():
                for class_name, scores in classes.items():
                    place = "all" if name == "COMBINED_SEQ" else name
                    class_id = cases.things[NAMES.index(class_name)]
                    result[f"{seed}/{place}/{class_id}"] = numbers(scores)
    result_path.write_text(json.dumps(result))


def lines(labels: np.ndarray, cases: Cases, is_truth: bool) -> list[str]:
    """Of one frame: id, class, height, width, run lengths."""
    rows = []
    ignored = (labels < 0) | cases.crowd(labels)
    if is_truth and ignored.any():
        rows.append((IGNORED * 1000, IGNORED, ignored))
    for label in np.unique(labels[labels >= 0]):
        class_id, track_id = divmod(int(label), cases.divisor)
        if class_id in cases.things[: len(NAMES)] and not (is_truth and track_id == 0):
            number = cases.things.index(class_id) + 1
            rows.append((number * 1000 + track_id, number, labels == label))
    sizes = f"{labels.shape[0]} {labels.shape[1]}"
    runs = (encode(np.asfortranarray(mask, np.uint8))["counts"].decode() for _, _, mask in rows)
    return [f"{track} {number} {sizes} {run}" for (track, number, _), run in zip(rows, runs)]


def write(path: Path, frames: list[list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{i} {line}\n" for i, frame in enumerate(frames) for line in frame))


def run(root: Path, lengths: dict[str, int]) -> dict:
    """TrackEval's results: sequence or COMBINED_SEQ -> class -> metric -> field."""
    quiet = dict.fromkeys(("PRINT_CONFIG", "PRINT_RESULTS", "OUTPUT_SUMMARY", "OUTPUT_DETAILED", "PLOT_CURVES"), False)
    quiet |= {"TIME_PROGRESS": False, "BREAK_ON_ERROR": True, "LOG_ON_ERROR": None, "OUTPUT_EMPTY_CLASSES": False}
    dataset = trackeval.datasets.KittiMOTS(
        {
            "GT_FOLDER": str(root / "gt"),
            "TRACKERS_FOLDER": str(root / "ours"),
            "SEQ_INFO": lengths,
            "PRINT_CONFIG": False,
        }
    )
    silent = {"PRINT_CONFIG": False}
    metrics = [trackeval.metrics.CLEAR(silent), trackeval.metrics.Identity(silent), trackeval.metrics.HOTA()]
    results, _ = trackeval.Evaluator(quiet).evaluate([dataset], metrics)
    return results["KittiMOTS"]["us"]


def numbers(scores: dict) -> dict[str, float]:
    """What we compare, by our names; HOTA and its parts are means over the thresholds."""
    clear, identity, hota = scores["CLEAR"], scores["Identity"], scores["HOTA"]
    return {
        "truth": int(clear["CLR_TP"] + clear["CLR_FN"]),
        "predicted": int(clear["CLR_TP"] + clear["CLR_FP"]),
        "IDS": int(clear["IDSW"]),
        "fragmentations": int(clear["Frag"]),
        "MOTSA": float(clear["MOTA"]),
        "sMOTSA": float(clear["sMOTA"]),
        "IDF1": float(identity["IDF1"]),
        "HOTA": float(np.mean(hota["HOTA"])),
        "DetA": float(np.mean(hota["DetA"])),
        "AssA": float(np.mean(hota["AssA"])),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
