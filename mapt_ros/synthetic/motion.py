"""Where a vehicle or a person is in each frame of a sequence, and how it moves there."""

from dataclasses import dataclass

import numpy as np

from mapt_ros.synthetic.driving import Drive
from mapt_ros.synthetic.mesh import pose
from mapt_ros.synthetic.paths import Path
from mapt_ros.synthetic.road import Road, Town

_KERB_HEIGHT = 0.12  # metres, the height of sidewalks above the carriageway
_WHEELBASE = 2.65


@dataclass(frozen=True)
class Motion:
    """The way of one body over the F frames of a sequence.

    Attributes:
        places: Fx2 metres, the body's middle.
        yaws: F radians.
        heights: F metres of the ground above the carriageway.
        travelled: F metres gone since some time before the sequence.
        speeds: F metres a second.
        accelerations: F, m/s^2, along the body.
        steering: F radians of the front wheels, left positive.
        indicator: +1 blinks left, -1 right, 0 not at all, for the whole sequence.
    """

    places: np.ndarray
    yaws: np.ndarray
    heights: np.ndarray
    travelled: np.ndarray
    speeds: np.ndarray
    accelerations: np.ndarray
    steering: np.ndarray
    indicator: int = 0

    def pose(self, frame: int, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
        """4x4 transform of the body in a frame."""
        x, y = self.places[frame]
        return pose(float(x), float(y), float(self.heights[frame]), float(self.yaws[frame]), pitch, roll)


def standing(place: tuple[float, float], yaw: float, frames: int, height: float = 0.0) -> Motion:
    """A body that stays where it is."""
    still = np.zeros(frames)
    return Motion(
        np.tile(np.asarray(place, dtype=np.float64), (frames, 1)),
        np.full(frames, yaw),
        np.full(frames, height),
        still,
        still,
        still,
        still,
    )


def driven(path: Path, ride: Drive, times: np.ndarray, indicator: int = 0) -> Motion:
    """A vehicle that drives along a path, seen at F times."""
    along, speeds, accelerations = ride.at(times)
    places, yaws = path.at(along)
    steering = np.arctan(_WHEELBASE * path.curvature(along + 0.5 * _WHEELBASE))
    return Motion(places, yaws, np.zeros(len(times)), along, speeds, accelerations, steering, indicator)


def walked(path: Path, along: np.ndarray, times: np.ndarray, town: Town, lateral: np.ndarray | float = 0.0) -> Motion:
    """A person who has come ``along`` (F) metres of a path at F times."""
    places, yaws = path.at(along, lateral)
    speeds = np.gradient(along, times) if len(times) > 1 else np.zeros(1)
    still = np.zeros(len(times))
    return Motion(places, yaws, ground_heights(town, places), along, speeds, still, still)


def ground_heights(town: Town, places: np.ndarray) -> np.ndarray:
    """Height of the ground at N places (Nx2): carriageways lie a kerb lower than what is beside them."""
    beyond = carriageway_distance(town.main, places)
    for junction in town.junctions:
        beyond = np.minimum(beyond, carriageway_distance(junction.road, places))
    # Feet rise and sink over a step's length instead of at once.
    return _KERB_HEIGHT * np.clip(0.5 + beyond / 0.4, 0, 1)


def carriageway_distance(road: Road, places: np.ndarray) -> np.ndarray:
    """Metres from N places (Nx2) to a road's kerb, negative on the carriageway."""
    line = road.points
    nearest = np.argmin(((places[:, None] - line[None]) ** 2).sum(axis=-1), axis=1)
    tangent = np.gradient(line, axis=0)[nearest]
    offset = places - line[nearest]
    left = tangent[:, 0] * offset[:, 1] - tangent[:, 1] * offset[:, 0]
    width = np.where(left > 0, road.half_width(1), road.half_width(-1))
    past = np.abs((tangent * offset).sum(axis=1)) - 0.6
    return np.maximum(np.abs(left) - width, past)
