"""The vehicles of a sequence and how they drive: parked rows, the lane ahead, oncoming, overtaking and crossing ones."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mapt_ros.synthetic import ego
from mapt_ros.synthetic.clearance import Clearance, body_circles
from mapt_ros.synthetic.driving import Stop, drive
from mapt_ros.synthetic.layout import KERB
from mapt_ros.synthetic.motion import Motion, driven, standing
from mapt_ros.synthetic.paths import ARMS, Path, has_arm, lane_path, lane_to, stop_distance, through
from mapt_ros.synthetic.road import Junction, Road, Town
from mapt_ros.synthetic.scenarios import Scenario

_ASIDE = 12.0  # metres along side roads
_MARGIN = 0.2  # metres between vehicles
_WIDE = 2.8  # metres of sidewalk on which cycles stand across it


@dataclass(frozen=True)
class Mover:
    """A vehicle or a person and its way over the sequence.

    Attributes:
        body: a vehicle or a person.
        motion: its way.
        still: it stands in the same place all the time.
        walks: it is a person.
    """

    body: object
    motion: Motion
    still: bool = False
    walks: bool = False


@dataclass
class Traffic:
    """Puts vehicles into a town one after the other, each where the ones before leave room.

    Attributes:
        random: where chance comes from.
        scenario, town: what is wanted and where.
        times: T seconds of the simulation, of which ``frame_times`` (F) are seen.
        clearance: the ground taken so far.
        draw: gives a new body for one of "parked", "cycle" (a parked one), "moving" (a car, truck, bus or rider),
            "rider".
        movers: all that have been placed.
    """

    random: np.random.Generator
    scenario: Scenario
    town: Town
    times: np.ndarray
    frame_times: np.ndarray
    clearance: Clearance
    draw: Callable[[str], object]
    movers: list[Mover] = field(default_factory=list)

    def ego_and_leaders(self, plan: ego.Plan) -> Motion:
        """The ego vehicle behind up to some vehicles in its lane."""
        low, high = self.scenario.leaders
        rear: np.ndarray | None = None
        gaps = self.random.uniform(4.0, 14.0, size=self.random.integers(low, high + 1)) + 0.5 * plan.speed
        bodies = [self.draw("moving") for _ in gaps]
        start = plan.start + ego.LENGTH / 2 + sum(gaps) + sum(body.length for body in bodies)
        for body, gap in zip(bodies, gaps, strict=True):
            start -= body.length / 2
            motion, along = self._leader(plan, body, start, rear)
            start -= body.length / 2 + gap
            if self._place(body, motion, margin=0.1):
                rear = along - body.length / 2
        ride = ego.drive_ego(plan, self.times, rear)
        motion = ego.ego_motion(plan, ride, self.frame_times)
        self.clearance.add(*body_circles(motion.places, motion.yaws, ego.LENGTH, ego.WIDTH))
        return motion

    def _leader(self, plan: ego.Plan, body: object, start: float, rear: np.ndarray | None) -> tuple[Motion, np.ndarray]:
        """A vehicle in the ego vehicle's lane that brakes now and then, behind the one before it."""
        brakes = self.random.random() < 0.5
        begin, lasts = self.random.uniform(0, max(self.frame_times[-1], 1.0)), self.random.uniform(0.8, 2.5)
        held = (self.times > begin) & (self.times < begin + lasts) & brakes
        ride = drive(
            plan.path,
            self.times,
            start,
            plan.desired * self.random.uniform(0.75, 1.1),
            speed=plan.speed * self.random.uniform(0.7, 1.0),
            half_length=body.length / 2,
            stops=plan.stops,
            leader=rear,
            slowdown=np.where(held, self.random.choice([0.0, 0.3, 0.6]), 1.0),
        )
        return driven(plan.path, ride, self.frame_times), ride.along

    def parked(self, road: Road, gaps: list[tuple[float, float]], start: float, end: float) -> None:
        """Parked rows on a road's parking strips between two places along it, away from ``gaps`` (middle, reach)."""
        for side in (1, -1):
            width = road.parking[0 if side > 0 else 1]
            if not width:
                continue
            share = self.random.uniform(*self.scenario.parked)
            along = start
            while along < end:
                for _ in range(int(self.random.geometric(1 / self.scenario.rows))):
                    body = self.draw("parked")
                    middle = along + body.length / 2
                    if middle < end and all(abs(middle - at) > reach + body.length / 2 for at, reach in gaps):
                        self._park(road, body, side, middle, width)
                    along += body.length + self.random.uniform(0.7, 1.6)
                along += 5 * self.scenario.rows * (1 - share) / max(share, 0.05) * self.random.uniform(0.3, 1.7)

    def _park(self, road: Road, body: object, side: int, along: float, width: float) -> None:
        lateral = side * (road.half_width(side) - width / 2 + self.random.normal(0, 0.08))
        if body.width > width + 0.1:
            lateral += side * (body.width - width) / 2
        x, y, yaw = (float(v) for v in road.at(along, lateral))
        against = (side > 0) == (self.random.random() < 0.85)
        motion = standing((x, y), yaw + np.pi * against + self.random.normal(0, 0.015), len(self.frame_times))
        self._place(body, motion, still=True)

    def racks(self, road: Road, gaps: list[tuple[float, float]], start: float, end: float) -> None:
        """Parked bicycles and motorcycles on a road's sidewalks, side by side by the kerb or along the houses."""
        for _ in range(int(self.random.poisson(self.scenario.cycles * (end - start) / 10))):
            side = int(self.random.choice([1, -1]))
            across = road.sidewalk[0 if side > 0 else 1] > _WIDE
            along = self.random.uniform(start, end)
            if any(abs(along - at) < reach + 3 for at, reach in gaps):
                continue
            for _ in range(int(self.random.integers(1, 6 if across else 3))):
                body = self.draw("cycle")
                lateral = road.half_width(side) + 0.3 + body.length / 2 if across else road.frontage(side) - 0.4
                x, y, yaw = (float(v) for v in road.at(along, side * lateral))
                yaw += self.random.choice([0.5, -0.5] if across else [0.0, 1.0]) * np.pi + self.random.normal(0, 0.1)
                self._place(body, standing((x, y), yaw, len(self.frame_times), KERB), margin=0.0, still=True)
                along += 0.75 if across else 2.1

    def lane(self, path: Path, start: float, end: float, speed: float, stops: tuple[Stop, ...] = ()) -> None:
        """A row of vehicles that drive along a lane, the first of them at ``end`` metres along it."""
        rear: np.ndarray | None = None
        along = end - self.random.uniform(0, 25)
        while along > start:
            body = self.draw("moving")
            desired = speed * self.random.uniform(0.85, 1.15)
            ride = drive(
                path,
                self.times,
                along,
                desired,
                speed=None
                if not stops
                else min(desired, np.sqrt(max(4 * (stops[0].along - along - 3), 0.0)))
                if along < stops[0].along
                else None,
                half_length=body.length / 2,
                stops=stops,
                leader=rear,
            )
            if self._place(body, driven(path, ride, self.frame_times)):
                rear = ride.along - body.length / 2
            along -= body.length + 3 + self.random.uniform(*self.scenario.oncoming) * self.random.uniform(0.3, 1.2)

    def crossing(self, junction: Junction, lights: Stop | None, duration: float) -> None:
        """Vehicles that cross, turn at or wait before a junction."""
        arms = [arm for arm in ARMS if has_arm(junction, arm)]
        for _ in range(self.scenario.crossing):
            origin = str(self.random.choice([arm for arm in arms if arm != "behind"]))
            goal = str(self.random.choice([arm for arm in arms if arm != origin]))
            if {origin, goal} == {"ahead", "behind"}:
                continue
            path = through(self.town, junction, origin, goal)
            line = path.nearest(lane_to(self.town, junction, origin).points[-1])
            body = self.draw("moving")
            turn = {("right", "behind"): 1, ("right", "ahead"): -1, ("left", "ahead"): 1, ("left", "behind"): -1}
            indicator = turn.get((origin, goal), {"left": -1, "right": 1}[goal] if origin == "ahead" else 0)
            desired = self.random.uniform(5, 11)
            start = line - body.length / 2 + self.random.uniform(-16, min(10, desired * duration / 4))
            for held in (None, Stop(line, float(self.random.uniform(1.5, 9.0)))):
                if held is not None:
                    start = min(start, line - body.length / 2 - self.random.uniform(0.3, 1.5))
                    desired_start = self.random.choice([0.0, 1.0]) * np.sqrt(3 * max(line - body.length / 2 - start, 0))
                ride = drive(
                    path,
                    self.times,
                    start,
                    desired,
                    speed=None if held is None else float(desired_start),
                    half_length=body.length / 2,
                    stops=() if held is None else (held,),
                )
                if self._place(body, driven(path, ride, self.frame_times, indicator), margin=0.5):
                    break

    def riders(self, start: float, end: float, count: int) -> None:
        """Cyclists at the edges of the main road, on both sides."""
        main = self.town.main
        for _ in range(count):
            side = self.random.choice([1, -1])
            # An empty parking strip serves as a cycle lane; parked cars push riders onto the lane.
            lateral = side * (main.lanes * main.lane_width - self.random.uniform(0.2, 0.5))
            path = lane_path(main, lateral, *((0, main.length) if side < 0 else (main.length, 0)))
            along = self.random.uniform(start, end)
            if side > 0:
                along = path.length - along
            ride = drive(path, self.times, along, self.random.uniform(3, 6.5))
            self._place(self.draw("rider"), driven(path, ride, self.frame_times), margin=0.1)

    def _place(self, body: object, motion: Motion, margin: float = _MARGIN, still: bool = False) -> bool:
        circles, radius = body_circles(motion.places, motion.yaws, body.length, body.width)
        if not self.clearance.free(circles, radius, margin):
            return False
        self.clearance.add(circles, radius)
        self.movers.append(Mover(body, motion, still))
        return True


def populate(traffic: Traffic, plan: ego.Plan, duration: float) -> Motion:
    """All vehicles of a sequence, the most bound first; returns the ego vehicle's way."""
    random, scenario, town = traffic.random, traffic.scenario, traffic.town
    main = town.main
    motion = traffic.ego_and_leaders(plan)
    first = station(main, motion.places[0])
    last = station(main, motion.places[-1])
    reach = last + scenario.beyond
    gaps = [(j.along, stop_distance(town, j, "behind") + 2) for j in town.junctions]
    traffic.parked(main, gaps, max(first - 8, 0), reach)
    near = [j for j in town.junctions if first - 5 < j.along < reach]
    for junction in near:
        middle = junction.road.length / 2
        away = stop_distance(town, junction, "left") + 2
        start, end = middle - _ASIDE * junction.right, middle + _ASIDE * junction.left
        traffic.parked(junction.road, [(middle, away)], start, end)
    traffic.racks(main, gaps, first, reach)
    for lane in range(1, main.lanes + 1):
        path = lane_path(main, main.lane_offset(-lane), main.length, 0)
        stops = ()
        if plan.stops and plan.junction is not None:
            line = path.nearest(lane_to(town, plan.junction, "ahead", lane).points[-1])
            stops = (Stop(line, plan.stops[0].until),)
        speed = random.uniform(6, 12)
        # Those that come into view during the sequence count too.
        traffic.lane(path, path.length - reach - speed * duration, path.length - first - 5, speed, stops)
        ahead = lane_path(main, main.lane_offset(lane), 0, main.length)
        if np.linalg.norm(ahead.at(np.array([first]))[0][0] - motion.places[0]) > 1.5:
            traffic.lane(ahead, first - 25, reach, plan.desired * random.uniform(0.8, 1.4))
    for junction in near:
        traffic.crossing(junction, None, duration)
    traffic.riders(first, reach, int(random.poisson(scenario.riders * (reach - first) / 10)))
    return motion


def station(road: Road, place: np.ndarray) -> float:
    """Metres along a road's centreline of the point nearest to a place."""
    return float(np.argmin(((road.points - place) ** 2).sum(axis=1)))
