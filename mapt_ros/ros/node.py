"""The lifecycle node ``mapt``: images in, panoptic frames out; it only translates between ROS and the tracker."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import SetBool, Trigger

from mapt_ros.errors import InputError
from mapt_ros.msg import ClassMap
from mapt_ros.ros.channel import CameraChannel
from mapt_ros.ros.conversions import encode_classes
from mapt_ros.ros.diagnostics import node_status
from mapt_ros.ros.faults import free_memory
from mapt_ros.ros.inbox import Inbox
from mapt_ros.ros.parameters import (
    LIVE_SETTINGS,
    TRACKER_SETTINGS,
    NodeParameters,
    declare_parameters,
    read_parameters,
    why_fixed,
    why_invalid,
)
from mapt_ros.ros.transport import use_large_shared_memory
from mapt_ros.ros.updater import create_updater
from mapt_ros.ros.worker import Worker, describe
from mapt_ros.threads import keep_memory, share_cores

_END_S = 1.5  # how long the end of the process waits for a frame in the network and for the middleware


def load_tracker(weights: str, *, device: str, config: str | None, **tracker_settings):
    """The PanopticTracker that the node uses unless it is given another; torch is imported only now."""
    from mapt_ros.tracking.tracker import PanopticTracker

    return PanopticTracker.load(weights, device=device, config=config, **tracker_settings)


class MaptNode(LifecycleNode):
    """Configuring loads the weights, activating subscribes and starts the worker thread.

    A configuration that fails says why in one line and may be tried again with other parameters.
    """

    def __init__(self, *, tracker_factory: Callable = load_tracker, **node_options) -> None:
        """
        Args:
            tracker_factory: called as ``load_tracker`` is.
            node_options: for rclpy's Node, such as ``context`` or ``parameter_overrides``.

        Raises:
            rclpy.exceptions.ParameterException, InputError: an override that cannot be.
        """
        super().__init__("mapt", **node_options)
        self._tracker_factory = tracker_factory
        self._tracker = None
        self._settings: NodeParameters | None = None
        self._channels: list[CameraChannel] = []
        self._worker: Worker | None = None
        self._classes_publisher = None
        self._jump_handle = None
        self._enabled = True
        self._finalized = False
        self._problem = ""
        self._epochs: dict[str, int] = {}  # of cameras that were configured before: their ids must not come again
        self._from_config: set[str] = set()  # tracker settings that the weights' config decided, not the user
        self._applying_config = False

        declare_parameters(self)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self.create_service(Trigger, "~/reset", self._on_reset)
        self.create_service(SetBool, "~/set_enabled", self._on_set_enabled)
        self._updater = create_updater(self)
        self._updater.setHardwareID("none")
        self._updater.add("node state", self._report)

    def start(self) -> None:
        """Configures and activates the node, unless ``autostart`` is false."""
        if not self.get_parameter("autostart").value:
            return
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def close(self, timeout_s: float | None = None) -> bool:
        """Ends the worker and takes back what was created; False if a frame held the worker up for longer."""
        self._stop_taking()
        if self._worker is not None and not self._worker.stop(timeout_s):
            return False
        self._worker = None
        self._release()
        return True

    def destroy_node(self) -> None:
        """As of Node; the middleware's participant ends with it, and gives its shared memory back."""
        super().destroy_node()
        self._state_machine = None  # rclpy forgets it, and it holds on to the node

    # Transitions.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Loads the weights and creates the publishers."""
        return self._attempt("configure", self._configure, self._release)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribes and starts the worker."""
        return self._attempt("activate", self._activate, self._deactivate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Ends the worker after the frame it is at."""
        self._deactivate()
        return TransitionCallbackReturn.SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Gives the weights, the publishers and the GPU memory back."""
        self._release()
        free_memory()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Ends everything."""
        self.close()
        self._finalized = True
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured, from where the node can be configured again."""
        self.close()
        return TransitionCallbackReturn.SUCCESS

    def _attempt(self, name: str, action: Callable, undo: Callable) -> TransitionCallbackReturn:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - whatever it is, the node lives on and can be tried again
            self._problem = f"{name} failed: {error if isinstance(error, InputError) else describe(error)}"
            self.get_logger().error(self._problem)
            undo()
            return TransitionCallbackReturn.FAILURE
        self._problem = ""
        return TransitionCallbackReturn.SUCCESS

    def _configure(self) -> None:
        parameters = read_parameters(self, from_config=self._from_config)
        self.get_logger().info(f"loading weights {parameters.weights}")
        tracker = self._tracker_factory(
            parameters.weights, device=parameters.device, config=parameters.config, **parameters.tracker_settings
        )
        self._tracker, self._settings = tracker, parameters
        self._show_settings_from_config()
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._classes_publisher = self.create_publisher(ClassMap, "~/classes", latched)
        self._classes_publisher.publish(
            encode_classes(tracker.classes, weights=tracker.weights_name, weights_hash=tracker.weights_hash)
        )
        for index, name in enumerate(parameters.cameras):
            state = tracker.new_state()
            if name in self._epochs:
                state.epoch = self._epochs[name] + 1
            channel = CameraChannel(self, index, parameters, state=state, classes=tracker.classes)
            channel.enable(self._enabled)
            self._channels.append(channel)
        self.get_logger().info(
            f"weights {tracker.weights_name} ({tracker.weights_hash}) on {tracker.device};"
            f" images from {', '.join(channel.image_topic for channel in self._channels)}"
        )

    def _activate(self) -> None:
        depth = self._settings.queue_depth if self._settings.drop_policy == "none" else 1
        inbox = Inbox(len(self._channels), depth=depth, newest_wins=self._settings.drop_policy == "newest")
        self._worker = Worker(
            self._tracker,
            self._channels,
            inbox,
            debug=self.get_logger().debug,
            on_device_lost=lambda text: self.executor.create_task(self._on_device_lost, text),
        )
        self._updater.setHardwareID(str(self._tracker.device))
        for channel in self._channels:
            channel.open(inbox)
            self._updater.add(channel.name or "camera", channel.report)
        self._jump_handle = self.get_clock().create_jump_callback(
            JumpThreshold(
                min_forward=None,
                min_backward=Duration(nanoseconds=-max(self._settings.back_jump_ns, 1)),
                on_clock_change=False,
            ),
            post_callback=self._on_clock_jump,
        )
        self._worker.start()

    def _deactivate(self) -> None:
        self._stop_taking()
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def _stop_taking(self) -> None:
        if self._jump_handle is not None:
            self._jump_handle.unregister()
            self._jump_handle = None
        for channel in self._channels:
            channel.close()
            self._updater.removeByName(channel.name or "camera")

    def _release(self) -> None:
        for channel in self._channels:
            self._epochs[channel.name] = channel.state.epoch
            channel.destroy()
        self._channels = []
        if self._classes_publisher is not None:
            self.destroy_publisher(self._classes_publisher)
            self._classes_publisher = None
        self._tracker = self._settings = None
        self._updater.setHardwareID("none")

    def _on_device_lost(self, text: str) -> None:
        """In the executor's thread, after the worker has ended: the network cannot run on its device any more."""
        if self._worker is None:
            return
        if not self._settings.cpu_fallback:
            self.trigger_deactivate()
            self._problem = (
                f"{self._tracker.device} is lost: {text}; this process cannot use it any more: restart the node, or"
                " clean it up and configure it with device cpu (cpu_fallback does so by itself)"
            )
            self.get_logger().error(self._problem)
            return
        self.get_logger().error(f"{self._tracker.device} is lost: {text}; going on with the CPU, in the next epoch")
        self._deactivate()
        settings = {name: getattr(self._tracker.settings, name) for name in TRACKER_SETTINGS}
        try:
            self._tracker = self._tracker_factory(
                self._settings.weights, device="cpu", config=self._settings.config, **settings
            )
            for channel in self._channels:
                channel.replace_state(self._tracker.new_state())
            self._activate()
        except Exception as error:  # noqa: BLE001 - whatever it is, the node lives on and can be configured again
            self.trigger_deactivate()
            self._problem = f"the CPU cannot go on either: {describe(error)}"
            self.get_logger().error(self._problem)

    # Parameters.

    def _on_set_parameters(self, changes: Sequence[Parameter]) -> SetParametersResult:
        configured = self._tracker is not None
        for change in changes:
            reason = why_fixed(change.name, configured=configured) or why_invalid(change.name, change.value)
            if reason:
                return SetParametersResult(successful=False, reason=reason)
        if not self._applying_config:
            self._from_config -= {change.name for change in changes}
            self._apply({change.name: change.value for change in changes})
        return SetParametersResult(successful=True)

    def _apply(self, values: dict) -> None:
        if self._tracker is None:
            return
        update = {name: values[name] for name in TRACKER_SETTINGS if name in values}
        if update:
            self._tracker.settings = self._tracker.settings.model_copy(update=update)
        live = {name: values[name] for name in LIVE_SETTINGS if name in values}
        for channel in self._channels:
            channel.live = replace(channel.live, **live)

    def _show_settings_from_config(self) -> None:
        """Makes the parameters that nobody set show what the weights' config says."""
        self._from_config = set(TRACKER_SETTINGS) - set(self._settings.tracker_settings)
        self._applying_config = True
        try:
            self.set_parameters(
                [Parameter(name, value=getattr(self._tracker.settings, name)) for name in self._from_config]
            )
        finally:
            self._applying_config = False

    # Services, clock, diagnostics; all in the executor's thread.

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._worker is not None
        response.message = "tracks forgotten, next epoch" if response.success else "not active: nothing to reset"
        if response.success:
            for channel in self._channels:
                channel.request_restart()
        return response

    def _on_set_enabled(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._enabled = request.data
        for channel in self._channels:
            channel.enable(request.data)
        response.success = True
        response.message = "images are tracked" if request.data else "images are ignored"
        return response

    def _on_clock_jump(self, jump) -> None:
        if jump.delta.nanoseconds < 0:
            now_ns = self.get_clock().now().nanoseconds
            for channel in self._channels:
                channel.on_clock_jump(now_ns)

    def _report(self, status: DiagnosticStatus) -> DiagnosticStatus:
        """Fills in the node's own diagnostic."""
        tracker = self._tracker
        device, weights = "", ""
        if tracker is not None:
            device, weights = str(tracker.device), f"{tracker.weights_name} {tracker.weights_hash}"
        return node_status(status, state=self._state(), device=device, weights=weights, problem=self._problem)

    def _state(self) -> str:
        """The lifecycle state's name; rclpy keeps its own to itself."""
        if self._finalized:
            return "finalized"
        if self._worker is not None:
            return "active"
        return "inactive" if self._tracker is not None else "unconfigured"


def main(argv: list[str] | None = None, *, tracker_factory: Callable = load_tracker) -> int:
    """Runs the node until Ctrl-C or SIGTERM, which end the process with exit code 0.

    Returns:
        2, at once, for arguments that cannot be.

    Args:
        argv: ROS arguments (``--ros-args ...``); None: those of the process.
        tracker_factory: as for MaptNode.
    """
    share_cores()  # torch is imported when the node is configured
    use_large_shared_memory()
    keep_memory()
    cv2.setNumThreads(1)  # an image is converted in a tenth of a millisecond; waking other threads takes longer
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    # rclpy's own handlers would end the context under the worker's feet.
    try:
        rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
        node = MaptNode(tracker_factory=tracker_factory)
    except Exception as error:  # noqa: BLE001 - rclpy reports bad arguments by half a dozen types
        print(f"mapt: {error if isinstance(error, InputError) else describe(error)}", file=sys.stderr)
        rclpy.try_shutdown()
        return 2
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def spin() -> None:
        node.start()
        while not stop.is_set():
            try:
                executor.spin_once(timeout_sec=0.5)
            except ExternalShutdownException:
                stop.set()
            except Exception as error:  # noqa: BLE001 - a message that cannot be read must not end the node
                node.get_logger().error(f"callback failed: {describe(error)}")

    # The main thread stays free for signals, whatever the executor is busy with.
    spinner = threading.Thread(target=spin, name="mapt-executor", daemon=True)
    spinner.start()
    stop.wait()
    executor.create_task(stop.is_set)  # work of any kind ends its wait; being woken alone does not

    def tidy_up() -> None:
        spinner.join()
        node.close()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()

    # Loading weights and a frame in the network cannot be interrupted, and on a busy computer the middleware takes its
    # time: what is not done then is left to the kernel.
    tidy = threading.Thread(target=tidy_up, name="mapt-end", daemon=True)
    tidy.start()
    tidy.join(_END_S)
    # Unloading torch takes Python longer than all the rest, and there is nothing left to save.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
