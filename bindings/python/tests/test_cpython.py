"""CPython's own tests of mappings, of dbm and of shelve, run on the classes of sstore.

What does not apply, and why:

- ``TestMappingProtocol`` and ``TestHashMappingProtocol``: they make mappings of numbers, and of keyword arguments, and copy and compare them as a dict
  does. A database is opened, not made of keys, and its keys are bytes.
- ``test_update`` of mappings over bytes has its cases below, as CPython's have text for keys.
- ``dbm.open`` is led to ``sstore.dbm.open``: itself it asks ``dbm.whichdb``, which knows only files.
- Of the tests of ``dbm.dumb`` those that look into its files, and those of the words of its messages: ``NOT_OF_OURS``.

The ``test`` package is part of CPython, but some systems leave it out (Debian: libpython3-testsuite).
"""

from __future__ import annotations

import importlib
import itertools
import tempfile
import types
import unittest
from collections.abc import Iterable, Iterator
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
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Hundreds of databases come and go here; in memory that takes no time.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        monkeypatch.chdir(name)
        world.path, world.opened, world.numbers = Path(name), [], itertools.count()
        yield
        for db in world.opened:
            db.close()


class BytesMapping(mapping_tests.BasicTestMappingProtocol):  # type: ignore[misc]
    """The cases take their own keys from `_reference`; those written as text or numbers in the cases become bytes on the way."""

    def _reference(self) -> dict[bytes, bytes]:
        return {b"1": b"2", b"key1": b"value1", b"key2": b"(1, 2, 3)"}

    def _empty_mapping(self) -> Any:
        return world.store()

    def test_update(self) -> None:
        """Its cases, with keys that are bytes; those of CPython's have text."""

        class Failed(Exception):
            pass

        class Found:
            def __init__(self, keys: Iterable[bytes]) -> None:
                self.names = keys

            def keys(self) -> Iterable[bytes]:
                return self.names

            def __getitem__(self, key: bytes) -> bytes:
                return bytes(reference[key])

        class Lost(Found):
            def __getitem__(self, key: bytes) -> bytes:
                raise Failed

        def raising() -> Iterator[Any]:
            raise Failed
            yield

        reference = self.reference
        mapping = self._empty_mapping()
        mapping.update()
        assert mapping == self._empty_mapping()
        for given in (self.other, self.other.items(), iter(self.other.items())):
            mapping.update(given)
            assert list(mapping.items()) == list(self.other.items())
            mapping.clear()
        mapping.update(Found(reference))
        assert sorted(mapping.items()) == sorted(reference.items())
        mapping.clear()
        for bad in (Found(raising()), Lost(reference), raising()):
            with self.assertRaises(Failed):
                mapping.update(bad)
        with self.assertRaises((TypeError, AttributeError)):
            mapping.update(42)
        with self.assertRaises(ValueError):
            mapping.update([(b"1", b"2", b"3")])


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
    "test_check_closed": "words of the message",
    "test_dumbdbm_read": "words of the message",
    "test_invalid_flag": "words of the message",
    "test_dumbdbm_creation_mode": "looks at the modes of dbm.dumb's two files",
    "test_eval": "writes code into dbm.dumb's index",
    "test_line_endings": "rewrites the line ends of dbm.dumb's index",
    "test_missing_data": "removes dbm.dumb's files one by one",
    "test_missing_index": "removes dbm.dumb's index",
    "test_nonascii_filename": "looks for the endings of dbm.dumb's names",
    "test_readonly_files": "changes the modes of dbm.dumb's two files",
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
