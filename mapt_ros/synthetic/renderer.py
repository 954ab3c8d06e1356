"""Turns meshes, camera, weather and sensor into a camera picture with exact labels, by ray tracing with embree."""

import cv2
import numpy as np
from embreex.rtcore import EmbreeDevice

from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.synthetic import shading
from mapt_ros.synthetic.culling import pixels_covered, within_sight
from mapt_ros.synthetic.mesh import Piece, pose
from mapt_ros.synthetic.occlusion import openness
from mapt_ros.synthetic.sensor import develop, image_flow
from mapt_ros.synthetic.sky import Sky
from mapt_ros.synthetic.textures import surface_colors
from mapt_ros.synthetic.tracing import MaterialTable, Surfaces, TracedScene, Tracer, is_leaves
from mapt_ros.synthetic.view import Camera, RenderedFrame, Sensor, Weather

SKY = 10  # KITTI-STEP's class id
_BRIGHTEST = np.float32(8)  # light above this is cut before pixels are averaged
# Where an edge pixel is looked at besides its centre, in pixels.
_SUBPIXELS = np.array([(0.31, 0.23), (-0.27, -0.29)], dtype=np.float32)


class Renderer:
    """Renders the frames of one sequence: the scenery stands still, other pieces come with every frame."""

    def __init__(self, scenery: list[Piece], camera: Camera, weather: Weather) -> None:
        self._camera, self._weather = camera, weather
        self._sky = Sky(weather)
        self._materials = MaterialTable()
        self._device = EmbreeDevice()
        self._static = TracedScene(scenery, self._materials, self._device)
        leafy = is_leaves(self._materials.table, self._static.face_material)
        self._solid = self._static.blockers(~leafy, self._device)
        self._foliage = self._static.blockers(leafy, self._device)
        columns, rows = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
        self._centres = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float32)
        self._sun_jitter = self._jitter(len(self._centres))

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
        tracer = Tracer(self._static, TracedScene(moving, self._materials, self._device), self._materials)
        origin = eye[:3, 3].astype(np.float32)
        rays, covered = self._rays(self._centres, eye), pixels_covered(boxes, camera)
        sight = tracer.look(origin, rays, covered, 1 / camera.focal)
        label, material = tracer.label(sight), tracer.material(sight)
        rows = np.flatnonzero(label >= 0)
        surfaces = tracer.surfaces(sight.rows(rows), rays[rows])
        normals = np.zeros_like(rays)
        normals[rows] = surfaces.flat_normal

        what = label ^ (material << 12)  # tells one surface from another
        edges = self._edge_pixels(what, tracer.is_leaves(material), sight.distance, normals)
        open_share = openness(tracer, sight.distance, normals, origin, rays, camera)
        light = np.empty_like(rays)
        sky = np.flatnonzero(label < 0)
        light[sky] = self._sky.radiance(rays[sky])
        light[rows] = self._shade(
            tracer, origin, rays[rows], sight.distance[rows], surfaces, open_share[rows], rows, edges
        )
        picture = self._smooth_edges(tracer, origin, eye, light, what, edges, covered, open_share)

        shape = (camera.height, camera.width)
        flow = None
        if motion is not None:
            mount = pose(0, 0, camera.mounting_height, pitch=camera.pitch)
            flow = image_flow(sight.distance.reshape(shape), camera, np.linalg.inv(mount) @ motion @ mount)
        labels = np.where(label >= 0, label, np.int32(SKY * LABEL_DIVISOR))
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
        """Nx3 float32 places within the sun's disc, one a pixel, for soft shadows."""
        rng = np.random.default_rng(self._weather.seed)
        return (rng.normal(0, 0.6 * self._weather.sun_softness, (count, 3))).astype(np.float32)

    def _edge_pixels(
        self, what: np.ndarray, leaves: np.ndarray, distance: np.ndarray, normals: np.ndarray
    ) -> np.ndarray:
        """Height x width bool: the pixels beside which another surface begins."""
        shape = (self._camera.height, self._camera.width)
        what, leaves, closeness = what.reshape(shape), leaves.reshape(shape), (1 / distance).reshape(shape)
        normals = normals.reshape(*shape, 3)
        edge = np.zeros(shape, dtype=bool)
        for a, b in (
            ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
            ((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
        ):
            step = np.abs(closeness[a] - closeness[b]) > 0.08 * (closeness[a] + closeness[b])
            bend = np.einsum("ijk,ijk->ij", normals[a], normals[b]) < 0.8
            differs = (what[a] != what[b]) | ((step | bend) & ~(leaves[a] & leaves[b]))
            edge[a] |= differs
            edge[b] |= differs
        return edge

    def _smooth_edges(
        self,
        tracer: Tracer,
        origin: np.ndarray,
        eye: np.ndarray,
        light: np.ndarray,
        what: np.ndarray,
        edge: np.ndarray,
        covered: np.ndarray,
        open_share: np.ndarray,
    ) -> np.ndarray:
        """The light with each edge pixel replaced by the mean over its area."""
        camera = self._camera
        light = np.minimum(light, _BRIGHTEST)
        edges = np.flatnonzero(edge)
        pixels = np.tile(edges, len(_SUBPIXELS))
        shifts = np.repeat(_SUBPIXELS, len(edges), axis=0)
        rays = self._rays(self._centres[pixels] + shifts, eye)
        sight = tracer.look(origin, rays, covered[pixels], 1 / camera.focal)
        label = tracer.label(sight)
        seen = label ^ (tracer.material(sight) << 12)
        # A ray that finds the surface which this pixel or a neighbour shows need not be shaded again.
        column, row = pixels % camera.width, pixels // camera.width
        beside = np.clip(column + np.sign(shifts[:, 0]).astype(np.int64), 0, camera.width - 1)
        below = np.clip(row + np.sign(shifts[:, 1]).astype(np.int64), 0, camera.height - 1)
        known = np.full(len(pixels), -1, dtype=np.int64)
        for candidate in (
            below * camera.width + beside,
            below * camera.width + column,
            row * camera.width + beside,
            pixels,
        ):
            known = np.where(what[candidate] == seen, candidate, known)
        colors = light[known]
        new = np.flatnonzero(known < 0)
        sky, solid = new[label[new] < 0], new[label[new] >= 0]
        colors[sky] = self._sky.radiance(rays[sky])
        if len(solid):
            found = sight.rows(solid)
            surfaces = tracer.surfaces(found, rays[solid])
            colors[solid] = self._shade(
                tracer, origin, rays[solid], found.distance, surfaces, open_share[pixels[solid]], pixels[solid]
            )
        colors = np.minimum(colors, _BRIGHTEST).reshape(len(_SUBPIXELS), len(edges), 3)
        picture = light.copy()
        picture[edges] = (light[edges] + colors.sum(axis=0)) / np.float32(1 + len(_SUBPIXELS))
        return picture

    def _shade(
        self,
        tracer: Tracer,
        origin: np.ndarray,
        view: np.ndarray,
        distance: np.ndarray,
        surfaces: Surfaces,
        open_share: np.ndarray,
        pixels: np.ndarray,
        edge: np.ndarray | None = None,
    ) -> np.ndarray:
        """Nx3 float32 light from surfaces.

        Args:
            tracer: what stands around.
            origin: 3 float32, the camera's place.
            view: Nx3 float32 unit directions from there.
            distance: N float32, metres.
            surfaces: what they hit.
            open_share: N float32, openness to the sky.
            pixels: N int64, the pixels they belong to.
            edge: height x width bool; where it is False, shadows' edges may be smoothed over neighbouring pixels.
        """
        sky, table = self._sky, tracer.table[surfaces.material]
        kind = table[:, 6].astype(np.int32)
        # Seen at a flat angle a pixel covers a long stretch; the geometric mean of both keeps detail without sparkle.
        tilt = np.maximum(np.abs(shading.dot(view, surfaces.flat_normal)), np.float32(0.04))
        footprint = distance / (np.float32(self._camera.focal) * np.sqrt(tilt))
        colors, panes = surface_colors(table, surfaces.rest, surfaces.rest_normal, footprint)
        places = origin + view * distance[:, None]

        normal = surfaces.normal
        facing = shading.towards_sun(normal, kind, sky)
        sun_seen = self._sun_seen(tracer, places, distance, surfaces, facing, pixels)
        if edge is not None:
            sun_seen = self._soft_shadows(sun_seen, pixels, edge)
        light = shading.matt_light(colors, normal, facing * sun_seen, open_share, sky)
        light += shading.sheen(view, normal, sun_seen, sky)[:, None] * sky.sun_light * (1 - table[:, 9:10])
        light += table[:, 10:11] * table[:, :3]
        gloss = table[:, 8] + np.float32(0.06) * panes
        shiny = np.flatnonzero(gloss > 0)
        if len(shiny):
            mirror = shading.mirrored(view[shiny], normal[shiny])
            share = shading.fresnel(view[shiny], normal[shiny], gloss[shiny])
            share *= np.maximum(panes[shiny], table[shiny, 8] > 0)
            around = self._surroundings(tracer, places[shiny], mirror, surfaces.flat_normal[shiny])
            around += shading.sun_spark(mirror, sky) * sun_seen[shiny, None]
            light[shiny] += (around - light[shiny]) * share[:, None]
        return shading.through_haze(light, distance, sky, self._weather.haze)

    def _sun_seen(
        self,
        tracer: Tracer,
        places: np.ndarray,
        distance: np.ndarray,
        surfaces: Surfaces,
        facing: np.ndarray,
        pixels: np.ndarray,
    ) -> np.ndarray:
        """N float32, the share of the sun that reaches the places."""
        share = np.zeros(len(places), dtype=np.float32)
        if not self._weather.sun:
            return share
        towards = np.flatnonzero(facing > 0)
        lift = (np.float32(0.004) + np.float32(2e-4) * distance[towards])[:, None]
        origins = places[towards] + surfaces.flat_normal[towards] * lift
        rays = np.ascontiguousarray(self._sky.sun_direction + self._sun_jitter[pixels[towards]])
        hidden = self._solid.hide(origins, rays)
        lit = np.flatnonzero(~hidden)
        lit = lit[~tracer.dynamic.blocked(origins[lit], rays[lit])]
        passing = np.zeros(len(towards), dtype=np.float32)
        passing[lit] = 1
        leaves = lit[self._foliage.hide(origins[lit], rays[lit])]
        own = np.where(tracer.is_leaves(surfaces.material[towards[leaves]]), np.float32(0.35), np.float32(1))
        passing[leaves] = own * shading.dapples(origins[leaves], self._sky)
        share[towards] = passing
        return share

    def _soft_shadows(self, sun_seen: np.ndarray, pixels: np.ndarray, edge: np.ndarray) -> np.ndarray:
        """Averages over 3x3 pixels, twice, within surfaces: each pixel has looked at one place of the sun's disc only."""
        picture = np.zeros(edge.shape, dtype=np.float32)
        picture.ravel()[pixels] = sun_seen
        for _ in range(2):
            picture = np.where(edge, picture, cv2.blur(picture, (3, 3), borderType=cv2.BORDER_REPLICATE))
        return picture.ravel()[pixels]

    def _surroundings(self, tracer: Tracer, places: np.ndarray, mirror: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """Nx3 float32 light that mirrors at ``places`` see in the directions ``mirror``."""
        origins = places + normal * np.float32(0.01)
        rays = np.ascontiguousarray(mirror)
        colors = np.zeros_like(rays)
        found = np.zeros(len(rays), dtype=bool)
        for scene in (tracer.static, tracer.dynamic):
            material = scene.first_material(origins, rays)
            hit = material >= 0
            colors[hit] = tracer.table[material[hit], :3]
            found |= hit
        return shading.surroundings(colors, found, rays, self._sky)
