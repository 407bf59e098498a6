"""What the tests share: a fresh database, and a table in it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import sstore
from pets import FORMATS, PETS


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """Ctrl-C raises, here and in the processes of the tests, also where a shell began them in its background, which has it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db"


@pytest.fixture
def db(path: Path) -> Iterator[sstore.DB]:
    with sstore.open(path) as database:
        yield database


@pytest.fixture(params=FORMATS)
def pets(db: sstore.DB, request: pytest.FixtureRequest) -> sstore.Table:
    return db.table("pets", PETS, key="id", format=request.param)
