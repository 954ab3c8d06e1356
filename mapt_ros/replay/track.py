"""Runs the tracker over a source offline: the same images always give the same maps and tracks."""

import json
import operator
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from mapt_ros.data.labels import ClassSet
from mapt_ros.errors import InputError, first_line
from mapt_ros.replay.files import write_beside, writing
from mapt_ros.replay.sinks import BagSink, Sink, StepSink, TracksSink, VideoSink
from mapt_ros.replay.sources import Source, open_sources
from mapt_ros.tracking.frame import PanopticFrame
from mapt_ros.tracking.stamps import judge_stamp

BACK_JUMP_NS = 500_000_000  # the node's defaults for back_jump_s and max_gap_s: offline and online restart alike
MAX_GAP_NS = 2_000_000_000


class Tracker(Protocol):
    """What a run needs of a ``PanopticTracker``."""

    classes: ClassSet

    def __call__(self, image_rgb: np.ndarray, stamp_ns: int | None = None) -> PanopticFrame: ...

    def reset(self) -> None: ...


def track_source(
    source: Path,
    out: Path,
    *,
    weights: str = "compact",
    device: str = "auto",
    topic: str | None = None,
    video: Path | None = None,
    bag: Path | None = None,
) -> dict:
    """Tracks an image folder, a video or a bag; the work of ``mapt track``.

    Args:
        source: folder or file; a folder of several sequences is tracked one after the other.
        out: folder for ``panoptic_maps/<sequence>/%06d.png``, ``tracks.jsonl`` and ``summary.json``.
        weights: name of a bundled checkpoint, or a file.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        topic: image topic of a bag that has several.
        video: overlay video to write as well.
        bag: rosbag2 of PanopticFrame messages to write as well.

    Returns:
        The summary, as in ``summary.json``.

    Raises:
        InputError: nothing to read, results already there, or on the way an image that cannot be read or a file that
            cannot be written. In the last cases the frames before are kept, and ``summary.json`` says what broke off.
    """
    from mapt_ros.tracking.tracker import PanopticTracker

    sources = open_sources(source, topic)
    tracker = PanopticTracker.load(weights, device=device)
    facts = {
        "source": str(source),
        "weights": tracker.weights_name,
        "weights_hash": tracker.weights_hash,
        "device": str(tracker.device),
    }
    return track_sequences(sources, tracker, out, video=video, bag=bag, facts=facts)


def track_sequences(
    sources: list[Source],
    tracker: Tracker,
    out: Path,
    *,
    video: Path | None = None,
    bag: Path | None = None,
    facts: dict | None = None,
) -> dict:
    """``track_source`` for sources already open and a tracker that has seen nothing yet.

    Args:
        sources: sequences in order; the tracker is reset between them.
        tracker: sees every image.
        out, video, bag: as in ``track_source``.
        facts: goes into the summary as it is.

    Returns:
        The summary: ``facts``, ``complete``, ``frames``, ``sequences`` (frames of each), ``tracks``, ``dropped`` (late
        or repeated stamps), ``latency_ms_p50`` and ``_p95`` of the tracker, ``warnings``.

    Raises:
        InputError: as ``track_source``.
    """
    out = Path(out)
    if bag is not None and len(sources) > 1:
        raise InputError(f"{bag}: one bag holds one sequence, and the source has {len(sources)}; name one of them")
    _claim(out)
    sinks = _open_sinks(out, tracker.classes, video, bag)
    run = _Run(tracker)
    problems = _attempt([lambda: run.over(sources, sinks)]) + _attempt([sink.close for sink in sinks])
    warnings = [warning for source in sources for warning in source.warnings]
    summary = {**(facts or {}), "complete": not problems, **run.summary(), "warnings": warnings}
    if problems:
        summary["broke_off"] = first_line(problems[0])
    text = json.dumps(summary, indent=2) + "\n"
    problems += _attempt([lambda: write_beside(out / "summary.json", text.encode())])
    if problems:
        raise problems[0]
    return summary


class _Run:
    """Counts and times while the frames go by."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._frames: Counter[str] = Counter()
        self._tracks: set[tuple[str, int, int]] = set()
        self._dropped = 0
        self._latencies_ms: list[float] = []

    def over(self, sources: Iterable[Source], sinks: list[Sink]) -> None:
        for number, source in enumerate(sources):
            if number > 0:
                self._tracker.reset()
            self._frames[source.sequence] = 0
            self._over_one(source, sinks)

    def _over_one(self, source: Source, sinks: list[Sink]) -> None:
        last_ns: int | None = None
        total = operator.length_hint(source) or None
        for item in tqdm(source, total=total, desc=source.sequence, unit="frame", disable=None):
            verdict = judge_stamp(item.stamp_ns, last_ns, back_jump_ns=BACK_JUMP_NS, max_gap_ns=MAX_GAP_NS)
            if verdict.drops:
                self._dropped += 1
                continue
            if verdict.restarts:
                self._tracker.reset()
            last_ns = item.stamp_ns
            began = time.perf_counter()
            # As in the node: a stamp of zero is a driver that does not stamp.
            frame = self._tracker(item.image, item.stamp_ns or None)
            elapsed_ms = (time.perf_counter() - began) * 1000
            for sink in sinks:
                sink.write(source.sequence, item, frame, elapsed_ms)
            self._latencies_ms.append(elapsed_ms)
            self._frames[source.sequence] += 1
            self._tracks.update((source.sequence, frame.epoch, i.track_id) for i in frame.instances)

    def summary(self) -> dict:
        p50, p95 = np.percentile(self._latencies_ms, [50, 95]).tolist() if self._latencies_ms else (None, None)
        return {
            "frames": sum(self._frames.values()),
            "sequences": dict(self._frames),
            "tracks": len(self._tracks),
            "dropped": self._dropped,
            "latency_ms_p50": p50,
            "latency_ms_p95": p95,
        }


def _attempt(steps: Iterable[Callable[[], object]]) -> list[BaseException]:
    """Takes every step, whatever becomes of those before it; what was raised, in order."""
    problems: list[BaseException] = []
    for step in steps:
        try:
            step()
        except BaseException as error:  # noqa: BLE001 - Ctrl-C too must leave the results closed; the caller raises it
            problems.append(error)
    return problems


def _open_sinks(out: Path, classes: ClassSet, video: Path | None, bag: Path | None) -> list[Sink]:
    sinks: list[Sink] = [StepSink(out)]
    try:
        if video is not None:
            sinks.append(VideoSink(video, classes))
        if bag is not None:
            sinks.append(BagSink(bag))
        sinks.append(TracksSink(out))  # last: closed without a frame, it would leave an empty file
    except InputError:
        _attempt([sink.close for sink in sinks])
        raise
    return sinks


def _claim(out: Path) -> None:
    """Makes the output folder; refuses one with earlier results, whose leftovers would pass for this run's."""
    with writing(out):
        for name in ("panoptic_maps", "tracks.jsonl", "summary.json"):
            if (out / name).exists():
                raise InputError(f"{out}: already holds {name} of an earlier run; name another folder or remove it")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be made a folder ({error.strerror})") from None
