"""From a study's ``--data`` to the sequences that it looks at, in the classes of the network."""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mapt_ros.data.bdd100k import is_bdd100k
from mapt_ros.data.dataset import open_dataset
from mapt_ros.data.frames import Dataset, Sequence, subfolders
from mapt_ros.data.labels import LABEL_BITS, UNLABELLED, ClassSet
from mapt_ros.data.mappings import class_mapping, mapped
from mapt_ros.data.step import is_step
from mapt_ros.errors import InputError
from mapt_ros.evaluation.experiments.occlusion import hidden_share

SCENARIOS = ("rapid-motion", "occlusion", "lookalikes", "crowd")
SEED = 100_000  # the first of the seeds that are kept for evaluation
_SEQUENCES, _FRAMES = 4, 20  # of a scenario that has to be drawn first


@dataclass(frozen=True)
class Source:
    """One dataset as a study sees it.

    Attributes:
        name: in the results.
        dataset: its label maps in the network's classes.
        known: ids of the network's classes that the dataset's own classes can express.
    """

    name: str
    dataset: Dataset
    known: frozenset[int]

    def expressible(self, labels: np.ndarray) -> np.ndarray:
        """An HxW int32 label map without the classes that the dataset does not know: its truth could not hold them."""
        table = np.zeros(256, dtype=bool)
        table[list(self.known)] = True
        return np.where((labels >= 0) & table[labels >> LABEL_BITS], labels, UNLABELLED)

    def facts(self) -> dict:
        """What the results tell of it."""
        return {
            "folder": str(self.dataset.folder),
            "sequences": {sequence.name: len(sequence) for sequence in self.dataset.sequences},
        }


@dataclass(frozen=True)
class Limits:
    """How much of a dataset a study looks at; None = all.

    Attributes:
        split: train, val, ... of folders that have splits.
        sequences: how many.
        frames: the first so many of each.
    """

    split: str | None = None
    sequences: int | None = None
    frames: int | None = None


def open_one(folders: tuple[Path, ...], classes: ClassSet, limits: Limits) -> list[Source]:
    """The one dataset given.

    Raises:
        InputError: more than one, or not a dataset with a class of the network.
    """
    return [_source(_only(folders), classes, limits)]


def open_most_occluded(folders: tuple[Path, ...], classes: ClassSet, limits: Limits) -> list[Source]:
    """The sequences of the one dataset in which things are hidden most, by its ground truth; half of them unless said.

    Raises:
        InputError: as ``open_one``.
    """
    source = _source(_only(folders), classes, replace(limits, sequences=None))
    sequences = source.dataset.sequences
    bar = tqdm(sequences, desc="occlusion", unit="sequence", disable=None)
    shares = {sequence.name: hidden_share(sequence.labels(i) for i in range(len(sequence))) for sequence in bar}
    count = limits.sequences or (len(sequences) + 1) // 2
    chosen = tuple(sorted(sequences, key=lambda sequence: -shares[sequence.name])[:count])
    return [replace(source, dataset=replace(source.dataset, sequences=chosen))]


def open_scenarios(folders: tuple[Path, ...], classes: ClassSet, limits: Limits, seed: int | None) -> list[Source]:
    """The scenarios in subfolders of the one folder given; those that it lacks are drawn into it first.

    Args:
        seed: of what is drawn.

    Raises:
        InputError: the folder is a dataset itself, a subfolder is none, or it cannot be written.
    """
    folder = _only(folders)
    if _is_dataset(folder):
        raise InputError(f"{folder}: is one dataset; expected a folder with one for each of {', '.join(SCENARIOS)}")
    for scenario in SCENARIOS:
        if not (folder / scenario).is_dir():
            _draw(folder / scenario, scenario, limits, SEED if seed is None else seed)
    return [replace(_source(folder / name, classes, limits), name=name) for name in SCENARIOS]


def open_several(folders: tuple[Path, ...], classes: ClassSet, limits: Limits) -> list[Source]:
    """Every dataset given; a folder that is none itself stands for the datasets in its subfolders.

    Raises:
        InputError: a folder is no dataset and holds none.
    """
    found = [_source(place, classes, limits) for folder in folders for place in _datasets(folder)]
    names = [source.name for source in found]
    return [
        source if names.count(source.name) == 1 else replace(source, name=str(source.dataset.folder))
        for source in found
    ]


def _datasets(folder: Path) -> list[Path]:
    """The folder itself, or the datasets in it; the folder again where there are none, for others to complain of."""
    if _is_dataset(folder):
        return [folder]
    return [inner for inner in subfolders(folder) if _is_dataset(inner)] or [folder]


def _is_dataset(folder: Path) -> bool:
    return is_step(folder) or is_bdd100k(folder)


def _only(folders: tuple[Path, ...]) -> Path:
    if len(folders) != 1:
        raise InputError(f"data: {len(folders)} folders; this study takes one")
    return folders[0]


def _source(folder: Path, classes: ClassSet, limits: Limits) -> Source:
    dataset = open_dataset(folder, limits.split)
    known = frozenset(class_mapping(dataset.classes, classes).values())
    sequences = tuple(_first_frames(s, limits.frames) for s in dataset.sequences[: limits.sequences])
    return Source(folder.absolute().name, mapped(replace(dataset, sequences=sequences), classes), known)


def _first_frames(sequence: Sequence, frames: int | None) -> Sequence:
    cut = {name: getattr(sequence, name)[:frames] for name in ("numbers", "image_files", "label_files")}
    return replace(sequence, **cut)


def _draw(place: Path, scenario: str, limits: Limits, seed: int) -> None:
    from mapt_ros.synthetic.write import synthesise

    sequences, frames = limits.sequences or _SEQUENCES, limits.frames or _FRAMES
    print(f"{place}: is not there; drawing {sequences} sequences of {frames} frames, seed {seed}", file=sys.stderr)
    beside = place.with_name(f"{place.name}.part")  # whole sequences in it are kept if this is interrupted
    synthesise(
        beside,
        seed=seed,
        sequences=sequences,
        frames=frames,
        scenario=scenario,
        split="val",
        processes=os.cpu_count() or 1,
    )
    beside.replace(place)
