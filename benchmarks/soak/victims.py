"""Processes that are killed while they work: a camera, a listener, a recorder.

python -m benchmarks.soak.victims camera RUN      images at 10 Hz whose frame_id is RUN:NUMBER
python -m benchmarks.soak.victims listen          takes /mapt/panoptic and the overlay
python -m benchmarks.soak.victims record OUT      records /mapt/panoptic into a bag
"""

import sys
import time
from pathlib import Path

from mapt_ros.msg import PanopticFrame
from sensor_msgs.msg import Image

from benchmarks.soak.rig import image
from mapt_ros.ros.participant import participant
from mapt_ros.ros.recorder import Recorder

_SETTLE_S = 2.0  # both ends of a connection find each other at different moments


def camera(run: str) -> None:
    """Publishes as a driver does, stamped with the time of day."""
    with participant(f"camera_{run}") as node:
        publisher = node.create_publisher(Image, "/image", 100)
        while not publisher.get_subscription_count():
            time.sleep(0.02)
        time.sleep(_SETTLE_S)
        number = 0
        while True:
            publisher.publish(image(time.time_ns(), frame_id=f"{run}:{number}"))
            number += 1
            time.sleep(0.1)


def listen() -> None:
    """Hears what the node says until it is killed; prints a line when the first frame is there."""
    with participant("listener") as node:
        heard = []
        node.create_subscription(PanopticFrame, "/mapt/panoptic", heard.append, 10)
        node.create_subscription(Image, "/mapt/overlay", lambda message: None, 10)
        told = False
        while True:
            if heard and not told:
                told = True
                print("heard", flush=True)
            heard[:-1] = []
            time.sleep(0.05)


def record(out: Path) -> None:
    """Records until it is killed; prints a line when the first frame is in."""
    with Recorder(out, {"/mapt/panoptic": "mapt_ros/msg/PanopticFrame"}) as recorder:
        recorder.wait_for("/mapt/panoptic", 1, 600.0)
        print("heard", flush=True)
        time.sleep(600.0)


if __name__ == "__main__":
    if sys.argv[1] == "camera":
        camera(sys.argv[2])
    elif sys.argv[1] == "listen":
        listen()
    else:
        record(Path(sys.argv[2]))
