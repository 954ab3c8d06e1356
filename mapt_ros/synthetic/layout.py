"""Where kerbs run and which ground is free: the plan of a town turned into lines beside which things are put."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from mapt_ros.synthetic.road import Junction, Road, Town

BEFORE = 30.0  # metres that the main road is built before its start
KERB = 0.12  # height of a kerb, metres


@dataclass(frozen=True)
class Stretch:
    """A part of a road that is built, from one place along its centreline to another, in metres."""

    road: Road
    start: float
    end: float

    @cached_property
    def samples(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Metres along, and x, y and yaw of the centreline there, a sample a metre or less."""
        along = np.linspace(self.start, self.end, max(2, int(np.ceil(self.end - self.start)) + 1))
        return along, *self.road.at(along)


@dataclass(frozen=True)
class Frontage:
    """One side of a stretch along which lots may be laid out; ``rank`` 0 is the main road, 1 a side road, 2 its end."""

    road: Road
    side: int
    start: float
    end: float
    rank: int


@dataclass(frozen=True)
class KerbLine:
    """The kerb around a block.

    Attributes:
        points: Nx2 places of the kerb's edge.
        outward: Nx2 unit vectors away from the carriageway.
        sidewalk: N widths of the sidewalk behind it, metres.
        rounded: N bool, where it rounds a corner.
        side: +1 where the block is on the left of the line's direction, -1 where it is on the right.
    """

    points: np.ndarray
    outward: np.ndarray
    sidewalk: np.ndarray
    rounded: np.ndarray
    side: int


class Layout:
    """The plan with a crossing road at its end, which closes the view.

    Attributes:
        town: the plan.
        junctions: its junctions and the one at the end.
        stretches: all carriageways, the main road's first.
        fronts: where lots may be laid out.
    """

    def __init__(self, town: Town, view_distance: float) -> None:
        self.town = town
        self.end = town.main.length + float(np.clip(0.6 * view_distance, 40.0, 80.0))
        self.junctions = (*town.junctions, self._closing())
        self.stretches = [Stretch(town.main, -BEFORE, self.end), *map(self._stretch, self.junctions)]
        self.fronts = self._fronts()

    def _closing(self) -> Junction:
        """The crossing road past the end of the main road."""
        x, y, yaw = (float(v) for v in self.town.main.at(self.end))
        reach = np.arange(-90.0, 91.0)
        points = np.stack([x - reach * np.sin(yaw), y + reach * np.cos(yaw)], axis=1)
        side = Road(points, 1, 3.4, (0.0, 0.0), (max(1.5, self.town.main.sidewalk[0]),) * 2)
        return Junction(self.end, side, True, True, False)

    @staticmethod
    def _stretch(junction: Junction) -> Stretch:
        middle = 0.5 * junction.road.length
        start = 0.0 if junction.right else middle
        return Stretch(junction.road, start, junction.road.length if junction.left else middle)

    def clearance(self, points: np.ndarray, kerb: bool = False, skip: Road | None = None) -> np.ndarray:
        """Metres from Nx2 points to the nearest sidewalk's far edge (or kerb); negative within."""
        points = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        nearest = np.full(len(points), np.inf)
        for stretch in self.stretches:
            if stretch.road is skip:
                continue
            distance, i = self._tree(stretch).query(points)
            widths = stretch.road.half_width if kerb else stretch.road.frontage
            if (distance - max(widths(1), widths(-1)) - 1.0 > nearest).all():
                continue
            _, x, y, yaw = stretch.samples
            dx, dy, yaw = points[:, 0] - x[i], points[:, 1] - y[i], yaw[i]
            cos, sin = np.cos(yaw), np.sin(yaw)
            ahead, left = dx * cos + dy * sin, dy * cos - dx * sin
            across = np.abs(left) - np.where(left > 0, widths(1), widths(-1))
            beyond = np.where(np.abs(ahead) > 1.0, np.abs(ahead), -np.inf)
            nearest = np.minimum(nearest, np.maximum(across, beyond))
        return nearest

    def _tree(self, stretch: Stretch) -> cKDTree:
        trees = self.__dict__.setdefault("_trees", {})
        if id(stretch) not in trees:
            trees[id(stretch)] = cKDTree(np.stack(stretch.samples[1:3], axis=1))
        return trees[id(stretch)]

    def openings(self, side: int) -> list[Junction]:
        """The junctions that interrupt a side (+1 left, -1 right) of the main road."""
        return [j for j in self.junctions if (j.left if side > 0 else j.right)]

    def corner(self, junction: Junction, side: int, forward: int, kerb: bool = True) -> tuple[float, float]:
        """Where kerbs (or the sidewalks' far edges) would meet: metres along the main road and along the side road.

        ``side`` of the main road, before (-1) or past (+1) the side road.
        """
        main, road = self.town.main, junction.road
        toward = -forward  # seen along the side road, the main road's forward direction is on the right
        middle = 0.5 * road.length
        widths = (main.half_width, road.half_width) if kerb else (main.frontage, road.frontage)
        p = np.array(main.at(junction.along, side * widths[0](side)))
        q = np.array(road.at(middle, toward * widths[1](toward)))
        u = np.array([np.cos(p[2]), np.sin(p[2])])
        v = np.array([np.cos(q[2]), np.sin(q[2])])
        a, b = np.linalg.solve(np.stack([u, -v], axis=1), q[:2] - p[:2])
        return junction.along + float(a), middle + float(b)

    def kerb_lines(self) -> list[KerbLine]:
        """The kerbs of all blocks, with rounded corners."""
        lines = [line for side in (1, -1) for line in self._side_kerbs(side)]
        closing = self.junctions[-1].road
        lines.append(self._line([self._run(closing, -1, 0.0, closing.length)], -1))
        return lines

    def _side_kerbs(self, side: int) -> list[KerbLine]:
        main, openings = self.town.main, self.openings(side)
        lines = []
        for before, after in zip([None, *openings], openings, strict=False):
            runs = []
            start, end = -BEFORE, 0.0
            if before is not None:
                along, across = self.corner(before, side, 1)
                radius = self.radius(before.road, side)
                start = along + radius
                far = before.road.length if side > 0 else 0.0
                runs.append(self._run(before.road, -1, far, across + side * radius))
                corner = main.at(along, side * main.half_width(side))[:2]
            along, across = self.corner(after, side, -1)
            radius = self.radius(after.road, side)
            end = max(along - radius, start + 1.0)
            if before is not None:
                runs.append(corner)
            runs.append(self._run(main, side, start, end))
            runs.append(main.at(along, side * main.half_width(side))[:2])
            far = after.road.length if side > 0 else 0.0
            runs.append(self._run(after.road, 1, across + side * radius, far))
            lines.append(self._line(runs, side))
        return lines

    def radius(self, road: Road, side: int) -> float:
        """Of the rounded kerb where a side road meets a side of the main road, metres."""
        widest = max(*road.sidewalk, self.town.main.sidewalk[0 if side > 0 else 1])
        return max(5.0, widest + 1.0)

    @staticmethod
    def _run(road: Road, side: int, start: float, end: float) -> tuple[np.ndarray, float]:
        along = np.linspace(start, end, max(2, int(abs(end - start) / 1.5) + 1))
        x, y, _ = road.at(along, side * road.half_width(side))
        return np.stack([x, y], axis=1), road.sidewalk[0 if side > 0 else 1]

    @staticmethod
    def _line(runs: list, side: int) -> KerbLine:
        """Joins runs; a bare point between two runs is the corner that is rounded off."""
        points, widths, rounded = [], [], []
        for k, run in enumerate(runs):
            if isinstance(run[0], np.ndarray) and run[0].ndim == 2:
                points.append(run[0])
                widths.append(np.full(len(run[0]), run[1]))
                rounded.append(np.zeros(len(run[0]), dtype=bool))
                continue
            (before, width0), (after, width1) = runs[k - 1], runs[k + 1]
            t = np.linspace(0, 1, 9)[1:-1, None]
            points.append((1 - t) ** 2 * before[-1] + 2 * t * (1 - t) * np.array(run) + t**2 * after[0])
            widths.append(width0 + (width1 - width0) * t[:, 0])
            rounded.append(np.ones(len(t), dtype=bool))
        points = np.concatenate(points)
        step = np.gradient(points, axis=0)
        step /= np.linalg.norm(step, axis=1, keepdims=True) + 1e-9
        outward = side * np.stack([-step[:, 1], step[:, 0]], axis=1)
        return KerbLine(points, outward, np.concatenate(widths), np.concatenate(rounded), side)

    def _fronts(self) -> list[Frontage]:
        main, fronts = self.town.main, []
        for side in (1, -1):
            start = -BEFORE
            for junction in self.openings(side):
                fronts.append(Frontage(main, side, start, self.corner(junction, side, -1, kerb=False)[0], 0))
                start = self.corner(junction, side, 1, kerb=False)[0]
                for forward in (-1, 1):
                    across = self.corner(junction, side, forward, kerb=False)[1]
                    far = junction.road.length if side > 0 else 0.0
                    if forward > 0 and junction is self.junctions[-1]:
                        continue
                    fronts.append(Frontage(junction.road, -forward, min(across, far), max(across, far), 1))
        closing = self.junctions[-1].road
        fronts.append(Frontage(closing, -1, 0.0, closing.length, 2))
        return fronts
