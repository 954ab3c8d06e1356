"""Frames a second that one core renders of the procedural world, beside what its rays alone would take.

python -m benchmarks.world [--frames 5] [--scenarios mixed crowd]

The limit is measured in the same run: embree finding what one ray a pixel hits, among the same triangles. It does
nothing else: no labels, no shadows, no light, no sensor.
"""

import argparse
import time
from collections.abc import Callable

import cv2
import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from benchmarks.command import start
from mapt_ros.synthetic.mesh import pose
from mapt_ros.synthetic.scenarios import SCENARIOS
from mapt_ros.synthetic.scenery import scenery
from mapt_ros.synthetic.view import Camera
from mapt_ros.synthetic.world import World

SIZES = ((192, 640), (375, 1242))


def main() -> None:
    """Prints the table, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=SCENARIOS)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    print("| scenario | size | first frame ms | a frame ms | frames/s a core | rays alone ms | their share |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for scenario in arguments.scenarios:
        for height, width in SIZES:
            start = time.process_time()
            world = World(scenario, 0, 40, height, width)
            world[0]
            first = 1e3 * (time.process_time() - start)
            rays_alone = primary_rays(world)
            indices = np.linspace(1, len(world) - 1, arguments.frames).astype(int)
            # Both in turn, so that whatever else the machine does slows them alike.
            times = np.array([[least_ms(run, int(i)) for run in (world.__getitem__, rays_alone)] for i in indices])
            frame, limit = times.mean(axis=0)
            row = (scenario, f"{height}x{width}", f"{first:.0f}", f"{frame:.0f}", f"{1e3 / frame:.1f}", f"{limit:.0f}")
            print(f"| {' | '.join(row)} | {limit / frame:.2f} |", flush=True)


def primary_rays(world: World) -> Callable[[int], object]:
    """Finds what the pixels' rays hit in a frame; scenery and cars at rest are built once, here."""
    pieces = [piece for piece in scenery(world.town) + world.moving(0) if len(piece.mesh.faces)]
    corners = [piece.mesh.vertices[piece.mesh.faces] for piece in pieces]
    scene = EmbreeScene(robust=False)
    geometry = TriangleMesh(scene, np.concatenate(corners).astype(np.float32))
    directions = pixel_directions(world.camera)

    def find(index: int) -> object:
        camera = world.camera
        eye = world.camera_pose(index) @ pose(0, 0, camera.mounting_height, pitch=camera.pitch)
        turned = directions @ eye[:3, :3].T.astype(np.float32)
        origins = np.broadcast_to(eye[:3, 3].astype(np.float32), turned.shape)
        return geometry, scene.run(origins, turned, output=1)

    return find


def pixel_directions(camera: Camera) -> np.ndarray:
    """Nx3 float32 directions through the pixels, x forward."""
    columns, rows = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    left, up = (camera.center[0] - columns) / camera.focal, (camera.center[1] - rows) / camera.focal
    return np.stack([np.ones(left.size), left.ravel(), up.ravel()], axis=1).astype(np.float32)


def least_ms(run: Callable[[int], object], index: int, repeats: int = 3) -> float:
    """Least processor time of a few calls for a frame: other processes only ever add to it."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run(index)
        times.append(1e3 * (time.process_time() - start))
    return min(times)


if __name__ == "__main__":
    start(main)
