"""How vehicles drive along their paths: speeds that suit bends, distance to the vehicle in front, stops that end."""

from dataclasses import dataclass

import numpy as np

from mapt_ros.synthetic.paths import Path

TIME_STEP = 0.05  # seconds
_COMFORTABLE = 2.0  # m/s^2, the deceleration with which drivers come to bends and stops
_HARDEST = 7.0  # m/s^2
_SIDEWAYS = 2.6  # m/s^2, the lateral acceleration that drivers take in bends
_HEADWAY = 1.1  # seconds
_STANDSTILL = 2.2  # metres left to the vehicle in front when both stand
_SLOWEST = 2.5  # m/s, the limit that no bend undercuts


@dataclass(frozen=True)
class Stop:
    """A place along a path that may not be passed before a time: a red light, a crossing, a gap to wait for."""

    along: float
    until: float


@dataclass(frozen=True)
class Drive:
    """How far a vehicle has come along its path.

    Attributes:
        times: T seconds, ``TIME_STEP`` apart.
        along: T metres of its middle along the path.
        speed: T metres a second.
    """

    times: np.ndarray
    along: np.ndarray
    speed: np.ndarray

    def at(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Place along the path, speed and acceleration at some times."""
        acceleration = np.gradient(self.speed, self.times)
        # Brakes and engines build up their force over a few tenths of a second.
        window = np.ones(7) / 7
        acceleration = np.convolve(np.pad(acceleration, 3, mode="edge"), window, mode="valid")
        return tuple(np.interp(times, self.times, values) for values in (self.along, self.speed, acceleration))


def speed_limits(path: Path, desired: float) -> np.ndarray:
    """The speed for every point of a path: what bends allow, and what leaves room to brake for them."""
    curvature = np.maximum(np.abs(path.curvatures), 1e-6)
    limits = np.minimum(desired, np.maximum(np.sqrt(_SIDEWAYS / curvature), _SLOWEST))
    steps = np.diff(path.stations)
    for i in range(len(limits) - 2, -1, -1):
        limits[i] = min(limits[i], np.sqrt(limits[i + 1] ** 2 + 2 * _COMFORTABLE * steps[i]))
    return limits


def drive(
    path: Path,
    times: np.ndarray,
    start: float,
    desired: float,
    *,
    speed: float | None = None,
    half_length: float = 2.2,
    briskness: float = 1.6,
    stops: tuple[Stop, ...] = (),
    leader: np.ndarray | None = None,
    slowdown: np.ndarray | None = None,
) -> Drive:
    """Drives along a path by the Intelligent Driver Model (Treiber, Hennecke, Helbing 2000).

    Args:
        path: where to.
        times: T seconds, ``TIME_STEP`` apart.
        start: metres along the path at the first time.
        desired: speed in m/s where nothing hinders.
        speed: at the first time; None = what the path allows there.
        half_length: of the vehicle, in metres.
        briskness: the acceleration used in m/s^2.
        stops: places to stop at.
        leader: T metres along the same path of the rear of the vehicle in front, NaN when there is none.
        slowdown: T factors on the desired speed.
    """
    limits = speed_limits(path, desired)
    along, speeds = np.empty(len(times)), np.empty(len(times))
    position = start
    velocity = float(np.interp(start, path.stations, limits)) if speed is None else speed
    leading = np.full(len(times), np.nan) if leader is None else leader
    leading_speed = np.gradient(leading, times)
    factor = np.ones(len(times)) if slowdown is None else slowdown
    for i, time in enumerate(times):
        along[i], speeds[i] = position, velocity
        limit = max(np.interp(position, path.stations, limits) * factor[i], 0.1)
        acceleration = briskness * (1 - min((velocity / limit) ** 4, 6.0))
        obstacles = [(stop.along, 0.0) for stop in stops if time < stop.until and position < stop.along]
        if not np.isnan(leading[i]):
            obstacles.append((leading[i] - _STANDSTILL, 0.0 if np.isnan(leading_speed[i]) else leading_speed[i]))
        for place, its_speed in obstacles:
            gap = max(place - position - half_length, 0.05)
            wish = velocity * (_HEADWAY if its_speed else 0.4) + velocity * (velocity - its_speed) / (
                2 * np.sqrt(briskness * _COMFORTABLE)
            )
            acceleration = min(acceleration, briskness * (1 - (max(wish, 0.3) / gap) ** 2))
        velocity = max(0.0, velocity + max(acceleration, -_HARDEST) * TIME_STEP)
        position += velocity * TIME_STEP
    return Drive(times, along, speeds)
