"""Rows of pets, which the tests of tables write and read."""

from __future__ import annotations

from typing import Any

import sstore

FORMATS = ["parquet", "arrow"]
PETS = {"id": "int64", "name": "string", "weight": "double"}


def rows(*ids: int) -> list[dict[str, Any]]:
    return [{"id": each, "name": f"n{each}", "weight": each / 2} for each in ids]


def ids(scan: sstore.Scan) -> list[int]:
    return [row["id"] for row in scan.to_pylist()]
