"""What plyvel's databases tell of themselves, made of what sstore tells: sizes of ranges, and LevelDB's properties by name."""

from __future__ import annotations

from collections.abc import Iterable

import sstore

# How many bytes of a key behind those that all keys of a file share place it between the file's first and last key.
_PLACING_BYTES = 8


def approximate_size(segments: Iterable[sstore.Segment], start: bytes, stop: bytes) -> int:
    """The share of the files' bytes that lies from ``start`` to ``stop``, if the keys of each file are spread evenly."""
    total = 0.0
    for segment in segments:
        first, behind = _place(segment, start), _place(segment, stop)
        total += segment.size_bytes * max(0.0, behind - first)
    return round(total)


def _place(segment: sstore.Segment, key: bytes) -> float:
    """Where ``key`` would be in the file, from 0 (at its beginning) to 1 (behind its end)."""
    smallest, largest = segment.smallest, segment.largest
    if key <= smallest:
        return 0.0
    if key > largest:
        return 1.0
    shared = 0
    while shared < len(smallest) and smallest[shared] == largest[shared]:
        shared += 1

    def number(value: bytes) -> int:
        return int.from_bytes(value[shared : shared + _PLACING_BYTES].ljust(_PLACING_BYTES, b"\0"))

    span = number(largest) - number(smallest)
    return (number(key) - number(smallest)) / span if span else 0.5


def tell(store: sstore.DB, name: bytes) -> bytes | None:
    """The property ``name``, or None if there is none."""
    if name == b"leveldb.approximate-memory-usage":
        return b"%d" % store.memory_use()["total_bytes"]
    segments = store.column_family("default").segments()
    levels: dict[int, list[sstore.Segment]] = {}
    for segment in segments:
        levels.setdefault(segment.level, []).append(segment)
    if name == b"leveldb.stats":
        return _stats(levels)
    if name == b"leveldb.sstables":
        return _sstables(levels)
    level = name.removeprefix(b"leveldb.num-files-at-level")
    if level != name and level.isdigit():
        return b"%d" % len(levels.get(int(level), ()))
    return None


def _stats(levels: dict[int, list[sstore.Segment]]) -> bytes:
    lines = ["Level  Files Size(MB)", "---------------------"]
    for level, segments in sorted(levels.items()):
        size = sum(segment.size_bytes for segment in segments) / (1 << 20)
        lines.append(f"{level:5} {len(segments):6} {size:8.0f}")
    return ("\n".join(lines) + "\n").encode()


def _sstables(levels: dict[int, list[sstore.Segment]]) -> bytes:
    lines = []
    for level, segments in sorted(levels.items()):
        lines.append(f"--- level {level} ---")
        for segment in sorted(segments, key=lambda segment: segment.smallest):
            bounds = f"'{_readable(segment.smallest)}' .. '{_readable(segment.largest)}'"
            lines.append(f" {segment.number}:{segment.size_bytes}[{bounds}]")
    return "".join(f"{line}\n" for line in lines).encode()


def _readable(key: bytes) -> str:
    return repr(key)[2:-1]
