"""Scores predicted panoptic maps against ground truth with all metrics at once, streaming over frames."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mapt_ros.data.labels import ClassSet
from mapt_ros.errors import InputError
from mapt_ros.evaluation.class_file import PngClasses, read_classes
from mapt_ros.evaluation.mots import ThingMatches, ThingScores, ThingTracking
from mapt_ros.evaluation.overlaps import Overlaps, overlaps
from mapt_ros.evaluation.pat import PanopticTracking
from mapt_ros.evaluation.pq import per_class
from mapt_ros.evaluation.report_story import SequenceStory
from mapt_ros.evaluation.step_maps import SequencePair, pair_folders, read_map
from mapt_ros.evaluation.stq import SegmentationTrackingQuality
from mapt_ros.evaluation.vpq import VideoPanopticQuality

SCORES = ("PAT", "PQ", "TQ", "PTQ", "sPTQ", "STQ", "SQ", "AQ", "VPQ", "IDS", "sMOTSA", "MOTSA", "IDF1", "HOTA")
_THING_SCORES = ("IDS", "fragmentations", "sMOTSA", "MOTSA", "IDF1", "HOTA", "DetA", "AssA")
_WORTH_A_PROCESS = 200  # frames; starting workers takes longer than scoring fewer
_BAR = {"desc": "evaluate", "unit": "sequence", "disable": None}
_NAMED = 5  # missing or extra frames that the table names; the JSON has all

_NO_SEGMENTS = "no class has a segment: the ground truth is all void or crowd"
_NO_TRACKS = "the ground truth has no thing with an id (and more than min_area pixels)"
_NO_THINGS = "the ground truth has no thing with an id"
_NO_PIXELS = "the ground truth is all void"


class Evaluator:
    """All scores at once, one frame at a time; memory grows with the ids, and little with the frames (``ThingTracking``)."""

    def __init__(self, classes: ClassSet, *, min_area: int = 0, devkit_exact: bool = False) -> None:
        """As for ``PanopticTracking``; VPQ takes the minimum area only, STQ and the things' metrics neither."""
        self.pat = PanopticTracking(classes, min_area=min_area, devkit_exact=devkit_exact)
        self.stq = SegmentationTrackingQuality(classes)
        self.vpq = VideoPanopticQuality(classes, min_area=min_area)
        self.things = ThingTracking(classes)

    def add(self, sequence: str, truth: np.ndarray, predicted: np.ndarray) -> tuple[Overlaps, ThingMatches]:
        """Takes a sequence's next frame: two HxW int32 label maps (``class_id * LABEL_DIVISOR + id``, -1 = unlabelled).

        Returns:
            How the frame's labels overlap, and how its things are matched.

        Raises:
            InputError: the maps differ in size, or a class is not in the set; nothing is counted then.
        """
        pairs = overlaps(truth, predicted)
        self.pat.add_overlaps(sequence, pairs)
        self.stq.add_overlaps(sequence, pairs)
        self.vpq.add_overlaps(sequence, pairs)
        return pairs, self.things.add_overlaps(sequence, pairs)

    def merge(self, other: "Evaluator") -> None:
        """Takes over the sequences that another evaluator of the same settings saw; none of them may be here already."""
        self.pat.merge(other.pat)
        self.stq.merge(other.stq)
        self.vpq.merge(other.vpq)
        self.things.merge(other.things)

    def scores(self, sequence: str | None = None) -> dict[str, float | None]:
        """All of ``SCORES`` for one sequence, or for all together; None where there is nothing to measure.

        They are at most 1, but for IDS, which is a number of switches; PTQ, sPTQ, MOTSA and sMOTSA may be below 0.
        """
        tracking, stq = self.pat.means(sequence), self.stq.means(sequence)
        pq = self.pat.quality.means(sequence).pq
        values = (tracking.pat, pq, tracking.tq, tracking.ptq, tracking.sptq, stq.stq, stq.sq, stq.aq)
        things = _thing_scores(self.things.means(sequence))
        values += (self.vpq.vpq(sequence), *(things[name] for name in SCORES[9:]))
        return dict(zip(SCORES, values, strict=True))

    def reasons(self) -> dict[str, str]:
        """Why each score that is None for all sequences together cannot be told."""
        scores = self.scores()
        why = {"PQ": _NO_SEGMENTS, "PTQ": _NO_SEGMENTS, "sPTQ": _NO_SEGMENTS, "TQ": _NO_TRACKS, "VPQ": _NO_SEGMENTS}
        why |= {"AQ": _NO_THINGS, "SQ": _NO_PIXELS}
        why |= dict.fromkeys(SCORES[9:], _NO_THINGS)
        why["PAT"] = why["PQ"] if scores["PQ"] is None else why["TQ"]
        why["STQ"] = why["SQ"] if scores["SQ"] is None else why["AQ"]
        return {name: why[name] for name, value in scores.items() if value is None}

    def result(self) -> dict[str, Any]:
        """Scores overall, per class and per sequence, reasons for those that are None, and the conventions."""
        return {
            **self.scores(),
            "fragmentations": _thing_scores(self.things.means())["fragmentations"],
            "reasons": self.reasons(),
            "panoptic_quality": self._panoptic_quality(),
            "video_panoptic_quality": {f"VPQ{frames}": value for frames, value in self.vpq.means().items()},
            "per_class": self._per_class(),
            "per_sequence": {name: self._sequence(name) for name in self.stq.sequences},
            "conventions": self._conventions(),
        }

    def _sequence(self, name: str) -> dict[str, float | None]:
        return {**self.scores(name), "fragmentations": _thing_scores(self.things.means(name))["fragmentations"]}

    def _panoptic_quality(self) -> dict[str, dict[str, float | None]]:
        """PQ and its two factors; its SQ is the mean IoU of matched segments, not STQ's."""
        things = self.pat.quality.table.is_thing
        parts = {"all": None, "things": things, "stuff": ~things}
        means = {name: self.pat.quality.means(of=of) for name, of in parts.items()}
        return {name: {"PQ": mean.pq, "SQ": mean.sq, "RQ": mean.rq} for name, mean in means.items()}

    def _per_class(self) -> dict[str, dict[str, Any]]:
        counts = self.pat.quality.counts()
        pq, sq, rq = per_class(counts)
        tracking, ious, aqs = self.pat.per_class(), self.stq.class_ious(), self.stq.class_aqs()
        vpqs, things = self.vpq.per_class(), self.things.per_class()
        rows = {}
        for i, info in enumerate(self.stq.table.classes.classes):
            seen = bool(counts.weight[i] > 0)
            rows[info.name] = {
                "id": info.id,
                "isthing": info.is_thing,
                "PQ": float(pq[i]) if seen else None,
                "PQ_SQ": float(sq[i]) if seen else None,
                "PQ_RQ": float(rq[i]) if seen else None,
                "TP": int(counts.tp[i]),
                "FP": int(counts.fp[i]),
                "FN": int(counts.fn[i]),
                "PTQ": tracking[i].ptq,
                "sPTQ": tracking[i].sptq,
                "TQ": tracking[i].tq,
                "IoU": None if np.isnan(ious[i]) else float(ious[i]),
                "AQ": aqs[i],
                "VPQ": vpqs[i],
                **_thing_scores(things[i]),
            }
        return rows

    def _conventions(self) -> dict[str, Any]:
        exact = self.pat.quality.devkit_exact
        return {
            "classes": self.stq.table.classes.name,
            "things": [c.name for c in self.stq.table.classes.things],
            "min_area": self.pat.quality.min_area,
            "devkit_exact": exact,
            "averaging": {
                "PQ": "all classes, an absent one counts 0" if exact else "classes with a segment on either side",
                "PTQ, sPTQ": "classes with a segment in the ground truth",
                "TQ": "true tracks of all sequences",
                "SQ": "classes with pixels on either side; void predicted on labelled pixels is one more, with IoU 0",
                "AQ": "true tracks of all sequences",
                "VPQ": "classes with a tube on either side, then windows of 1, 2, 3 and 4 frames",
                "IDS": "sum over thing classes",
                "sMOTSA, MOTSA, IDF1, HOTA": "thing classes with ground truth; HOTA over IoU thresholds 0.05 to 0.95 too",
            },
            "crowd": "a thing class with id 0 in the ground truth: removed for PAT PQ TQ PTQ sPTQ VPQ; counts for SQ, not AQ",
            "void": "removed for PAT PQ TQ PTQ sPTQ VPQ and SQ; things predicted on it count against AQ",
            "ignored": "IDS sMOTSA MOTSA IDF1 HOTA overlook unmatched predictions of which void and crowd hold over half",
            "stuff_may_match_things": exact,
        }


def _thing_scores(scores: ThingScores | None) -> dict[str, float | None]:
    """By the names of ``_THING_SCORES``; all None without ground truth."""
    if scores is None:
        return dict.fromkeys(_THING_SCORES)
    return {name: getattr(scores, name.lower()) for name in _THING_SCORES}


def evaluate(
    truth: Path,
    predicted: Path,
    *,
    classes: Path | None = None,
    min_area: int = 0,
    devkit_exact: bool = False,
    processes: int = 1,
) -> dict[str, Any]:
    """Scores a folder of predictions against a folder of ground truth, both in the KITTI-STEP layout.

    Args:
        truth, predicted: folders with ``panoptic_maps/<sequence>/%06d.png``, or with the sequences directly in them; a
            split is looked into, see ``pair_folders``.
        classes: a class file, see ``read_classes``; KITTI-STEP without.
        min_area, devkit_exact: see ``PanopticTracking``.
        processes: how many sequences to score at once; more than one needs an importable main module.

    Returns:
        ``Evaluator.result`` with ``frames``, ``sequences``, and the names of frames that are ``missing`` (counted as
        all void) and ``extra`` (ignored) among the predictions.

    Raises:
        InputError: one line naming the folder or the file, and what is wrong with it.
    """
    return score_folders(
        truth, predicted, classes=classes, min_area=min_area, devkit_exact=devkit_exact, processes=processes
    ).result


@dataclass(frozen=True)
class Scored:
    """What ``score_folders`` found.

    Attributes:
        result: as ``evaluate`` returns it.
        evaluator: that has seen all sequences.
        pairs: their files.
        stories: by sequence, what a report tells of it; empty unless asked for.
        classes: that the maps were read with.
    """

    result: dict[str, Any]
    evaluator: Evaluator
    pairs: list[SequencePair]
    stories: dict[str, SequenceStory]
    classes: PngClasses


def score_folders(
    truth: Path,
    predicted: Path,
    *,
    classes: Path | None = None,
    min_area: int = 0,
    devkit_exact: bool = False,
    processes: int = 1,
    stories: bool = False,
) -> Scored:
    """``evaluate`` with what lies behind the scores.

    Args:
        stories: also gather what a report needs.
    """
    if min_area < 0:
        raise InputError(f"min_area {min_area}: a number of pixels, 0 or more, is expected")
    png_classes = read_classes(classes)
    pairs, extra = pair_folders(truth, predicted)
    score = partial(_score_sequence, classes=png_classes, min_area=min_area, devkit_exact=devkit_exact, stories=stories)
    total, told = Evaluator(png_classes.classes, min_area=min_area, devkit_exact=devkit_exact), {}
    for pair, (evaluator, story) in zip(pairs, _map_sequences(score, pairs, processes), strict=True):
        total.merge(evaluator)
        if story is not None:
            told[pair.name] = story
    result = {
        **total.result(),
        "sequences": len(pairs),
        "frames": sum(len(pair.frames) for pair in pairs),
        "missing": [name for pair in pairs for name in pair.missing],
        "extra": extra,
    }
    return Scored(result, total, pairs, told, png_classes)


def _score_sequence(
    pair: SequencePair, classes: PngClasses, min_area: int, devkit_exact: bool, stories: bool
) -> tuple[Evaluator, SequenceStory | None]:
    """An evaluator that has seen one sequence, and its story if wanted."""
    evaluator = Evaluator(classes.classes, min_area=min_area, devkit_exact=devkit_exact)
    story = SequenceStory(classes.classes, min_area) if stories else None
    for _, truth_path, predicted_path in pair.frames:
        truth = read_map(truth_path, classes.void)
        predicted = np.full_like(truth, -1) if predicted_path is None else read_map(predicted_path, classes.void)
        try:
            outcome = evaluator.add(pair.name, truth, predicted)
        except InputError as error:
            raise InputError(f"{_culprit(evaluator, truth, truth_path, predicted_path)}: {error}") from None
        if story is not None:
            story.add(*outcome, predicted=predicted_path is not None)
    return evaluator, story


def _culprit(evaluator: Evaluator, truth: np.ndarray, truth_path: Path, predicted_path: Path | None) -> Path | None:
    """The file to blame for a pair of maps that cannot be scored: the prediction, unless the truth has a wrong class."""
    try:
        evaluator.stq.table.check(truth)
    except InputError:
        return truth_path
    return predicted_path


def _map_sequences(score: Callable, pairs: list[SequencePair], processes: int) -> list:
    """What ``score`` returns for each sequence, in order."""
    processes = min(processes, len(pairs))
    if processes == 1 or sum(len(pair.frames) for pair in pairs) < _WORTH_A_PROCESS:
        return [score(pair) for pair in tqdm(pairs, **_BAR)]
    # A fresh interpreter each: a copy of one that has threads running may hang.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(tqdm(pool.map(score, pairs), total=len(pairs), **_BAR))


def table(result: dict[str, Any]) -> str:
    """What ``evaluate`` returned as Markdown: scores overall and per sequence, and what was odd about the folders."""
    rows = {"**all**": result, **result["per_sequence"]}
    lines = ["| | " + " | ".join(SCORES) + " |", "| --- |" + " ---: |" * len(SCORES)]
    for name, scores in rows.items():
        lines.append(f"| {name} | " + " | ".join(_cell(score, scores[score]) for score in SCORES) + " |")
    reasons = result["reasons"]
    for reason in dict.fromkeys(reasons.values()):
        lines.append(f"\n{', '.join(score for score in reasons if reasons[score] == reason)}: {reason}")
    for kind, meaning in (("missing", "counted as all void"), ("extra", "ignored")):
        if names := result[kind]:
            dots = ", ..." if len(names) > _NAMED else ""
            lines.append(f"\n{len(names)} predicted frame(s) {kind} ({meaning}): {', '.join(names[:_NAMED])}{dots}")
    return "\n".join(lines)


def _cell(name: str, score: float | None) -> str:
    if score is None:
        return "-"
    return str(score) if name == "IDS" else f"{100 * score:.2f}"
