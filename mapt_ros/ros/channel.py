"""One camera of the node: its subscriptions, its stream of stamps, its tracker state, and its publishers."""

import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy, qos_policy_name_from_kind, qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from mapt_ros.data.labels import ClassSet
from mapt_ros.msg import PanopticFrame as PanopticFrameMessage
from mapt_ros.ros.conversions import (
    decode_compressed,
    decode_image,
    encode_image,
    encode_labels_image,
    outline_panoptic,
    serialize_panoptic,
    stamp_to_ns,
    why_too_long,
)
from mapt_ros.ros.diagnostics import stream_status
from mapt_ros.ros.inbox import Inbox, Waiting
from mapt_ros.ros.markers import GroundCamera, GroundTrails, clear_markers, track_markers
from mapt_ros.ros.parameters import NodeParameters
from mapt_ros.ros.statistics import CauseLog, StreamStatistics
from mapt_ros.tracking.frame import PanopticFrame
from mapt_ros.tracking.stamps import Verdict, clock_jump_restarts, judge_stamp
from mapt_ros.viz.overlay import Trails, draw_overlay

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble's name for it
    from rclpy.qos_event import SubscriptionEventCallbacks


_STRAGGLERS_S = 1.0  # how long after a jump of the clock an image of the old replay may come


class CameraChannel:
    """What belongs to one camera.

    The executor's thread calls ``open``, ``close`` and the ``on_...`` methods, the worker's thread ``decode``,
    ``restart`` and ``publish``; they meet in the inbox and the statistics only.

    Attributes:
        name: the camera's, empty for a single one without a prefix.
        warn: logs what is wrong with this camera's images, each cause once in a while.
        state: the tracker's state of this camera; the worker's alone while it runs.
        image_topic: full name of the topic the images come from.
        enabled: whether images are taken at all; set by ``enable``.
        live: the settings that change while the node runs.
        qos_problem: why no images come, as far as the middleware has told; empty when they do.
    """

    def __init__(self, node: Node, index: int, parameters: NodeParameters, *, state, classes: ClassSet) -> None:
        self.name = parameters.cameras[index]
        # Not the node's: one camera's noise must not hide another's.
        self.warn = CauseLog(node.get_logger().warning)
        self.state = state
        self.enabled = True
        self.live = parameters.live
        self.qos_problem = ""
        self.statistics = StreamStatistics()
        self._node = node
        self._index = index
        self._parameters = parameters
        self._classes = classes
        self._inbox: Inbox | None = None
        self._last_ns: int | None = None
        self._jumped_s: float | None = None  # when the clock did, if no image of the new replay has come yet
        self._header = Header()  # of the last image, in the worker's thread
        self._camera_matrix = None
        self._trails = Trails()
        self._ground_trails = GroundTrails()
        self._subscriptions = []
        self._expected_s = time.monotonic()  # images are, since then
        self._silence_told = ""
        self._unstamped_told = False

        prefix = f"{self.name}/" if self.name else ""
        self.image_topic = node.resolve_topic_name(f"{prefix}image")
        if parameters.image_transport == "compressed":
            self.image_topic = node.resolve_topic_name(f"{self.image_topic}/compressed")
        self._info_topic = node.resolve_topic_name(f"{prefix}camera_info")
        # Where every frame counts, as many answers wait for a slow listener as images may wait for the network.
        depth = max(10, parameters.queue_depth) if parameters.drop_policy == "none" else 10
        self._panoptic = node.create_publisher(PanopticFrameMessage, f"~/{prefix}panoptic", depth)
        # Two overlays or label maps are enough to bridge a hiccup; more would only hold memory.
        self._overlay = node.create_publisher(Image, f"~/{prefix}overlay", 2)
        self._labels = node.create_publisher(Image, f"~/{prefix}labels", 2)
        self._markers = node.create_publisher(MarkerArray, f"~/{prefix}markers", 10)

    def open(self, inbox: Inbox) -> None:
        """Starts taking images; a stream that was tracked before starts anew.

        Raises:
            Exception: whatever rclpy has against an override of the quality of service.
        """
        self._inbox = inbox
        self._last_ns = self._jumped_s = None
        self._expect_images()
        if self.state.sequence > 0:
            self.statistics.reset("activation")
            inbox.restart(self._index)
        compressed = self._parameters.image_transport == "compressed"
        self._subscriptions = [
            self._node.create_subscription(
                CompressedImage if compressed else Image,
                self.image_topic,
                self.on_image,
                self._image_qos(),
                event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._on_incompatible_qos),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            ),
            self._node.create_subscription(
                CameraInfo,
                self._info_topic,
                self.on_camera_info,
                qos_profile_sensor_data,
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            ),
        ]

    def close(self) -> None:
        """Takes no more images."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def destroy(self) -> None:
        """Takes back the publishers; the worker must have ended."""
        self.close()
        for publisher in (self._panoptic, self._overlay, self._labels, self._markers):
            self._node.destroy_publisher(publisher)

    def replace_state(self, state) -> None:
        """Goes on with a fresh state in the next epoch; the worker must have ended."""
        state.epoch = self.state.epoch + 1
        self.state = state
        self.statistics.reset("device_lost")

    # In the executor's thread.

    def on_image(self, message: Image | CompressedImage) -> None:
        """Queues an image, unless its stamp is late or a duplicate."""
        if not self.enabled:
            return
        stamp_ns = stamp_to_ns(message.header)
        self.statistics.receive(stamped=stamp_ns != 0)
        self.qos_problem = ""
        if problem := why_too_long(message):
            self._drop("length", f"{self.image_topic}: {problem}; image dropped", is_error=True)
            return
        # A first stamp of 0 alone may be a clock that starts there.
        if stamp_ns == 0 == self._last_ns and not self._unstamped_told:
            self._unstamped_told = True
            self._node.get_logger().warning(
                f"{self.image_topic}: images without a stamp; they count in the order of arrival, velocities are unknown"
            )
        # An image of the old replay may still come behind a clock that has jumped: only its stamp goes on.
        if self._jumped_s is not None and stamp_ns <= self._last_ns:
            self._restart("clock_jump")
        verdict = judge_stamp(
            stamp_ns,
            self._last_ns,
            back_jump_ns=self._parameters.back_jump_ns,
            max_gap_ns=self._parameters.max_gap_ns,
        )
        if verdict.drops:
            self._drop(verdict.value, f"{self.image_topic}: {self._stamp_text(verdict, stamp_ns)}; image dropped")
            return
        if verdict.restarts:
            self.warn(
                verdict.value,
                f"{self.image_topic}: {self._stamp_text(verdict, stamp_ns)}; tracks start anew in the next epoch",
            )
            self.statistics.reset(verdict.value)
        self._last_ns = stamp_ns
        cause = self._inbox.put(self._index, Waiting(message, stamp_ns, restart=verdict.restarts))
        if cause == "queue_full":
            self._drop(
                cause,
                f"{self.image_topic}: more than queue_depth = {self._parameters.queue_depth} images wait; image dropped,"
                " although drop_policy is none: the sender must pace itself (mapt bag play --rate 0 does)",
                is_error=True,
            )
        elif cause:
            self.statistics.drop(cause)

    def on_camera_info(self, message: CameraInfo) -> None:
        """Keeps the camera matrix for the markers."""
        self._camera_matrix = message.k

    def on_clock_jump(self, clock_ns: int) -> None:
        """The clock went back to ``clock_ns``: a new replay, unless an image has told so already."""
        if clock_jump_restarts(clock_ns, self._last_ns, back_jump_ns=self._parameters.back_jump_ns):
            self.warn("clock_jump", f"{self.image_topic}: the clock jumped back; tracks start anew in the next epoch")
            self._jumped_s = time.monotonic()

    def request_restart(self) -> None:
        """Resets the state after the images that wait already; the next image may have any stamp."""
        self._restart("service")

    def enable(self, enabled: bool) -> None:
        """Takes images, or ignores them."""
        if enabled and not self.enabled:
            self._expect_images()
        self.enabled = enabled

    def report(self, status: DiagnosticStatus) -> DiagnosticStatus:
        """Fills in this camera's diagnostic."""
        if self._jumped_s is not None and time.monotonic() - self._jumped_s > _STRAGGLERS_S:
            self._restart("clock_jump")
        self._watch_input()
        publishers = self._publisher_count()
        return stream_status(
            status,
            self.statistics.report(),
            topic=self.image_topic,
            publishers=publishers,
            thresholds=self.live,
            enabled=self.enabled,
            qos_problem=self.qos_problem if publishers else "",
        )

    def _watch_input(self) -> None:
        """Tells in the log, once each time, when images stop and when they come again."""
        if not self.enabled:
            return
        silent_s = self.statistics.silent_s()
        missing_s = time.monotonic() - self._expected_s if silent_s is None else silent_s
        if missing_s <= self.live.input_timeout_s:
            silence = ""
        else:
            silence = "none yet" if silent_s is None else "stopped"
        if silence == self._silence_told:
            return
        count = self._publisher_count()
        who = f"{count} publisher{'' if count == 1 else 's'}"
        if silence == "stopped":
            self._node.get_logger().warning(f"{self.image_topic}: no images for {silent_s:.1f} s ({who})")
        elif silence:
            self._node.get_logger().info(f"{self.image_topic}: no images yet ({who})")
        elif self._silence_told == "stopped":
            self._node.get_logger().info(f"{self.image_topic}: images come again")
        self._silence_told = silence

    def _publisher_count(self) -> int:
        return self._node.count_publishers(self.image_topic)

    # In the worker's thread.

    def decode(self, message: Image | CompressedImage) -> np.ndarray:
        """HxWx3 uint8 RGB.

        Raises:
            ImageError: the message is broken.
        """
        self._header = message.header
        return decode_image(message) if isinstance(message, Image) else decode_compressed(message)

    def restart(self) -> None:
        """Forgets the tracks and takes their markers away, under the header of the last image they stood in."""
        self.state.reset()
        if self._markers.get_subscription_count():
            self._markers.publish(clear_markers(self._header))

    def publish(self, frame: PanopticFrame, image: np.ndarray, header: Header, taken_s: float) -> None:
        """Sends a frame, and its overlay, label map and markers to whoever listens.

        Args:
            frame: the tracker's answer to ``image``.
            image: HxWx3 uint8 RGB.
            header: the image message's, which goes out unchanged.
            taken_s: ``time.perf_counter()`` when the image was taken out of the inbox.
        """
        message = outline_panoptic(frame, header, camera=self.name)
        message.processing_ms = (time.perf_counter() - taken_s) * 1e3
        self._panoptic.publish(serialize_panoptic(message, frame.labels))
        if self._labels.get_subscription_count():
            self._labels.publish(encode_labels_image(frame, header))
        live = self.live
        if live.overlay and self._overlay.get_subscription_count():
            self._trails.update(frame)
            drawn = draw_overlay(image, frame, self._classes, trails=self._trails, scale=live.overlay_scale)
            self._overlay.publish(encode_image(drawn, "rgb8", header))
        if self._markers.get_subscription_count() and (camera := self._ground_camera()):
            self._ground_trails.update(frame, camera)
            self._markers.publish(track_markers(frame, camera, self._classes, header, trails=self._ground_trails))

    def _ground_camera(self) -> GroundCamera | None:
        if self._camera_matrix is None:
            self.warn("camera_info", f"{self._info_topic}: no camera_info yet; no markers without it")
            return None
        camera = GroundCamera.from_matrix(
            self._camera_matrix, height=self._parameters.camera_height, pitch=self._parameters.camera_pitch
        )
        if camera is None:
            self.warn("camera_info", f"{self._info_topic}: the focal length is 0 (not calibrated); no markers")
        return camera

    def _drop(self, cause: str, text: str, *, is_error: bool = False) -> None:
        self.warn(cause, text)
        self.statistics.drop(cause, text if is_error else "")

    def _restart(self, cause: str) -> None:
        self.statistics.reset(cause)
        self._last_ns = self._jumped_s = None
        self._inbox.restart(self._index)

    def _expect_images(self) -> None:
        self._expected_s = time.monotonic()
        self.statistics.expect()

    def _stamp_text(self, verdict: Verdict, stamp_ns: int) -> str:
        seconds = abs(stamp_ns - self._last_ns) / 1e9
        return {
            Verdict.DUPLICATE: f"stamp {stamp_ns / 1e9:.3f} s came twice",
            Verdict.LATE: f"stamp {seconds:.3f} s older than the last one",
            Verdict.RESTART_JUMP: f"stamp {seconds:.3f} s older than the last one (back_jump_s exceeded)",
            Verdict.RESTART_GAP: f"stamp {seconds:.3f} s after the last one (max_gap_s exceeded)",
        }[verdict]

    def _image_qos(self) -> QoSProfile:
        if self._parameters.drop_policy == "none":
            # The inbox is the bounded queue: it tells when it is full, a KEEP_LAST reader overwrites in silence.
            return QoSProfile(history=HistoryPolicy.KEEP_ALL, reliability=ReliabilityPolicy.RELIABLE)
        return QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)

    def _on_incompatible_qos(self, event) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind).lower()
        offers = ", ".join(
            f"{info.node_namespace.rstrip('/')}/{info.node_name} offers {_policy(info.qos_profile, policy)}"
            for info in self._node.get_publishers_info_by_topic(self.image_topic)
        )
        wants = _policy(self._subscriptions[0].qos_profile, policy) if self._subscriptions else "?"
        text = (
            f"{self.image_topic}: no images because of incompatible {policy}: {offers}; this node asks for {wants}"
            f" (drop_policy {self._parameters.drop_policy}; qos_overrides.{self.image_topic}.subscription.{policy}"
            " changes it)"
        )
        self.warn("qos", text)
        self.qos_problem = text


def _policy(profile: QoSProfile, name: str) -> str:
    value = getattr(profile, name, "?")
    return str(getattr(value, "name", value)).lower()
