"""Where images wait for the network: a thread-safe slot or queue for each camera, emptied in batches."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass
class Waiting:
    """One image on its way to the network.

    Attributes:
        message: sensor_msgs Image or CompressedImage, not decoded yet; None where only the restart is to be done.
        stamp_ns: its stamp in nanoseconds.
        restart: the camera's state is to be reset before this image.
    """

    message: Any
    stamp_ns: int = 0
    restart: bool = False


class Inbox:
    """Images of several cameras, filled by the executor's thread and taken by the worker's.

    A restart is an event in the order of the images: those that arrived before belong to the old epoch, and it is
    not lost when the image that carried it is replaced.
    """

    def __init__(self, cameras: int, *, depth: int, newest_wins: bool) -> None:
        """
        Args:
            cameras: how many.
            depth: images that may wait for each.
            newest_wins: when full, drop the oldest image rather than refuse the new one.
        """
        self._depth = depth
        self._newest_wins = newest_wins
        self._queues: Sequence[deque[Waiting]] = [deque() for _ in range(cameras)]
        self._restarts = [False] * cameras
        self._closed = False
        self._changed = threading.Condition()

    def put(self, camera: int, waiting: Waiting) -> str | None:
        """Adds an image; returns why one was dropped for it, ``replaced`` or ``queue_full``, or None."""
        queue = self._queues[camera]
        with self._changed:
            cause = None
            if len(queue) >= self._depth:
                if not self._newest_wins:
                    self._restarts[camera] |= waiting.restart
                    return "queue_full"
                oldest = queue.popleft()
                (queue[0] if queue else waiting).restart |= oldest.restart
                cause = "replaced"
            waiting.restart |= self._restarts[camera]
            self._restarts[camera] = False
            queue.append(waiting)
            self._changed.notify()
            return cause

    def restart(self, camera: int) -> None:
        """Resets the camera's state after the images that wait already."""
        with self._changed:
            self._restarts[camera] = True
            self._changed.notify()

    def take(self) -> list[tuple[int, Waiting]] | None:
        """Waits for work: at most one image of each camera, as (camera, image); None once closed."""
        with self._changed:
            while not self._closed:
                batch = [(camera, self._next(camera)) for camera in range(len(self._queues))]
                if batch := [(camera, waiting) for camera, waiting in batch if waiting is not None]:
                    return batch
                self._changed.wait()
            return None

    def close(self) -> None:
        """Ends ``take`` for good; what waits is forgotten."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        with self._changed:
            return sum(len(queue) for queue in self._queues)

    def _next(self, camera: int) -> Waiting | None:
        if self._queues[camera]:
            return self._queues[camera].popleft()
        if self._restarts[camera]:
            self._restarts[camera] = False
            return Waiting(None, restart=True)
        return None
