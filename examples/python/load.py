"""Loads lines of `key<tab>value` into a database through the wheel, and goes on where it was killed.

usage: load.py DATABASE LINES ACKNOWLEDGEMENTS [option=value]...

Batches of a thousand records are written BUFFERED: once `write` has returned, the kernel has them, and the death of this
process cannot lose them. ACKNOWLEDGEMENTS is a file of eight bytes, mapped shared: how many records are written, as a
little-endian number. It outlives the process in the same way. The program in examples/c/load.c does the same.
"""

import mmap
import os
import struct
import sys
import time

import sstore

BATCH = 1_000


def map_acknowledgements(path: str) -> mmap.mmap:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(file, 8)
    page = mmap.mmap(file, 8)
    os.close(file)
    return page


def show(event: sstore.Event) -> None:
    if event.kind == "flush_done":
        megabytes, seconds = event.bytes / 1e6, max(event.micros, 1) / 1e6
        print(f"flush: {event.entries:,} rows, {megabytes:.1f} MB, {megabytes / seconds:.0f} MB/s, file {event.number}", flush=True)


def main() -> None:
    database, lines, acknowledgements = sys.argv[1:4]
    options = dict(argument.split("=", 1) for argument in sys.argv[4:])
    page = map_acknowledgements(acknowledgements)
    done = struct.unpack("<Q", page[:8])[0]
    size, start, shown = os.path.getsize(lines), time.monotonic(), time.monotonic()
    with sstore.open(database, on_event=show, **options) as db, open(lines, "rb") as file:
        for _ in range(done):
            next(file)
        items: list[tuple[bytes, bytes]] = []
        first = done
        for line in file:
            key, _, value = line.rstrip(b"\n").partition(b"\t")
            items.append((key, value))
            if len(items) < BATCH:
                continue
            db.put_many(items)
            done += len(items)
            page[:8] = struct.pack("<Q", done)
            items.clear()
            if time.monotonic() - shown > 0.5:
                shown = time.monotonic()
                print(f"{done:>10,} records, {(done - first) / (shown - start):,.0f} a second", flush=True)
        if items:
            db.put_many(items)
            done += len(items)
            page[:8] = struct.pack("<Q", done)
    seconds = time.monotonic() - start
    print(f"{done:>10,} records in all; {done - first:,} in {seconds:.1f} s, flushed and closed; input of {size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
