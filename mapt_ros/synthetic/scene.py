"""A short street scene with moving cars and people, drawn frame by frame with exact panoptic ground truth."""

from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np

from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.errors import InputError
from mapt_ros.synthetic.bodies import CAR_SHAPES, HAIRS, PAINTS, SHIRTS, SKINS, TROUSERS, Car, Person, shade
from mapt_ros.synthetic.canvas import SUPERSAMPLING, Canvas, Pinhole, resolve_owners
from mapt_ros.synthetic.street import ASPHALT, Layer, Street, StreetPlan, draw_plan

PERSON_CLASS, CAR_CLASS = 11, 13  # KITTI-STEP
MIN_VISIBLE_PIXELS = 10  # a thing that shows less is left out of image and labels alike
_PAN = (10, 3)  # pixels the view may turn sideways and nod
_CASTINGS = 12  # tries to find a cast in which things pass before each other
_MIN_SHOWN = 12  # frames a thing's centre stays in view at least, or all of a shorter scene


@dataclass(frozen=True)
class SceneFrame:
    """One frame: ``image`` HxWx3 uint8 RGB, ``labels`` HxW int32 label map (see mapt_ros.data.labels)."""

    image: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Path:
    """Straight motion over the ground: at ``x, z`` metres in frame ``when``, going ``speed`` metres a frame."""

    x: float
    z: float
    heading: tuple[float, float]  # unit vector (right, ahead)
    speed: float
    when: float
    rhythm: float  # radians; the phase of a slight speeding up and slowing down

    def travelled(self, index: np.ndarray | float) -> np.ndarray | float:
        """Metres gone since frame ``when``, negative before."""
        sway = 0.8 * (np.sin(0.22 * index + self.rhythm) - np.sin(0.22 * self.when + self.rhythm))
        return self.speed * (index - self.when + sway)

    def position(self, index: np.ndarray | float) -> tuple:
        """(x, z) in metres at frame ``index``."""
        way = self.travelled(index)
        return self.x + self.heading[0] * way, self.z + self.heading[1] * way


@dataclass(frozen=True)
class Thing:
    """A car or a person of the scene; ``track_id`` from 1, its own for the whole scene."""

    track_id: int
    class_id: int
    body: Car | Person
    path: Path


class DrivingScene:
    """A street scene of ``frames`` frames as a sequence of ``SceneFrame``; the same seed gives the same bytes.

    Cars (class 13) and people (class 11) carry track ids from 1; everything else is stuff with id 0, and no pixel is
    unlabelled. Any frame can be drawn at any time and in any order.

    Attributes:
        fx, fy, cx, cy: intrinsics in pixels (no distortion).
        camera_height: metres above the ground.
        things: everything that can appear, by track id.

    Raises:
        InputError: a size below 32x64 pixels or fewer than one frame.
    """

    def __init__(self, seed: int, *, height: int = 128, width: int = 416, frames: int = 40) -> None:
        if height < 32 or width < 64 or frames < 1:
            raise InputError(
                f"scene of {frames} frames at {height}x{width}: needs at least 1 frame of 32x64 pixels (height x width)"
            )
        rng = np.random.default_rng(seed)
        self._seed, self._size, self._frames = seed, (height, width), frames
        focal = 0.58 * width
        self.camera = Pinhole(fx=focal, fy=focal, cx=0.5 * width, cy=0.43 * height, camera_height=1.65)
        self.fx, self.fy, self.cx, self.cy = focal, focal, self.camera.cx, self.camera.cy
        self.camera_height = self.camera.camera_height
        self._plan = draw_plan(rng)
        self._street = Street(rng, self.camera, self._plan, (height, width), _PAN)
        self.things = self._cast(rng)
        self._tone = _draw_tone(rng)
        self._noise = rng.normal(0, rng.uniform(1.0, 4.5), (height + 32, width + 32, 3)).astype(np.int16)
        self._pan = _draw_pan(rng, frames)

    def __len__(self) -> int:
        return self._frames

    def __getitem__(self, index: int) -> SceneFrame:
        index = range(self._frames)[index]
        things = list(self.things)
        while True:
            frame, shown = self._draw(index, things)
            slivers = {track_id for track_id, area in shown.items() if area < MIN_VISIBLE_PIXELS}
            if not slivers:
                return frame
            things = [thing for thing in things if thing.track_id not in slivers]

    def _draw(self, index: int, things: list[Thing]) -> tuple[SceneFrame, dict[int, int]]:
        """The frame with just these things, and the visible pixels of those that show any."""
        height, width = self._size
        street = self._street
        pan_x, pan_y = self._pan[index]
        rows = slice(pan_y, pan_y + SUPERSAMPLING * height)
        columns = slice(pan_x, pan_x + SUPERSAMPLING * width)
        offset = (SUPERSAMPLING * _PAN[0] - pan_x, SUPERSAMPLING * _PAN[1] - pan_y)
        canvas = Canvas(street.colors[rows, columns].copy(), street.owners[rows, columns].copy(), offset)

        # The background owns their class ids; what is drawn on it is numbered on from there, in drawing order.
        labels = [class_id * LABEL_DIVISOR for class_id in range(32)]
        drawn: list[tuple[int, int]] = []

        def own(label: int) -> int:
            labels.append(label)
            return len(labels) - 1

        placed = [(thing, *map(float, thing.path.position(index))) for thing in things]
        placed = [(thing, x, z) for thing, x, z in placed if z - 0.25 * thing.body.length > 1.2]
        for thing, x, z in placed:
            thing.body.draw_shadow(canvas, self.camera, x, z, thing.path.heading, shade(ASPHALT, 0.5))
        bodies = [(z, x, thing) for thing, x, z in placed] + [(layer.z, 0.0, layer) for layer in street.layers]
        for z, x, body in sorted(bodies, key=lambda entry: -entry[0]):
            if isinstance(body, Layer):
                body.paste(canvas, (pan_x, pan_y), own(body.class_id * LABEL_DIVISOR))
                continue
            owner = own(body.class_id * LABEL_DIVISOR + body.track_id)
            drawn.append((body.track_id, owner))
            body.body.draw(canvas, self.camera, x, z, body.path.heading, float(body.path.travelled(index)), owner)

        owners = resolve_owners(canvas.owners)
        areas = np.bincount(owners.ravel(), minlength=len(labels))
        shown = {track_id: int(areas[owner]) for track_id, owner in drawn if areas[owner]}
        image = cv2.resize(canvas.colors, (width, height), interpolation=cv2.INTER_AREA)
        return SceneFrame(self._expose(image, index), np.array(labels, np.int32)[owners]), shown

    def _expose(self, image: np.ndarray, index: int) -> np.ndarray:
        """The scene's brightness and tint, and the frame's sensor noise."""
        height, width = self._size
        dx, dy = np.random.default_rng([self._seed, index]).integers(0, 32, 2)
        toned = cv2.LUT(image, self._tone)
        return np.clip(toned + self._noise[dy : dy + height, dx : dx + width], 0, 255).astype(np.uint8)

    def _cast(self, rng: np.random.Generator) -> tuple[Thing, ...]:
        """4-8 things that never run into each other, of which some pass before others."""
        for _ in range(_CASTINGS):
            cast = self._try_cast(rng)
            if len(cast) >= 4 and self._meetings(cast) >= 1:
                break
        return cast

    def _try_cast(self, rng: np.random.Generator) -> tuple[Thing, ...]:
        """Things that never run into each other; now and then one has a twin that comes the other way."""
        count = int(rng.integers(4, 9))
        cars = int(rng.integers(max(1, count // 3), max(2, (2 * count) // 3) + 1))
        wanted = [CAR_CLASS] * cars + [PERSON_CLASS] * (count - cars)
        rng.shuffle(wanted)
        cast: list[Thing] = []
        twin_of: Thing | None = None
        for class_id in map(int, wanted):
            for _ in range(60):
                body, path = self._propose(rng, class_id, twin_of)
                if self._fits(body, path, cast):
                    cast.append(Thing(len(cast) + 1, class_id, body, path))
                    break
            twin_of = cast[-1] if cast and rng.random() < 0.5 else None
        return tuple(cast)

    def _propose(self, rng: np.random.Generator, class_id: int, twin_of: Thing | None) -> tuple[Car | Person, Path]:
        twin = twin_of if twin_of is not None and twin_of.class_id == class_id else None
        body = twin.body if twin and rng.random() < 0.7 else _draw_body(rng, class_id)
        draw_path = _draw_car_path if class_id == CAR_CLASS else _draw_walk
        path = draw_path(rng, self.camera, self._plan, self._frames)
        if twin and twin.path.heading[0] and path.heading[0]:
            # Meets the other one in the same image column at about the same time, so that the near one hides it.
            x, z = twin.path.position(path.when)
            path = Path(float(x) * path.z / float(z), path.z, path.heading, path.speed, path.when, path.rhythm)
        return body, path

    def _fits(self, body: Car | Person, path: Path, cast: list[Thing]) -> bool:
        frames = np.arange(self._frames, dtype=np.float64)
        x, z = path.position(frames)
        if z.min() < 4.0 or z.max() > 60:
            return False
        column = self.camera.cx + self.camera.fx * x / z
        if ((column > 0) & (column < self._size[1])).sum() < min(_MIN_SHOWN, self._frames):
            return False
        mine = _footprint(body, path, frames)
        for other in cast:
            theirs = _footprint(other.body, other.path, frames)
            gap = np.linalg.norm(mine[:, None] - theirs[None], axis=-1).min()
            if gap < body.radius + other.body.radius:
                return False
        return True

    def _meetings(self, cast: tuple[Thing, ...]) -> int:
        """How many pairs cross: in the same image column at some time, in view, on different sides before and after."""
        frames = np.arange(self._frames, dtype=np.float64)
        columns = []
        for thing in cast:
            x, z = thing.path.position(frames)
            column = self.camera.fx * x / z
            columns.append(np.where(np.abs(column) < self.camera.cx, column, np.nan))
        gaps = (a - b for a, b in combinations(columns, 2))
        return sum(bool(np.nanmin(gap, initial=np.inf) < 0 < np.nanmax(gap, initial=-np.inf)) for gap in gaps)


def _footprint(body: Car | Person, path: Path, frames: np.ndarray) -> np.ndarray:
    """2xFx2: the ground positions of the two circles that cover the body."""
    center = np.stack(path.position(frames), axis=-1)
    reach = 0.25 * body.length * np.array(path.heading)
    return np.stack([center - reach, center + reach])


def _pick(rng: np.random.Generator, choices):
    return choices[int(rng.integers(len(choices)))]


def _draw_body(rng: np.random.Generator, class_id: int) -> Car | Person:
    if class_id == CAR_CLASS:
        return Car(_pick(rng, CAR_SHAPES), _pick(rng, PAINTS))
    bag = _pick(rng, SHIRTS) if rng.random() < 0.35 else None
    height = float(rng.uniform(1.55, 1.9))
    return Person(height, _pick(rng, SHIRTS), _pick(rng, TROUSERS), _pick(rng, SKINS), _pick(rng, HAIRS), bag)


def _draw_car_path(rng: np.random.Generator, camera: Pinhole, plan: StreetPlan, frames: int) -> Path:
    when, rhythm = float(rng.uniform(0, frames)), float(rng.uniform(0, 2 * np.pi))
    kind = rng.random()
    if kind < 0.55:  # through the crossing road, traffic keeping to the right
        direction = float(rng.choice([-1.0, 1.0]))
        lane = 0.26 if direction > 0 else 0.74
        z = plan.cross_near + (plan.cross_far - plan.cross_near) * float(lane + rng.uniform(-0.05, 0.05))
        x = float(rng.uniform(-0.38, 0.38)) * 2 * camera.cx * z / camera.fx
        return Path(x, z, (direction, 0.0), float(rng.uniform(2.5, 11.0)) * z / camera.fx, when, rhythm)
    if kind < 0.9:  # along our road, away from us or towards us
        away = float(rng.choice([-1.0, 1.0]))
        x = away * float(rng.uniform(1.7, 2.3))
        return Path(x, float(rng.uniform(9, 26)), (0.0, away), float(rng.uniform(0.12, 0.55)), when, rhythm)
    side = float(rng.choice([-1.0, 1.0]))  # parked by the roadside
    z = float(rng.choice([rng.uniform(8.0, 11.0), plan.cross_far + rng.uniform(4.0, 14.0)]))
    return Path(side * (plan.half_width - 0.95), z, (0.0, side), 0.0, when, rhythm)


def _draw_walk(rng: np.random.Generator, camera: Pinhole, plan: StreetPlan, frames: int) -> Path:
    when, rhythm = float(rng.uniform(0, frames)), float(rng.uniform(0, 2 * np.pi))
    kind = rng.random()
    if kind < 0.6:  # across our road or along the crossing one
        direction = float(rng.choice([-1.0, 1.0]))
        strips = (
            (max(6.0, plan.cross_near - 2.3), plan.cross_near - 0.5),
            (plan.cross_far + 0.5, plan.cross_far + plan.pavement - 0.4),
            (plan.cross_far + 0.5, plan.cross_far + plan.pavement - 0.4),
            (6.0, max(7.0, plan.cross_near - 3.0)),
        )
        z = float(rng.uniform(*_pick(rng, strips)))
        reach = 0.8 * camera.cx * z / camera.fx
        if z < plan.cross_near:
            reach = min(reach, plan.half_width)
        x = float(rng.uniform(-reach, reach))
        speed = float(np.clip(rng.uniform(1.2, 4.0) * z / camera.fx, 0.06, 0.2))
        heading = (direction, 0.0)
    else:  # along the pavement of our road
        direction = float(rng.choice([-1.0, 1.0]))
        x = float(rng.choice([-1.0, 1.0]) * rng.uniform(plan.half_width + 0.7, plan.house_line - 0.4))
        z, speed = float(rng.uniform(9.0, 24.0)), float(rng.uniform(0.07, 0.17))
        drift = float(rng.uniform(-0.03, 0.03))
        heading = (drift, direction * float(np.sqrt(1 - drift**2)))
    return Path(x, z, heading, speed, when, rhythm)


def _draw_tone(rng: np.random.Generator) -> np.ndarray:
    """1x256x3 uint8 lookup table: gamma, brightness and tint."""
    level = np.linspace(0, 1, 256)[:, None]
    gain = rng.uniform(0.82, 1.12) * rng.uniform(0.96, 1.04, 3)
    return np.clip(255 * gain * level ** rng.uniform(0.85, 1.15) + 0.5, 0, 255).astype(np.uint8)[None]


def _draw_pan(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Fx2 int samples: where the view's corner lies on the background, slow sway plus jitter."""
    t = np.arange(frames)
    phase = rng.uniform(0, 2 * np.pi, 2)
    sway = np.stack([0.75 * np.sin(rng.uniform(0.04, 0.12) * t + phase[0]), 0.5 * np.sin(0.3 * t + phase[1])], axis=1)
    jitter = rng.uniform(-0.12, 0.12, (frames, 2))
    return np.rint(SUPERSAMPLING * np.array(_PAN) * (1 + sway + jitter)).astype(int)
