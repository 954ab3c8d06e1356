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
    _taken: list[np.ndarray] = field(default_factory=list)

    def free(self, base: np.ndarray, width: float, depth: float, clear: float = -0.05, overlap: float = 0.0) -> bool:
        """Whether a rectangle [0, width] x [0, depth] in a frame (4x4) keeps ``clear`` metres from all roads and
        overlaps what is taken by ``overlap`` metres at most."""
        x, y = np.meshgrid(
            np.linspace(0, width, max(2, int(width / 3) + 1)), np.linspace(0, depth, max(2, int(depth / 3) + 1))
        )
        points = np.stack([x.ravel(), y.ravel()], axis=1) @ base[:2, :2].T + base[:2, 3]
        if self.layout.clearance(points).min() < clear:
            return False
        corners = _corners(base, width, depth, overlap)
        return not any(_overlap(corners, other) for other in self._taken)

    def take(self, base: np.ndarray, width: float, depth: float) -> None:
        """Takes the rectangle."""
        self._taken.append(_corners(base, width, depth, 0.0))

    def bare(self, points: np.ndarray, margin: float) -> np.ndarray:
        """N bool: which Nx2 points lie ``margin`` metres or more outside everything taken."""
        result = np.ones(len(points), dtype=bool)
        for corners in self._taken:
            center = corners.mean(axis=0)
            near = np.linalg.norm(points - center, axis=1) < np.linalg.norm(corners[0] - center) + margin
            u, v = corners[1] - corners[0], corners[3] - corners[0]
            lu, lv = np.linalg.norm(u), np.linalg.norm(v)
            offset = points[near] - corners[0]
            a, b = offset @ u / lu, offset @ v / lv
            result[near] &= ~((a > -margin) & (a < lu + margin) & (b > -margin) & (b < lv + margin))
        return result


def _corners(base: np.ndarray, width: float, depth: float, inset: float) -> np.ndarray:
    inset = min(inset, 0.3 * width, 0.3 * depth)
    local = np.array([(inset, inset), (width - inset, inset), (width - inset, depth - inset), (inset, depth - inset)])
    return local @ base[:2, :2].T + base[:2, 3]


def _overlap(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two rectangles overlap (separating axes)."""
    for corners in (a, b):
        for axis in (corners[1] - corners[0], corners[3] - corners[0]):
            pa, pb = a @ axis, b @ axis
            if pa.max() <= pb.min() or pb.max() <= pa.min():
                return False
    return True


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
        """Kx3 points on the ground along the street, ``setback`` metres behind the sidewalk."""
        front = self.front
        count = max(2, int(np.ceil((end - start) / step)) + 1)
        lateral = front.side * (front.road.frontage(front.side) + setback)
        x, y, _ = front.road.at(self.along(np.linspace(start, end, count)), lateral)
        return np.stack([x, y, np.full(count, GRADE)], axis=1)
