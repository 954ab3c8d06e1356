"""What the metrics' tests share: a small class set, and random sequences with everything that trips a metric."""

import numpy as np
import pytest

from mapt_ros.data.labels import LABEL_DIVISOR, ClassInfo, ClassSet

BLACK = (0, 0, 0)
# Two classes never occur in the random sequences, and one only among the predictions.
CLASSES = ClassSet(
    "test",
    (
        ClassInfo(0, "road", False, BLACK),
        ClassInfo(3, "car", True, BLACK),
        ClassInfo(4, "wall", False, BLACK),
        ClassInfo(7, "person", True, BLACK),
        ClassInfo(9, "sky", False, BLACK),
        ClassInfo(10, "absent-stuff", False, BLACK),
        ClassInfo(11, "absent-thing", True, BLACK),
    ),
)
STUFF, THINGS = (0, 4, 9), (3, 7)


@pytest.fixture(scope="session")
def classes() -> ClassSet:
    return CLASSES


@pytest.fixture(scope="session")
def random_sequences():
    """seed -> sequences; the fixed values in the tests hold for these, so the generator must not change."""
    return _random_sequences


def _random_sequences(seed: int, shape: tuple[int, int] = (12, 16)) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Sequence -> frames of (truth, predicted): rectangles that move, with void, crowd, id changes, empty frames."""
    random = np.random.default_rng(seed)
    return {f"{number:04d}": _random_sequence(random, shape) for number in range(3)}


def _random_sequence(random: np.random.Generator, shape: tuple[int, int]) -> list[tuple[np.ndarray, np.ndarray]]:
    height, width = shape
    things = [
        (int(random.choice(THINGS)), number + 1, random.integers(0, height - 3), random.integers(0, width - 3))
        for number in range(5)
    ]
    sizes = random.integers(2, 6, (len(things), 2))
    frames = []
    for _ in range(int(random.integers(5, 9))):
        truth = np.repeat(random.choice(STUFF[:2], (height // 2, 1)), width, axis=1).repeat(2, axis=0) * LABEL_DIVISOR
        predicted = np.where(random.random((height // 2, 1)).repeat(2, axis=0) < 0.8, truth, 9 * LABEL_DIVISOR)
        for (class_id, track_id, row, column), (rows, columns) in zip(things, sizes, strict=True):
            row, column = row + random.integers(-1, 2), column + random.integers(-1, 2)
            place = slice(max(row, 0), row + rows), slice(max(column, 0), column + columns)
            if random.random() < 0.85:
                truth[place] = class_id * LABEL_DIVISOR + (0 if random.random() < 0.1 else track_id)
            shifted = place[0], slice(place[1].start + (random.random() < 0.3), place[1].stop)
            wrong_class = random.random() < 0.1
            wrong_id = 10 + track_id if random.random() < 0.25 else track_id
            if random.random() < 0.1:
                predicted[shifted] = 4 * LABEL_DIVISOR  # stuff where a thing is
            elif random.random() < 0.9:
                predicted[shifted] = (THINGS[0] if wrong_class else class_id) * LABEL_DIVISOR + wrong_id
        truth[random.random(shape) < 0.03] = -1
        predicted[random.random(shape) < 0.03] = -1
        if random.random() < 0.1:
            predicted[:] = -1
        if random.random() < 0.05:
            truth[:] = -1
        frames.append((truth.astype(np.int32), predicted.astype(np.int32)))
    return frames
