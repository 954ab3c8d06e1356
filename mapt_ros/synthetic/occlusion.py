"""How much of the sky the things nearby hide: the soft darkening under cars, in corners and at the foot of walls."""

import cv2
import numpy as np

from mapt_ros.synthetic.tracing import FAR, Tracer, dot, unit
from mapt_ros.synthetic.view import Camera

_REACH = np.float32(8.0)  # metres; what is farther away hides nothing
_STEP = 2  # pixels between the places looked from
_SIDE = 4  # neighbours along a side that look into different directions and share what they see
_LEAST = np.float32(0.06)


def _directions() -> np.ndarray:
    """3 x _SIDE^2 float32 unit vectors spread evenly over the sphere (a Fibonacci lattice), neighbours far apart."""
    count = _SIDE * _SIDE
    index = np.arange(count)
    z = 1 - (2 * index + 1) / count
    turn = index * np.pi * (3 - np.sqrt(5))
    ring = np.sqrt(1 - z * z)
    points = np.stack([ring * np.cos(turn), ring * np.sin(turn), z])
    return points[:, (index * 7) % count].astype(np.float32)


_SPREAD = _directions()


def openness(
    tracer: Tracer,
    distance: np.ndarray,
    normals: np.ndarray,
    origin: np.ndarray,
    directions: np.ndarray,
    camera: Camera,
) -> np.ndarray:
    """height * width float32: the share of the sky's light that is not hidden within a few metres, weighted by cosine.

    Args:
        tracer: what stands around.
        distance: height * width float32, metres to what the rays through the pixels' centres hit; FAR = nothing.
        normals: 3 x height * width float32, unit normals of what they hit.
        origin: 3 float32, the camera's place.
        directions: 3 x height * width float32, the rays.
        camera: the camera.
    """
    grid = np.arange(camera.height * camera.width).reshape(camera.height, camera.width)[::_STEP, ::_STEP]
    shape, index = grid.shape, grid.ravel()
    hit = distance[index] < FAR
    rows = index[hit]
    normal, far = normals.take(rows, axis=1), distance[rows]
    # A unit vector about the normal's tip points into the upper half with the cosine's density.
    turn = (np.arange(shape[0])[:, None] % _SIDE * _SIDE + np.arange(shape[1]) % _SIDE).ravel()[hit]
    rays = unit(normal * np.float32(1.02) + _SPREAD.take(turn, axis=1))
    lift = np.float32(0.01) + np.float32(4e-4) * far
    origins = origin[:, None] + directions.take(rows, axis=1) * far + normal * lift
    reach = np.full(len(rows), _REACH)
    free = ~tracer.blocked(origins, rays, reach)
    values, weights = np.ones(len(index), np.float32), np.zeros(len(index), np.float32)
    values[hit], weights[hit] = free, 1
    near = np.zeros(len(index), np.float32)
    near[hit] = 1 / far
    side = normals.take(index, axis=1)
    shared = _shared(values.reshape(shape), near.reshape(shape), side.reshape(3, *shape))
    weights = weights.reshape(shape)
    size = (camera.width, camera.height)
    total = cv2.resize(shared * weights, size, interpolation=cv2.INTER_LINEAR)
    weight = cv2.resize(weights, size, interpolation=cv2.INTER_LINEAR)
    smooth = np.where(weight > 0.01, total / np.maximum(weight, np.float32(0.01)), 1)
    return (_LEAST + (1 - _LEAST) * smooth).astype(np.float32).ravel()


def _shared(values: np.ndarray, near: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Means of HxW values over _SIDE x _SIDE neighbours on the same surface (like depth and normal)."""
    total, weight = np.zeros_like(values), np.zeros_like(values)
    height, width = values.shape
    for down in range(-1, _SIDE - 1):
        for right in range(-1, _SIDE - 1):
            here = (slice(max(0, -down), height - max(0, down)), slice(max(0, -right), width - max(0, right)))
            there = (slice(max(0, down), height - max(0, -down)), slice(max(0, right), width - max(0, -right)))
            alike = dot(normal[(slice(None), *here)], normal[(slice(None), *there)]) > 0.7
            alike &= np.abs(near[here] - near[there]) < 0.12 * near[here]
            total[here] += values[there] * alike
            weight[here] += alike
    return np.where(weight > 0, total / np.maximum(weight, 1), values)
