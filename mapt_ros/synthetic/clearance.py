"""Who takes which ground when: bodies as rows of circles over the frames, so that nothing drives or walks into another."""

import numpy as np


class Clearance:
    """The ground taken at each of ``frames`` times; ask before adding."""

    def __init__(self, frames: int):
        self._centers = np.empty((frames, 0, 2))
        self._radii = np.empty(0)

    def free(self, centers: np.ndarray, radius: float, margin: float) -> bool:
        """Whether a body's circles (FxNx2) keep ``margin`` metres from all others at all times."""
        if not len(self._radii):
            return True
        near = self._near(centers, radius + margin)
        taken = self._centers[:, near]
        limit = (self._radii[near] + radius + margin) ** 2
        return not any(
            np.any(((taken - centers[:, i, None]) ** 2).sum(axis=-1) < limit) for i in range(centers.shape[1])
        )

    def add(self, centers: np.ndarray, radius: float) -> None:
        """Takes the ground under a body's circles (FxNx2)."""
        self._centers = np.concatenate([self._centers, centers], axis=1)
        self._radii = np.concatenate([self._radii, np.full(centers.shape[1], radius)])

    def _near(self, centers: np.ndarray, reach: float) -> np.ndarray:
        """Which circles' ways come near a body's way at all."""
        low, high = centers.min(axis=(0, 1)) - reach, centers.max(axis=(0, 1)) + reach
        below, above = self._centers.min(axis=0), self._centers.max(axis=0)
        return ((above + self._radii[:, None] > low) & (below - self._radii[:, None] < high)).all(axis=1)


def body_circles(places: np.ndarray, yaws: np.ndarray, length: float, width: float) -> tuple[np.ndarray, float]:
    """Circles (FxNx2) that cover an oblong body at F places (Fx2) and headings (F), and their radius."""
    radius = 0.5 * width * 1.08
    count = max(1, int(np.ceil(length / width * 1.2)))
    offsets = np.linspace(-1, 1, count) * max(0.0, length / 2 - 0.5 * width) if count > 1 else np.zeros(1)
    directions = np.stack([np.cos(yaws), np.sin(yaws)], axis=-1)
    return places[:, None] + offsets[None, :, None] * directions[:, None], radius
