"""Which frames show the classes that few frames show, so that samples can be drawn for them."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mapt_ros.data.frames import Dataset
from mapt_ros.data.labels import ClassSet
from mapt_ros.data.targets import semantic_target

Place = tuple[int, int, int]  # dataset, sequence and frame

_ENOUGH = 60  # pixels of a class with which a frame shows it
_COMMON = 0.5  # share of the frames from which on a class is not rare


def rare_frames(datasets: list[Dataset], classes: ClassSet) -> dict[int, list[Place]]:
    """Where each rare class stands: one that less than half of the frames show. Reads every label map once.

    Args:
        datasets: all in these classes.

    Returns:
        Class index -> the frames that show it; no entry without any.

    Raises:
        InputError: a label file cannot be read.
    """
    places = every_frame(datasets)
    kinds = len(classes.classes)

    def shown(place: Place) -> np.ndarray:
        dataset, sequence, t = place
        indices = semantic_target(datasets[dataset].sequences[sequence].labels(t), classes).numpy()
        return np.bincount(indices.ravel(), minlength=kinds)[:kinds] >= _ENOUGH

    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:  # decoding leaves Python's lock alone
        shows = np.stack(list(pool.map(shown, places)))
    rare = np.flatnonzero(shows.any(axis=0) & (shows.mean(axis=0) < _COMMON))
    return {int(kind): [places[i] for i in np.flatnonzero(shows[:, kind])] for kind in rare}


def every_frame(datasets: list[Dataset]) -> list[Place]:
    """Where all frames stand, in order."""
    return [
        (d, s, t)
        for d, dataset in enumerate(datasets)
        for s, sequence in enumerate(dataset.sequences)
        for t in range(len(sequence))
    ]


def some_pixel(labels: np.ndarray, classes: ClassSet, kind: int, random: np.random.Generator) -> tuple[int, int] | None:
    """Row and column of a pixel of one class in an HxW int32 label map; None if it has none."""
    rows, columns = np.nonzero(semantic_target(labels, classes).numpy() == kind)
    if len(rows) == 0:
        return None
    chosen = int(random.integers(len(rows)))
    return int(rows[chosen]), int(columns[chosen])
