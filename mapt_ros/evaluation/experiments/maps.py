"""The label maps of a study's variants on disk: written a sequence at a time, kept when a study is killed, then scored."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mapt_ros.data.frames import Dataset, Sequence
from mapt_ros.data.labels import labels_to_step_png
from mapt_ros.data.step import MAPS, read_step_map
from mapt_ros.errors import InputError
from mapt_ros.evaluation.experiments.inputs import Source
from mapt_ros.evaluation.experiments.measures import Measured, TrueFrame
from mapt_ros.evaluation.experiments.occlusion import hidden_things
from mapt_ros.evaluation.propagation import PropagationQuality
from mapt_ros.evaluation.variants import Variant, track_variants
from mapt_ros.replay.files import partial_name, write_beside, writing
from mapt_ros.tracking.tracker import PanopticTracker
from mapt_ros.viz.overlay import png_bytes


def write_maps(place: Path, tracker: PanopticTracker, dataset: Dataset, variants: tuple[Variant, ...]) -> None:
    """Tracks the sequences of a dataset that ``place`` does not hold yet.

    Each variant's maps lie in ``<place>/<variant>/panoptic_maps/<sequence>/%06d.png``, as ``mapt evaluate`` takes them.

    Raises:
        InputError: a file cannot be read or written; the sequences before are kept.
    """
    missing = [sequence for sequence in dataset.sequences if _propagation(place, sequence) is None]
    frames = sum(map(len, missing))
    with tqdm(total=frames, desc=f"track {dataset.folder.name}", unit="frame", disable=None) as bar:
        for sequence in missing:
            _write_sequence(place, tracker, sequence, variants, bar)


def measure(place: Path, source: Source, variants: tuple[Variant, ...]) -> dict[str, Measured]:
    """Scores what ``write_maps`` wrote, each variant by its name.

    A variant that sees every n-th frame has short sequences, and short ones are easy to track to their end. So where
    there is one, the metrics look at all variants in pieces about as long as the one that sees fewest frames has.

    Raises:
        InputError: a file cannot be read.
    """
    results = {variant.name: Measured.none(source.dataset.classes) for variant in variants}
    sequences = source.dataset.sequences
    with tqdm(total=sum(map(len, sequences)), desc=f"score {source.name}", unit="frame", disable=None) as bar:
        for sequence in sequences:
            hidden = hidden_things(sequence.labels(i) for i in range(len(sequence)))
            sparsest = max(variant.every for variant in variants)
            least = max(2, len(sequence) // sparsest)
            quality = _propagation(place, sequence) or {}
            for variant in variants:
                if str(variant.every) in quality:
                    results[variant.name].propagation.merge(PropagationQuality(**quality[str(variant.every)]))
            for i in range(len(sequence)):
                truth = TrueFrame.of(sequence.labels(i), hidden[i])
                for variant, name, path in _files(place, sequence, variants, i):
                    predicted = source.expressible(read_step_map(path))
                    piece = piece_of(i, len(sequence), variant.every, least) if sparsest > 1 else 0
                    results[variant.name].add(name, piece, truth, predicted)
                bar.update()
    return results


def piece_of(i: int, frames: int, every: int, least: int) -> int:
    """Which piece of its pass through a sequence frame i is in: pieces of one length but for a frame, none below ``least``.

    Args:
        frames: of the sequence.
        every: the pass sees every n-th of them.
        least: frames of a piece at least; a pass with fewer is one piece.
    """
    seen = len(range(i % every, frames, every))
    return i // every * max(1, seen // least) // seen


def slug(name: str) -> str:
    """A name as a folder's."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")


def _write_sequence(
    place: Path, tracker: PanopticTracker, sequence: Sequence, variants: tuple[Variant, ...], bar: tqdm
) -> None:
    finals = [_folder(place, v.name, name) for v in variants for name in v.sequences(sequence.name)]
    hidden = {final: partial_name(final) for final in finals}
    qualities = {every: PropagationQuality() for every in dict.fromkeys(v.every for v in variants)}
    try:
        with writing(place):
            for final, folder in hidden.items():
                for old in (final, folder):
                    shutil.rmtree(old, ignore_errors=True)
                folder.mkdir(parents=True)
        for frame in track_variants(tracker, sequence, variants, propagation=qualities):
            for variant, name, labels in frame.labels:
                _write_map(hidden[_folder(place, variant, name)] / _file(sequence, frame.index), labels)
            bar.update()
        with writing(place):
            for final, folder in hidden.items():
                folder.rename(final)
            # The record comes last: where it is, the sequence is whole.
            _record(place, sequence).parent.mkdir(exist_ok=True)
        propagation = {str(every): asdict(quality) for every, quality in qualities.items()}
        record = {"frames": sequence.numbers, "propagation": propagation}
        write_beside(_record(place, sequence), (json.dumps(record) + "\n").encode())
    finally:
        for folder in hidden.values():
            shutil.rmtree(folder, ignore_errors=True)


def _write_map(path: Path, labels: np.ndarray) -> None:
    try:
        png = labels_to_step_png(labels)
    except InputError as error:
        raise InputError(f"{path.parent.name}: {error}") from None
    with writing(path):
        path.write_bytes(png_bytes(png))


def _files(
    place: Path, sequence: Sequence, variants: tuple[Variant, ...], i: int
) -> Iterator[tuple[Variant, str, Path]]:
    """Of every variant, the pass that has seen frame i, and its map."""
    for variant in variants:
        name = variant.sequences(sequence.name)[i % variant.every]
        yield variant, name, _folder(place, variant.name, name) / _file(sequence, i)


def _folder(place: Path, variant: str, sequence: str) -> Path:
    return place / slug(variant) / MAPS / slug(sequence)


def _file(sequence: Sequence, i: int) -> str:
    return f"{sequence.numbers[i]:06d}.png"


def _propagation(place: Path, sequence: Sequence) -> dict | None:
    """What the sequence's record holds; None where the sequence is not whole, or has other frames by now."""
    try:
        record = json.loads(_record(place, sequence).read_text())
        return record["propagation"] if record["frames"] == list(sequence.numbers) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _record(place: Path, sequence: Sequence) -> Path:
    return place / "propagation" / f"{slug(sequence.name)}.json"
