"""Writes byte keys and rows of a table in one atomic batch after the other, and goes on where it was killed.

usage: load_table.py DATABASE ROWS ACKNOWLEDGEMENTS [option=value]...

Batch n puts the rows n * 1000 to n * 1000 + 999 into the table "readings", deletes one row of the batch before, and sets the key
b"batches" to n + 1: all of it or nothing of it is there after a kill. ACKNOWLEDGEMENTS is a file of eight bytes, mapped shared, as in
load.py: how many rows are written.
"""

import array
import importlib
import mmap
import os
import struct
import sys
import time
from collections.abc import Iterator
from typing import Any

import sstore

nanoarrow: Any = importlib.import_module("nanoarrow")

BATCH = 1_000
SCHEMA = {"id": "int64", "sensor": "string", "celsius": "double"}


def map_acknowledgements(path: str) -> mmap.mmap:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(file, 8)
    page = mmap.mmap(file, 8)
    os.close(file)
    return page


def sensor(row: int) -> str:
    return f"sensor {row % 100:02}"


def celsius(row: int) -> float:
    return row * 7_919 % 4_000 / 100


def rows(first: int) -> Any:
    """The rows of a batch, as Arrow data by nanoarrow: any Arrow library will do."""
    ids = range(first, first + BATCH)
    columns = [
        nanoarrow.c_array(array.array("q", ids)),
        nanoarrow.c_array([sensor(row) for row in ids], nanoarrow.string()),
        nanoarrow.c_array(array.array("d", map(celsius, ids))),
    ]
    kind = nanoarrow.struct({"id": nanoarrow.int64(), "sensor": nanoarrow.string(), "celsius": nanoarrow.float64()})
    return nanoarrow.c_array_from_buffers(kind, BATCH, [None], children=columns)


def batches(total: int, done: int) -> Iterator[int]:
    yield from range(done // BATCH, total // BATCH)


def main() -> None:
    database, total, acknowledgements = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    options = dict(argument.split("=", 1) for argument in sys.argv[4:])
    page = map_acknowledgements(acknowledgements)
    start, shown = time.monotonic(), time.monotonic()
    with sstore.open(database, on_event=None, **options) as db:
        readings = db.table("readings", SCHEMA, key="id")
        done = first = int(db.get(b"batches", b"0")) * BATCH
        for number in batches(total, done):
            with db.write_batch() as batch:
                batch[b"batches"] = b"%d" % (number + 1)
                batch.append(readings, rows(number * BATCH))
                if number:
                    batch.delete_rows(readings, [number * BATCH - 1])
            done = (number + 1) * BATCH
            page[:8] = struct.pack("<Q", done)
            if time.monotonic() - shown > 0.5:
                shown = time.monotonic()
                print(f"{done:>10,} rows, {(done - first) / (shown - start):,.0f} a second", flush=True)
    print(f"{done:>10,} rows written", flush=True)


if __name__ == "__main__":
    main()
