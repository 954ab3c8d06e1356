"""Lots beside the road: places with a frame of their own, and the ground that buildings have already taken."""

from dataclasses import dataclass, field

import numpy as np

from mapt_ros.synthetic.greenery import Nursery
from mapt_ros.synthetic.layout import Frontage, Layout
from mapt_ros.synthetic.mesh import pose
from mapt_ros.synthetic.shapes import Parts

GRADE = 0.1  # metres that the land lies above the carriageway


@dataclass
class Site:
    """What is being built on: the plan, the parts so far, the plants at hand and the rectangles of ground taken."""

    layout: Layout
    parts: Parts
    rng: np.random.Generator
    nursery: Nursery
    _taken: "_Rectangles" = field(
        default_factory=lambda: _Rectangles(np.zeros((0, 2)), np.zeros((0, 2, 2)), np.zeros((0, 2)))
    )

    def free(self, base: np.ndarray, width: float, depth: float, clear: float = -0.05, overlap: float = 0.0) -> bool:
        """Whether a rectangle [0, width] x [0, depth] in a frame (4x4) keeps ``clear`` metres from all roads and
        overlaps what is taken by ``overlap`` metres at most."""
        x, y = np.meshgrid(
            np.linspace(0, width, max(2, int(width / 3) + 1)), np.linspace(0, depth, max(2, int(depth / 3) + 1))
        )
        points = np.stack([x.ravel(), y.ravel()], axis=1) @ base[:2, :2].T + base[:2, 3]
        if self.layout.clearance(points).min() < clear:
            return False
        return not self._overlaps(_Rectangles.of(base, width, depth, overlap))

    def take(self, base: np.ndarray, width: float, depth: float) -> None:
        """Takes the rectangle."""
        self._taken = self._taken.followed_by(_Rectangles.of(base, width, depth, 0.0))

    def bare(self, points: np.ndarray, margin: float) -> np.ndarray:
        """N bool: which Nx2 points lie ``margin`` metres or more outside everything taken."""
        taken = self._taken
        offset = points[:, None] - taken.centers
        across = np.abs(np.einsum("nkd,kad->nka", offset, taken.axes))
        return ~(across < taken.halves + margin).all(axis=2).any(axis=1)

    def _overlaps(self, one: "_Rectangles") -> bool:
        """Whether a rectangle overlaps any that is taken (separating axes)."""
        taken = self._taken
        offset = taken.centers - one.centers
        apart = np.zeros(len(offset), dtype=bool)
        for axes in (np.broadcast_to(one.axes, taken.axes.shape), taken.axes):
            reach = np.abs(np.einsum("kad,kbd->kab", axes, np.broadcast_to(one.axes, axes.shape))) @ one.halves[0]
            reach += np.einsum("kab,kb->ka", np.abs(np.einsum("kad,kbd->kab", axes, taken.axes)), taken.halves)
            apart |= (np.abs(np.einsum("kad,kd->ka", axes, offset)) >= reach).any(axis=1)
        return not apart.all()


@dataclass(frozen=True)
class _Rectangles:
    """K rectangles on the ground: Kx2 centers, Kx2x2 unit axes (rows), Kx2 half sizes."""

    centers: np.ndarray
    axes: np.ndarray
    halves: np.ndarray

    @staticmethod
    def of(base: np.ndarray, width: float, depth: float, inset: float) -> "_Rectangles":
        """[0, width] x [0, depth] in a frame, made smaller by ``inset`` on all sides."""
        half = 0.5 * np.array([width, depth])
        center = base[:2, :2] @ half + base[:2, 3]
        return _Rectangles(center[None], base[:2, :2].T[None], np.maximum(half - inset, 0.4 * half)[None])

    def followed_by(self, other: "_Rectangles") -> "_Rectangles":
        """Both, one after the other."""
        return _Rectangles(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in self.__dataclass_fields__))


class Street:
    """The line along which a frontage's lots lie, measured in metres along it."""

    def __init__(self, front: Frontage) -> None:
        self.front = front
        self._along = np.linspace(front.start, front.end, max(2, int(front.end - front.start) + 1))
        x, y, _ = front.road.at(self._along, front.side * front.road.frontage(front.side))
        steps = np.hypot(np.diff(x), np.diff(y))
        # Inside a tight bend the line may turn back on itself: it then goes on for nothing there.
        self._length = np.concatenate([[0.0], np.cumsum(steps)])
        self.length = float(self._length[-1])

    def along(self, distance: float | np.ndarray) -> np.ndarray:
        """Metres along the road's centreline at a distance along the line."""
        return np.interp(distance, self._length, self._along)

    def frame(self, distance: float, setback: float) -> np.ndarray:
        """4x4 frame of a place: x along the street (to the right as seen from it), y away from it, z up."""
        front = self.front
        lateral = front.side * (front.road.frontage(front.side) + setback)
        x, y, yaw = (float(v) for v in front.road.at(self.along(distance), lateral))
        return pose(x, y, 0.0, yaw if front.side > 0 else yaw + np.pi)

    def lot(self, site: Site, distance: float, width: float, setback: float) -> np.ndarray:
        """The frame at the left corner of a lot, moved back where the road bends so that its front stays clear."""
        base = self.frame(distance, setback) @ pose(-width / 2, 0.0)
        ends = np.linspace(0, width, 7)
        for _ in range(2):
            points = np.stack([ends, 0 * ends], axis=1) @ base[:2, :2].T + base[:2, 3]
            lacking = setback - float(site.layout.clearance(points).min())
            if lacking <= 0.01:
                break
            base = base @ pose(0.0, min(lacking, 6.0))
        return base

    def line(self, start: float, end: float, setback: float, step: float = 2.0) -> np.ndarray:
        """Kx3 points on the ground along the street, ``setback`` metres behind the sidewalk (or a verge)."""
        front = self.front
        count = max(2, int(np.ceil((end - start) / step)) + 1)
        verge = 0.6 if front.road.sidewalk[0 if front.side > 0 else 1] < 0.4 else 0.0
        lateral = front.side * (front.road.frontage(front.side) + setback + verge)
        x, y, _ = front.road.at(self.along(np.linspace(start, end, count)), lateral)
        return np.stack([x, y, np.full(count, GRADE)], axis=1)
