"""The quick recipe: what it makes is kept, and made anew when anything that decides it has changed."""

import pytest

from mapt_ros.errors import InputError
from mapt_ros.model.checkpoint import load_checkpoint, read_header
from mapt_ros.training import quick
from mapt_ros.training.quick import quick_weights, read_recipe, recipe_hash


@pytest.fixture
def short(monkeypatch, tmp_path):
    """The real recipe, cut to two steps, with a cache of its own."""
    recipe = read_recipe().model_copy(
        update={"image_steps": 1, "pair_steps": 1, "scenes": 1, "height": 64, "width": 96}
    )
    monkeypatch.setenv("MAPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(quick, "read_recipe", lambda: recipe)
    return recipe


def test_weights_are_made_once_and_again_when_the_recipe_changes(short, monkeypatch):
    path = quick_weights()
    first = path.stat().st_mtime_ns
    model, header = load_checkpoint(path)
    assert model.config.input_height == 64 and header.facts["recipe"] == recipe_hash(short)
    assert quick_weights() == path and path.stat().st_mtime_ns == first
    monkeypatch.setattr(quick, "read_recipe", lambda: short.model_copy(update={"seed": 1}))
    assert quick_weights().stat().st_mtime_ns != first


def test_a_damaged_cache_is_made_anew(short):
    path = quick_weights()
    path.write_bytes(path.read_bytes()[:100])
    assert read_header(quick_weights()).model.name == "compact"


def test_the_hash_follows_recipe_and_code(short, monkeypatch):
    assert recipe_hash(short) == recipe_hash(short)
    assert recipe_hash(short) != recipe_hash(short.model_copy(update={"learning_rate": 0.001}))
    before = recipe_hash(short)
    monkeypatch.setattr(quick, "_MAKERS", ("data", "model"))
    assert recipe_hash(short) != before


def test_a_cache_that_cannot_be_written_is_one_line_before_the_training(short, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MAPT_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="set MAPT_CACHE"):
        quick_weights()
