"""Textures: detail fades where a pixel covers it, and patterns stay with the body."""

import numpy as np
import pytest

from mapt_ros.synthetic.mesh import Material, Texture
from mapt_ros.synthetic.textures import surface_colors
from mapt_ros.synthetic.tracing import MaterialTable

PATTERNED = [t for t in Texture if t not in (Texture.PLAIN, Texture.PLATE)]


def colors(texture: Texture, footprint: float, level: bool, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Colours and panes of a material at 20,000 places within some metres of a floor or a wall."""
    table = MaterialTable()
    row = table.indices((Material((0.4, 0.35, 0.3), texture, 0.5, (0.1, 0.1, 0.1), seed=seed),))
    places = np.random.default_rng(1).uniform(0, 6, (20000, 3)).astype(np.float32)
    normals = np.tile(np.array([0, 0, 1] if level else [0, 1, 0], np.float32), (20000, 1))
    places[:, 2 if level else 1] = 0
    return surface_colors(
        table.table[:, np.repeat(row, 20000)], places.T, normals.T, np.full(20000, footprint, np.float32)
    )


@pytest.mark.parametrize("texture", PATTERNED)
def test_detail_fades_with_the_footprint_and_the_mean_stays(texture):
    near, far = (colors(texture, f, level=False, seed=3)[0] for f in (0.002, 30.0))
    assert near.std(axis=1).max() > 4 * far.std(axis=1).max()
    np.testing.assert_allclose(near.mean(axis=1), far.mean(axis=1), atol=0.06)


@pytest.mark.parametrize("texture", list(Texture))
def test_colors_are_finite_albedos(texture):
    for level in (False, True):
        values, panes = colors(texture, 0.01, level)
        assert np.isfinite(values).all() and values.min() >= 0 and values.max() <= 0.95
        assert panes.min() >= 0 and panes.max() <= 1


def test_only_the_walls_of_a_facade_have_windows():
    assert colors(Texture.WINDOWS, 0.01, level=False)[1].max() > 0.9
    assert colors(Texture.WINDOWS, 0.01, level=True)[1].max() == 0


def test_another_seed_is_another_pattern():
    first, again, other = (colors(Texture.ASPHALT, 0.005, True, seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.01
