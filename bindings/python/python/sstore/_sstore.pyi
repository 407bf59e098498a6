# The types of the native module, as stubtest checks them against what is built.
import os
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Protocol, Self, TypeVar, final, overload

# Type checkers know this module without its being installed.
from typing_extensions import Buffer, disjoint_base

from ._types import Event, FlushResult, OptionInfo, Segment, SortedItems, SortedKeys, SortedValues

__version__: Final[str]
MAX_KEY_BYTES: Final[int]
MAX_VALUE_BYTES: Final[int]

__all__ = [
    "DB",
    "MAX_KEY_BYTES",
    "MAX_VALUE_BYTES",
    "ColumnFamily",
    "FlushToken",
    "Iterator",
    "Snapshot",
    "WriteBatch",
    "__version__",
    "_close_all",
    "destroy",
    "open",
    "options",
]

_T = TypeVar("_T")
_Option = bool | int | str | os.PathLike[str] | None

class _Pairs(Protocol):
    def keys(self) -> Iterable[Buffer]: ...
    def items(self) -> Iterable[tuple[Buffer, Buffer]]: ...

_PairsOrItems = _Pairs | Mapping[Any, Any] | Iterable[tuple[Buffer, Buffer]]

@disjoint_base
class ColumnFamily(MutableMapping[bytes, bytes]):
    @property
    def name(self) -> str: ...
    @property
    def id(self) -> int: ...
    @property
    def dropped(self) -> bool: ...
    @overload
    def get(self, key: Buffer, default: None = None, *, snapshot: Snapshot | None = None) -> bytes | None: ...
    @overload
    def get(self, key: Buffer, default: _T, *, snapshot: Snapshot | None = None) -> bytes | _T: ...
    def get_with_sequence(self, key: Buffer) -> tuple[bytes, int] | None: ...
    @overload
    def multi_get(
        self, keys: Iterable[Buffer], default: None = None, *, snapshot: Snapshot | None = None
    ) -> list[bytes | None]: ...
    @overload
    def multi_get(
        self, keys: Iterable[Buffer], default: _T, *, snapshot: Snapshot | None = None
    ) -> list[bytes | _T]: ...
    def contains(self, key: Buffer) -> bool: ...
    def put(self, key: Buffer, value: Buffer, *, sync: bool | None = None) -> int: ...
    def delete(self, key: Buffer, *, sync: bool | None = None) -> int: ...
    def put_many(self, pairs: _PairsOrItems, *, sync: bool | None = None, atomic: bool = True) -> int: ...
    def delete_many(self, keys: Iterable[Buffer], *, sync: bool | None = None, atomic: bool = True) -> int: ...
    def put_if_absent(self, key: Buffer, value: Buffer, *, sync: bool | None = None) -> int: ...
    def replace(self, key: Buffer, value: Buffer, sequence: int, *, sync: bool | None = None) -> int: ...
    def write_batch(self, *, sync: bool | None = None) -> WriteBatch: ...

    @overload
    def iterator(
        self,
        start: Buffer | None = None,
        stop: Buffer | None = None,
        *,
        prefix: Buffer | None = None,
        reverse: bool = False,
        include_key: Literal[True] = True,
        include_value: Literal[True] = True,
        snapshot: Snapshot | None = None,
        include_start: bool = True,
        include_stop: bool = False,
        scan: bool = False,
    ) -> Iterator[tuple[bytes, bytes]]: ...

    @overload
    def iterator(
        self,
        start: Buffer | None = None,
        stop: Buffer | None = None,
        *,
        prefix: Buffer | None = None,
        reverse: bool = False,
        include_key: Literal[True] = True,
        include_value: Literal[False],
        snapshot: Snapshot | None = None,
        include_start: bool = True,
        include_stop: bool = False,
        scan: bool = False,
    ) -> Iterator[bytes]: ...

    @overload
    def iterator(
        self,
        start: Buffer | None = None,
        stop: Buffer | None = None,
        *,
        prefix: Buffer | None = None,
        reverse: bool = False,
        include_key: Literal[False],
        include_value: Literal[True] = True,
        snapshot: Snapshot | None = None,
        include_start: bool = True,
        include_stop: bool = False,
        scan: bool = False,
    ) -> Iterator[bytes]: ...

    @overload
    def iterator(
        self,
        start: Buffer | None = None,
        stop: Buffer | None = None,
        *,
        prefix: Buffer | None = None,
        reverse: bool = False,
        include_key: Literal[False],
        include_value: Literal[False],
        snapshot: Snapshot | None = None,
        include_start: bool = True,
        include_stop: bool = False,
        scan: bool = False,
    ) -> Iterator[None]: ...

    @overload
    def flush(self, wait: Literal[True] = True, timeout: float | None = None) -> FlushResult: ...
    @overload
    def flush(self, wait: Literal[False], timeout: float | None = None) -> FlushToken: ...
    def compact(self) -> None: ...
    def segments(self) -> list[Segment]: ...
    def keys(self) -> SortedKeys: ...
    def values(self) -> SortedValues: ...
    def items(self) -> SortedItems: ...
    @overload
    def pop(self, key: Buffer, /) -> bytes: ...
    @overload
    def pop(self, key: Buffer, default: _T, /) -> bytes | _T: ...
    def popitem(self) -> tuple[bytes, bytes]: ...
    def setdefault(self, key: Buffer, default: Buffer) -> bytes: ...
    def update(self, pairs: _PairsOrItems, /) -> None: ...  # type: ignore[override]
    def clear(self) -> None: ...
    def __getitem__(self, key: Buffer, /) -> bytes: ...
    def __setitem__(self, key: Buffer, value: Buffer, /) -> None: ...
    def __delitem__(self, key: Buffer, /) -> None: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...
    def __iter__(self) -> Iterator[bytes]: ...
    def __reversed__(self) -> Iterator[bytes]: ...
    def __eq__(self, other: object, /) -> bool: ...

@final
class DB(ColumnFamily):
    @property
    def path(self) -> Path: ...
    @property
    def closed(self) -> bool: ...
    @property
    def background_error(self) -> Exception | None: ...
    def close(self, *, flush: bool | None = None, timeout: float | None = None, force: bool = True) -> None: ...
    def create_column_family(self, name: str, /, **options: _Option) -> ColumnFamily: ...
    def column_family(self, name: str) -> ColumnFamily: ...
    def column_families(self) -> list[str]: ...
    def drop_column_family(self, family: ColumnFamily | str) -> None: ...
    def snapshot(self) -> Snapshot: ...
    def sync(self) -> None: ...
    def resume(self) -> None: ...
    def verify(self) -> None: ...
    def stats(self) -> dict[str, Any]: ...
    def _repr_html_(self) -> str: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        value: BaseException | None = None,
        traceback: TracebackType | None = None,
        /,
    ) -> None: ...

@final
class Iterator(Iterable[_T]):
    def __iter__(self) -> Self: ...
    def __next__(self) -> _T: ...
    def next_batch(self, limit: int = 1024) -> list[_T]: ...
    def seek(self, key: Buffer) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        value: BaseException | None = None,
        traceback: TracebackType | None = None,
        /,
    ) -> None: ...

@final
class Snapshot:
    @property
    def sequence(self) -> int: ...
    @overload
    def get(self, key: Buffer, default: None = None, *, column_family: ColumnFamily | None = None) -> bytes | None: ...
    @overload
    def get(self, key: Buffer, default: _T, *, column_family: ColumnFamily | None = None) -> bytes | _T: ...
    @overload
    def multi_get(
        self, keys: Iterable[Buffer], default: None = None, *, column_family: ColumnFamily | None = None
    ) -> list[bytes | None]: ...
    @overload
    def multi_get(
        self, keys: Iterable[Buffer], default: _T, *, column_family: ColumnFamily | None = None
    ) -> list[bytes | _T]: ...

    @overload
    def iterator(
        self,
        start: Buffer | None = None,
        stop: Buffer | None = None,
        *,
        prefix: Buffer | None = None,
        reverse: bool = False,
        include_key: Literal[True] = True,
        include_value: Literal[True] = True,
        include_start: bool = True,
        include_stop: bool = False,
        scan: bool = False,
        column_family: ColumnFamily | None = None,
    ) -> Iterator[tuple[bytes, bytes]]: ...

    @overload
    def iterator(
        self,
        start: Buffer | None = None,
        stop: Buffer | None = None,
        *,
        prefix: Buffer | None = None,
        reverse: bool = False,
        include_key: Literal[True] = True,
        include_value: Literal[False],
        include_start: bool = True,
        include_stop: bool = False,
        scan: bool = False,
        column_family: ColumnFamily | None = None,
    ) -> Iterator[bytes]: ...

    @overload
    def iterator(
        self,
        start: Buffer | None = None,
        stop: Buffer | None = None,
        *,
        prefix: Buffer | None = None,
        reverse: bool = False,
        include_key: Literal[False],
        include_value: Literal[True] = True,
        include_start: bool = True,
        include_stop: bool = False,
        scan: bool = False,
        column_family: ColumnFamily | None = None,
    ) -> Iterator[bytes]: ...

    @overload
    def iterator(
        self,
        start: Buffer | None = None,
        stop: Buffer | None = None,
        *,
        prefix: Buffer | None = None,
        reverse: bool = False,
        include_key: Literal[False],
        include_value: Literal[False],
        include_start: bool = True,
        include_stop: bool = False,
        scan: bool = False,
        column_family: ColumnFamily | None = None,
    ) -> Iterator[None]: ...

    def close(self) -> None: ...
    def __getitem__(self, key: Buffer, /) -> bytes: ...
    def __contains__(self, key: Buffer, /) -> bool: ...
    def __iter__(self) -> Iterator[bytes]: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        value: BaseException | None = None,
        traceback: TracebackType | None = None,
        /,
    ) -> None: ...

@final
class WriteBatch:
    def put(self, key: Buffer, value: Buffer, *, column_family: ColumnFamily | None = None) -> None: ...
    def delete(self, key: Buffer, *, column_family: ColumnFamily | None = None) -> None: ...
    def put_many(self, pairs: _PairsOrItems, *, column_family: ColumnFamily | None = None) -> None: ...
    def append(self, other: WriteBatch) -> None: ...
    def clear(self) -> None: ...
    @property
    def size_bytes(self) -> int: ...
    def write(self, *, sync: bool | None = None) -> int: ...
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...
    def __setitem__(self, key: Buffer, value: Buffer, /) -> None: ...
    def __delitem__(self, key: Buffer, /) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        value: BaseException | None = None,
        traceback: TracebackType | None = None,
        /,
    ) -> None: ...

@final
class FlushToken:
    def poll(self) -> FlushResult | None: ...
    def wait(self, timeout: float | None = None) -> FlushResult: ...

def open(
    path: str | os.PathLike[str], *, on_event: Callable[[Event], object] | None = None, **options: _Option
) -> DB: ...
def destroy(path: str | os.PathLike[str]) -> None: ...
def options() -> list[OptionInfo]: ...
def _close_all() -> None: ...
