"""Which moving pieces can matter to a picture: those in the camera's view, and those whose shadow may fall into it."""

import numpy as np

from mapt_ros.synthetic.mesh import Piece
from mapt_ros.synthetic.view import Camera

_NEAR = 0.05  # metres; what reaches nearer to the camera's plane counts as covering the whole picture
_LONGEST_SHADOW = 40.0  # metres


def within_sight(
    pieces: list[Piece], camera: Camera, eye: np.ndarray, sun_direction: np.ndarray
) -> tuple[list[Piece], np.ndarray]:
    """Drops pieces that are out of view together with their shadows.

    Args:
        pieces: in the world.
        camera: the camera.
        eye: 4x4, pose of the camera in the world (x forward).
        sun_direction: 3, unit, towards the sun.

    Returns:
        The pieces that stay, and Kx4 float64: the picture's part (left, top, right, bottom, pixels) that the ones
        in view may cover.
    """
    pieces = [p for p in pieces if len(p.mesh.faces)]
    if not pieces:
        return [], np.zeros((0, 4))
    low = np.array([p.mesh.vertices.min(axis=0) for p in pieces], dtype=np.float64)
    high = np.array([p.mesh.vertices.max(axis=0) for p in pieces], dtype=np.float64)
    pick = np.array([[(i >> k) & 1 for k in range(3)] for i in range(8)], dtype=bool)
    corners = np.where(pick, high[:, None], low[:, None])
    rise = max(float(sun_direction[2]), 1e-3)
    reach = np.minimum(np.maximum(high[:, 2] - low[:, 2], 0.5) / rise + 2.0, _LONGEST_SHADOW)
    shadows = corners - (reach[:, None] * sun_direction)[:, None, :]

    def in_camera(points: np.ndarray) -> np.ndarray:
        return (points - eye[:3, 3]) @ eye[:3, :3]

    own = in_camera(corners)
    boxes = _picture_boxes(own, camera)
    visible = _meets_view(own, camera)
    stays = visible | _meets_view(np.concatenate([own, in_camera(shadows)], axis=1), camera)
    return [p for p, stay in zip(pieces, stays, strict=True) if stay], boxes[visible]


def _meets_view(points: np.ndarray, camera: Camera) -> np.ndarray:
    """P bool: whether the hull of PxKx3 points (camera's frame) may reach into the view; never wrong when False."""
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    left, right = (camera.center[0] + 1) / camera.focal, (camera.width - camera.center[0]) / camera.focal
    top, bottom = (camera.center[1] + 1) / camera.focal, (camera.height - camera.center[1]) / camera.focal
    outside = [x < 0, y > left * x, y < -right * x, z > top * x, z < -bottom * x]
    return ~np.any([o.all(axis=-1) for o in outside], axis=0)


def _picture_boxes(points: np.ndarray, camera: Camera) -> np.ndarray:
    """Px4 (left, top, right, bottom) pixels around PxKx3 points in the camera's frame."""
    behind = (points[..., 0] < _NEAR).any(axis=-1)
    depth = np.maximum(points[..., 0], _NEAR)
    column = camera.center[0] - camera.focal * points[..., 1] / depth
    row = camera.center[1] - camera.focal * points[..., 2] / depth
    boxes = np.stack([column.min(axis=1), row.min(axis=1), column.max(axis=1), row.max(axis=1)], axis=1)
    boxes[behind] = (0, 0, camera.width, camera.height)
    return boxes


def pixels_covered(boxes: np.ndarray, camera: Camera) -> np.ndarray:
    """height * width bool: the pixels within any of Kx4 boxes, with two to spare for rays beside the pixels' centres."""
    covered = np.zeros((camera.height, camera.width), dtype=bool)
    low = np.clip(np.floor(boxes[:, :2]) - 2, 0, None).astype(int)
    high = np.clip(np.ceil(boxes[:, 2:]) + 3, 0, None).astype(int)
    for (left, top), (right, bottom) in zip(low, high, strict=True):
        covered[top:bottom, left:right] = True
    return covered.ravel()
