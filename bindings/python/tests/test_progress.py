"""Bars of tqdm and rich, moved by calls that take long."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

import sstore
import sstore.progress
from sstore import Progress

tqdm = pytest.importorskip("tqdm")
console = pytest.importorskip("rich.console")


def filled(db: sstore.DB) -> sstore.DB:
    for part in range(3):
        db.put_many({b"%d %d" % (part, number): bytes(100) for number in range(2000)})
        db.flush()
    return db


def test_tqdm_shows_a_call_to_its_end(db: sstore.DB) -> None:
    text = io.StringIO()
    filled(db).verify(progress=sstore.progress.tqdm(file=text))
    assert "verify: 100%" in text.getvalue()
    assert text.getvalue().endswith("\n")


def test_rich_shows_a_call_to_its_end(db: sstore.DB) -> None:
    text = io.StringIO()
    filled(db).verify(progress=sstore.progress.rich(console=console.Console(file=text, force_terminal=True)))
    assert "verify" in text.getvalue()
    assert "100%" in text.getvalue()


def test_a_bar_goes_with_its_phase_and_ends_once() -> None:
    class Told(sstore.progress.Bar):
        def __init__(self) -> None:
            super().__init__()
            self.told: list[object] = []

        def _begin(self, progress: Progress) -> None:
            self.told.append(progress.phase)

        def _move(self, progress: Progress) -> None:
            self.told.append(progress.done)

        def _end(self) -> None:
            self.told.append("end")

    with Told() as bar:
        for done, total, phase in ((0, 0, "one"), (1, 2, "one"), (2, 2, "one"), (1, 5, "two"), (0, 0, "three"), (3, 9, "three")):
            bar(Progress(done, total, "bytes", phase))
    bar.close()
    assert bar.told == ["one", 0, 1, 2, "end", "two", 1, "end", "three", 0, 3, "end"]


@pytest.mark.parametrize("name", ["tqdm", "rich"])
def test_a_bar_is_drawn_while_the_total_is_unknown(name: str) -> None:
    text = io.StringIO()
    options = {"file": text} if name == "tqdm" else {"console": console.Console(file=text, force_terminal=True)}
    with getattr(sstore.progress, name)(**options) as bar:
        bar(Progress(0, 0, "collections", "compact"))
        bar(Progress(7, 9, "collections", "compact"))
    assert "7/9" in text.getvalue() or "78%" in text.getvalue()


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    script = "import sys, sstore.progress, sstore.plyvel, sstore.dbm, sstore.shelve; print({'tqdm', 'rich', 'pickle', 'asyncio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
