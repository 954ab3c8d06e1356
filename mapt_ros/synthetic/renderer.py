"""Turns meshes, camera, weather and sensor into a camera picture with exact labels, by ray tracing with embree."""

import cv2
import numpy as np
from embreex.rtcore import EmbreeDevice

from mapt_ros.data.labels import LABEL_DIVISOR
from mapt_ros.synthetic import shading
from mapt_ros.synthetic.antialiasing import corners_to_look_at, find_seams, known_light, mixed, pixels_around
from mapt_ros.synthetic.culling import pixels_covered, within_sight
from mapt_ros.synthetic.mesh import Piece, pose
from mapt_ros.synthetic.occlusion import openness
from mapt_ros.synthetic.sensor import develop, image_flow
from mapt_ros.synthetic.sky import Sky
from mapt_ros.synthetic.textures import surface_colors
from mapt_ros.synthetic.tracing import MaterialTable, Surfaces, TracedScene, Tracer, dot, is_leaves, turned
from mapt_ros.synthetic.view import Camera, RenderedFrame, Sensor, Weather

SKY = 10  # KITTI-STEP's class id
_MIRRORED = 60.0  # metres, how far mirrors see
_MOVING_MIRRORED = 20.0  # metres, how far away mirrors show moving things
_BRIGHTEST = np.float32(8)  # light above this is cut before pixels are averaged


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
        self._centres = _directions(camera, 0.0)
        self._corners = _directions(camera, 0.5)
        self._sun_jitter = self._jitter(camera.height * camera.width)

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
        origin, turn = eye[:3, 3].astype(np.float32), eye[:3, :3].astype(np.float32)
        rays, covered = turned(turn, self._centres), pixels_covered(boxes, camera)
        sight = tracer.look(origin, rays, covered, 1 / camera.focal)
        label, material = tracer.label(sight), tracer.material(sight)
        rows = np.flatnonzero(label >= 0)
        own_rays = rays.take(rows, axis=1)
        surfaces = tracer.surfaces(sight.rows(rows), own_rays)
        normals = np.zeros_like(rays)
        normals[:, rows] = surfaces.flat_normal

        shape = (camera.height, camera.width)
        distance, leaves = sight.distance.reshape(shape), tracer.is_leaves(material).reshape(shape)
        what = label ^ (material << 12)  # tells one surface from another
        seams = find_seams(what.reshape(shape), leaves, distance, normals.reshape(3, *shape))
        open_share = openness(tracer, sight.distance, normals, origin, rays, camera)
        light = np.empty_like(rays)
        sky = np.flatnonzero(label < 0)
        light[:, sky] = self._sky.radiance(rays.take(sky, axis=1))
        light[:, rows] = self._shade(
            tracer, origin, own_rays, sight.distance[rows], surfaces, open_share[rows], rows, seams.pixels()
        )
        light = np.minimum(light, _BRIGHTEST, out=light)
        seams = seams.seen(light.reshape(3, *shape))
        corners = corners_to_look_at(seams, leaves, distance)
        colors = self._corner_light(tracer, origin, turn, light, what, corners, covered, open_share)
        picture = mixed(light.reshape(3, *shape), seams.pixels(), corners, colors)

        flow = None
        if motion is not None:
            mount = pose(0, 0, camera.mounting_height, pitch=camera.pitch)
            flow = image_flow(distance, camera, np.linalg.inv(mount) @ motion @ mount)
        label = tracer.closed(label, sight, origin, rays, covered)
        labels = np.where(label >= 0, label, np.int32(SKY * LABEL_DIVISOR))
        image = develop(cv2.merge(list(picture)), sensor, noise_seed, flow)
        return RenderedFrame(image, labels.reshape(shape))

    def _jitter(self, count: int) -> np.ndarray:
        """3xN float32 places within the sun's disc, one a pixel, for soft shadows."""
        rng = np.random.default_rng(self._weather.seed)
        return rng.normal(0, 0.6 * self._weather.sun_softness, (count, 3)).T.astype(np.float32, order="C")

    def _corner_light(
        self,
        tracer: Tracer,
        origin: np.ndarray,
        turn: np.ndarray,
        light: np.ndarray,
        what: np.ndarray,
        corners: np.ndarray,
        covered: np.ndarray,
        open_share: np.ndarray,
    ) -> np.ndarray:
        """3xK float32 light that reaches the pixels' ``corners``."""
        around = pixels_around(corners, self._camera.width)
        pixels = around[0]
        rays = turned(turn, self._corners.take(corners, axis=1))
        sight = tracer.look(origin, rays, covered[pixels], 1 / self._camera.focal)
        label = tracer.label(sight)
        colors = known_light(light, what, around, label ^ (tracer.material(sight) << 12))
        new = np.isnan(colors[0])
        sky, solid = np.flatnonzero(new & (label < 0)), np.flatnonzero(new & (label >= 0))
        colors[:, sky] = self._sky.radiance(rays.take(sky, axis=1))
        if len(solid):
            found, view, pixels = sight.rows(solid), rays.take(solid, axis=1), pixels[solid]
            surfaces = tracer.surfaces(found, view)
            colors[:, solid] = self._shade(tracer, origin, view, found.distance, surfaces, open_share[pixels], pixels)
        return np.minimum(colors, _BRIGHTEST)

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
        """3xN float32 light from surfaces.

        Args:
            tracer: what stands around.
            origin: 3 float32, the camera's place.
            view: 3xN float32 unit directions from there.
            distance: N float32, metres.
            surfaces: what they hit.
            open_share: N float32, openness to the sky.
            pixels: N int64, the pixels they belong to.
            edge: height x width bool; where it is False, shadows' edges may be smoothed over neighbouring pixels.
        """
        sky, table = self._sky, tracer.table.take(surfaces.material, axis=1)
        kind = table[6].astype(np.intp)
        # Seen at a flat angle a pixel covers a long stretch; the geometric mean of both keeps detail without sparkle.
        tilt = np.maximum(np.abs(dot(view, surfaces.flat_normal)), np.float32(0.04))
        footprint = distance / (np.float32(self._camera.focal) * np.sqrt(tilt))
        colors, panes = surface_colors(table, surfaces.rest, surfaces.rest_normal, footprint)
        places = origin[:, None] + view * distance

        normal = surfaces.normal
        facing = shading.towards_sun(normal, kind, sky)
        sun_seen = self._sun_seen(tracer, places, distance, surfaces, facing, pixels)
        if edge is not None:
            sun_seen = self._soft_shadows(sun_seen, pixels, edge)
        light = shading.matt_light(colors, normal, facing * sun_seen, open_share, sky)
        light += sky.sun_light[:, None] * (shading.sheen(view, normal, sun_seen, sky) * (1 - table[9]))
        lamps = np.flatnonzero(table[10])
        light[:, lamps] += table[10, lamps] * table[:3, lamps]
        gloss = table[8] + np.float32(0.06) * panes
        shiny = np.flatnonzero(gloss > 0)
        if len(shiny):
            toward, bent = view.take(shiny, axis=1), normal.take(shiny, axis=1)
            mirror = shading.mirrored(toward, bent)
            share = shading.fresnel(toward, bent, gloss[shiny])
            share *= np.maximum(panes[shiny], table[8, shiny] > 0)
            origins = places.take(shiny, axis=1) + surfaces.flat_normal.take(shiny, axis=1) * np.float32(0.01)
            around = self._surroundings(tracer, origins, mirror, np.flatnonzero(distance[shiny] < _MOVING_MIRRORED))
            around += shading.sun_spark(mirror, sky) * sun_seen[shiny]
            own = light.take(shiny, axis=1)
            light[:, shiny] = own + (around - own) * share
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
        share = np.zeros(len(distance), dtype=np.float32)
        if not self._weather.sun:
            return share
        towards = np.flatnonzero(facing > 0)
        lift = np.float32(0.004) + np.float32(2e-4) * distance[towards]
        origins = places.take(towards, axis=1) + surfaces.flat_normal.take(towards, axis=1) * lift
        rays = self._sky.sun_direction[:, None] + self._sun_jitter.take(pixels[towards], axis=1)
        lit = np.flatnonzero(~self._solid.hide(origins, rays))
        origins, rays = origins.take(lit, axis=1), rays.take(lit, axis=1)
        free = np.flatnonzero(~tracer.dynamic.blocked(origins, rays))
        lit, origins, rays = lit[free], origins.take(free, axis=1), rays.take(free, axis=1)
        passing = np.zeros(len(towards), dtype=np.float32)
        passing[lit] = 1
        behind = np.flatnonzero(self._foliage.hide(origins, rays))
        leaves = lit[behind]
        own = np.where(tracer.is_leaves(surfaces.material[towards[leaves]]), np.float32(0.35), np.float32(1))
        passing[leaves] = own * shading.dapples(origins.take(behind, axis=1), self._sky)
        share[towards] = passing
        return share

    def _soft_shadows(self, sun_seen: np.ndarray, pixels: np.ndarray, edge: np.ndarray) -> np.ndarray:
        """Averages over 3x3 pixels, twice, within surfaces: each pixel has looked at one place of the sun's disc only."""
        picture = np.zeros(edge.shape, dtype=np.float32)
        picture.ravel()[pixels] = sun_seen
        for _ in range(2):
            picture = np.where(edge, picture, cv2.blur(picture, (3, 3), borderType=cv2.BORDER_REPLICATE))
        return picture.ravel()[pixels]

    def _surroundings(self, tracer: Tracer, origins: np.ndarray, mirror: np.ndarray, near: np.ndarray) -> np.ndarray:
        """3xN float32 light that mirrors at ``origins`` see in the directions ``mirror``; ``near`` ones what moves."""
        material = tracer.static.first_material(origins, mirror, _MIRRORED)
        moving = tracer.dynamic.first_material(origins.take(near, axis=1), mirror.take(near, axis=1), _MIRRORED)
        material[near] = np.where(moving >= 0, moving, material[near])
        colors = tracer.table[:3].take(material, axis=1, mode="wrap")
        return shading.surroundings(colors, material >= 0, mirror, self._sky)


def _directions(camera: Camera, shift: float) -> np.ndarray:
    """3xN float32 unit directions, camera's frame, ``shift`` pixels right of and below pixels' centres.

    N counts the pixels along rows; where they are shifted, there is a column and a row less.
    """
    less = int(shift > 0)
    columns, rows = np.meshgrid(np.arange(camera.width - less), np.arange(camera.height - less))
    left = -(columns.ravel().astype(np.float32) + np.float32(shift - camera.center[0])) / np.float32(camera.focal)
    up = -(rows.ravel().astype(np.float32) + np.float32(shift - camera.center[1])) / np.float32(camera.focal)
    return np.stack([np.ones_like(left), left, up]) / np.sqrt(1 + left * left + up * up)
