"""Reads every file of a dataset, names the first that is broken, and otherwise tells what the dataset holds."""

import multiprocessing
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mapt_ros.data.dataset import open_dataset
from mapt_ros.data.frames import Sequence
from mapt_ros.data.labels import LABEL_DIVISOR, ClassSet, is_instance
from mapt_ros.errors import InputError

_WORTH_A_PROCESS = 200  # frames; starting workers takes longer than reading fewer
_SAME_THING = 0.5  # IoU from one frame to the next


@dataclass(frozen=True)
class SequenceFacts:
    """What a sequence holds.

    Attributes:
        name: of the sequence.
        frames: how many.
        missing: frame numbers that are skipped between the first and the last.
        size: height and width in pixels.
        pixels: class id -> pixels in all frames, -1 = unlabelled.
        tracks: class id -> different track ids.
        crowd: class id -> pixels of thing classes without a track id.
    """

    name: str
    frames: int
    missing: int
    size: tuple[int, int]
    pixels: Counter
    tracks: Counter
    crowd: Counter


def check_dataset(folder: Path, split: str | None = None, processes: int | None = None) -> dict[str, Any]:
    """Reads every image and label map.

    Args:
        processes: how many sequences to read at once; one a core unless said. More than one needs an importable main
            module.

    Returns:
        ``folder classes sequences frames sizes tracks pixels unlabelled crowd missing``: ``sizes`` as "HEIGHTxWIDTH" ->
        frames, ``tracks`` as class -> number, ``pixels`` as class -> share of the labelled pixels, ``unlabelled`` and
        ``crowd`` as shares of all pixels, ``missing`` as the number of frames skipped in the numbering.

    Raises:
        InputError: one line that names the first broken file, in the order of sequences and frames.
    """
    dataset = open_dataset(folder, split)
    check = partial(check_sequence, classes=dataset.classes)
    facts = _map(check, dataset.sequences, processes or os.cpu_count() or 1)
    sizes, pixels, tracks = Counter(), Counter(), Counter()
    for each in facts:
        sizes[f"{each.size[0]}x{each.size[1]}"] += each.frames
        pixels.update(each.pixels)
        tracks.update(each.tracks)
    total, unlabelled = pixels.total(), pixels.pop(-1, 0)
    infos = dataset.classes.classes
    return {
        "folder": str(folder),
        "classes": dataset.classes.name,
        "sequences": len(facts),
        "frames": sum(each.frames for each in facts),
        "sizes": dict(sizes),
        "tracks": {c.name: tracks[c.id] for c in infos if c.is_thing},
        "pixels": {c.name: round(pixels[c.id] / max(1, total - unlabelled), 6) for c in infos},
        "unlabelled": round(unlabelled / total, 6),
        "crowd": round(sum(each.crowd.total() for each in facts) / total, 6),
        "missing": sum(each.missing for each in facts),
    }


def check_sequence(sequence: Sequence, classes: ClassSet) -> SequenceFacts:
    """Reads a sequence from its first frame to its last.

    Raises:
        InputError: a file cannot be read or is of the wrong kind, image and label map or two frames differ in size, a
            class is not in the set, stuff has a track id, a track changes its class, or there is one frame only.
    """
    if len(sequence) == 1:
        raise InputError(f"{sequence.label_files[0].parent}: has a single frame; tracks need two")
    pixels, crowd, labels_seen = Counter(), Counter(), set()
    before: np.ndarray | None = None
    for i, path in enumerate(sequence.label_files):
        _, labels = sequence.frame(i)
        if before is not None and labels.shape != before.shape:
            raise InputError(
                f"{sequence.image_files[i]}: is {labels.shape[1]}x{labels.shape[0]} pixels, the frame before"
                f" {before.shape[1]}x{before.shape[0]}; a sequence must keep one size"
            )
        counts = _count(labels)
        _check_classes(path, counts, classes)
        if before is not None:
            _check_identities(path, before, labels, classes)
        for label, count in counts.items():
            class_id = -1 if label < 0 else label // LABEL_DIVISOR
            pixels[class_id] += count
            if class_id >= 0 and classes.by_id[class_id].is_thing and label % LABEL_DIVISOR == 0:
                crowd[class_id] += count
        labels_seen.update(label for label in counts if label >= 0 and label % LABEL_DIVISOR)
        before = labels
    missing = sequence.numbers[-1] - sequence.numbers[0] + 1 - len(sequence)
    tracks = Counter(label // LABEL_DIVISOR for label in labels_seen)
    return SequenceFacts(sequence.name, len(sequence), missing, before.shape, pixels, tracks, crowd)


def table(result: dict[str, Any]) -> str:
    """What ``check_dataset`` returned as text."""
    sizes = ", ".join(f"{size} ({frames})" for size, frames in result["sizes"].items())
    shares = f"unlabelled {result['unlabelled']:.2%}, crowd {result['crowd']:.2%} of all pixels"
    lines = [
        f"{result['folder']}: {result['sequences']} sequences, {result['frames']} frames, classes {result['classes']}",
        f"sizes (frames): {sizes}",
        f"{shares}; {result['missing']} frame numbers skipped",
        f"{'class':<16}{'pixels':>9}{'tracks':>9}",
    ]
    for name, share in result["pixels"].items():
        lines.append(f"{name:<16}{share:>9.2%}{result['tracks'].get(name, ''):>9}")
    return "\n".join(lines)


def _count(labels: np.ndarray) -> dict[int, int]:
    """Label -> pixels. Labels come in runs along the rows; sorting those instead of all pixels is what makes it quick."""
    flat = labels.ravel()
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    found, inverse = np.unique(flat[starts], return_inverse=True)
    counts = np.bincount(inverse, np.diff(starts, append=flat.size)).astype(np.int64)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def _check_classes(path: Path, counts: dict[int, int], classes: ClassSet) -> None:
    for label in counts:
        if label < 0:
            continue
        class_id, track_id = divmod(label, LABEL_DIVISOR)
        info = classes.by_id.get(class_id)
        if info is None:
            raise InputError(f"{path}: class {class_id} is none of {classes.name}'s")
        if track_id and not info.is_thing:
            raise InputError(f"{path}: {info.name} has track id {track_id}; only things have one")


def _check_identities(path: Path, before: np.ndarray, labels: np.ndarray, classes: ClassSet) -> None:
    """A track that is one class in a frame and another at the same place in the next has changed its class.

    The place has to speak too, because some sets number the tracks of each class from 1.
    """
    changed = is_instance(before) & is_instance(labels) & (before != labels)
    changed &= (before & (LABEL_DIVISOR - 1)) == (labels & (LABEL_DIVISOR - 1))
    if not changed.any():
        return
    joint = np.stack([before[changed], labels[changed]], axis=1)
    for (old, new), shared in zip(*np.unique(joint, axis=0, return_counts=True), strict=True):
        union = np.count_nonzero(before == old) + np.count_nonzero(labels == new) - shared
        if shared > _SAME_THING * union:
            names = [classes.by_id[int(label) // LABEL_DIVISOR].name for label in (old, new)]
            raise InputError(
                f"{path}: track {new % LABEL_DIVISOR} is a {names[1]}, in the frame before it was a {names[0]}; a track"
                " must keep its class"
            )


def _map(check: partial, sequences: tuple[Sequence, ...], processes: int) -> list[SequenceFacts]:
    """One outcome a sequence, in order; of several errors, the one of the earliest sequence."""
    bar = {"desc": "check", "unit": "sequence", "total": len(sequences), "disable": None}
    processes = min(processes, len(sequences))
    if processes == 1 or sum(map(len, sequences)) < _WORTH_A_PROCESS:
        return list(tqdm(map(check, sequences), **bar))
    # A fresh interpreter each: a copy of one that has threads running may hang.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return list(tqdm(pool.map(check, sequences), **bar))
        except InputError:
            pool.shutdown(cancel_futures=True)
            raise
