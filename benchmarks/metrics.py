"""How long PQ, PAT and STQ of KITTI-STEP's validation set take on one core, beside NumPy code in deeplab2's style.

    python -m benchmarks.metrics [--frames 24] [--full]

Both score the same drawn label maps of 375x1242 pixels in one run, read from PNGs by the same reader, and have to agree.
Without --full the time for all 2981 frames is extrapolated from those scored; with it our code scores as many, the
drawn ones over and over, in sequences as long as KITTI-STEP's. Times are CPU time of this process.
"""

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from mapt_ros.data.labels import KITTI_STEP, LABEL_BITS, LABEL_DIVISOR, labels_to_step_png
from mapt_ros.evaluation.evaluate import Evaluator
from mapt_ros.evaluation.overlaps import overlaps
from mapt_ros.evaluation.pat import PanopticTracking
from mapt_ros.evaluation.step_maps import read_map
from mapt_ros.evaluation.stq import SegmentationTrackingQuality

SHAPE = 375, 1242
VALIDATION = {"0002": 233, "0006": 270, "0007": 800, "0008": 390, "0010": 294}
VALIDATION |= {"0013": 340, "0014": 106, "0016": 209, "0018": 339}
THING_IDS = [c.id for c in KITTI_STEP.things]
Frame = tuple[np.ndarray, np.ndarray]


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=24, help="drawn, and scored by both")
    parser.add_argument("--full", action="store_true", help="score 2981 frames with our code")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    total = sum(VALIDATION.values())
    with TemporaryDirectory() as folder:
        files = [_write(Path(folder), number) for number in range(options.frames)]
        reading, frames = _timed(lambda: [_read(pair) for pair in files])
        ours, theirs = Ours(), Deeplab2Style()
        our_time, _ = _timed(lambda: [ours.add("0002", *frame) for frame in frames])
        their_time, _ = _timed(lambda: [theirs.add("0002", *frame) for frame in frames])
        everything = Evaluator(KITTI_STEP)
        all_time, _ = _timed(lambda: [everything.add("0002", *frame) for frame in frames])
        worst = max(abs(a - b) for a, b in zip(ours.scores(), theirs.scores(), strict=True))
        full_time = _timed(lambda: _full(files))[0] if options.full else None

    print(f"{options.frames} frames of {SHAPE[0]}x{SHAPE[1]}, one core, NumPy {np.__version__}; largest difference")
    print(f"between both codes' PQ, TQ and STQ: {worst:.0e}\n")
    print(f"| | ms a frame | s for {total} frames, with reading |\n| --- | ---: | ---: |")
    print(f"| reading both PNGs | {1e3 * reading / options.frames:.1f} | |")
    rows = {"PQ + PAT + STQ, ours": our_time, "PQ + PAT + STQ, deeplab2's style": their_time}
    for name, seconds in (rows | {"all metrics of `mapt evaluate`": all_time}).items():
        print(f"| {name} | {1e3 * seconds / options.frames:.1f} | {(seconds + reading) / options.frames * total:.0f} |")
    if full_time is not None:
        print(
            f"| PQ + PAT + STQ, ours, run whole | {1e3 * full_time / total:.1f} (reading included) | {full_time:.0f} |"
        )


class Ours:
    """PQ, PAT and STQ from one histogram of label pairs a frame."""

    def __init__(self) -> None:
        self.pat, self.stq = PanopticTracking(KITTI_STEP), SegmentationTrackingQuality(KITTI_STEP)

    def add(self, sequence: str, truth: np.ndarray, predicted: np.ndarray) -> None:
        pairs = overlaps(truth, predicted)
        self.pat.add_overlaps(sequence, pairs)
        self.stq.add_overlaps(sequence, pairs)

    def scores(self) -> tuple[float, float, float]:
        """PQ, TQ, STQ."""
        return self.pat.quality.means().pq, self.pat.means().tq, self.stq.means().stq


class Deeplab2Style:
    """The same from ``np.unique`` over the pixels for every set of areas, as deeplab2's evaluators do; one sequence.

    TQ takes the intersections that PQ found, which is quicker than what the nuScenes devkit does.
    """

    def __init__(self) -> None:
        self.tp, self.fp, self.fn, self.iou = Counter(), Counter(), Counter(), Counter()
        self.tracks: dict[int, list[int]] = defaultdict(list)
        self.seen: Counter = Counter()
        self.confusion = np.zeros((20, 20), np.int64)
        self.tubes = Counter(), Counter(), Counter()

    def add(self, _: str, truth: np.ndarray, predicted: np.ndarray) -> None:
        truth, predicted = truth.ravel(), predicted.ravel()
        crowd = np.isin(truth >> LABEL_BITS, THING_IDS) & (truth % LABEL_DIVISOR == 0)
        self._panoptic(truth[(truth >= 0) & ~crowd], predicted[(truth >= 0) & ~crowd])
        self._stq(truth, predicted, crowd)

    def _panoptic(self, truth: np.ndarray, predicted: np.ndarray) -> None:
        areas, other_areas = (
            dict(zip(*map(np.ndarray.tolist, np.unique(x, return_counts=True)))) for x in (truth, predicted)
        )
        joint, shared = np.unique((truth << 32) + np.maximum(predicted, -1) + 1, return_counts=True)
        carried, found = {}, set()
        for key, pixels in zip(joint.tolist(), shared.tolist()):
            label, other = key >> 32, (key & 0xFFFFFFFF) - 1
            iou = pixels / (areas[label] + other_areas[other] - pixels)
            if iou > 0.5 and other >> LABEL_BITS in THING_IDS:
                carried[label] = other
            if iou > 0.5 and label >> LABEL_BITS == other >> LABEL_BITS:
                self.tp[label >> LABEL_BITS] += 1
                self.iou[label >> LABEL_BITS] += iou
                found |= {(0, label), (1, other)}
        self.fn.update(label >> LABEL_BITS for label in areas if (0, label) not in found)
        self.fp.update(label >> LABEL_BITS for label in other_areas if label >= 0 and (1, label) not in found)
        self.seen.update(list(other_areas))
        for label in areas:
            if label >> LABEL_BITS in THING_IDS:
                self.tracks[label].append(carried.get(label, -1))

    def _stq(self, truth: np.ndarray, predicted: np.ndarray, crowd: np.ndarray) -> None:
        classes, others = (np.where(x < 0, 19, x >> LABEL_BITS) for x in (truth, predicted))
        joint, counts = np.unique(classes * 20 + others, return_counts=True)
        self.confusion.ravel()[joint] += counts
        things, other_things = (np.isin(x, THING_IDS) & ~crowd for x in (classes, others))
        both = things & other_things
        for tubes, labels in zip(
            self.tubes, (truth[things], predicted[other_things], (truth[both] << 32) + predicted[both])
        ):
            for label, pixels in zip(*map(np.ndarray.tolist, np.unique(labels, return_counts=True))):
                tubes[label] += pixels

    def scores(self) -> tuple[float, float, float]:
        """PQ, TQ, STQ."""
        present = set(self.tp) | set(self.fp) | set(self.fn)
        pq = np.mean([self.iou[c] / (self.tp[c] + self.fp[c] / 2 + self.fn[c] / 2) for c in present])
        qualities = []
        for record in self.tracks.values():
            n, carried = len(record), Counter(other for other in record if other >= 0)
            aq = sum(m * m / (n + self.seen[other] - m) for other, m in carried.items()) / n
            switches = sum(b != a or a < 0 for a, b in pairwise(record))
            qualities.append((aq * (1 - switches / (n - 1) if n > 1 else 1)) ** 0.5)
        confusion = self.confusion.copy()
        confusion[-1] = 0
        union = confusion.sum(0) + confusion.sum(1) - confusion.diagonal()
        sq = (confusion.diagonal()[union > 0] / union[union > 0]).mean()
        truth, predicted, shared = self.tubes
        sums: Counter = Counter()
        for key, pixels in shared.items():
            label, other = key >> 32, key & 0xFFFFFFFF
            sums[label] += pixels**2 / (truth[label] + predicted[other] - pixels)
        aq = np.mean([sums[label] / size for label, size in truth.items()])
        return float(pq), float(np.mean(qualities)), float((sq * aq) ** 0.5)


def draw(number: int, predicted: bool) -> np.ndarray:
    """A street of bands with crooked borders and 15 things that move; the prediction is ragged, confuses ids, misses some."""
    random = np.random.default_rng(2 * number + predicted)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    ragged = random.integers(0, 4, SHAPE) if predicted else 0
    labels = np.full(SHAPE, 10 * LABEL_DIVISOR, np.int64)
    for class_id, height, length in ((8, 110, 31), (2, 150, 57), (9, 200, 23), (1, 235, 83), (0, 260, 140)):
        labels[y + 14 * np.sin((x + 5 * number) / length) + ragged > height] = class_id * LABEL_DIVISOR
    for i in range(15):
        if predicted and random.random() < 0.1:
            continue
        inside = ((x - 80 * i - 3 * number) % SHAPE[1] - 60) ** 2 / (25 + i) ** 2 + (y - 200 - 5 * (i % 4)) ** 2 / 30**2
        track_id = i + 1 + (20 if predicted and random.random() < 0.05 else 0)
        labels[inside + 0.1 * ragged < 1] = THING_IDS[i % 3 > 0] * LABEL_DIVISOR + track_id
    labels[(y > 350) if predicted else (y + x < 60)] = -1
    if not predicted:
        labels[(y > 190) & (y < 200) & (x > 1100)] = THING_IDS[0] * LABEL_DIVISOR  # a crowd
    return labels


def _write(folder: Path, number: int) -> tuple[Path, Path]:
    paths = folder / f"{number:06d}_true.png", folder / f"{number:06d}_predicted.png"
    for path, predicted in zip(paths, (False, True)):
        cv2.imwrite(str(path), labels_to_step_png(draw(number, predicted))[..., ::-1])
    return paths


def _read(paths: tuple[Path, Path]) -> Frame:
    return read_map(paths[0], 255), read_map(paths[1], 255)


def _full(files: list[tuple[Path, Path]]) -> None:
    metric = Ours()
    for sequence, length in VALIDATION.items():
        for number in range(length):
            metric.add(sequence, *_read(files[number % len(files)]))
    metric.scores()


def _timed(run: Callable[[], object]) -> tuple[float, object]:
    start = time.process_time()
    result = run()
    return time.process_time() - start, result


if __name__ == "__main__":
    main()
