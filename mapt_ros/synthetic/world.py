"""A driving sequence in the procedural world: frames with exact labels, in any order, all from a scenario and a seed."""

from functools import cached_property

import numpy as np

from mapt_ros.errors import InputError
from mapt_ros.synthetic.casting import Casting
from mapt_ros.synthetic.clearance import Clearance
from mapt_ros.synthetic.driving import TIME_STEP
from mapt_ros.synthetic.ego import ego_poses, plan_ego
from mapt_ros.synthetic.mesh import Piece
from mapt_ros.synthetic.renderer import Renderer
from mapt_ros.synthetic.scenarios import SCENARIOS, scenario_settings
from mapt_ros.synthetic.scenery import scenery
from mapt_ros.synthetic.town import random_town
from mapt_ros.synthetic.traffic import Mover, Traffic, populate
from mapt_ros.synthetic.view import RenderedFrame
from mapt_ros.synthetic.walkers import Walkers, stroll
from mapt_ros.synthetic.weather import random_camera, random_sensor, random_weather

SMALLEST = 32  # pixels, of either side of a frame
_VIEW = 110.0  # metres up to which moving things are drawn
_LEAST_RATE = 10.0  # steps a second
_BLINKS = 1.5  # times a second
_BRAKE_LIGHT = -0.6  # m/s^2


class World:
    """One sequence of ``frames`` frames, taken ``rate_hz`` times a second; frame ``i`` is the same whenever asked for.

    Cars and people have track ids from 1 that stay theirs over the whole sequence; everything else is stuff.

    Args:
        scenario: one of ``SCENARIOS``.
        seed: not negative; other seeds give other streets, traffic, weather and cameras.
        height, width: of the frames in pixels.

    Raises:
        InputError: there is no such scenario, or a number is out of range.
    """

    def __init__(
        self,
        scenario: str = "mixed",
        seed: int = 0,
        frames: int = 40,
        height: int = 192,
        width: int = 640,
        rate_hz: float = 10.0,
    ):
        settings = scenario_settings(scenario)
        check_world(seed, frames, height, width, rate_hz)
        self.scenario, self.seed, self.rate_hz = scenario, seed, rate_hz
        self._frames = frames
        randoms = map(np.random.default_rng, np.random.SeedSequence((SCENARIOS.index(scenario), seed)).spawn(8))
        plan_random, traffic_random, walk_random, cast_random, sway_random, *view_randoms = randoms
        self.camera = random_camera(view_randoms[0], height, width)
        self.weather = random_weather(view_randoms[1])
        self.sensor = random_sensor(view_randoms[2])

        # Things move in steps of a tenth of a second at most, so that none can pass through another between two frames.
        self._steps = int(np.ceil(_LEAST_RATE / rate_hz))
        times = np.arange((frames + 1) * self._steps) / (
            rate_hz * self._steps
        )  # a frame more, for the last one's motion
        desired = float(plan_random.uniform(*settings.speeds))
        self.town = random_town(plan_random, settings, length=100 + desired * times[-1] + 75)
        plan = plan_ego(plan_random, settings, self.town, desired, times[-1])
        casting, clearance = Casting(cast_random, settings), Clearance(len(times))
        simulated = np.arange(0, times[-1] + 2 * TIME_STEP, TIME_STEP)
        traffic = Traffic(traffic_random, settings, self.town, simulated, times, clearance, casting.vehicle)
        motion = populate(traffic, plan, times[-1])
        walkers = Walkers(walk_random, settings, self.town, times, clearance, casting.person)
        stroll(walkers, motion)
        self._poses = ego_poses(sway_random, motion)
        self.movers: list[Mover] = traffic.movers + walkers.movers

    @cached_property
    def _renderer(self) -> Renderer:
        """Built for the first frame: half of the time that a world takes goes into its scenery."""
        parked = [piece for t, mover in enumerate(self.movers, 1) if mover.still for piece in self._pieces(t, 0)]
        return Renderer(scenery(self.town) + parked, self.camera, self.weather)

    def __len__(self) -> int:
        return self._frames

    def __getitem__(self, index: int) -> RenderedFrame:
        if not 0 <= index < self._frames:
            raise IndexError(f"frame {index} of {self._frames}")
        return self._renderer.render(
            self.moving(index),
            self.camera_pose(index),
            self.sensor,
            noise_seed=int(np.random.SeedSequence((self.seed, index)).generate_state(1)[0]),
            motion=np.linalg.inv(self.camera_pose(index)) @ self.camera_pose(index + 1),
        )

    def camera_pose(self, index: int) -> np.ndarray:
        """4x4, of the ground point below the camera in a frame."""
        return self._poses[index * self._steps]

    def moving(self, index: int) -> list[Piece]:
        """What may be seen and does not stand still for the whole sequence, as it is in a frame."""
        return [piece for track_id in self._near(index, still=False) for piece in self._pieces(track_id, index)]

    def things(self, index: int) -> list[Piece]:
        """Cars and people that may be seen in a frame, standing ones too: one piece a track."""
        tracks = self._near(index, still=False) + self._near(index, still=True)
        return [piece for track_id in tracks for piece in self._pieces(track_id, index) if piece.track_id]

    def _near(self, index: int, still: bool) -> list[int]:
        """The numbers of the movers near the view in a frame."""
        toward = np.linalg.inv(self.camera_pose(index))
        places = np.array([mover.motion.places[index * self._steps] for mover in self.movers]).reshape(-1, 2)
        ahead, left = toward[:2, :2] @ places.T + toward[:2, 3:]
        # A vehicle's length beyond the image's edges: something may reach in, or throw its shadow.
        near = (ahead > -6) & (ahead < _VIEW) & (np.abs(left) < 10 + ahead * self.camera.width / self.camera.focal)
        return [int(i) + 1 for i in np.flatnonzero(near) if self.movers[i].still == still]

    def _pieces(self, track_id: int, index: int) -> list[Piece]:
        mover = self.movers[track_id - 1]
        motion, step = mover.motion, index * self._steps
        place = motion.pose(step)
        travelled, speed = float(motion.travelled[step]), float(motion.speeds[step])
        if mover.walks:
            return mover.body.pieces(place, track_id, travelled, speed)
        lit = np.sin(2 * np.pi * (_BLINKS * index / self.rate_hz + 0.37 * track_id)) > 0
        return mover.body.pieces(
            place,
            track_id,
            travelled=travelled,
            braking=bool(motion.accelerations[step] < _BRAKE_LIGHT) or (speed < 0.1 and not mover.still),
            indicator=motion.indicator if lit else 0,
            steering=float(motion.steering[step]),
        )


def check_world(seed: int, frames: int, height: int, width: int, rate_hz: float = 10.0) -> None:
    """Raises InputError where one of ``World``'s numbers is out of range."""
    if seed < 0:
        raise InputError(f"seed: must not be negative, is {seed}")
    if frames < 1:
        raise InputError(f"frames: must be at least 1, is {frames}")
    if min(height, width) < SMALLEST:
        raise InputError(f"size: must be at least {SMALLEST}x{SMALLEST}, is {height}x{width}")
    if not rate_hz > 0:
        raise InputError(f"rate_hz: must be above 0, is {rate_hz}")
