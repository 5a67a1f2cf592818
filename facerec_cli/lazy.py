"""Packages whose public names are imported when they are first used.

So a module of a package that needs little, such as its settings, can be imported without what the rest needs:
``facerec embed --help`` shows what ``embed/settings.py`` declares and opens neither OpenCV nor ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package.

    Args:
        package: Its name, for messages.
        modules: Public name -> the module that it is imported from.
    """

    def find(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(modules[name]), name)

    return find
