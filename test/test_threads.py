"""What is set for a process is kept where the user has not chosen, and left alone where he has."""

import json
import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import json, resource, sys
import numpy as np
from mapt_ros.threads import keep_memory
kept = keep_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        np.full(1 << 20, 1.0)  # 8 MB, as a layer of a network asks for and gives back
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(json.dumps([kept, faults()]))
"""


def page_faults(**environment: str) -> tuple[bool, int]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_") and k != "GLIBC_TUNABLES"}
    command = [sys.executable, "-c", FAULTS]
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=clean | environment).stdout
    return tuple(json.loads(output))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told anything")
def test_freed_memory_is_used_again_without_asking_the_kernel_unless_the_user_chose_otherwise():
    kept, faults = page_faults()
    left, usual = page_faults(MALLOC_MMAP_THRESHOLD_="131072")
    assert (kept, left) == (True, False)
    assert faults < 50 < usual  # one a block at most, instead of one a page
