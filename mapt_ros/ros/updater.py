"""What collects and sends the health report: diagnostic_updater where it is installed, the same message otherwise."""

from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_msgs.msg import Header

try:
    from diagnostic_updater import Updater
except ImportError:  # among ROS's wheels on PyPI there is none
    Updater = None

Task = Callable[[DiagnosticStatus], DiagnosticStatus]


class PlainUpdater:
    """The calls of ``diagnostic_updater.Updater`` that the node makes, and the message that they lead to."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._name = node.get_fully_qualified_name().lstrip("/")
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._hardware = ""
        self._tasks: dict[str, Task] = {}

    def setHardwareID(self, hardware: str) -> None:
        """The ``hardware_id`` of all statuses from now on."""
        self._hardware = hardware

    def add(self, name: str, task: Task) -> None:
        """Every report has a status ``NODE: name`` from now on: what ``task`` makes of an empty one."""
        self._tasks[name] = task

    def removeByName(self, name: str) -> bool:
        """Takes a task back; whether there was one."""
        return self._tasks.pop(name, None) is not None

    def force_update(self) -> None:
        """Sends a report."""
        array = DiagnosticArray(header=Header(stamp=self._node.get_clock().now().to_msg()))
        for name, task in self._tasks.items():
            status = task(DiagnosticStatus(name=name, hardware_id=self._hardware))
            status.name = f"{self._name}: {name}"
            array.status.append(status)
        self._publisher.publish(array)


def create_updater(node: Node) -> "PlainUpdater | Updater":
    """An updater that reports by ``diagnostic_updater.period`` where that parameter is, or once a second.

    The period is one of a steady clock: the node's own may be a simulated one that stands still.
    """
    period_s = 1.0
    if Updater is None:
        updater = PlainUpdater(node)
    else:
        updater = Updater(node)
        period_s = node.get_parameter("diagnostic_updater.period").value
        node.destroy_timer(updater.timer)
    node.create_timer(period_s, updater.force_update, clock=Clock(clock_type=ClockType.STEADY_TIME))
    return updater
