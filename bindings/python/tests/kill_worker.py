"""Writes numbered records until it is killed. Started by test_kill.py; also by hand: kill_worker.py DATABASE SHARED SEED.

Records have rising ids. Each group of one to twenty is written as one batch to two families and names its first and last id,
so that a hole, or half a batch, shows. What the engine acknowledged goes to the shared file, which survives this process:

    bytes 0 to 7    the last acknowledged id
    bytes 8 to 15   the last id whose write was acknowledged with sync
    byte 16         what the worker is doing: an index into PHASES
"""

from __future__ import annotations

import mmap
import os
import random
import struct
import sys

import sstore

SHARED_BYTES = 4096
PHASES = ("starting", "opening", "writing", "writing_sync", "flushing", "compacting", "iterating", "closing")
RECORD = struct.Struct("<QQQ")


def open_database(path: str | os.PathLike[str]) -> sstore.DB:
    """With small buffers, so that flushes and merges go on all the time."""
    return sstore.open(path, write_buffer_bytes="32KiB", wal_segment_bytes="64KiB", compaction_trigger_runs=3)


def key_of(record: int) -> bytes:
    return b"%012d" % record


def value_of(record: int, first: int, last: int) -> bytes:
    return RECORD.pack(record, first, last) + bytes([record % 251]) * (record * 7919 % 300)


class Shared:
    """The shared file, as worker and test see it."""

    def __init__(self, path: str) -> None:
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), SHARED_BYTES)

    def _get(self, offset: int) -> int:
        (number,) = struct.unpack_from("<Q", self._map, offset)
        return int(number)

    @property
    def acknowledged(self) -> int:
        return self._get(0)

    @property
    def synced(self) -> int:
        return self._get(8)

    @property
    def phase(self) -> str:
        return PHASES[self._map[16]]

    def acknowledge(self, record: int, sync: bool) -> None:
        struct.pack_into("<Q", self._map, 0, record)
        if sync:
            struct.pack_into("<Q", self._map, 8, record)

    def enter(self, phase: str) -> None:
        self._map[16] = PHASES.index(phase)


def write_group(db: sstore.DB, mirror: sstore.ColumnFamily, first: int, last: int, sync: bool) -> None:
    with db.write_batch(sync=sync) as batch:
        for record in range(first, last + 1):
            value = value_of(record, first, last)
            batch.put(key_of(record), value)
            batch.put(key_of(record), value, column_family=mirror)
        batch.put(b"latest", key_of(last), column_family=mirror)


def main(path: str, shared: Shared, seed: int) -> None:
    rng = random.Random(seed)
    while True:
        shared.enter("opening")
        db = open_database(path)
        names = db.column_families()
        mirror = db.column_family("mirror") if "mirror" in names else db.create_column_family("mirror")
        newest = next(db.iter(values=False, reverse=True), None)
        record = 0 if newest is None else int(newest)
        for _ in range(rng.randrange(200, 2000)):
            first, last = record + 1, record + rng.randrange(1, 21)
            sync = rng.random() < 0.01
            shared.enter("writing_sync" if sync else "writing")
            write_group(db, mirror, first, last, sync)
            shared.acknowledge(last, sync)
            record = last
            match rng.randrange(400):
                case 0:
                    shared.enter("flushing")
                    db.flush()
                case 1:
                    shared.enter("compacting")
                    db.compact()
                case 2:
                    shared.enter("iterating")
                    db.iter(key_of(max(1, record - 500))).next_batch()
        shared.enter("closing")
        db.close()


if __name__ == "__main__":
    main(sys.argv[1], Shared(sys.argv[2]), int(sys.argv[3]))
