"""For mkdocstrings: what is described in the stub of the native module gets its docstring from the module itself. Used by mkdocs.yml.

Requires the wheel to be installed where mkdocs runs.
"""

import functools
import importlib
import inspect
from typing import Any

import griffe


class DocsOfNative(griffe.Extension):
    """Fills in the docstrings that a stub has none of."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None or not obj.path.startswith("sstore._sstore."):
            return
        module = importlib.import_module("sstore._sstore")
        try:
            found = functools.reduce(getattr, obj.path.split(".")[2:], module)
        except AttributeError:
            return
        if obj.is_attribute and not isinstance(found, property) and not inspect.isgetsetdescriptor(found):
            return
        text = inspect.getdoc(found)
        if text:
            obj.docstring = griffe.Docstring(text, parent=obj)
