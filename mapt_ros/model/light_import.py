"""Spares every start the import of torch's compiler, which torchvision wants for one function that hardly anybody calls.

``torchvision.ops.roi_align`` asks ``torch._dynamo`` whether a device can compile, and only when deterministic algorithms
are on. Importing it takes a third of the time until the first frame.
"""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

_COMPILER = "torch._dynamo.utils"


def defer_compiler() -> None:
    """When torchvision is imported, the compiler is not; it is as soon as somebody asks for it."""
    if not {"torchvision", "torch._dynamo"} & set(sys.modules):
        sys.meta_path.insert(0, _TorchvisionFinder())


class _TorchvisionFinder(MetaPathFinder):
    """Finds torchvision, once, as the other finders do, but has the compiler hidden while it is executed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As of MetaPathFinder; None for everything else."""
        if name != "torchvision":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None and "torch._dynamo" not in sys.modules:
            execute = spec.loader.exec_module
            spec.loader.exec_module = lambda module: _execute(module, execute)
        return spec


def _execute(module: ModuleType, execute: Callable[[ModuleType], None]) -> None:
    stand_in = ModuleType(_COMPILER)
    stand_in.is_compile_supported = lambda device: import_module(_COMPILER).is_compile_supported(device)
    stand_in.__getattr__ = _from_compiler
    sys.modules[_COMPILER] = stand_in
    try:
        execute(module)
    finally:
        if sys.modules.get(_COMPILER) is stand_in:
            del sys.modules[_COMPILER]


def _from_compiler(name: str) -> object:
    """Gives way to the real module where anything else of it is wanted."""
    if name.startswith("__"):  # the import system's own questions
        raise AttributeError(name)
    sys.modules.pop(_COMPILER, None)
    return getattr(import_module(_COMPILER), name)
