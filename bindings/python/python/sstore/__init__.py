"""sstore: an embedded LSM storage engine.

    >>> import sstore
    >>> with sstore.open("mydb") as db:
    ...     db[b"cat"] = b"meow"
    ...     for key, value in db.iter(prefix=b"c"):
    ...         print(key, value)

A database is a sorted, crash-safe mapping of bytes to bytes. Keys and values are ``bytes`` or anything else with the
buffer protocol. It may also hold tables of Arrow rows:

    >>> with sstore.open("mydb") as db:
    ...     pets = db.table("pets", {"name": "string", "age": "int64"}, key=["name"])
    ...     pets.append([{"name": "Tom", "age": 9}])
    ...     pets.scan(where=sstore.col("age") > 3).to_pylist()
    1
    [{'name': 'Tom', 'age': 9}]

Every object may be used from several threads.
"""

import atexit as _atexit
import logging as _logging
from collections.abc import Mapping as _Mapping
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
from ._expressions import Column, Expr, col
from ._sstore import (
    DB,
    MAX_KEY_BYTES,
    MAX_VALUE_BYTES,
    Array,
    ColumnFamily,
    Cursor,
    FlushToken,
    Iterator,
    LiveFiles,
    ReadOnlyDB,
    RecordBatch,
    Scan,
    Schema,
    Snapshot,
    Split,
    Splits,
    Table,
    WriteBatch,
    __version__,
    destroy,
    open,
    options,
    repair,
)
from ._types import (
    Event,
    Export,
    ExportedFile,
    FileExplanation,
    FlushResult,
    LevelDBImport,
    LiveFile,
    OptionInfo,
    Progress,
    RepairedFile,
    RepairReport,
    SalvagedSegment,
    ScanExplanation,
    Segment,
)
from ._views import Prefixed, PrefixedSnapshot, SortedItems, SortedKeys, SortedValues

_MutableMapping.register(ColumnFamily)  # pyright: ignore[reportAttributeAccessIssue]
_Mapping.register(Snapshot)  # pyright: ignore[reportAttributeAccessIssue]

# Without handlers of the application nothing is written anywhere.
_logging.getLogger("sstore").addHandler(_logging.NullHandler())

# What is still open when the interpreter ends is closed while callbacks can still run.
_atexit.register(_sstore._close_all)

__all__ = [
    "DB",
    "MAX_KEY_BYTES",
    "MAX_VALUE_BYTES",
    "Array",
    "BusyError",
    "CancelledError",
    "ClosedError",
    "Column",
    "ColumnFamily",
    "ConflictError",
    "CorruptionError",
    "Cursor",
    "DroppedError",
    "Error",
    "Event",
    "Export",
    "ExportedFile",
    "Expr",
    "FencedError",
    "FileExplanation",
    "FlushResult",
    "FlushToken",
    "ForkedError",
    "GapError",
    "IOFailure",
    "InvalidArgumentError",
    "Iterator",
    "LevelDBImport",
    "LiveFile",
    "LiveFiles",
    "LockedError",
    "NoMemoryError",
    "NoSpaceError",
    "NotFoundError",
    "NotSupportedError",
    "OptionInfo",
    "PanicError",
    "PoisonedError",
    "Prefixed",
    "PrefixedSnapshot",
    "Progress",
    "ReadOnlyDB",
    "ReadOnlyError",
    "RecordBatch",
    "RepairReport",
    "RepairedFile",
    "SalvagedSegment",
    "Scan",
    "ScanExplanation",
    "Schema",
    "Segment",
    "Snapshot",
    "SortedItems",
    "SortedKeys",
    "SortedValues",
    "Split",
    "Splits",
    "StalledError",
    "Table",
    "TimedOutError",
    "TooSmallError",
    "WriteBatch",
    "__version__",
    "col",
    "destroy",
    "open",
    "options",
    "repair",
]
