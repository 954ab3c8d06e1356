"""Expresses the label maps of one class set in another: by class name, and unlabelled where there is no such class."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from mapt_ros.data.frames import Dataset
from mapt_ros.data.labels import LABEL_DIVISOR, UNLABELLED, ClassSet
from mapt_ros.errors import InputError

_SYNONYMS = {"pedestrian": "person"}  # BDD100K's name


def class_mapping(source: ClassSet, target: ClassSet) -> dict[int, int]:
    """Class id in ``source`` -> class id in ``target``, for the classes that both have.

    Raises:
        InputError: they have none in common.
    """
    ids = {_SYNONYMS.get(c.name, c.name): c.id for c in target.classes}
    mapping = {c.id: ids[_SYNONYMS.get(c.name, c.name)] for c in source.classes if _SYNONYMS.get(c.name, c.name) in ids}
    if not mapping:
        raise InputError(f"class sets {source.name} and {target.name} have no class in common")
    return mapping


def map_labels(labels: np.ndarray, source: ClassSet, target: ClassSet) -> np.ndarray:
    """An HxW int32 label map of one class set in another.

    A class that the target lacks becomes unlabelled. A thing that is stuff in the target loses its track id; stuff that
    is a thing in the target keeps id 0, and so becomes crowd: there may be instances, but nothing says which.
    """
    firsts = np.full(128, UNLABELLED, dtype=np.int32)  # label of track id 0 of each class
    keeps_id = np.zeros(128, dtype=np.int32)
    for old, new in class_mapping(source, target).items():
        firsts[old] = new * LABEL_DIVISOR
        keeps_id[old] = target.by_id[new].is_thing
    known = labels >= 0
    class_ids = np.where(known, labels // LABEL_DIVISOR, 0)
    mapped = firsts[class_ids] + keeps_id[class_ids] * np.where(known, labels % LABEL_DIVISOR, 0)
    return np.where(known, mapped, UNLABELLED).astype(np.int32)


def mapped(dataset: Dataset, target: ClassSet) -> Dataset:
    """The same data set with label maps in another class set.

    Raises:
        InputError: the two class sets have no class in common.
    """
    if dataset.classes == target:
        return dataset
    class_mapping(dataset.classes, target)
    sequences = tuple(
        replace(s, read_labels=partial(_read_mapped, read=s.read_labels, source=dataset.classes, target=target))
        for s in dataset.sequences
    )
    return replace(dataset, classes=target, sequences=sequences)


def _read_mapped(path: Path, read: Callable[[Path], np.ndarray], source: ClassSet, target: ClassSet) -> np.ndarray:
    return map_labels(read(path), source, target)
