"""The thread that runs the network, off the executor: takes batches of images, tracks them, has them published."""

import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from std_msgs.msg import Header

from mapt_ros.replay.decode import ImageError
from mapt_ros.ros.channel import CameraChannel
from mapt_ros.ros.faults import Fault, free_memory, judge_error
from mapt_ros.ros.inbox import Inbox, Waiting
from mapt_ros.tracking.frame import PanopticFrame


class Worker:
    """Feeds one tracker with the images of all cameras; no exception of a frame ends it.

    What fails in a batch is tried again in halves, down to single images, so that one camera's image cannot cost the
    others theirs.
    """

    def __init__(
        self,
        tracker,
        channels: Sequence[CameraChannel],
        inbox: Inbox,
        *,
        debug: Callable[[str], object],
        on_device_lost: Callable[[str], object],
    ) -> None:
        """
        Args:
            tracker: a PanopticTracker; each channel brings its own state.
            channels: by the inbox's camera numbers.
            inbox: where the images come from; closed by ``stop``.
            debug: told the traceback of what should not have happened.
            on_device_lost: called in the worker's thread, which then ends, with what the device said.
        """
        self._tracker = tracker
        self._channels = channels
        self._inbox = inbox
        self._debug = debug
        self._on_device_lost = on_device_lost
        self._largest_batch = max(1, len(channels))  # shrinks when memory runs out
        # A daemon, so that a network stuck in its last frame cannot hold up the end of the process.
        self._thread = threading.Thread(target=self._run, name="mapt-worker", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self, timeout_s: float | None = None) -> bool:
        """Ends the thread after the frame it is at; whether it has ended within the time."""
        self._inbox.close()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (batch := self._inbox.take()) is not None:
            try:
                self._process([(self._channels[camera], waiting) for camera, waiting in batch])
            except _DeviceLostError as error:
                self._on_device_lost(str(error))
                return
            except Exception as error:  # noqa: BLE001 - a thread that ended here would be a node that is deaf
                for camera, _ in batch:
                    self._fail(self._channels[camera], f"frame failed: {self._told(error)}")

    def _process(self, batch: Sequence[tuple[CameraChannel, Waiting]]) -> None:
        ready = [decoded for channel, waiting in batch if (decoded := self._decode(channel, waiting)) is not None]
        while ready:
            part, ready = ready[: self._largest_batch], ready[self._largest_batch :]
            self._track(part)

    def _track(self, ready: Sequence["_Decoded"]) -> None:
        frames, fault, text = self._step(ready)
        if frames is not None:
            self._send(ready, frames)
            return
        # The states are as they were before. The exception is gone by now, and with it what it held in memory.
        if fault is Fault.OUT_OF_MEMORY:
            free_memory()
            self._largest_batch = max(1, len(ready) // 2)
        if fault is Fault.DEVICE_LOST or len(ready) == 1:
            for decoded in ready:
                self._fail(decoded.channel, f"tracking failed: {text}")
            if fault is Fault.DEVICE_LOST:
                raise _DeviceLostError(text)
            return
        if fault is Fault.OUT_OF_MEMORY:
            for decoded in ready:
                self._tell(
                    decoded.channel, fault.value, f"a batch of {len(ready)} images failed, smaller ones now: {text}"
                )
        half = len(ready) // 2
        self._track(ready[:half])
        self._track(ready[half:])

    def _step(self, ready: Sequence["_Decoded"]) -> tuple[Sequence[PanopticFrame] | None, Fault | None, str]:
        try:
            frames = self._tracker.step(
                [decoded.image for decoded in ready],
                [decoded.channel.state for decoded in ready],
                [decoded.stamp_ns for decoded in ready],
            )
        except Exception as error:  # noqa: BLE001 - at most one image is lost, the stream goes on
            return None, judge_error(error), self._told(error)
        return frames, None, ""

    def _send(self, ready: Sequence["_Decoded"], frames: Sequence[PanopticFrame]) -> None:
        tracked_s = time.perf_counter()
        for decoded, frame in zip(ready, frames, strict=True):
            try:
                self._publish(decoded, frame, tracked_s)
            except Exception as error:  # noqa: BLE001 - as above
                self._fail(decoded.channel, f"publishing failed: {self._told(error)}")

    def _decode(self, channel: CameraChannel, waiting: Waiting) -> "_Decoded | None":
        taken_s = time.perf_counter()
        if waiting.restart:
            channel.restart()
        if waiting.message is None:
            return None
        try:
            image = channel.decode(waiting.message)
        except ImageError as error:
            text = f"{channel.image_topic}: {error}"
            channel.warn(error.cause, text)
            channel.statistics.drop(error.cause, text)
            return None
        # A stamp of zero is a driver that does not stamp.
        return _Decoded(channel, image, waiting.message.header, waiting.stamp_ns or None, taken_s, time.perf_counter())

    def _publish(self, decoded: "_Decoded", frame: PanopticFrame, tracked_s: float) -> None:
        begun_s = time.perf_counter()
        decoded.channel.publish(frame, decoded.image, decoded.header, decoded.taken_s)
        ended_s = time.perf_counter()
        decoded.channel.statistics.publish(
            frame,
            {
                "decode": (decoded.decoded_s - decoded.taken_s) * 1e3,
                "track": (tracked_s - decoded.decoded_s) * 1e3,
                "publish": (ended_s - begun_s) * 1e3,
                "total": (ended_s - decoded.taken_s) * 1e3,
            },
        )

    def _fail(self, channel: CameraChannel, what: str) -> None:
        self._tell(channel, "failed", what)
        channel.statistics.drop("failed")

    def _tell(self, channel: CameraChannel, cause: str, what: str) -> None:
        text = f"{channel.image_topic}: {what}"
        channel.warn(cause, text)
        channel.statistics.fail(text)

    def _told(self, error: Exception) -> str:
        self._debug("".join(traceback.format_exception(error)))
        return describe(error)


class _DeviceLostError(Exception):
    """Ends the worker: every further image would fail."""


class _Decoded(NamedTuple):
    """An image ready for the network; times are those of ``time.perf_counter()``."""

    channel: CameraChannel
    image: np.ndarray
    header: Header
    stamp_ns: int | None
    taken_s: float
    decoded_s: float


def describe(error: BaseException) -> str:
    """Type and first line of an exception."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
