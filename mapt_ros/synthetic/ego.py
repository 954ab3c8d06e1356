"""The ego vehicle's way through the town: along its road or off at a junction, with stops, and its pitch and roll."""

from dataclasses import dataclass

import numpy as np

from mapt_ros.synthetic.driving import Drive, Stop, drive
from mapt_ros.synthetic.mesh import pose
from mapt_ros.synthetic.motion import Motion, driven
from mapt_ros.synthetic.paths import Path, has_arm, lane_path, lane_to, through
from mapt_ros.synthetic.road import Junction, Town
from mapt_ros.synthetic.scenarios import Scenario

LENGTH, WIDTH = 4.4, 1.9  # metres, with the camera in the vehicle's middle
FIRST_START = 12.0  # metres of road behind the vehicle at least
_BRAKING_PITCH = 0.005  # radians for every m/s^2
_TO_LIGHTS = 0.6  # share of drives that pass traffic lights where there are any
_SIDE_REACH = 44.0  # metres that one may go into a side road


@dataclass(frozen=True)
class Plan:
    """What the ego vehicle means to do.

    Attributes:
        path: where it drives.
        start: metres along the path at the first frame.
        desired: speed in m/s.
        speed: at the first frame.
        stops: where it stops until when.
        junction: where it stops or turns, if it does.
        goal: the arm by which it leaves that junction.
    """

    path: Path
    start: float
    desired: float
    speed: float
    stops: tuple[Stop, ...]
    junction: Junction | None
    goal: str


def plan_ego(random: np.random.Generator, scenario: Scenario, town: Town, desired: float, duration: float) -> Plan:
    """Decides where to drive, at which speed, and where to stop."""
    lane = int(random.integers(1, town.main.lanes + 1))
    straight = lane_path(town.main, town.main.lane_offset(lane), 0, town.main.length)
    room = town.main.length - 75 - desired * duration
    reachable = [j for j in town.junctions if j.along < max(room, FIRST_START) + 40]
    lit = [j for j in reachable if j.lights]
    turns, stops = random.random(2) < (scenario.turns, scenario.stops)
    if not reachable or not (turns or stops):
        start = random.uniform(FIRST_START, max(room, FIRST_START + 1))
        if lit and random.random() < _TO_LIGHTS:
            near = lit[random.integers(len(lit))].along - random.uniform(12, 30)
            start = float(np.clip(near, FIRST_START, max(room, FIRST_START)))
        return Plan(straight, start, desired, desired * random.uniform(0.6, 1.0), (), None, "ahead")
    junction = (lit or reachable)[random.integers(len(lit or reachable))]
    sides = [arm for arm in ("left", "right") if has_arm(junction, arm)]
    goal = str(random.choice(sides)) if turns and duration * 6 < _SIDE_REACH else "ahead"
    path = straight if goal == "ahead" else through(town, junction, "behind", goal, lane)
    line = path.nearest(lane_to(town, junction, "behind", lane).points[-1])
    ahead = random.uniform(6, 14 + 1.5 * desired) if random.random() < 0.75 else LENGTH / 2 + 1
    start = max(line - ahead, 5.0)
    room = max(line - start - LENGTH / 2 - 1, 0.0)
    speed = min(desired, np.sqrt(2 * 2.0 * room))
    halts = (Stop(line, float(random.uniform(0.5, 0.9) * min(duration, 8.0))),) if stops else ()
    return Plan(path, start, desired, float(speed), halts, junction, goal)


def drive_ego(plan: Plan, times: np.ndarray, leader: np.ndarray | None) -> Drive:
    """Drives by the plan behind a leader, whose rear is ``leader`` (T) metres along the path, NaN where there is none."""
    return drive(
        plan.path,
        times,
        plan.start,
        plan.desired,
        speed=plan.speed,
        half_length=LENGTH / 2,
        stops=plan.stops,
        leader=leader,
    )


def ego_poses(random: np.random.Generator, motion: Motion) -> np.ndarray:
    """Fx4x4 transforms of the ground point below the camera: the body pitches when it brakes and on the road's waves."""
    pitch = -_BRAKING_PITCH * motion.accelerations
    roll = 0.004 * motion.steering * motion.speeds
    for wavelength in random.uniform(5, 30, size=4):
        pitch = pitch + 0.0011 * np.sin(2 * np.pi * motion.travelled / wavelength + random.uniform(0, 7))
        roll = roll + 0.0012 * np.sin(2 * np.pi * motion.travelled / wavelength + random.uniform(0, 7))
    return np.stack(
        [
            pose(float(x), float(y), 0.0, float(yaw), float(p), float(r))
            for (x, y), yaw, p, r in zip(motion.places, motion.yaws, pitch, roll, strict=True)
        ]
    )


def ego_motion(plan: Plan, ride: Drive, times: np.ndarray) -> Motion:
    """The ego vehicle's way over the frames."""
    return driven(plan.path, ride, times)
