"""Turns meshes, camera, weather and sensor into a camera picture with exact labels, by ray tracing with embree."""

import numpy as np
from embreex.rtcore import EmbreeDevice

from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.synthetic import sensor as sensors
from mapt_ros.synthetic.mesh import Piece, pose
from mapt_ros.synthetic.shading import lit, through_haze
from mapt_ros.synthetic.sky import Sky
from mapt_ros.synthetic.textures import albedo
from mapt_ros.synthetic.tracing import Hits, MaterialTable, TracedScene
from mapt_ros.synthetic.view import Camera, RenderedFrame, Sensor, Weather

SKY = 10  # KITTI-STEP's class id


class Renderer:
    """Renders the frames of one sequence: the scenery stands still, other pieces come with every frame."""

    def __init__(self, scenery: list[Piece], camera: Camera, weather: Weather) -> None:
        self._camera, self._weather = camera, weather
        self._sky = Sky(weather)
        self._materials = MaterialTable()
        self._device = EmbreeDevice()
        self._static = TracedScene(scenery, self._materials, self._device)
        columns, rows = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
        self._centres = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float32)

    def render(
        self,
        moving: list[Piece],
        camera_pose: np.ndarray,
        sensor: Sensor,
        noise_seed: int,
        motion: np.ndarray | None = None,
    ) -> RenderedFrame:
        """One frame.

        Args:
            moving: what stands in the world besides the scenery, where it is now.
            camera_pose: 4x4, of the ground point below the camera, in the world.
            sensor: what the camera makes of the light.
            noise_seed: of the sensor's noise.
            motion: 4x4 motion of the camera over one frame interval (its pose at the end as seen from its pose at the
                beginning), for motion blur; None = standing still.
        """
        camera = self._camera
        eye = camera_pose @ pose(0, 0, camera.mounting_height, pitch=camera.pitch)
        dynamic = TracedScene(moving, self._materials, self._device)
        directions = self._rays(self._centres, eye)
        hits = self._trace(dynamic, eye, directions)
        light = self._shade(dynamic, eye, directions, hits)
        labels = np.where(hits.label >= 0, hits.label, SKY * LABEL_DIVISOR).astype(np.int32)
        shape = (camera.height, camera.width)
        image = sensors.develop(light.reshape(*shape, 3), sensor, noise_seed, motion)
        return RenderedFrame(image, labels.reshape(shape))

    def _rays(self, pixels: np.ndarray, eye: np.ndarray) -> np.ndarray:
        """Nx3 float32 unit directions in the world through Nx2 places (column, row) in the image."""
        camera = self._camera
        left = -(pixels[:, 0] - np.float32(camera.center[0])) / np.float32(camera.focal)
        up = -(pixels[:, 1] - np.float32(camera.center[1])) / np.float32(camera.focal)
        directions = np.stack([np.ones_like(left), left, up], axis=1)
        directions /= np.sqrt(1 + left * left + up * up)[:, None]
        return np.ascontiguousarray(directions @ eye[:3, :3].T.astype(np.float32))

    def _trace(self, dynamic: TracedScene, eye: np.ndarray, directions: np.ndarray) -> Hits:
        origins = np.broadcast_to(eye[:3, 3].astype(np.float32), directions.shape).copy()
        hits = Hits.none(len(directions))
        limits = hits.distance
        for scene in (self._static, dynamic):
            found, answer = scene.first_hits(origins, directions, limits)
            if len(found):
                hits.put(found, scene.surfaces(answer, found, directions), slice(None))
                limits = hits.distance
        return hits

    def _shade(self, dynamic: TracedScene, eye: np.ndarray, directions: np.ndarray, hits: Hits) -> np.ndarray:
        light = np.empty((len(directions), 3), dtype=np.float32)
        ground = hits.label >= 0
        light[~ground] = self._sky.radiance(directions[~ground])
        rows = np.flatnonzero(ground)
        seen = Hits(*(getattr(hits, name)[rows] for name in Hits.__dataclass_fields__))
        footprint = seen.distance / np.float32(self._camera.focal)
        table = self._materials.table[seen.material]
        colors = albedo(table, seen.rest, seen.rest_normal, footprint)
        places = eye[:3, 3].astype(np.float32) + directions[rows] * seen.distance[:, None]
        sun_seen = self._sun_seen(dynamic, places, seen)
        openness = np.ones(len(rows), np.float32)
        matt = lit(colors, seen.normal, self._sky, sun_seen, openness) + table[:, 10:11] * table[:, :3]
        light[rows] = through_haze(matt, seen.distance, self._sky, self._weather.haze)
        return light

    def _sun_seen(self, dynamic: TracedScene, places: np.ndarray, seen: Hits) -> np.ndarray:
        share = np.zeros(len(places), np.float32)
        towards = np.flatnonzero((seen.normal @ self._sky.sun_direction > 0))
        lift = (0.004 + 2e-4 * seen.distance[towards])[:, None]
        origins = (places[towards] + seen.flat_normal[towards] * lift).astype(np.float32)
        rays = np.broadcast_to(self._sky.sun_direction, origins.shape).copy()
        share[towards] = 1 - (self._static.blocked(origins, rays) | dynamic.blocked(origins, rays))
        return share
