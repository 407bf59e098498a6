"""For mkdocstrings: what is described in the stub of the native module gets its docstring from the module itself. Used by mkdocs.yml.

Requires the wheel to be installed where mkdocs runs.
"""

import functools
import importlib
import inspect
from typing import Any

import griffe

STUB = "sstore._sstore"


class DocsOfNative(griffe.Extension):
    """Fills in the docstrings that a stub has none of, and the functions that it has only overloads of."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Called when the package has been read."""
        stub = pkg["_sstore"]
        assert isinstance(stub, griffe.Module)
        overloads(stub)
        for member in list(stub.members.values()):
            if isinstance(member, griffe.Class):
                overloads(member)
                for inner in list(member.members.values()):
                    describe(inner)
            describe(member)


def overloads(owner: griffe.Module | griffe.Class) -> None:
    """A stub has no implementation beside the overloads of a function; they are shown with one."""
    for name, variants in owner.overloads.items():
        if name not in owner.members and variants:
            first = variants[0]
            function = griffe.Function(name, lineno=first.lineno, endlineno=first.endlineno, parameters=first.parameters)
            function.overloads = list(variants)
            owner.set_member(name, function)
    owner.members = dict(sorted(owner.members.items(), key=lambda item: 0 if item[1].is_alias else item[1].lineno or 0))


def describe(found: griffe.Object | griffe.Alias) -> None:
    """Takes the docstring from the native module."""
    if found.is_alias or found.docstring is not None or not found.path.startswith(f"{STUB}."):
        return
    try:
        native = functools.reduce(getattr, found.path.split(".")[2:], importlib.import_module(STUB))
    except AttributeError:
        return
    if callable(native) or inspect.isdatadescriptor(native):
        text = inspect.getdoc(native)
        if text:
            found.docstring = griffe.Docstring(text, parent=found)  # type: ignore[arg-type]
