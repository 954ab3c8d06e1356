"""A participant that cannot come up says so in one line."""

import pytest

pytest.importorskip("rclpy")

from mapt_ros.errors import InputError
from mapt_ros.ros.participant import participant


def test_a_middleware_that_refuses_is_told_and_leaves_nothing_behind(monkeypatch):
    with monkeypatch.context() as environment:
        environment.setenv("ROS_DOMAIN_ID", "abc")
        told = "^the middleware did not start: .*ROS_DOMAIN_ID is not an integral number"
        with pytest.raises(InputError, match=told), participant("nobody"):
            pass
    with participant("somebody") as node:
        assert node.get_name() == "somebody"
