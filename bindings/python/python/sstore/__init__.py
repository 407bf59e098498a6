"""sstore: an embedded LSM storage engine.

    >>> import sstore
    >>> with sstore.open("mydb") as db:
    ...     db[b"cat"] = b"meow"
    ...     for key, value in db.iterator(prefix=b"c"):
    ...         print(key, value)

A database is a sorted, crash-safe mapping of bytes to bytes. Keys and values are ``bytes`` or anything else with the
buffer protocol. Every object may be used from several threads.
"""

import atexit as _atexit
from collections.abc import MutableMapping as _MutableMapping

from . import _sstore
from ._errors import (
    BusyError,
    CancelledError,
    ClosedError,
    ConflictError,
    CorruptionError,
    DroppedError,
    Error,
    FencedError,
    ForkedError,
    GapError,
    InvalidArgumentError,
    IOFailure,
    LockedError,
    NoMemoryError,
    NoSpaceError,
    NotFoundError,
    NotSupportedError,
    PanicError,
    PoisonedError,
    ReadOnlyError,
    StalledError,
    TimedOutError,
    TooSmallError,
)
from ._sstore import (
    DB,
    MAX_KEY_BYTES,
    MAX_VALUE_BYTES,
    ColumnFamily,
    FlushToken,
    Iterator,
    Snapshot,
    WriteBatch,
    __version__,
    destroy,
    open,
    options,
)
from ._types import Event, FlushResult, OptionInfo, Segment

_MutableMapping.register(ColumnFamily)

# What is still open when the interpreter ends is closed while callbacks can still run.
_atexit.register(_sstore._close_all)

__all__ = [
    "DB",
    "MAX_KEY_BYTES",
    "MAX_VALUE_BYTES",
    "BusyError",
    "CancelledError",
    "ClosedError",
    "ColumnFamily",
    "ConflictError",
    "CorruptionError",
    "DroppedError",
    "Error",
    "Event",
    "FencedError",
    "FlushResult",
    "FlushToken",
    "ForkedError",
    "GapError",
    "IOFailure",
    "InvalidArgumentError",
    "Iterator",
    "LockedError",
    "NoMemoryError",
    "NoSpaceError",
    "NotFoundError",
    "NotSupportedError",
    "OptionInfo",
    "PanicError",
    "PoisonedError",
    "ReadOnlyError",
    "Segment",
    "Snapshot",
    "StalledError",
    "TimedOutError",
    "TooSmallError",
    "WriteBatch",
    "__version__",
    "destroy",
    "open",
    "options",
]
