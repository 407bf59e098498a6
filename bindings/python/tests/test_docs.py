"""The documentation for users: its programs run, and every public name of the package is described, in the docs as well.

The blocks of a page marked ``python`` run in order, in an empty directory. One with a title is a file of that name instead, which later blocks can
import. Blocks marked otherwise are not run.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import sstore

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGES = ["index.md", "tutorial_keys.md", "tutorial_tables.md", "processes.md", "adapters.md", "importing.md", "import_leveldb.md", "coming_from.md"]
MODULES = ["sstore", "sstore.aio", "sstore.codecs", "sstore.dbm", "sstore.plyvel", "sstore.progress", "sstore.shelve"]
# Where a page promises to show something.
PRINTED = {"tutorial_tables.md": ["'sensor': 42", "groups read"], "index.md": ["b'cat' b'meow'"], "import_leveldb.md": ["1000"]}


def test_every_page_with_programs_is_run() -> None:
    assert {page.name for page in DOCS.rglob("*.md") if "```python" in page.read_text()} == set(PAGES)


def leveldb(path: Path) -> None:
    """What that page finds."""
    plyvel: Any = pytest.importorskip("plyvel", reason="NOT RUN: plyvel has no wheel for this Python")
    old = plyvel.DB(str(path), create_if_missing=True)
    for number in range(1000):
        old.put(b"key %d" % number, b"value")
    old.close()


@pytest.fixture
def logger() -> Iterator[None]:
    """What a page does to the logger ends with it."""
    logger = logging.getLogger("sstore")
    handlers, level = list(logger.handlers), logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.mark.usefixtures("logger")
@pytest.mark.parametrize("name", PAGES)
def test_the_programs_of_a_page_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    # Spawned processes find the files of the page too.
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    if name == "import_leveldb.md":
        leveldb(tmp_path / "old_db")
    text = (DOCS / name).read_text()
    scope: dict[str, object] = {"__name__": "page"}
    before = set(sys.modules)
    blocks = list(re.finditer(r'```python(?: title="([\w.]+)")?\n(.*?)```', text, re.DOTALL))
    assert blocks
    for block in blocks:
        if block[1]:
            Path(block[1]).write_text(block[2])
            continue
        line = text.count("\n", 0, block.start(2))
        # Lines are numbered as in the page, so that a traceback points there.
        exec(compile("\n" * line + block[2], str(DOCS / name), "exec"), scope)
    for module in set(sys.modules) - before:
        if getattr(sys.modules[module], "__file__", None) and str(tmp_path) in str(sys.modules[module].__file__):
            del sys.modules[module]
    printed = capsys.readouterr().out
    for expected in PRINTED.get(name, []):
        assert expected in printed


def public(module: ModuleType) -> Iterator[tuple[str, object]]:
    """The names that a module offers, and the members of its classes."""
    for name in module.__all__:
        found = getattr(module, name)
        if not (inspect.isclass(found) or callable(found)):
            continue
        yield f"{module.__name__}.{name}", found
        if inspect.isclass(found) and not issubclass(found, BaseException):
            for member, value in vars(found).items():
                if not member.startswith("_") and (callable(value) or inspect.isdatadescriptor(value)):
                    yield f"{module.__name__}.{name}.{member}", value


@pytest.mark.parametrize("name", MODULES)
def test_every_public_member_is_described(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    missing = []
    for path, found in public(module):
        # The fields of a dataclass are described by the text below each.
        if not inspect.getdoc(found) and not inspect.ismemberdescriptor(found):
            missing.append(path)
    assert not missing


def test_every_public_name_is_in_the_reference() -> None:
    text = "".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
    named = set(re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE))
    for name in sstore.__all__:
        found = getattr(sstore, name)
        whole = getattr(found, "__module__", None) in named
        if not whole and (inspect.isclass(found) or callable(found)):
            assert f"sstore.{name}" in named, name
    assert set(MODULES) - {"sstore"} <= named
