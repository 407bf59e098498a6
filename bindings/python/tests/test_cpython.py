"""CPython's own tests of mappings, of dbm and of shelve, run on the classes of sstore.

What does not apply, and why:

- ``TestHashMappingProtocol``, ``fromkeys``, ``copy``, keyword arguments of ``update`` and of the constructor: a database is opened, not made of keys, and
  its keys are bytes, which no keyword is.
- A bad pair for ``update`` is a TypeError or a ValueError of ours; ``42`` a TypeError, as there.
- The tests of ``dbm`` that open by ``dbm.open`` are led to ``sstore.dbm.open``: ``dbm.open`` asks ``dbm.whichdb``, which knows files only.
- Of ``dbm.dumb``'s tests those that look into its files, and those that it alone has: a database that is not locked against itself.

The ``test`` package is part of CPython, but some systems leave it out (Debian: libpython3-testsuite).
"""

from __future__ import annotations

import importlib
import itertools
import types
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sstore
import sstore.codecs
import sstore.dbm
import sstore.shelve

mapping_tests: Any = pytest.importorskip("test.mapping_tests", reason="NOT RUN: this Python comes without its own tests (libpython3-testsuite)")


class World:
    """Where the mappings of one test live; unittest makes its cases by itself, so it is found here."""

    path: Path
    opened: list[sstore.DB]
    numbers: Iterator[int]

    def store(self) -> sstore.DB:
        db = sstore.open(self.path / str(next(self.numbers)))
        self.opened.append(db)
        return db


world = World()


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    world.path, world.opened, world.numbers = tmp_path, [], itertools.count()
    yield
    for db in world.opened:
        db.close()


class BytesMapping(mapping_tests.BasicTestMappingProtocol):  # type: ignore[misc]
    """The cases take their own keys from `_reference`; those written as text or numbers in the cases become bytes on the way."""

    def _reference(self) -> dict[bytes, bytes]:
        return {b"1": b"2", b"key1": b"value1", b"key2": b"(1, 2, 3)"}

    def _empty_mapping(self) -> Any:
        return world.store()


class OfFamily(BytesMapping):
    def _empty_mapping(self) -> Any:
        return world.store().create_column_family("family")


class OfPrefix(BytesMapping):
    def _empty_mapping(self) -> Any:
        db = world.store()
        db.update({b"before": b"", b"prefix": b"", b"prefiy": b""})
        return db.prefixed(b"prefix-")


class OfDbm(BytesMapping):
    def _empty_mapping(self) -> Any:
        return sstore.dbm.Database(world.store())


class OfShelf(mapping_tests.BasicTestMappingProtocol):  # type: ignore[misc]
    def _reference(self) -> dict[str, Any]:
        return {"1": "2", "key1": "value1", "key2": [1, 2, 3]}

    def _empty_mapping(self) -> Any:
        return sstore.shelve.Shelf(world.store(), "json")


class OfShelfWithWriteback(OfShelf):
    def _empty_mapping(self) -> Any:
        return sstore.shelve.Shelf(world.store(), "json", writeback=True)


class OfPicklingShelf(mapping_tests.BasicTestMappingProtocol):  # type: ignore[misc]
    """With the values of the cases, a tuple among them."""

    def _empty_mapping(self) -> Any:
        return sstore.shelve.Shelf(world.store(), sstore.codecs.PickleUNSAFE)


def run(case: unittest.TestCase) -> None:
    result = unittest.TestResult()
    case.run(result)
    for _, reason in result.skipped:
        pytest.skip(reason)
    for _, text in [*result.failures, *result.errors]:
        pytest.fail(text, pytrace=False)
    assert result.testsRun == 1


def dbm_cases() -> list[tuple[str, str]]:
    found = []
    for module, kind in (("test.test_dbm", "AnyDBMTestCase"), ("test.test_dbm_dumb", "DumbDBMTestCase")):
        cases = getattr(importlib.import_module(module), kind)
        found += [(module, name) for name in dir(cases) if name.startswith("test_")]
    return found


# Cases of dbm.dumb that are about its own files, or the words of its messages.
NOT_OF_OURS = {
}


@pytest.mark.parametrize(("module", "name"), dbm_cases(), ids=lambda part: part.removeprefix("test."))
def test_dbm(module: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tests = importlib.import_module(module)
    ours = types.SimpleNamespace(open=sstore.dbm.open, error=sstore.dbm.error, _defaultmod=sstore.dbm)
    if module.endswith("dumb"):
        if name in NOT_OF_OURS:
            pytest.skip(f"does not apply: {NOT_OF_OURS[name]}")
        # Its flag has another default.
        ours.open = lambda file, flag="c", mode=0o666: sstore.dbm.open(file, flag, mode)
        monkeypatch.setattr(tests, "dumbdbm", ours)
        run(tests.DumbDBMTestCase(name))
    else:
        monkeypatch.setattr(tests, "dbm", ours)
        kind = type("OurDBMTestCase", (tests.AnyDBMTestCase, unittest.TestCase), {"module": sstore.dbm})
        run(kind(name))
