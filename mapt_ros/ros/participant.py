"""A ROS node of its own context, spun by a thread, for tools that play or record beside whatever else the process does."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from mapt_ros.errors import InputError, first_line
from mapt_ros.ros.transport import use_large_shared_memory


@contextmanager
def participant(name: str) -> Iterator[Node]:
    """A node whose callbacks run in a background thread until the context is left.

    Raises:
        InputError: the middleware refuses to start, as with a ``ROS_DOMAIN_ID`` that is no number.
    """
    use_large_shared_memory()
    context = Context()
    try:
        rclpy.init(context=context, args=[])
        node = Node(name, context=context)
    except Exception as error:
        context.try_shutdown()
        raise InputError(f"the middleware did not start: {first_line(error)}") from error
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            try:
                executor.spin_once(timeout_sec=0.5)
            except ExternalShutdownException:
                return

    thread = threading.Thread(target=spin, name=name, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        stop.set()
        executor.create_task(stop.is_set)  # work of any kind ends its wait; being woken alone does not
        thread.join()
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context, uninstall_handlers=False)
