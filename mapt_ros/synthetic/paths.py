"""Paths over the ground that vehicles follow: a lane, or a lane, a turn at a junction and another lane."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mapt_ros.synthetic.road import Junction, Road, Town

ARMS = ("behind", "ahead", "right", "left")  # the ways out of a junction as the ego vehicle comes to it
_STEP = 0.5
_CORNER = 3.5  # metres of lane that a turn takes beyond the crossing road's kerb


@dataclass(frozen=True)
class Path:
    """A line over the ground.

    Attributes:
        points: Kx2 float64, metres; neighbours are apart.
    """

    points: np.ndarray

    @cached_property
    def stations(self) -> np.ndarray:
        """K distances of the points along the path."""
        return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(self.points, axis=0), axis=1))])

    @cached_property
    def yaws(self) -> np.ndarray:
        """K headings at the points in radians, without jumps of a full turn."""
        tangents = np.gradient(self.points, self.stations, axis=0)
        return np.unwrap(np.arctan2(tangents[:, 1], tangents[:, 0]))

    @cached_property
    def curvatures(self) -> np.ndarray:
        """K curvatures in radians a metre, left positive."""
        return np.gradient(self.yaws, self.stations)

    @property
    def length(self) -> float:
        return float(self.stations[-1])

    def at(self, along: np.ndarray, lateral: np.ndarray | float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Places (Nx2) and headings (N) at distances along the path; beyond its ends it goes on straight."""
        along = np.asarray(along, dtype=np.float64)
        inside = np.clip(along, 0, self.length)
        yaw = np.interp(inside, self.stations, self.yaws)
        x, y = (np.interp(inside, self.stations, self.points[:, axis]) for axis in (0, 1))
        beyond = along - inside
        x = x + beyond * np.cos(yaw) - lateral * np.sin(yaw)
        y = y + beyond * np.sin(yaw) + lateral * np.cos(yaw)
        return np.stack([x, y], axis=-1), yaw

    def curvature(self, along: np.ndarray) -> np.ndarray:
        """Curvature at distances along the path."""
        return np.interp(along, self.stations, self.curvatures)

    def nearest(self, place: np.ndarray) -> float:
        """The distance along the path at which it comes nearest to a place."""
        return float(self.stations[np.argmin(((self.points - place) ** 2).sum(axis=1))])


def lane_path(road: Road, lateral: float, start: float, end: float) -> Path:
    """The line at ``lateral`` metres left of a road's centreline between two distances along it, either way."""
    count = max(2, int(abs(end - start) / _STEP) + 1)
    x, y, _ = road.at(np.linspace(start, end, count), lateral)
    return Path(np.stack([x, y], axis=1))


def joined_paths(*parts: Path) -> Path:
    """One path of several that follow each other."""
    points = np.concatenate([part.points for part in parts])
    apart = np.linalg.norm(np.diff(points, axis=0), axis=1) > 0.05
    return Path(points[np.concatenate([[True], apart])])


def has_arm(junction: Junction, arm: str) -> bool:
    """Whether traffic can come from and go to an arm."""
    return {"left": junction.left, "right": junction.right}.get(arm, True)


def lane_to(town: Town, junction: Junction, arm: str, lane: int = 1) -> Path:
    """The lane by which traffic comes to a junction from an arm, ending at the stop line."""
    main, side = town.main, junction.road
    if arm == "behind":
        return lane_path(main, main.lane_offset(lane), 0, junction.along - stop_distance(town, junction, arm))
    if arm == "ahead":
        return lane_path(
            main, main.lane_offset(-lane), main.length, junction.along + stop_distance(town, junction, arm)
        )
    middle, away = side.length / 2, stop_distance(town, junction, arm)
    if arm == "right":
        return lane_path(side, side.lane_offset(lane), 0, middle - away)
    return lane_path(side, side.lane_offset(-lane), side.length, middle + away)


def lane_from(town: Town, junction: Junction, arm: str, lane: int = 1) -> Path:
    """The lane by which traffic leaves a junction over an arm."""
    main, side = town.main, junction.road
    away = stop_distance(town, junction, arm)
    if arm == "behind":
        return lane_path(main, main.lane_offset(-lane), junction.along - away, 0)
    if arm == "ahead":
        return lane_path(main, main.lane_offset(lane), junction.along + away, main.length)
    middle = side.length / 2
    if arm == "right":
        return lane_path(side, side.lane_offset(-lane), middle - away, 0)
    return lane_path(side, side.lane_offset(lane), middle + away, side.length)


def stop_distance(town: Town, junction: Junction, arm: str) -> float:
    """Metres from a junction's middle to an arm's stop line, along the arm."""
    crossed = junction.road if arm in ("behind", "ahead") else town.main
    return max(crossed.half_width(1), crossed.half_width(-1)) + _CORNER


def through(town: Town, junction: Junction, origin: str, goal: str, lane: int = 1) -> Path:
    """The path through a junction from one arm to another; traffic turns from and into its right-hand lanes."""
    if {origin, goal} == {"behind", "ahead"}:
        sign = 1 if origin == "behind" else -1
        start, end = (0, town.main.length) if origin == "behind" else (town.main.length, 0)
        return lane_path(town.main, town.main.lane_offset(sign * lane), start, end)
    if {origin, goal} == {"right", "left"}:
        sign = 1 if origin == "right" else -1
        side = junction.road
        start, end = (0, side.length) if origin == "right" else (side.length, 0)
        return lane_path(side, side.lane_offset(sign), start, end)
    main_lane, side_lane = (lane, 1) if origin in ("behind", "ahead") else (1, lane)
    first = lane_to(town, junction, origin, main_lane)
    last = lane_from(town, junction, goal, side_lane)
    return joined_paths(first, _turn(first, last), last)


def _turn(first: Path, last: Path) -> Path:
    """A cubic Bezier curve from the end of one path to the start of another, near a circle's arc for right angles."""
    start, end = first.points[-1], last.points[0]
    handle = 0.39 * np.linalg.norm(end - start)
    out = start + handle * np.array([np.cos(first.yaws[-1]), np.sin(first.yaws[-1])])
    into = end - handle * np.array([np.cos(last.yaws[0]), np.sin(last.yaws[0])])
    part = np.linspace(0, 1, max(4, int(handle * 5)))[1:-1, None]
    return Path(
        (1 - part) ** 3 * start + 3 * (1 - part) ** 2 * part * out + 3 * (1 - part) * part**2 * into + part**3 * end
    )
