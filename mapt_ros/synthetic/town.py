"""Draws the plan of a town: a road with bends that close the view, side roads, parking strips, sidewalks, a style."""

from dataclasses import replace

import numpy as np

from mapt_ros.synthetic.road import Junction, Road, Town
from mapt_ros.synthetic.scenarios import Scenario

STYLES = ("urban", "suburb", "avenue", "industrial", "country")
_APART = 42.0  # metres between parts of the town that are not neighbours along a road
_INSIDE = 6.0  # metres between the frontage on a bend's inner side and the bend's middle
_SIDE_LENGTH = 52.0  # metres of a side road each way
_ATTEMPTS = 60


def random_town(random: np.random.Generator, scenario: Scenario, length: float) -> Town:
    """The plan for a sequence whose ego vehicle needs ``length`` metres of road."""
    style = str(random.choice(STYLES, p=scenario.styles))
    lanes = 2 if random.random() < (0.5 if style == "avenue" else 0.08) else 1
    profile = _road(random, scenario, style, np.zeros((2, 2)), lanes)
    points, straights = _centreline(random, scenario, length, max(profile.frontage(1), profile.frontage(-1)) + _INSIDE)
    main = replace(profile, points=points)
    return Town(main, _junctions(random, scenario, style, main, straights), style, int(random.integers(1 << 31)))


def _road(random: np.random.Generator, scenario: Scenario, style: str, points: np.ndarray, lanes: int) -> Road:
    lane_width = float(random.uniform(2.9, 3.5))
    parking = tuple(float(random.uniform(2.0, 2.3)) if random.random() < scenario.parking else 0.0 for _ in range(2))
    narrow, wide = (1.4, 2.6) if style in ("suburb", "country") else (2.0, 4.2)
    sidewalk = [float(random.uniform(narrow, wide)) for _ in range(2)]
    if style in ("country", "industrial") and random.random() < 0.5:
        sidewalk[random.integers(2)] = 0.0
    return Road(points, lanes, lane_width, parking, tuple(sidewalk))


def _centreline(
    random: np.random.Generator, scenario: Scenario, length: float, least_radius: float
) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Kx2 points of a road that never comes near itself, and its straight stretches."""
    for attempt in range(_ATTEMPTS):
        curvature, straights = _curvature(random, scenario, length, least_radius, gentle=attempt / _ATTEMPTS)
        points = _integrated(curvature)
        if not _meets_itself(points):
            break
    return points, straights


def _curvature(
    random: np.random.Generator, scenario: Scenario, length: float, least_radius: float, gentle: float
) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Curvature for each metre: straights and bends that mostly alternate between left and right."""
    count = int(np.ceil(length))
    curvature = np.zeros(count)
    straights, along, heading = [], 0.0, 0.0
    side = random.choice([-1, 1])
    while along < count:
        straight = random.uniform(*scenario.straights)
        straights.append((along, along + straight))
        along += straight
        # Gentler bends and less turning as attempts fail, so that a plan is always found.
        angle = side * np.radians(random.uniform(*scenario.bends)) * (1 - gentle)
        if abs(heading + angle) > np.radians(100):
            angle = -angle
        radius = max(random.uniform(*scenario.radii), least_radius)
        arc = abs(angle) * radius
        curvature[int(along) : int(along + arc)] = np.sign(angle) / radius
        along, heading = along + arc, heading + angle
        side = -side if random.random() < 0.8 else side
    return np.convolve(np.pad(curvature, 4, mode="edge"), np.ones(9) / 9, mode="valid"), straights


def _integrated(curvature: np.ndarray) -> np.ndarray:
    """Points one metre apart along a line of given curvature that starts at the origin along x."""
    heading = np.concatenate([[0.0], np.cumsum(curvature)])
    steps = np.stack([np.cos(heading), np.sin(heading)], axis=1)
    return np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])


def _meets_itself(points: np.ndarray) -> bool:
    """Whether stretches that are not neighbours come near each other."""
    coarse = points[::4]
    distance = np.linalg.norm(coarse[:, None] - coarse[None], axis=-1)
    apart = 4 * np.abs(np.arange(len(coarse))[:, None] - np.arange(len(coarse))[None])
    return bool((distance[apart > 1.6 * _APART] < _APART).any())


def _junctions(
    random: np.random.Generator,
    scenario: Scenario,
    style: str,
    main: Road,
    straights: list[tuple[float, float]],
) -> tuple[Junction, ...]:
    """Side roads at some of the straights, where they have room."""
    found: list[Junction] = []
    for start, end in straights:
        along = float((start + end) / 2 + random.uniform(-0.15, 0.15) * (end - start))
        if end - start < 16 or not 30 < along < main.length - 35 or random.random() > scenario.junctions:
            continue
        road = _side_road(random, scenario, style, main, along)
        left, right = (_has_room(main, along, found, road, sign) for sign in (1, -1))
        if left and right and random.random() < 0.35:
            left, right = (True, False) if random.random() < 0.5 else (False, True)
        if left or right:
            found.append(Junction(along, road, left, right, bool(random.random() < scenario.lights)))
    return tuple(found)


def _side_road(random: np.random.Generator, scenario: Scenario, style: str, main: Road, along: float) -> Road:
    """A road across the main road, square to it in the middle and bending away at both ends to close the view."""
    x, y, yaw = main.at(along)
    across = float(yaw) + np.pi / 2 + random.uniform(-0.2, 0.2)
    half = int(_SIDE_LENGTH)
    bends = random.uniform(-1, 1, size=2) / 35
    right, left = (np.where(np.arange(half) > 20, bend, 0.0) for bend in bends)
    forward = _integrated(left)[:-1]
    backward = _integrated(right)[:-1] * [-1, 1]
    line = np.concatenate([backward[:0:-1], forward])
    turn = np.array([[np.cos(across), -np.sin(across)], [np.sin(across), np.cos(across)]])
    points = line @ turn.T + np.array([float(x), float(y)])
    return _road(random, scenario, style, points, lanes=1)


def _has_room(main: Road, along: float, others: list[Junction], road: Road, side: int) -> bool:
    """Whether a side road's left (+1) or right (-1) part stays away from the rest of the town."""
    middle = len(road.points) // 2
    part = road.points[middle + 24 :] if side > 0 else road.points[: middle - 24]
    rest = [main.points[np.abs(np.arange(len(main.points)) - along) > 45]]
    rest += [other.road.points for other in others]
    distance = np.linalg.norm(part[:, None, ::1] - np.concatenate(rest)[None], axis=-1)
    return bool(distance.min() > 0.7 * _APART)
