"""Measures how hard sequences of the procedural world are to track: how many, how small, how hidden, how fast things are."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from mapt_ros.data.labels import decode_labels
from mapt_ros.synthetic.mesh import Mesh, pose
from mapt_ros.synthetic.view import Camera
from mapt_ros.synthetic.world import World

_NEAREST = 0.3  # metres before the camera


@dataclass(frozen=True)
class Difficulty:
    """What makes sequences hard, over all of them. A track counts from the first to the last frame in which it is seen.

    Attributes:
        sequences, frames, tracks: how many were measured.
        tracks_per_frame: mean number of tracks with pixels in a frame.
        persons: share of people among the tracks.
        occluded: share of tracks that are at some time more than half hidden, by area of what the image could show.
        returning: share of tracks that come back after a frame in which nothing is seen of them.
        median_height: of the visible parts' boxes, in pixels.
        slivers: share of visible parts of at most 10 pixels.
        displacement: pixels that boxes' middles move between frames: the 50th, 90th and 99th percentile.
    """

    sequences: int
    frames: int
    tracks: int
    tracks_per_frame: float
    persons: float
    occluded: float
    returning: float
    median_height: float
    slivers: float
    displacement: tuple[float, float, float]


@dataclass(frozen=True)
class _Sight:
    """A track in one frame: its visible pixels and, if there are any, the box of them (x0 y0 x1 y1), and its outline's."""

    visible: int
    outline: int
    box: tuple[int, int, int, int] | None


def difficulty(worlds: Iterable[World]) -> Difficulty:
    """Measures whole sequences; renders every frame of them."""
    measured = [(world, _sights(world)) for world in worlds]
    lives = [life for _, sights in measured for life in map(_life, sights.values()) if life]
    people = sum(any(s.visible for s in sights[t]) for w, sights in measured for t in sights if w.movers[t - 1].walks)
    seen = [sight for life in lives for sight in life if sight.visible]
    frames = sum(len(world) for world, _ in measured)
    moved = [
        np.hypot(a.box[0] + a.box[2] - b.box[0] - b.box[2], a.box[1] + a.box[3] - b.box[1] - b.box[3]) / 2
        for life in lives
        for a, b in pairwise(life)
        if a.visible and b.visible
    ]
    return Difficulty(
        sequences=len(measured),
        frames=frames,
        tracks=len(lives),
        tracks_per_frame=len(seen) / frames,
        persons=people / max(len(lives), 1),
        occluded=_share([any(s.visible < 0.5 * s.outline for s in life) for life in lives]),
        returning=_share([any(not s.visible for s in life) for life in lives]),
        median_height=float(np.median([s.box[3] - s.box[1] for s in seen] or [0])),
        slivers=_share([s.visible <= 10 for s in seen]),
        displacement=tuple(float(p) for p in np.percentile(moved or [0], [50, 90, 99])),
    )


def outline(mesh: Mesh, camera: Camera, camera_pose: np.ndarray) -> int:
    """How many pixels a mesh would cover if nothing stood before it.

    Args:
        camera_pose: 4x4, of the ground point below the camera.
    """
    eye = camera_pose @ pose(0, 0, camera.mounting_height, pitch=camera.pitch)
    ahead, left, up = ((mesh.vertices - eye[:3, 3]) @ eye[:3, :3]).T
    if ahead.max() < _NEAREST:
        return 0
    depth = np.maximum(ahead, _NEAREST)
    columns, rows = camera.center[0] - camera.focal * left / depth, camera.center[1] - camera.focal * up / depth
    x0, x1 = np.clip([np.floor(columns.min()), np.ceil(columns.max()) + 1], 0, camera.width).astype(int)
    y0, y1 = np.clip([np.floor(rows.min()), np.ceil(rows.max()) + 1], 0, camera.height).astype(int)
    if x0 == x1 or y0 == y1:
        return 0
    column, row = (axis.ravel() for axis in np.meshgrid(np.arange(x0, x1), np.arange(y0, y1)))
    rays = np.stack(
        [np.ones(len(row)), (camera.center[0] - column) / camera.focal, (camera.center[1] - row) / camera.focal]
    )
    directions = np.ascontiguousarray((eye[:3, :3] @ rays).T, dtype=np.float32)
    scene = EmbreeScene()
    # Embree reads the triangles where they lie, so they must outlive the scene.
    triangles = TriangleMesh(scene, mesh.vertices.astype(np.float32), mesh.faces)
    origins = np.tile(eye[:3, 3].astype(np.float32), (len(row), 1))
    covered = int((scene.run(origins, directions, query="OCCLUDED") >= 0).sum())
    del scene, triangles
    return covered


def _sights(world: World) -> dict[int, list[_Sight]]:
    """Every track that comes into view, in every frame."""
    sights: dict[int, list[_Sight]] = {}
    for index in range(len(world)):
        track_ids = decode_labels(world[index].labels)[1]
        for piece in world.things(index):
            life = sights.setdefault(piece.track_id, [_Sight(0, 0, None)] * index)
            visible = track_ids == piece.track_id
            rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
            box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if len(rows) else None
            life.append(_Sight(int(visible.sum()), outline(piece.mesh, world.camera, world.camera_pose(index)), box))
        for life in sights.values():
            if len(life) == index:
                life.append(_Sight(0, 0, None))
    return sights


def _life(sights: list[_Sight]) -> list[_Sight]:
    """From the first to the last frame in which a track is seen."""
    seen = [i for i, sight in enumerate(sights) if sight.visible]
    return sights[seen[0] : seen[-1] + 1] if seen else []


def _share(flags: list[bool]) -> float:
    return float(np.mean(flags)) if flags else 0.0
