"""What torch raises is told apart: one bad frame, no memory left, a device that is gone."""

import pytest
import torch

from mapt_ros.errors import InputError
from mapt_ros.ros.faults import Fault, free_memory, judge_error


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."), Fault.OUT_OF_MEMORY),
        (MemoryError(), Fault.OUT_OF_MEMORY),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
            Fault.OUT_OF_MEMORY,
        ),
        (RuntimeError("CUDA error: out of memory"), Fault.OUT_OF_MEMORY),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
            Fault.OUT_OF_MEMORY,
        ),
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered"), Fault.DEVICE_LOST),
        (RuntimeError("CUDA error: device-side assert triggered"), Fault.DEVICE_LOST),
        (RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"), Fault.FRAME),
        (InputError("image: 1x4000 pixels"), Fault.FRAME),
        (ValueError("cuda error"), Fault.FRAME),
    ],
)
def test_error_is_told_for_what_it_is(error, fault):
    assert judge_error(error) is fault


def test_a_real_allocation_that_is_too_large_counts_as_out_of_memory():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert judge_error(caught.value) is Fault.OUT_OF_MEMORY
    free_memory()
