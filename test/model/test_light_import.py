"""Torch's compiler stays out of a start, and is there for whoever asks; each case in a process of its own."""

import subprocess
import sys

import pytest


def said(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_tracker_is_imported_without_the_compiler():
    code = "import sys; from mapt_ros import PanopticTracker; print(*[m for m in sys.modules if m.startswith('torch._dyn')])"
    assert said(code) == ""


@pytest.mark.parametrize(
    "asked",
    [
        "import torch._dynamo.utils; print(torch._dynamo.utils.is_compile_supported('cpu'))",
        "from torchvision.ops.roi_align import is_compile_supported; print(is_compile_supported('cpu'))",
        "import torch; print(bool(torch.compile(lambda x: x + 1, backend='eager')(torch.zeros(1)).item() == 1))",
    ],
)
def test_compiler_is_there_when_it_is_asked_for(asked):
    assert said(f"from mapt_ros import PanopticTracker; {asked}") == "True"


def test_a_torchvision_that_wants_more_of_the_compiler_gets_it(tmp_path):
    (tmp_path / "torchvision.py").write_text("from torch._dynamo.utils import counters\nimport torch._dynamo\n")
    code = f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
import mapt_ros.model, torchvision, torch
print(torchvision.counters is torch._dynamo.utils.counters)"""
    assert said(code) == "True"


def test_a_compiler_that_is_loaded_already_stays():
    code = "import torch._dynamo.utils as before; import mapt_ros.model, torchvision, torch"
    assert said(f"{code}; print(torch._dynamo.utils is before)") == "True"


def test_package_without_torchvision_says_so():
    code = "import sys; sys.modules['torchvision'] = None; import mapt_ros.model\ntry: import torchvision\nexcept ImportError: print('no')"
    assert said(code) == "no"
