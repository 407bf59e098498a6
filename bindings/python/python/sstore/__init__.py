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

# For type checkers, which know the name. Not that of `typing`: that module takes longer to import than all of this one.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._expressions import Column, Expr, col
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
else:
    # These are imported when one of them is asked for: what they need takes several times as long to import as all the rest.
    _LATER = {
        "_expressions": ("Column", "Expr", "col"),
        "_types": (
            "Event",
            "Export",
            "ExportedFile",
            "FileExplanation",
            "FlushResult",
            "LevelDBImport",
            "LiveFile",
            "OptionInfo",
            "Progress",
            "RepairReport",
            "RepairedFile",
            "SalvagedSegment",
            "ScanExplanation",
            "Segment",
        ),
        "_views": ("Prefixed", "PrefixedSnapshot", "SortedItems", "SortedKeys", "SortedValues"),
    }

    def __getattr__(name):
        for module, names in _LATER.items():
            if name in names:
                from importlib import import_module

                module = import_module(f"{__name__}.{module}")
                globals().update((name, getattr(module, name)) for name in names)
                return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *__all__})


_MutableMapping.register(ColumnFamily)  # pyright: ignore[reportAttributeAccessIssue]
_Mapping.register(Snapshot)  # pyright: ignore[reportAttributeAccessIssue]

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
