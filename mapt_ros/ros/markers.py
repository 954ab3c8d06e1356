"""Places tracked instances on the ground plane and draws them as markers, from the camera's geometry alone."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, inf, sin

import numpy as np
from geometry_msgs.msg import Point, Quaternion, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from mapt_ros.data.labels import ClassSet
from mapt_ros.tracking.frame import PanopticFrame, TrackedInstance, TrackState
from mapt_ros.viz.overlay import track_color

MAX_DISTANCE = 200.0  # metres; nearer to the horizon a pixel spans tens of metres
_STEP_S = 0.1  # the time over which a velocity in pixels is carried onto the ground
_LOST_ALPHA = 0.3


@dataclass(frozen=True)
class GroundCamera:
    """A pinhole camera above a flat ground, in its optical frame (x right, y down, z forward).

    Attributes:
        fx, fy, cx, cy: focal lengths and principal point in pixels.
        height: of the camera above the ground, in metres.
        pitch: in radians; positive looks down.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    height: float
    pitch: float

    @classmethod
    def from_matrix(cls, k: Sequence[float], *, height: float, pitch: float) -> "GroundCamera | None":
        """From a row-major 3x3 camera matrix; None where it is that of an uncalibrated camera (zeros)."""
        if not (k[0] > 0 and k[4] > 0):
            return None
        return cls(float(k[0]), float(k[4]), float(k[2]), float(k[5]), height, pitch)

    @property
    def down(self) -> np.ndarray:
        """The unit vector towards the ground."""
        return np.array([0.0, cos(self.pitch), sin(self.pitch)])

    def ground_point(self, u: float, v: float) -> np.ndarray | None:
        """Where the ray through a pixel meets the ground, in metres; None above the horizon or too far to tell."""
        ray = np.array([(u - self.cx) / self.fx, (v - self.cy) / self.fy, 1.0])
        descent = float(ray @ self.down)
        distance = self.height / descent * float(np.linalg.norm(ray)) if descent > 0 else inf
        return ray * (self.height / descent) if distance <= MAX_DISTANCE else None


class GroundTrails:
    """The last ``length`` places of every visible track on the ground, in the camera's frame of their time.

    The vehicle's own motion is not known here: a parked car that is passed leaves a trail too. A track that has not
    been seen for ``length`` frames is forgotten, and so is every other epoch's.
    """

    def __init__(self, length: int = 40) -> None:
        self._length = length
        self._epoch = 0
        self._points: dict[int, deque[np.ndarray]] = {}
        self._seen: dict[int, int] = {}

    def update(self, frame: PanopticFrame, camera: GroundCamera) -> None:
        """Appends the places of the instances that have pixels in this frame."""
        if frame.epoch != self._epoch:
            self._points, self._seen, self._epoch = {}, {}, frame.epoch
        for instance in frame.instances:
            if instance.area > 0 and (foot := _foot(instance, camera)) is not None:
                self._points.setdefault(instance.track_id, deque(maxlen=self._length)).append(foot)
                self._seen[instance.track_id] = frame.sequence
        for track_id, seen in list(self._seen.items()):
            if frame.sequence - seen > self._length:
                del self._points[track_id], self._seen[track_id]

    def points(self, track_id: int) -> Sequence[np.ndarray]:
        """Places in metres, the oldest first."""
        return self._points.get(track_id, ())


def clear_markers(header: Header) -> MarkerArray:
    """The array that removes every marker."""
    return MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL)])


def track_markers(
    frame: PanopticFrame, camera: GroundCamera, classes: ClassSet, header: Header, *, trails: GroundTrails
) -> MarkerArray:
    """A box, a text, a trail and a velocity arrow for every instance whose foot is on the ground in sight.

    The foot is the bottom centre of the instance's box. A box is as wide and high as the pixels say at that distance,
    and as long as wide, since one view does not show the length. Arrows show the way of one second. The array begins
    with DELETEALL, so that it stands for itself whatever was received before.

    Args:
        header: the image's; its frame must follow the optical convention.
        trails: updated by the caller.
    """
    array = clear_markers(header)
    upright = Quaternion(x=sin(camera.pitch / 2), w=cos(camera.pitch / 2))  # turns the y axis onto "down"
    for instance in frame.instances:
        x0, y0, x1, y1 = instance.box
        foot = _foot(instance, camera)
        if foot is None:
            continue
        width = (x1 - x0) * foot[2] / camera.fx
        height = (y1 - y0) * foot[2] / camera.fy
        if not (width > 0 and height > 0):
            continue
        alpha = _LOST_ALPHA if instance.state is TrackState.LOST else 0.8
        info = classes.by_id[instance.class_id]
        red, green, blue = (value / 255 for value in track_color(instance.track_id))  # as in the overlay
        color = ColorRGBA(r=red, g=green, b=blue, a=alpha)

        body = _marker(header, "box", instance, Marker.CUBE, color)
        body.pose.position = _point(foot - camera.down * height / 2)
        body.pose.orientation = upright
        body.scale = Vector3(x=width, y=height, z=width)
        array.markers.append(body)

        text = _marker(header, "text", instance, Marker.TEXT_VIEW_FACING, ColorRGBA(r=1.0, g=1.0, b=1.0, a=alpha))
        text.pose.position = _point(foot - camera.down * (height + 0.4))
        text.scale.z = 0.6
        text.text = f"{info.name} {instance.track_id}"
        array.markers.append(text)

        if len(points := trails.points(instance.track_id)) > 1:
            trail = _marker(header, "trail", instance, Marker.LINE_STRIP, color)
            trail.points = [_point(point) for point in points]
            trail.pose.orientation.w = 1.0
            trail.scale.x = 0.08
            array.markers.append(trail)

        velocity = _ground_velocity(instance, foot, camera)
        if velocity is not None:
            arrow = _marker(header, "velocity", instance, Marker.ARROW, color)
            arrow.points = [_point(foot), _point(foot + velocity)]
            arrow.pose.orientation.w = 1.0
            arrow.scale = Vector3(x=0.1, y=0.25, z=0.3)
            array.markers.append(arrow)
    return array


def _foot(instance: TrackedInstance, camera: GroundCamera) -> np.ndarray | None:
    x0, _, x1, y1 = instance.box
    return camera.ground_point((x0 + x1) / 2, y1)


def _ground_velocity(instance: TrackedInstance, foot: np.ndarray, camera: GroundCamera) -> np.ndarray | None:
    if instance.vx == instance.vy == 0:  # unknown
        return None
    x0, _, x1, y1 = instance.box
    ahead = camera.ground_point((x0 + x1) / 2 + instance.vx * _STEP_S, y1 + instance.vy * _STEP_S)
    return None if ahead is None else (ahead - foot) / _STEP_S


def _marker(header: Header, namespace: str, instance: TrackedInstance, kind: int, color: ColorRGBA) -> Marker:
    # Marker ids are int32, track ids may grow beyond.
    return Marker(
        header=header, ns=namespace, id=instance.track_id & 0x7FFFFFFF, type=kind, action=Marker.ADD, color=color
    )


def _point(xyz: np.ndarray) -> Point:
    return Point(x=float(xyz[0]), y=float(xyz[1]), z=float(xyz[2]))
