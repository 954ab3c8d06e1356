"""Tells what an exception from the network means for the device it ran on."""

import gc
import sys
from enum import Enum


class Fault(Enum):
    """What to do about an exception of the tracker."""

    FRAME = "frame"  # this input only: the next one may do
    OUT_OF_MEMORY = "out_of_memory"  # free the cache, run smaller batches
    DEVICE_LOST = "device_lost"  # nothing runs on this device any more in this process


def judge_error(error: BaseException) -> Fault:
    """Judges by torch's exception types and, where those say too little, by CUDA's own words.

    An error of the CUDA runtime other than a failed allocation (an illegal access, a device-side assertion, a GPU that
    fell off the bus) stays with the context: every later call fails with it.
    """
    torch = sys.modules.get("torch")  # no exception of torch comes from a process that has not imported it
    text = str(error).lower()
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return Fault.OUT_OF_MEMORY
    if not isinstance(error, RuntimeError):
        return Fault.FRAME
    if "out of memory" in text or "can't allocate memory" in text or "alloc_failed" in text:
        return Fault.OUT_OF_MEMORY
    if "cuda error" in text or (torch is not None and isinstance(error, torch.AcceleratorError)):
        return Fault.DEVICE_LOST
    return Fault.FRAME


def free_memory() -> None:
    """Gives back what nobody uses any more, torch's cache of GPU memory included."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
