"""The random cases that we and the referees score, as one file of arrays that an environment with only NumPy can read."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Sequences = dict[str, list[tuple[np.ndarray, np.ndarray]]]


@dataclass(frozen=True)
class Cases:
    """Label maps as int64 (``class_id * divisor + track_id``, -1 = void); a thing class with id 0 is crowd.

    Attributes:
        class_ids: in the class set's order.
        things: those of them that are things.
        by_seed: seed -> sequence -> frames of (truth, predicted).
    """

    class_ids: list[int]
    things: list[int]
    divisor: int
    by_seed: dict[int, Sequences]

    @property
    def stuff(self) -> list[int]:
        return [class_id for class_id in self.class_ids if class_id not in self.things]

    def crowd(self, labels: np.ndarray) -> np.ndarray:
        """Where a label map has a thing class without an id."""
        return np.isin(labels // self.divisor, self.things) & (labels % self.divisor == 0)

    def sequences(self) -> Iterator[tuple[int, str, list[tuple[np.ndarray, np.ndarray]]]]:
        """(seed, name, frames) of every sequence."""
        for seed, sequences in self.by_seed.items():
            for name, frames in sequences.items():
                yield seed, name, frames

    def save(self, path: Path) -> None:
        """Writes the cases, a sequence an array of frames x 2 x H x W."""
        arrays = {f"{seed}/{name}": np.stack([np.stack(frame) for frame in f]) for seed, name, f in self.sequences()}
        np.savez_compressed(path, class_ids=self.class_ids, things=self.things, divisor=self.divisor, **arrays)

    @classmethod
    def load(cls, path: Path) -> "Cases":
        """Reads what ``save`` wrote."""
        with np.load(path) as arrays:
            by_seed: dict[int, Sequences] = {}
            for key in arrays.files:
                if "/" in key:
                    seed, name = key.split("/")
                    frames = [(truth, predicted) for truth, predicted in arrays[key].astype(np.int64)]
                    by_seed.setdefault(int(seed), {})[name] = frames
            return cls(arrays["class_ids"].tolist(), arrays["things"].tolist(), int(arrays["divisor"]), by_seed)
