"""Parameters that cannot be are refused in one line that says what would be right."""

import pytest

pytest.importorskip("rclpy")

from pathlib import Path

import yaml

from mapt_ros.resources import resource
from mapt_ros.ros.parameters import CHANGEABLE, why_fixed, why_invalid


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cameras", [""]),
        ("cameras", ["front", "rear_left"]),
        ("device", "cuda:1"),
        ("association", "appearance-first"),
        ("use_sim_time", True),
        ("qos_overrides./image.subscription.depth", 3),
    ],
)
def test_good_value_passes(name, value):
    assert why_invalid(name, value) is None


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("cameras", [], "empty list"),
        ("cameras", ["front", ""], "an empty name beside others"),
        ("cameras", ["front", "front"], "names a camera twice"),
        ("cameras", ["front/left"], "'front/left' cannot be part of a topic"),
        ("device", "gpu", "'gpu' is not one of auto, cpu, cuda, cuda:N"),
        ("drop_policy", "oldest", "'oldest' is not one of newest, none"),
        ("image_transport", "theora", "'theora' is not one of raw, compressed"),
        ("weights", "", "empty"),
    ],
)
def test_bad_value_is_told_with_what_would_be_right(name, value, words):
    reason = why_invalid(name, value)
    assert reason.startswith(f"parameter {name}: ") and words in reason and "\n" not in reason


def test_only_the_changeable_ones_change_while_configured():
    assert all(why_fixed(name, configured=True) is None for name in (*CHANGEABLE, "use_sim_time"))
    assert "deactivate and clean it up first" in why_fixed("weights", configured=True)
    assert why_fixed("weights", configured=False) is None


def test_parameter_file_names_exactly_the_parameters_there_are(bench):
    text = Path(resource("config/mapt.yaml")).read_text()
    shown = yaml.safe_load(text)["/**"]["ros__parameters"]
    node = bench().node
    declared = {
        name
        for name in node._parameters
        if not name.startswith(("qos_overrides", "use_sim_time", "diagnostic_updater"))
    }
    commented = {name for name in declared if f"# {name}:" in text}
    assert set(shown) | commented == declared - {"start_type_description_service"}
    for name, value in shown.items():
        assert node.get_parameter(name).value == value, name
