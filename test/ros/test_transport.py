"""Room for images in shared memory: taken by default, never against the user's word, and really there."""

import fcntl
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections import namedtuple

import pytest

from mapt_ros.resources import resource
from mapt_ros.ros import transport
from mapt_ros.ros.transport import use_large_shared_memory

VARIABLES = (
    "FASTRTPS_DEFAULT_PROFILES_FILE",
    "FASTDDS_DEFAULT_PROFILES_FILE",
    "FASTDDS_BUILTIN_TRANSPORTS",
    "ROS_DISCOVERY_SERVER",
    "RMW_IMPLEMENTATION",
    "ROS_LOCALHOST_ONLY",
)


@pytest.fixture
def untouched(monkeypatch, tmp_path):
    """An environment and a working directory in which nobody chose anything, and plenty of shared memory."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # so that what the function sets is taken back
    monkeypatch.chdir(tmp_path)
    room(monkeypatch, 10**9)
    return monkeypatch


def room(monkeypatch, free: int) -> None:
    usage = namedtuple("usage", "total used free")(10**10, 10**10 - free, free)
    monkeypatch.setattr(transport.shutil, "disk_usage", lambda folder: usage)


def test_fast_dds_is_pointed_at_the_profile(untouched):
    assert use_large_shared_memory(os.getcwd())
    for name in VARIABLES[:2]:
        assert os.environ[name] == str(resource("config/dds/fastdds.xml"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FASTRTPS_DEFAULT_PROFILES_FILE", "/etc/mine.xml"),
        ("FASTDDS_DEFAULT_PROFILES_FILE", "/etc/mine.xml"),
        ("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4"),
        ("ROS_DISCOVERY_SERVER", "127.0.0.1:11811"),
        ("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp"),
        ("ROS_LOCALHOST_ONLY", "1"),
    ],
)
def test_what_the_user_chose_stays(untouched, name, value):
    untouched.setenv(name, value)
    before = dict(os.environ)
    assert not use_large_shared_memory(os.getcwd())
    assert dict(os.environ) == before


def test_a_profile_in_the_working_directory_stays_in_force(untouched, tmp_path):
    (tmp_path / "DEFAULT_FASTRTPS_PROFILES.xml").write_text("<profiles/>")
    assert not use_large_shared_memory(os.getcwd())


@pytest.mark.parametrize("free", [0, 64 * 1024 * 1024])  # as in a container that was given no more
def test_little_shared_memory_is_left_alone(untouched, free):
    room(untouched, free)
    assert not use_large_shared_memory(os.getcwd())
    assert not use_large_shared_memory("/nowhere")


@pytest.fixture
def segment(tmp_path):
    """``segment(name, size, age_s)`` makes a segment as Fast DDS does, with its lock beside it."""

    def make(name: str, size: int = 34 << 20, age_s: float = 3600.0):
        path, lock = tmp_path / f"fastrtps_{name}", tmp_path / f"fastrtps_{name}_el"
        lock.touch()
        with path.open("wb") as file:
            file.truncate(size)
        os.utime(path, times=(time.time() - age_s,) * 2)
        return path, lock

    return make


def test_segments_of_killed_processes_go(segment, tmp_path, untouched):
    dead, held = segment("1111"), segment("2222")
    small, young = segment("3333", size=549_408), segment("4444", age_s=1.0)
    with held[1].open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert use_large_shared_memory(str(tmp_path))
        assert not any(path.exists() for path in dead)
        assert all(path.exists() for path in (*held, *small, *young))
    assert transport.remove_abandoned(str(tmp_path)) == 1
    assert not any(path.exists() for path in held)


def test_where_the_user_chose_nothing_is_removed(segment, tmp_path, untouched):
    untouched.setenv("FASTDDS_BUILTIN_TRANSPORTS", "DEFAULT")
    dead = segment("1111")
    assert not use_large_shared_memory(str(tmp_path))
    assert all(path.exists() for path in dead)


def run(script: str) -> subprocess.CompletedProcess:
    """A script in a process in which nobody chose transports."""
    if not os.path.isdir("/dev/shm") or shutil.disk_usage("/dev/shm").free < 2 * 10**8:
        pytest.skip("there is little shared memory here")
    environment = {k: v for k, v in os.environ.items() if k not in VARIABLES and k != "ROS_DOMAIN_ID"}
    command = [sys.executable, "-c", textwrap.dedent(script)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_a_participant_gets_a_segment_that_images_fit_into_and_leaves_none_behind():
    """A real process: what Fast DDS puts into shared memory, while its participant lives and after it was killed."""
    done = run(
        """
        import os, signal
        from pathlib import Path
        from mapt_ros.ros.domain import use_own_domain
        from mapt_ros.ros.participant import participant
        from mapt_ros.ros.transport import remove_abandoned
        use_own_domain()
        before = set(Path("/dev/shm").iterdir())
        with participant("tall"):
            segment = max(set(Path("/dev/shm").iterdir()) - before, key=lambda path: path.stat().st_size)
            os.utime(segment, (1, 1))
            remove_abandoned()
            print(segment, segment.stat().st_size, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    segment, size = done.stdout.split()[-2:]
    assert int(size) >= 32 * 2**20, done.stderr
    assert os.path.exists(segment), "nothing to remove"
    assert transport.remove_abandoned() >= 1
    assert not os.path.exists(segment) and not os.path.exists(f"{segment}_el")


def test_a_node_that_ends_gives_its_shared_memory_back():
    done = run(
        """
        from pathlib import Path
        import rclpy
        from mapt_ros.ros.domain import use_own_domain
        from mapt_ros.ros.node import MaptNode
        from mapt_ros.ros.transport import use_large_shared_memory
        use_own_domain()
        use_large_shared_memory()
        def large():
            return {path for path in Path("/dev/shm").iterdir() if path.stat().st_size > 32 << 20}
        before = large()
        rclpy.init()
        node = MaptNode()
        own = large() - before
        node.destroy_node()
        print(len(own), len(own & large()))
        """
    )
    assert done.stdout.split()[-2:] == ["1", "0"], done.stderr
