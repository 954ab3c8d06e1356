"""The people of a sequence and where they walk: along sidewalks in both directions, across roads, or standing in groups."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mapt_ros.synthetic.clearance import Clearance
from mapt_ros.synthetic.motion import Motion, ground_heights, standing, walked
from mapt_ros.synthetic.paths import Path
from mapt_ros.synthetic.road import Road, Town
from mapt_ros.synthetic.scenarios import Scenario
from mapt_ros.synthetic.traffic import Mover, station

RADIUS = 0.28  # metres of ground that a person takes
_FURNITURE = 0.75  # metres beside the kerb where poles and trees stand
_WALL = 0.45  # metres that people keep from walls and fences
_TRIES = 4
_ASIDE = 8.0  # metres along side roads


@dataclass
class Walkers:
    """Puts people into a town where vehicles and people placed before leave room.

    Attributes:
        random: where chance comes from.
        scenario, town: what is wanted and where.
        times: F seconds, the frames'.
        clearance: the ground taken so far.
        draw: gives a new person.
        movers: all that have been placed.
    """

    random: np.random.Generator
    scenario: Scenario
    town: Town
    times: np.ndarray
    clearance: Clearance
    draw: Callable[[], object]
    movers: list[Mover] = field(default_factory=list)

    def along_sidewalks(self, road: Road, start: float, end: float, count: int) -> None:
        """People who walk along a road, alone or side by side."""
        for _ in range(count):
            side = self._side(road)
            if not side:
                continue
            for _ in range(_TRIES):
                speed, way = self._speed(), self.random.choice([-1, 1])
                lateral, along = self._sidewalk(road, side), self.random.uniform(start, end)
                if not self._walk(road, along, lateral, way * speed):
                    continue
                if self.random.random() < 0.3:  # a companion
                    beside = lateral + self.random.choice([-1, 1]) * self.random.uniform(0.65, 0.8)
                    if self._on_sidewalk(road, beside):
                        self._walk(road, along + self.random.uniform(-0.3, 0.3), beside, way * speed)
                break

    def across(self, road: Road, start: float, end: float, count: int) -> None:
        """People who cross a road, from sidewalk to sidewalk; some come out between parked cars."""
        for _ in range(count):
            for _ in range(_TRIES):
                side = self.random.choice([-1, 1])
                speed = self._speed()
                along, slant = self.random.uniform(start, end), self.random.uniform(-3, 3)
                lateral = np.array(
                    [
                        side * (road.half_width(side) + 0.8),
                        side * (road.half_width(side) + 0.3),
                        -side * (road.half_width(-side) + 0.3),
                        -side * (road.half_width(-side) + 0.8),
                    ]
                )
                turns = self.random.choice([-1, 1], size=2) * self.random.uniform(6, 14, size=2)
                places = along + np.array([0.0, 0.5 * np.sign(turns[0]), slant, slant + 0.5 * np.sign(turns[1])])
                x, y, _ = road.at(
                    np.concatenate([[places[0] - turns[0]], places, [places[-1] + turns[1]]]),
                    np.concatenate([lateral[:1], lateral, lateral[-1:]]),
                )
                path = _smooth(np.stack([x, y], axis=1))
                # So that about the middle of the crossing falls into the sequence.
                middle = path.length / 2 - speed * self.random.uniform(0, self.times[-1])
                offset = middle + self.random.uniform(-0.3, 0.3) * path.length
                if self._add(walked(path, offset + speed * self.times, self.times, self.town), margin=0.4):
                    break

    def groups(self, road: Road, start: float, end: float, count: int) -> None:
        """Groups that stand on the sidewalk, turned towards each other."""
        for _ in range(count):
            side = self._side(road)
            if not side:
                continue
            along, lateral = self.random.uniform(start, end), self._sidewalk(road, side)
            size = int(self.random.integers(1, 6))
            first = self.random.uniform(0, 2 * np.pi)
            for k in range(size):
                angle = first + 2 * np.pi * k / size + self.random.normal(0, 0.2)
                reach = 0.33 * size / 2 + 0.25
                x, y, yaw = (float(v) for v in road.at(along + reach * np.cos(angle), lateral + reach * np.sin(angle)))
                if self._on_sidewalk(road, lateral + reach * np.sin(angle)):
                    height = float(ground_heights(self.town, np.array([[x, y]]))[0])
                    facing = yaw + angle + np.pi + self.random.normal(0, 0.3)
                    self._add(standing((x, y), facing, len(self.times), height))

    def _walk(self, road: Road, along: float, lateral: float, velocity: float) -> bool:
        wander = 0.12 * np.sin(self.times * self.random.uniform(0.5, 1.2) + self.random.uniform(0, 7))
        reach = abs(velocity) * self.times[-1] + 2
        stations = along + np.sign(velocity) * np.arange(-1.0, reach + 1.0)
        x, y, _ = road.at(stations, lateral)
        path = Path(np.stack([x, y], axis=1))
        return self._add(walked(path, 1 + abs(velocity) * self.times, self.times, self.town, wander))

    def _add(self, motion: Motion, margin: float = 0.08) -> bool:
        circles = motion.places[:, None]
        if not self.clearance.free(circles, RADIUS, margin):
            return False
        self.clearance.add(circles, RADIUS)
        self.movers.append(Mover(self.draw(), motion, still=not motion.travelled.any(), walks=True))
        return True

    def _speed(self) -> float:
        return float(self.random.uniform(*self.scenario.walking))

    def _side(self, road: Road) -> int:
        """Left (1) or right (-1), or 0 where nobody walks there: few do behind parked cars, none without a sidewalk."""
        side = int(self.random.choice([1, -1]))
        index = 0 if side > 0 else 1
        wanted = not road.parking[index] or self.random.random() < self.scenario.behind
        return side if wanted and road.sidewalk[index] > _WALL + 0.5 else 0

    def _sidewalk(self, road: Road, side: int) -> float:
        """A lateral offset on a sidewalk, away from its edges."""
        near, far = road.half_width(side) + _FURNITURE, road.frontage(side) - _WALL
        return side * float(self.random.uniform(min(near, far), far))

    def _on_sidewalk(self, road: Road, lateral: float) -> bool:
        side = 1 if lateral > 0 else -1
        return road.half_width(side) + 0.35 < abs(lateral) < road.frontage(side) - 0.35


def stroll(walkers: Walkers, ego_motion: Motion) -> None:
    """All people of a sequence, near the ego vehicle's way."""
    random, scenario, town = walkers.random, walkers.scenario, walkers.town
    busy = random.uniform(0.6, 1.4)
    first, last = (station(town.main, ego_motion.places[i]) for i in (0, -1))
    stretches = [(town.main, first + 3, last + scenario.beyond)]
    for junction in town.junctions:
        if first < junction.along < last + scenario.beyond:
            middle = junction.road.length / 2
            stretches.append(
                (junction.road, middle - _ASIDE * junction.right, middle + _ASIDE * junction.left),
            )
    for road, start, end in stretches:
        tens = busy * (end - start) / 10
        walkers.across(road, start, end, random.poisson(scenario.crossers * tens))
        walkers.groups(road, start, end, random.poisson(scenario.groups * tens))
        walkers.along_sidewalks(road, start, end, random.poisson(scenario.walkers * tens))


def _smooth(points: np.ndarray) -> Path:
    """A path with rounded corners through some points (Chaikin's corner cutting)."""
    for _ in range(3):
        first, second = 0.75 * points[:-1] + 0.25 * points[1:], 0.25 * points[:-1] + 0.75 * points[1:]
        points = np.concatenate([points[:1], np.stack([first, second], axis=1).reshape(-1, 2), points[-1:]])
    return Path(points)
