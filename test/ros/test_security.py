"""What comes in by topics, bags and weights is data only: nothing in its path can be made to run code."""

import ast
from pathlib import Path

import pytest

import mapt_ros

ROOMS = ("ros", "replay", "tracking", "model", "viz", "data")
RUNS_CODE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
CALLS = {"eval", "exec", "torch.load", "np.load", "numpy.load", "yaml.load", "os.system"}


@pytest.mark.parametrize("room", ROOMS)
def test_input_never_meets_what_could_run_it(room):
    for path in (Path(mapt_ros.__file__).parent / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = {alias.name.split(".")[0] for alias in node.names}
                names.add((getattr(node, "module", None) or "").split(".")[0])
                assert not names & RUNS_CODE, path
            elif isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in CALLS, f"{path}:{node.lineno}"
