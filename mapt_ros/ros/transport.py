"""Gives Fast DDS shared memory that an image fits into, unless the user has arranged its transports."""

import fcntl
import os
import shutil
import time
from pathlib import Path

from mapt_ros.resources import resource

_PROFILES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")  # of Fast DDS 2 and 3
_CHOICES = (*_PROFILES, "FASTDDS_BUILTIN_TRANSPORTS", "ROS_DISCOVERY_SERVER")
_SEGMENT_BYTES = 32 << 20  # of the profile
_ABANDONED_S = 60.0  # a younger segment may be one that is just being made
_FREE_BYTES = 100_000_000  # three participants' segments of the profile's 32 MiB; containers often have 64 MB in all


def use_large_shared_memory(folder: str = "/dev/shm") -> bool:
    """Points Fast DDS at ``config/dds/fastdds.xml``. Must be called before rclpy starts a context.

    Nothing changes where the user chose transports or profiles by an environment variable or by a
    ``DEFAULT_FASTRTPS_PROFILES.xml`` in the working directory, where another middleware is chosen, or where shared
    memory is too small.

    Args:
        folder: where shared memory lies.

    Returns:
        Whether Fast DDS will use the profile.
    """
    chosen = (
        any(os.environ.get(name) for name in _CHOICES)
        or any(os.path.exists(f"DEFAULT_{name}_PROFILES.xml") for name in ("FASTRTPS", "FASTDDS"))
        or os.environ.get("ROS_LOCALHOST_ONLY") == "1"  # Humble's rmw then restricts UDP, which the profile would undo
    )
    other = "fastrtps" not in (os.environ.get("RMW_IMPLEMENTATION") or "rmw_fastrtps_cpp")
    if chosen or other or not os.path.isdir(folder):
        return False
    remove_abandoned(folder)
    if shutil.disk_usage(folder).free < _FREE_BYTES:
        return False
    for name in _PROFILES:
        os.environ[name] = str(resource("config/dds/fastdds.xml"))
    return True


def remove_abandoned(folder: str = "/dev/shm") -> int:
    """Takes the segments of killed processes away; returns how many.

    Nobody else does, and with the profile each of them keeps 34 MB. Fast DDS holds a lock beside a segment for as long as
    its process lives. Only large segments of the same user are touched; whoever still reads one keeps it until then.

    Args:
        folder: where shared memory lies.
    """
    removed = 0
    for lock in Path(folder).glob("fast*_*_el"):  # fastrtps_ or fastdds_, by version
        segment = lock.with_name(lock.name.removesuffix("_el"))
        try:
            about = segment.stat()
            old = time.time() - about.st_mtime > _ABANDONED_S
            if not old or about.st_size < _SEGMENT_BYTES or about.st_uid != os.getuid():
                continue
            with lock.open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                segment.unlink()
                lock.unlink()
                removed += 1
        except OSError:  # its process lives, or another one has removed it meanwhile
            continue
    return removed
