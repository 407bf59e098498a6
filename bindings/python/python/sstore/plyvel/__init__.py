"""For programs written for plyvel: ``import sstore.plyvel as plyvel``, and the rest of the program stays as it is.

The names, arguments and meanings are those of plyvel 1.5, on databases of sstore: a database that LevelDB wrote is not opened, but can be
imported. What differs:

- ``comparator`` raises NotImplementedError: keys are in the order of their bytes, always.
- ``verify_checksums``, ``fill_cache``, ``paranoid_checks``, ``max_open_files``, ``block_restart_interval`` and ``max_file_size`` are
  accepted and change nothing: every byte read is verified, and the engine sizes its files and caches by itself.
- ``compression='snappy'`` stands for LZ4.
- An iterator never leaves its range, wherever it is sent.
- ``compact_range`` compacts everything, ``approximate_size`` tells an estimate.
- Errors carry a message as text, not as bytes; paths may be ``os.PathLike``; keys may be anything with the buffer protocol.
- ``repair_db`` keeps the damaged database beside the new one; one that does not exist is an error.

The database itself, with all that sstore can do, is ``DB.sstore``.
"""

from __future__ import annotations

import os
from pathlib import Path

import sstore

from ._database import DB, PrefixedDB, Snapshot, WriteBatch, directory_of
from ._errors import CorruptionError, Error, IOError, IteratorInvalidError, translated
from ._iterators import Iterator, RawIterator

__version__ = sstore.__version__

__all__ = [
    "DB",
    "CorruptionError",
    "Error",
    "IOError",
    "Iterator",
    "IteratorInvalidError",
    "PrefixedDB",
    "RawIterator",
    "Snapshot",
    "WriteBatch",
    "__version__",
    "destroy_db",
    "repair_db",
]


@translated
def destroy_db(name: str | bytes | os.PathLike[str]) -> None:
    """Removes a database; refuses one that is open. One that does not exist is no error."""
    try:
        sstore.destroy(directory_of(name))
    except sstore.NotFoundError:
        return


@translated
def repair_db(
    name: str | bytes | os.PathLike[str],
    *,
    paranoid_checks: bool | None = None,
    write_buffer_size: int | None = None,
    max_open_files: int | None = None,
    lru_cache_size: int | None = None,
    block_size: int | None = None,
    block_restart_interval: int | None = None,
    max_file_size: int | None = None,
    compression: str | None = "snappy",
    bloom_filter_bits: int = 0,
    comparator: object = None,
    comparator_name: bytes | None = None,
) -> None:
    """Puts in the place of a damaged database a new one, of all that can be read of it.

    The damaged one stays beside it, as ``name.damaged``, ``name.damaged.1`` and so on. ``sstore.repair`` also tells what was lost.
    """
    del paranoid_checks, write_buffer_size, max_open_files, lru_cache_size, block_size, block_restart_interval
    del max_file_size, compression, bloom_filter_bits
    if comparator is not None or comparator_name is not None:
        raise NotImplementedError("sstore keeps keys in the order of their bytes: there are no custom comparators")
    path = Path(directory_of(name))
    repaired = _unused(path, "repaired")
    sstore.repair(path, repaired)
    path.rename(_unused(path, "damaged"))
    repaired.rename(path)


def _unused(path: Path, ending: str) -> Path:
    """A name beside ``path`` that is not taken."""
    count = 0
    while True:
        candidate = path.with_name(f"{path.name}.{ending}" + (f".{count}" if count else ""))
        if not candidate.exists():
            return candidate
        count += 1
