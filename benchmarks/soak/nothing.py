"""A network that does nothing: every tenth frame of each camera has a new car, so that ids can be checked.

python -m benchmarks.soak.nothing node --ros-args ...     the node with it, in this process
python -m benchmarks.soak.nothing write SOURCE OUT        tracks, video and bag of SOURCE with it, for ever
"""

import sys
from itertools import count
from pathlib import Path

import numpy as np

from mapt_ros.data.labels import KITTI_STEP, LABEL_DIVISOR
from mapt_ros.tracking.config import TrackerConfig
from mapt_ros.tracking.frame import Association, PanopticFrame, TrackedInstance, TrackState

CAR = 13
FRAMES_PER_CAR = 10


class State:
    """Counts as a TrackerState does."""

    def __init__(self, epoch: int = 0) -> None:
        self.epoch = epoch
        self.sequence = 0

    def reset(self) -> None:
        self.__init__(self.epoch + 1)


class Tracker:
    """Stands where a PanopticTracker does."""

    classes = KITTI_STEP
    device = "cpu"
    weights_name = "nothing"
    weights_hash = "000000000000"

    def __init__(self, **settings) -> None:
        self.settings = TrackerConfig(**settings)
        self.state = self.new_state()

    def new_state(self) -> State:
        return State()

    def reset(self) -> None:
        self.state.reset()

    def __call__(self, image: np.ndarray, stamp_ns: int | None = None) -> PanopticFrame:
        return self.step([image], [self.state], [stamp_ns])[0]

    def step(self, images, states, stamps_ns) -> list[PanopticFrame]:
        return [self._frame(*one) for one in zip(images, states, stamps_ns, strict=True)]

    def _frame(self, image: np.ndarray, state: State, stamp_ns: int | None) -> PanopticFrame:
        height, width = image.shape[:2]
        number, since = divmod(state.sequence, FRAMES_PER_CAR)
        labels = np.zeros((height, width), np.int32)
        labels[height // 2 :] = CAR * LABEL_DIVISOR + number + 1
        car = TrackedInstance(
            track_id=number + 1,
            class_id=CAR,
            score=0.9,
            box=(0, height // 2, width, height),
            area=width * (height - height // 2),
            x=width / 2,
            y=height * 0.75,
            vx=0.0,
            vy=0.0,
            age=since + 1,
            frames_since_seen=0,
            state=TrackState.CONFIRMED,
            association=Association.MOTION if since else Association.NEW,
            association_score=0.9,
        )
        frame = PanopticFrame(labels, [car], stamp_ns, state.sequence, state.epoch)
        state.sequence += 1
        return frame


def load(weights: str, *, device: str, config: str | None, **settings) -> Tracker:
    """As the node's ``load_tracker``, without weights."""
    return Tracker(**settings)


def write(source: Path, out: Path) -> None:
    """Writes one set of results after the other until it is killed."""
    from mapt_ros.replay.sources import open_sources
    from mapt_ros.replay.track import track_sequences

    for number in count():
        folder = out / f"{number:04d}"
        track_sequences(
            open_sources(source, None), Tracker(), folder, video=folder / "overlay.mp4", bag=folder / "panoptic"
        )


if __name__ == "__main__":
    if sys.argv[1] == "node":
        from mapt_ros.ros.node import main

        sys.exit(main(sys.argv[2:], tracker_factory=load))
    write(Path(sys.argv[2]), Path(sys.argv[3]))
