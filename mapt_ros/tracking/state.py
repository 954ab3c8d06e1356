"""The one explicit state of a camera."""

from dataclasses import dataclass, field

from mapt_ros.model.mapt import FrameState
from mapt_ros.tracking.memory import Track


@dataclass
class TrackerState:
    """Everything that is remembered of one camera.

    Attributes:
        epoch: resets so far.
        sequence: frames since the last reset.
        tracks: the living identities, by track id.
        next_id: the id that the next new track gets.
        previous: what the network needs of the last frame; None: the next frame has no predecessor.
        size: height and width of the last image.
    """

    epoch: int = 0
    sequence: int = 0
    tracks: list[Track] = field(default_factory=list)
    next_id: int = 1
    previous: FrameState | None = None
    size: tuple[int, int] | None = None

    def reset(self) -> None:
        """Forgets everything and begins the next epoch; ids start again at 1."""
        self.__init__(epoch=self.epoch + 1)
