"""Turns meshes, camera, weather and sensor into a camera picture with exact labels, by ray tracing with embree."""

import numpy as np
from embreex.rtcore import EmbreeDevice

from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.synthetic import shading
from mapt_ros.synthetic.culling import pixels_covered, within_sight
from mapt_ros.synthetic.mesh import Piece, Texture, pose
from mapt_ros.synthetic.occlusion import openness
from mapt_ros.synthetic.sensor import develop, image_flow
from mapt_ros.synthetic.sky import Sky
from mapt_ros.synthetic.textures import noise, surface_colors
from mapt_ros.synthetic.tracing import TEXTURE_INDEX, Hits, MaterialTable, TracedScene
from mapt_ros.synthetic.view import Camera, RenderedFrame, Sensor, Weather

SKY = 10  # KITTI-STEP's class id
_BRIGHTEST = np.float32(8)  # light above this is cut before pixels are averaged
# Where an edge pixel is looked at besides its centre, in pixels.
_SUBPIXELS = np.array([(0.35, 0.13), (-0.29, 0.24), (-0.06, -0.37)], dtype=np.float32)
_LEAVES = TEXTURE_INDEX[Texture.LEAVES]


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
        self._sun_jitter = self._jitter(len(self._centres) * (1 + len(_SUBPIXELS)))

    def render(
        self,
        moving: list[Piece],
        camera_pose: np.ndarray,
        sensor: Sensor,
        noise_seed: int,
        motion: np.ndarray | None = None,
    ) -> RenderedFrame:
        """One frame; the same arguments give the same bytes.

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
        moving, boxes = within_sight(moving, camera, eye, self._sky.sun_direction)
        dynamic = TracedScene(moving, self._materials, self._device)
        centres = self._rays(self._centres, eye)
        covered = pixels_covered(boxes, camera)
        hits = self._trace(dynamic, eye, centres, covered)
        labels = np.where(hits.label >= 0, hits.label, np.int32(SKY * LABEL_DIVISOR))

        edges = self._edge_pixels(hits)
        more = [self._rays(self._centres[edges] + shift, eye) for shift in _SUBPIXELS]
        extra = np.concatenate(more)
        extra_hits = self._trace(dynamic, eye, extra, np.tile(covered[edges], len(_SUBPIXELS)))
        pixel = np.concatenate([np.arange(len(centres)), np.tile(edges, len(_SUBPIXELS))])
        open_share = openness(hits, eye, centres, self._static, dynamic, camera)[pixel]
        light = self._shade(dynamic, eye, np.concatenate([centres, extra]), hits.followed_by(extra_hits), open_share)
        light = np.minimum(light, _BRIGHTEST)
        picture, subpixels = light[: len(centres)], light[len(centres) :].reshape(len(_SUBPIXELS), len(edges), 3)
        picture[edges] = (picture[edges] + subpixels.sum(axis=0)) / np.float32(1 + len(_SUBPIXELS))

        shape = (camera.height, camera.width)
        flow = None
        if motion is not None:
            mount = pose(0, 0, camera.mounting_height, pitch=camera.pitch)
            flow = image_flow(hits.distance.reshape(shape), camera, np.linalg.inv(mount) @ motion @ mount)
        image = develop(picture.reshape(*shape, 3), sensor, noise_seed, flow)
        return RenderedFrame(image, labels.reshape(shape))

    def _rays(self, pixels: np.ndarray, eye: np.ndarray) -> np.ndarray:
        """Nx3 float32 unit directions in the world through Nx2 places (column, row) in the image."""
        camera = self._camera
        left = -(pixels[:, 0] - np.float32(camera.center[0])) / np.float32(camera.focal)
        up = -(pixels[:, 1] - np.float32(camera.center[1])) / np.float32(camera.focal)
        directions = np.stack([np.ones_like(left), left, up], axis=1)
        directions /= np.sqrt(1 + left * left + up * up)[:, None]
        return np.ascontiguousarray(directions @ eye[:3, :3].T.astype(np.float32))

    def _jitter(self, count: int) -> np.ndarray:
        """Nx3 float32 places within the sun's disc, one a ray, for soft shadows."""
        rng = np.random.default_rng(self._weather.seed)
        return (rng.normal(0, 0.6 * self._weather.sun_softness, (count, 3))).astype(np.float32)

    def _trace(self, dynamic: TracedScene, eye: np.ndarray, directions: np.ndarray, covered: np.ndarray) -> Hits:
        """What the rays hit; only those that are ``covered`` (N bool) can hit moving pieces."""
        origin = eye[:3, 3].astype(np.float32)
        hits = Hits.none(len(directions))
        near = np.flatnonzero(covered)
        seen, answer = self._static.first_hits(origin, directions, hits.distance)
        if answer is not None:
            hits.distance = np.minimum(answer["tfar"], hits.distance)
        front, front_answer = dynamic.first_hits(origin, directions[near], hits.distance[near])
        behind = np.ones(len(directions), dtype=bool)
        behind[near[front]] = False
        seen = seen[behind[seen]]
        if len(seen):
            hits.put(seen, self._static.surfaces(answer, seen, directions))
        if len(front):
            hits.put(near[front], dynamic.surfaces(front_answer, front, directions[near]))
        return hits

    def _edge_pixels(self, hits: Hits) -> np.ndarray:
        """The pixels, int64 indices, beside which another surface begins."""
        shape = (self._camera.height, self._camera.width)
        leaves = (self._materials.table[hits.material, 6] == _LEAVES).reshape(shape)
        what = (hits.label ^ (hits.material << 12)).reshape(shape)
        closeness = (1 / hits.distance).reshape(shape)
        normal = hits.normal.reshape(*shape, 3)
        edge = np.zeros(shape, dtype=bool)
        for a, b in (
            ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
            ((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
        ):
            step = np.abs(closeness[a] - closeness[b]) > 0.08 * (closeness[a] + closeness[b])
            bend = np.einsum("ijk,ijk->ij", normal[a], normal[b]) < 0.8
            differs = (what[a] != what[b]) | ((step | bend) & ~(leaves[a] & leaves[b]))
            edge[a] |= differs
            edge[b] |= differs
        return np.flatnonzero(edge)

    def _shade(
        self, dynamic: TracedScene, eye: np.ndarray, directions: np.ndarray, hits: Hits, open_share: np.ndarray
    ) -> np.ndarray:
        """Nx3 float32 light along the rays."""
        sky = self._sky
        light = np.empty((len(directions), 3), dtype=np.float32)
        beyond = hits.label < 0
        light[beyond] = sky.radiance(directions[beyond])
        rows = np.flatnonzero(~beyond)
        seen, view = hits.rows(rows), directions[rows]
        table = self._materials.table[seen.material]
        kind = table[:, 6].astype(np.int32)
        # Seen at a flat angle a pixel covers a long stretch; the geometric mean of both keeps detail without sparkle.
        tilt = np.maximum(np.abs(shading.dot(view, seen.flat_normal)), np.float32(0.04))
        footprint = seen.distance / (np.float32(self._camera.focal) * np.sqrt(tilt))
        colors, panes = surface_colors(table, seen.rest, seen.rest_normal, footprint)
        places = eye[:3, 3].astype(np.float32) + view * seen.distance[:, None]

        facing = shading.towards_sun(seen.normal, kind, sky)
        sun_seen = self._sun_seen(dynamic, places, seen, facing, self._sun_jitter[rows])
        surface = shading.matt_light(colors, seen.normal, facing * sun_seen, open_share[rows], sky)
        surface += shading.sheen(view, seen.normal, sun_seen, sky)[:, None] * sky.sun_light * (1 - table[:, 9:10])
        surface += table[:, 10:11] * table[:, :3]
        gloss = table[:, 8] + np.float32(0.06) * panes
        shiny = np.flatnonzero(gloss > 0)
        if len(shiny):
            mirror = shading.mirrored(view[shiny], seen.normal[shiny])
            share = shading.fresnel(view[shiny], seen.normal[shiny], gloss[shiny])[:, None]
            share *= np.maximum(panes[shiny], table[shiny, 8] > 0)[:, None]
            around = self._surroundings(dynamic, places[shiny], mirror, seen.flat_normal[shiny])
            around += shading.sun_spark(mirror, sky) * sun_seen[shiny, None]
            surface[shiny] += (around - surface[shiny]) * share
        light[rows] = shading.through_haze(surface, seen.distance, sky, self._weather.haze)
        return light

    def _sun_seen(
        self, dynamic: TracedScene, places: np.ndarray, seen: Hits, facing: np.ndarray, jitter: np.ndarray
    ) -> np.ndarray:
        """N float32, the share of the sun that reaches the places."""
        share = np.zeros(len(places), dtype=np.float32)
        if not self._weather.sun:
            return share
        towards = np.flatnonzero(facing > 0)
        lift = (np.float32(0.004) + np.float32(2e-4) * seen.distance[towards])[:, None]
        origins = places[towards] + seen.flat_normal[towards] * lift
        rays = np.ascontiguousarray(self._sky.sun_direction + jitter[towards])
        before = self._static.first_material(origins, rays)
        free = ~dynamic.blocked(origins, rays)
        passing = (before < 0).astype(np.float32)
        leaves = np.flatnonzero((before >= 0) & (self._materials.table[before, 6] == _LEAVES) & free)
        if len(leaves):
            spots = origins[leaves]
            own = self._materials.table[seen.material[towards[leaves]], 6] == _LEAVES
            passing[leaves] = np.where(own, 0.25, 1) * shading.dapples(
                spots, lambda flat: noise(flat, np.full(len(flat), 0.02, np.float32)), self._sky
            )
        share[towards] = passing * free
        return share

    def _surroundings(
        self, dynamic: TracedScene, places: np.ndarray, mirror: np.ndarray, normal: np.ndarray
    ) -> np.ndarray:
        """Nx3 float32 light that mirrors at ``places`` see in the directions ``mirror``."""
        origins = places + normal * np.float32(0.01)
        rays = np.ascontiguousarray(mirror)
        colors = np.zeros_like(rays)
        found = np.zeros(len(rays), dtype=bool)
        for scene in (self._static, dynamic):
            material = scene.first_material(origins, rays)
            hit = material >= 0
            colors[hit] = self._materials.table[material[hit], :3]
            found |= hit
        return shading.surroundings(colors, found, rays, self._sky)
