"""What every vehicle of the procedural world is: a rigid body on turning wheels, with lamps that light up."""

from dataclasses import dataclass, replace

import numpy as np

from mapt_ros.data.labels import KITTI_STEP
from mapt_ros.synthetic.mesh import Material, Mesh, Piece, Texture, joined, pose
from mapt_ros.synthetic.rig import Rig, rigid_parts
from mapt_ros.synthetic.solids import surface, turned

TYRE = Material((0.018, 0.018, 0.019), seed=1)
UNDERSIDE = Material((0.01, 0.01, 0.01), seed=2)  # floor and wheel wells
TRIM = Material((0.022, 0.022, 0.024), gloss=0.02, seed=3)  # unpainted plastic
GLASS = Material((0.012, 0.014, 0.015), gloss=0.05, glass=True, seed=4)
TINTED = Material((0.006, 0.006, 0.007), gloss=0.05, glass=True, seed=5)
CHROME = Material((0.5, 0.5, 0.5), gloss=0.55, seed=6)
LAMP = Material((0.55, 0.57, 0.6), gloss=0.25, seed=7)  # the clear cover of a head light
TAIL_LAMP = Material((0.32, 0.012, 0.012), gloss=0.06, seed=8)
BRAKE_LAMP = Material((0.38, 0.012, 0.012), gloss=0.06, seed=9)
LEFT_INDICATOR = Material((0.6, 0.2, 0.03), gloss=0.06, seed=10)
RIGHT_INDICATOR = Material((0.6, 0.2, 0.03), gloss=0.06, seed=11)
PLATE = Material((0.7, 0.7, 0.68), Texture.PLATE, scale=0.11, second=(0.02, 0.02, 0.02), seed=12)

_PAINTS = (  # linear albedo, share of the cars on German roads
    ((0.42, 0.43, 0.44), 0.15),  # silver
    ((0.17, 0.175, 0.18), 0.08),  # grey
    ((0.07, 0.072, 0.077), 0.07),  # anthracite
    ((0.012, 0.012, 0.013), 0.17),  # black
    ((0.022, 0.023, 0.026), 0.11),  # near black
    ((0.72, 0.72, 0.7), 0.18),  # white
    ((0.012, 0.025, 0.085), 0.06),  # dark blue
    ((0.02, 0.05, 0.14), 0.04),  # blue
    ((0.33, 0.014, 0.016), 0.045),  # red
    ((0.12, 0.008, 0.014), 0.015),  # dark red
    ((0.015, 0.055, 0.035), 0.02),  # green
    ((0.22, 0.17, 0.11), 0.02),  # beige, champagne
    ((0.075, 0.042, 0.025), 0.015),  # brown
    ((0.55, 0.38, 0.02), 0.01),  # yellow
    ((0.45, 0.12, 0.01), 0.005),  # orange
    ((0.1, 0.22, 0.36), 0.015),  # light blue
)


def paint(rng: np.random.Generator) -> Material:
    """A car's paint, drawn as often as on German roads, under a clear coat."""
    shares = np.array([share for _, share in _PAINTS])
    color = np.array(_PAINTS[rng.choice(len(_PAINTS), p=shares / shares.sum())][0])
    color = np.clip(color * rng.uniform(0.8, 1.2) * rng.uniform(0.975, 1.025, 3), 0.006, 0.8)
    return Material(tuple(color.tolist()), gloss=0.04, seed=int(rng.integers(1 << 30)))


@dataclass(frozen=True)
class Wheel:
    """Where a wheel's middle lies on the vehicle, its radius (metres), and whether it steers."""

    x: float
    y: float
    radius: float
    steered: bool = False

    def placed(self, travelled: float, steering: float) -> np.ndarray:
        """4x4 transform from the wheel's to the vehicle's frame, rolled on by ``travelled`` metres."""
        # The wheels are modelled as left ones; on the right they are turned about, so they roll the other way.
        right = self.y < 0
        angle = travelled / self.radius
        yaw = (np.pi if right else 0.0) + (steering if self.steered else 0.0)
        return pose(self.x, self.y, self.radius, yaw) @ pose(0, 0, 0, 0, -angle if right else angle)


@dataclass(frozen=True)
class Vehicle:
    """A vehicle that is built once and placed every frame.

    Attributes:
        length, width, height: metres; mirrors and antennas do not count.
        class_id: KITTI-STEP's.
        rig: bone 0 is the body, the others are the ``wheels``, in order.
    """

    length: float
    width: float
    height: float
    class_id: int
    rig: Rig
    wheels: tuple[Wheel, ...]

    def pieces(
        self,
        transform: np.ndarray,
        track_id: int,
        travelled: float = 0.0,
        braking: bool = False,
        indicator: int = 0,
        steering: float = 0.0,
    ) -> list[Piece]:
        """The vehicle at a 4x4 transform.

        Args:
            track_id: kept for cars only; the other vehicles are stuff in KITTI-STEP and get 0.
            travelled: metres driven so far, which turn the wheels.
            braking: lights the brake lamps.
            indicator: 1 lights the left one, -1 the right one, 0 none; blinking is up to the caller.
            steering: radians, to the left positive.
        """
        wheels = [transform @ wheel.placed(travelled, steering) for wheel in self.wheels]
        mesh = self.rig.posed(np.stack([transform, *wheels]))
        lit = {BRAKE_LAMP: 1.0} if braking else {}
        if indicator:
            lit[LEFT_INDICATOR if indicator > 0 else RIGHT_INDICATOR] = 1.0
        if lit:
            mesh = replace(mesh, materials=tuple(_lit(m, lit[m]) if m in lit else m for m in mesh.materials))
        return [Piece(mesh, self.class_id, track_id if KITTI_STEP.by_id[self.class_id].is_thing else 0)]


def _lit(lamp: Material, emission: float) -> Material:
    """A lamp that is on: bright in its own, more vivid colour."""
    peak = max(lamp.color)
    return replace(lamp, color=tuple(0.95 * c / peak for c in lamp.color), emission=emission)


def vehicle(size: tuple[float, float, float], class_id: int, body: Mesh, wheels: dict[Wheel, Mesh]) -> Vehicle:
    """Puts body and wheels together; ``size`` is (length, width, height)."""
    return Vehicle(*size, class_id, rigid_parts([body, *wheels.values()]), tuple(wheels))


def number_plate(x: float, z: float, rear: bool) -> Mesh:
    """A number plate, 52 by 11 cm, square across the vehicle."""
    y, z = np.array([-0.26, 0.26]), z + np.array([-0.055, 0.055])
    return surface(np.stack(np.broadcast_arrays(x, y[None, :], z[:, None]), axis=-1), PLATE, flip=rear)


def wheel_mesh(radius: float, width: float, rim: Material, spokes: int, sections: int = 14) -> Mesh:
    """A wheel in its own frame: axle along y, outside at +y, ``spokes`` bright spokes (0 = a plain disc with holes)."""
    inner, half = 0.66 * radius, 0.5 * width
    tread = [(0.0, -half), (0.97 * radius, -half), (radius, -0.7 * half), (radius, 0.6 * half), (0.93 * radius, half)]
    tyre = turned(np.array([*tread, (inner, half)]), TYRE, sections)
    lip = turned(np.array([(inner, half), (0.88 * inner, 0.3 * half)]), rim, sections)
    dark = turned(np.array([(0.88 * inner, 0.3 * half), (0.0, 0.3 * half)]), UNDERSIDE, sections)
    parts = [tyre, lip, dark, turned(np.array([(0.3 * inner, 0.75 * half), (0.0, 0.8 * half)]), rim, 8)]
    count, thickness = (spokes, 0.36 * inner * 5 / spokes) if spokes else (10, 0.42 * inner)
    reach = np.array([0.2, 0.92]) * inner
    for turn in np.linspace(0, 2 * np.pi, count, endpoint=False):
        along, across = np.array([np.cos(turn), 0, np.sin(turn)]), np.array([-np.sin(turn), 0, np.cos(turn)])
        edge = 0.5 * thickness * np.array([0.75, 1.0])
        middle = along * reach[:, None] + np.array([0, 0.74 * half, 0])
        grid = np.stack([middle - across * edge[:, None], middle + across * edge[:, None]])
        parts.append(surface(grid, rim, flip=True))
    return joined(parts)
