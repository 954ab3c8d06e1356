"""The message types that bags are read and written with: ROS 2's common ones and the four of this package."""

from functools import cache

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from mapt_ros.resources import resource


@cache
def typestore() -> Typestore:
    """ROS 2 Jazzy's common types (the same on the wire in Humble and Kilted) plus ``mapt_ros/msg/*``.

    Built once per process; do not register further types in it, a bag may bring definitions that differ.
    """
    store = get_typestore(Stores.ROS2_JAZZY)
    types = {}
    for path in sorted(resource("msg").glob("*.msg")):
        types.update(get_types_from_msg(path.read_text(), f"mapt_ros/msg/{path.stem}"))
    store.register(types)
    return store
