"""What `import sstore` brings with it: as little as can be, since every start of every program pays for it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import sstore

# Each of them takes longer than all of sstore, and most of them import others of them.
SLOW = {
    "argparse",
    "ast",
    "asyncio",
    "concurrent",
    "contextlib",
    "copy",
    "dataclasses",
    "enum",
    "functools",
    "importlib.metadata",
    "inspect",
    "json",
    "logging",
    "pathlib",
    "pickle",
    "re",
    "string",
    "tempfile",
    "threading",
    "traceback",
    "typing",
    "urllib",
}


def imported(script: str, *arguments: str) -> set[str]:
    """The modules that `script` imports in a fresh interpreter."""
    script = f"import sys\nbefore = set(sys.modules)\n{textwrap.dedent(script)}\nprint(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-I", "-c", script, *arguments], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_an_import_brings_little_else() -> None:
    modules = imported("import sstore")
    assert "sstore._sstore" in modules
    assert not SLOW & modules
    assert {name for name in modules if name.startswith("sstore.")} == {"sstore._errors", "sstore._sstore"}
    # `collections.abc`, `atexit`, and what those need.
    assert len(modules) < 20, modules


def test_reading_and_writing_brings_nothing_more(path: Path) -> None:
    script = """
        import sstore
        with sstore.open(sys.argv[1]) as db:
            db[b"a"] = b"1"
            db.put_many({b"b": b"2"})
            assert db[b"a"] == b"1" and list(db) == [b"a", b"b"] and len(db) == 2
            with db.snapshot() as snapshot, db.write_batch() as batch:
                del batch[b"b"]
                assert snapshot[b"b"] == b"2"
    """
    assert not SLOW & imported(script, str(path))


def test_what_is_imported_later_is_there_all_the_same() -> None:
    modules = imported(
        """
        import sstore
        assert {"Event", "col", "Prefixed", "__getattr__"} <= set(dir(sstore))
        assert sstore.col("a").name == "a"
        from sstore import *
        assert Progress(1, 2, "bytes", "x") == sstore.Progress(1, 2, "bytes", "x")
        assert all(name in globals() for name in sstore.__all__)
        """
    )
    assert {"sstore._expressions", "sstore._types", "sstore._views"} <= modules
    with pytest.raises(AttributeError, match="module 'sstore' has no attribute 'nothing'"):
        sstore.nothing  # type: ignore[attr-defined] # pyright: ignore


def test_a_log_is_heard_by_who_imports_logging_later(path: Path) -> None:
    # Without `logging` nobody listens, and nothing is written; what was opened before is heard all the same.
    script = """
        import sstore
        db = sstore.open(sys.argv[1], low_disk_bytes="1000TiB")
        assert "logging" not in sys.modules
        import logging
        lines = []
        handler = logging.Handler()
        handler.emit = lambda record: lines.append((record.levelno, record.getMessage()))
        logging.getLogger("sstore").addHandler(handler)
        db[b"a"] = b"1"
        db.flush()
        db.close()
        assert lines and all(level == logging.WARNING for level, _ in lines), lines
        assert any("low_disk" in line for _, line in lines), lines
    """
    imported(script, str(path))


def test_without_logging_nothing_is_written(path: Path) -> None:
    script = """
        import sys, sstore
        with sstore.open(sys.argv[1], low_disk_bytes="1000TiB") as db:
            db[b"a"] = b"1"
            db.flush()
        assert "logging" not in sys.modules
        import logging
        with sstore.open(sys.argv[1], low_disk_bytes="1000TiB") as db:
            db[b"a"] = b"1"
            db.flush()
    """
    done = subprocess.run([sys.executable, "-I", "-c", textwrap.dedent(script), str(path)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
