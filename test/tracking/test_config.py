"""Config files: the bundled ones load, and a wrong one is one line."""

import pytest

from mapt_ros.errors import InputError
from mapt_ros.tracking.config import load_config


@pytest.mark.parametrize("name", ["compact", "regnety_8gf"])
def test_bundled_configs_load(name):
    assert load_config(name).model.name == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model: {wings: 2}", "unknown key 'model.wings'"),
        ("trackers: {}", "unknown key 'trackers'"),
        ("tracker: {score_threshold: 2}", "tracker.score_threshold: Input should be less than or equal to 1"),
        ("model: {backbone: resnet50}", "model.backbone"),
        ("model: {class_set: coco}", "class_set 'coco' is not one of kitti-step"),
        ("model: {semantic: {detail_blocks: 1}}", "detail_blocks are in the detail branch, which detail_channels 0"),
        ("model: {fpn_blocks: [1, 2, 1]}", "fpn_blocks"),
        ("model: {fpn_blocks: [1, 2, 1, -1]}", "fpn_blocks"),
        ("- a list", "expected a mapping"),
        ("model: [", "not valid YAML"),
        ("", "expected a mapping"),
    ],
)
def test_a_wrong_config_names_the_file_and_the_key(tmp_path, text, words):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_config(path)
    message = str(caught.value)
    assert str(path) in message and words in message and "\n" not in message


def test_a_config_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")
