"""What a process sets before torch works in it: how its CPU threads wait, and what becomes of memory it has freed."""

import ctypes
import os

_SPIN_COUNT = "5000"  # far below libgomp's default: some microseconds, which loses nothing on an idle machine
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_... of glibc's malloc.h
_KEPT, _LARGEST = 512 << 20, 32 << 20  # bytes; mallopt takes no larger threshold than the latter


def share_cores() -> None:
    """Lets idle OpenMP threads sleep soon instead of spinning long; call before torch is first imported.

    While a neighbour takes a core, spinning threads hold up the ones they wait for, and a frame takes many times as
    long. Values that the user has set stay.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)


def keep_memory() -> bool:
    """Lets glibc keep the memory that one frame frees for the next one.

    By default it hands large blocks back to the kernel at once, and every frame of a network pays for mapping and
    clearing its memory anew.

    Returns:
        Whether it does so now: not where the environment sets malloc already, nor with another C library.
    """
    if "GLIBC_TUNABLES" in os.environ or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_MMAP_THRESHOLD, _LARGEST) and mallopt(_TRIM_THRESHOLD, _KEPT))
