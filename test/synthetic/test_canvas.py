"""The supersampled canvas and its camera."""

from collections import Counter

import numpy as np

from mapt_ros.synthetic.canvas import Canvas, Pinhole, resolve_owners


def test_a_pixel_goes_to_the_owner_of_most_samples_and_in_a_tie_to_the_nearest():
    rng = np.random.default_rng(0)
    samples = rng.integers(0, 4, (40, 60)).astype(np.uint8)
    resolved = resolve_owners(samples)
    for y in range(20):
        for x in range(30):
            counts = Counter(samples[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].ravel().tolist())
            most = max(counts.values())
            # Four different owners or two pairs: whoever was drawn last.
            assert resolved[y, x] == max(owner for owner, n in counts.items() if n == most)


def test_projection_follows_the_pinhole_model():
    camera = Pinhole(fx=200, fy=100, cx=50, cy=20, camera_height=1.5)
    pixels = camera.project(np.array([(0.0, 1.5, 10.0), (2.0, 0.0, 10.0)]))
    assert np.allclose(pixels, [(50, 20), (90, 35)])


def test_shapes_go_into_colours_and_owners_and_marks_into_colours_only():
    canvas = Canvas(np.zeros((20, 40, 3), np.uint8), np.zeros((20, 40), np.uint8), (0, 0))
    square = np.array([(4, 2), (8, 2), (8, 6), (4, 6)], float)
    canvas.polygon(square, (10, 20, 30), 7)
    canvas.polygon(square + (8, 0), (40, 50, 60), None)
    assert resolve_owners(canvas.owners)[4, 6] == 7
    assert canvas.colors[8, 12].tolist() == [10, 20, 30]
    assert canvas.colors[8, 28].tolist() == [40, 50, 60]
    assert resolve_owners(canvas.owners)[4, 14] == 0
