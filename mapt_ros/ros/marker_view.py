"""Draws what RViz would show of a recorded run, by the displays and the view of config/mapt.rviz; for where no RViz is.

    python -m mapt_ros.ros.marker_view out/demo view.png [--frame N]

The run is a folder of `mapt demo`. Overlay and markers are made by the functions that the node publishes with.
"""

import argparse
import sys
from collections.abc import Sequence
from math import cos, sin
from pathlib import Path

import cv2
import numpy as np
import yaml
from geometry_msgs.msg import Quaternion
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from mapt_ros.data.labels import KITTI_STEP
from mapt_ros.errors import InputError
from mapt_ros.replay.bag_reader import BagReader
from mapt_ros.replay.decode import decode_message
from mapt_ros.replay.files import write_beside
from mapt_ros.resources import resource
from mapt_ros.ros.conversions import decode_panoptic
from mapt_ros.ros.markers import GroundCamera, GroundTrails, track_markers
from mapt_ros.viz.overlay import Trails, draw_overlay, png_bytes

_FIELD_OF_VIEW = 0.785  # radians, vertical; RViz's
_NEAR = 0.1
_CORNERS = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
_FACES = ((0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5))


class OrbitView:
    """A pinhole camera that looks at a point as RViz's orbit controller does: the fixed frame's z axis is up.

    Args:
        settings: the view's section of an RViz file.
        size: width and height of the picture.
    """

    def __init__(self, settings: dict, size: tuple[int, int]) -> None:
        focal_point = np.array([settings["Focal Point"][axis] for axis in "XYZ"], np.float64)
        yaw, pitch = settings["Yaw"], settings["Pitch"]
        away = np.array([cos(yaw) * cos(pitch), sin(yaw) * cos(pitch), sin(pitch)])
        self._eye = focal_point + settings["Distance"] * away
        right = np.cross(-away, (0.0, 0.0, 1.0))
        right /= np.linalg.norm(right)
        self._axes = np.stack([right, np.cross(-away, right), -away])  # x right, y down, z ahead
        self._focal = size[1] / 2 / np.tan(_FIELD_OF_VIEW / 2)
        self._center = np.array(size) / 2

    def project(self, points: Sequence) -> tuple[np.ndarray, np.ndarray]:
        """Nx3 points to Nx2 pixels and N depths; what is behind the eye has a depth of 0 or less."""
        local = (np.asarray(points, np.float64).reshape(-1, 3) - self._eye) @ self._axes.T
        depth = np.maximum(local[:, 2], _NEAR)
        return self._center + self._focal * local[:, :2] / depth[:, None], local[:, 2]


def draw_markers(canvas: np.ndarray, markers: Sequence[Marker], view: OrbitView) -> None:
    """Draws cubes, lines, arrows and texts onto an HxWx3 uint8 canvas, the farthest first."""
    order = sorted(markers, key=lambda m: -view.project(_places(m))[1].mean())
    for marker in (m for m in order if m.action == Marker.ADD):
        pixels, depths = view.project(_places(marker))
        if (depths <= _NEAR).any():
            continue
        color = tuple(255 * c for c in (marker.color.r, marker.color.g, marker.color.b))
        points = np.rint(pixels).astype(np.int32)
        if marker.type == Marker.CUBE:
            _draw_cube(canvas, points, depths, color, marker.color.a)
        elif marker.type == Marker.LINE_STRIP:
            cv2.polylines(canvas, [points], False, color, 2, cv2.LINE_AA)
        elif marker.type == Marker.ARROW:
            cv2.arrowedLine(canvas, points[0].tolist(), points[1].tolist(), color, 2, cv2.LINE_AA, tipLength=0.2)
        elif marker.type == Marker.TEXT_VIEW_FACING:
            origin = points[0] - (4 * len(marker.text), 0)
            cv2.putText(canvas, marker.text, origin.tolist(), cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, 1, cv2.LINE_AA)


def draw_view(rviz: dict, markers: Sequence[Marker], size: tuple[int, int]) -> np.ndarray:
    """The 3D panel of an RViz configuration: its grids and some markers in its view; HxWx3 uint8 RGB."""
    background = _numbers(rviz["Global Options"]["Background Color"])
    canvas = np.full((size[1], size[0], 3), background, np.uint8)
    view = OrbitView(rviz["Views"]["Current"], size)
    for grid in (display for display in rviz["Displays"] if display["Class"].endswith("/Grid")):
        half = grid["Plane Cell Count"] * grid["Cell Size"] / 2
        offset = np.array([grid["Offset"][axis] for axis in "XYZ"], np.float64)
        for step in np.linspace(-half, half, grid["Plane Cell Count"] + 1):
            for line in (((-half, 0, step), (half, 0, step)), ((step, 0, -half), (step, 0, half))):
                # In pieces, so that only what is behind the eye is left out.
                pixels, depths = view.project(offset + np.linspace(*np.array(line), 41))
                seen = np.clip(np.rint(pixels[depths > _NEAR]), -20_000, 20_000).astype(np.int32)
                cv2.polylines(canvas, [seen], False, _numbers(grid["Color"]), 1, cv2.LINE_AA)
    draw_markers(canvas, markers, view)
    return canvas


def main() -> int:
    """Writes the picture: the overlay above the 3D view."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of `mapt demo`")
    parser.add_argument("out", type=Path, help="the PNG to write")
    parser.add_argument("--frame", type=int, default=-1)
    options = parser.parse_args()
    try:
        write_beside(options.out, png_bytes(draw_run(options.run, options.frame)))
    except InputError as error:
        print(f"marker_view: {error}", file=sys.stderr)
        return 2
    return 0


def draw_run(run: Path, frame: int) -> np.ndarray:
    """Overlay and 3D view of one frame of a recorded run, with the trails up to there.

    Raises:
        InputError: the run's bags cannot be read, or it has no such frame.
    """
    scene = BagReader(run / "scene")
    images = [message for _, message in scene.messages("/image")]
    frames = [decode_panoptic(message) for _, message in BagReader(run / "panoptic").messages("/mapt/panoptic")]
    if not -len(frames) <= frame < len(frames):
        raise InputError(f"{run}: frame {frame} of {len(frames)}")
    _, info = next(scene.messages("/camera_info"))
    rviz = yaml.safe_load(Path(resource("config/mapt.rviz")).read_text())["Visualization Manager"]
    (ground,) = [display for display in rviz["Displays"] if display["Class"].endswith("/Grid")]
    camera = GroundCamera.from_matrix(info.k, height=ground["Offset"]["Y"], pitch=0.0)
    trails, ground_trails = Trails(), GroundTrails()
    upto = frames[: frame + 1 or None]
    for one in upto:
        trails.update(one)
        ground_trails.update(one, camera)
    array = track_markers(upto[-1], camera, KITTI_STEP, Header(frame_id="camera"), trails=ground_trails)
    image = decode_message(images[len(upto) - 1])
    overlay = draw_overlay(image, upto[-1], KITTI_STEP, trails=trails, scale=2)
    return np.vstack([overlay, draw_view(rviz, array.markers, (overlay.shape[1], 640))])


def _places(marker: Marker) -> np.ndarray:
    """The points that a marker is drawn from, Nx3; a cube's are its corners."""
    position = np.array([marker.pose.position.x, marker.pose.position.y, marker.pose.position.z])
    if marker.points:
        return np.array([(p.x, p.y, p.z) for p in marker.points])
    if marker.type != Marker.CUBE:
        return position[None]
    scale = np.array([marker.scale.x, marker.scale.y, marker.scale.z])
    return position + (_CORNERS * scale) @ _rotation(marker.pose.orientation).T


def _rotation(q: Quaternion) -> np.ndarray:
    return np.array(
        [
            [1 - 2 * (q.y**2 + q.z**2), 2 * (q.x * q.y - q.z * q.w), 2 * (q.x * q.z + q.y * q.w)],
            [2 * (q.x * q.y + q.z * q.w), 1 - 2 * (q.x**2 + q.z**2), 2 * (q.y * q.z - q.x * q.w)],
            [2 * (q.x * q.z - q.y * q.w), 2 * (q.y * q.z + q.x * q.w), 1 - 2 * (q.x**2 + q.y**2)],
        ]
    )


def _draw_cube(canvas: np.ndarray, points: np.ndarray, depths: np.ndarray, color: tuple, alpha: float) -> None:
    for number, face in sorted(enumerate(_FACES), key=lambda item: -depths[list(item[1])].mean()):
        shade = 0.6 + 0.4 * (number // 2) / 2  # so that the faces can be told apart
        layer = canvas.copy()
        cv2.fillConvexPoly(layer, points[list(face)], tuple(shade * c for c in color), cv2.LINE_AA)
        cv2.addWeighted(layer, alpha, canvas, 1 - alpha, 0, dst=canvas)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(";"))


if __name__ == "__main__":
    sys.exit(main())
