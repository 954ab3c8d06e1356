"""The plan of a town: the road the ego vehicle drives along, the side roads that meet it, and what lies beside them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Road:
    """A road as a ribbon along its centreline. Traffic keeps to the right; everything is in metres and radians.

    Across the road lie, from the centreline outwards on each side: ``lanes`` lanes, a parking strip (0 wide = none),
    the kerb, the sidewalk, then the frontage (gardens, walls, buildings).

    Attributes:
        points: Kx2 float64, the centreline in the world's plane, one point a metre.
        lanes: lanes each way.
        lane_width: of one lane.
        parking: width of the parking strip on the left and on the right side.
        sidewalk: width of the sidewalk on the left and on the right side (0 = terrain begins at the kerb).
    """

    points: np.ndarray
    lanes: int
    lane_width: float
    parking: tuple[float, float]
    sidewalk: tuple[float, float]

    @property
    def length(self) -> float:
        """Length of the centreline."""
        return float(len(self.points) - 1)

    def half_width(self, side: int) -> float:
        """From the centreline to the kerb; ``side`` is +1 for left, -1 for right."""
        return self.lanes * self.lane_width + self.parking[0 if side > 0 else 1]

    def frontage(self, side: int) -> float:
        """From the centreline to the far edge of the sidewalk."""
        return self.half_width(side) + self.sidewalk[0 if side > 0 else 1]

    def lane_offset(self, lane: int) -> float:
        """Lateral offset of a lane's middle: lanes 1, 2 ... go forward (right of the centreline, so the offset is
        negative), -1, -2 ... are oncoming (left, positive)."""
        return -np.sign(lane) * (abs(lane) - 0.5) * self.lane_width

    def at(self, along: np.ndarray | float, lateral: np.ndarray | float = 0.0) -> tuple[np.ndarray, ...]:
        """x, y and yaw of places given by metres along the centreline and metres to the left of it.

        Before the start and past the end the road goes on straight.
        """
        along = np.asarray(along, dtype=np.float64)
        i = np.clip(np.floor(along).astype(int), 0, len(self.points) - 2)
        part = along - i
        step = self.points[i + 1] - self.points[i]
        direction = self._directions()
        turn = (1 - np.clip(part, 0, 1))[..., None] * direction[i] + np.clip(part, 0, 1)[..., None] * direction[i + 1]
        yaw = np.arctan2(turn[..., 1], turn[..., 0])
        base = self.points[i] + part[..., None] * step
        return base[..., 0] - lateral * np.sin(yaw), base[..., 1] + lateral * np.cos(yaw), yaw

    def _directions(self) -> np.ndarray:
        """Kx2 tangents at the points."""
        return np.gradient(self.points, axis=0)


@dataclass(frozen=True)
class Junction:
    """Where a side road crosses the main road.

    Attributes:
        along: metres along the main road's centreline.
        road: the side road; its centreline passes through the main road's at its own middle (``road.length / 2``) and
            goes from the main road's right to its left.
        left, right: whether the side road goes on to the left and to the right of the main road.
        lights: whether there are traffic lights (else priority signs).
    """

    along: float
    road: Road
    left: bool
    right: bool
    lights: bool


@dataclass(frozen=True)
class Town:
    """The plan of one sequence's surroundings.

    Attributes:
        main: the road that the ego vehicle drives along.
        junctions: side roads in order along the main road.
        style: "urban" (closed fronts), "suburb" (houses, gardens, hedges), "avenue" (trees, wide), "industrial"
            (walls, halls, fences) or "country" (vegetation, few houses).
        seed: of everything random beside the road.
    """

    main: Road
    junctions: tuple[Junction, ...]
    style: str
    seed: int
