"""Panoptic tracking for vehicles: the MAPT network, the tracker that holds its state, and a ROS 2 node around them.

``PanopticTracker`` and its companions are imported on first use, so that ``import mapt_ros`` (and ``mapt --help``)
stays quick and needs neither torch nor ROS.
"""

from importlib import import_module
from pkgutil import extend_path

# The generated messages (mapt_ros.msg) may be installed under another prefix than these modules; both are one package.
__path__ = extend_path(__path__, __name__)
__version__ = "0.1.0"

_HOME = {
    "PanopticTracker": "mapt_ros.tracking.tracker",
    "TrackerState": "mapt_ros.tracking.tracker",
    "PanopticFrame": "mapt_ros.tracking.frame",
    "TrackedInstance": "mapt_ros.tracking.frame",
    "TrackState": "mapt_ros.tracking.frame",
    "Association": "mapt_ros.tracking.frame",
    "LABEL_DIVISOR": "mapt_ros.data.labels",
    "MAPT": "mapt_ros.model.mapt",
}
__all__ = ["__version__", *_HOME]  # noqa: PLE0604 - strings all, as the keys above show


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'mapt_ros' has no attribute {name!r}")
