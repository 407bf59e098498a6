"""What the tests share: a fresh database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import sstore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db"


@pytest.fixture
def db(path: Path) -> Iterator[sstore.DB]:
    with sstore.open(path) as database:
        yield database
