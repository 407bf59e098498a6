"""Plain values that calls of sstore return, and the views of its mappings."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from ._sstore import ColumnFamily


@dataclass(frozen=True, slots=True)
class FlushResult:
    """What a flush did."""

    files: tuple[int, ...]
    """The numbers of the files written."""
    entries: int
    bytes: int
    reason: str
    durable_sequence: int
    """Every write up to this sequence survives a power cut."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One live file of a column family or of a table."""

    column_family: str
    """The name of the column family, or of the table."""
    number: int
    path: Path
    level: int
    size_bytes: int
    entries: int
    tombstones: int
    smallest: bytes
    largest: bytes
    smallest_sequence: int
    largest_sequence: int


@dataclass(frozen=True, slots=True)
class FileExplanation:
    """What a scan does with one file of a table."""

    number: int
    skipped: str | None
    """Why nothing of it is read, or None."""
    groups: int
    """Row groups of a Parquet file, or batches of an Arrow file."""
    groups_read: int
    groups_outside_range: int
    """Groups left out because no key of theirs is in the range."""
    groups_ruled_out: int
    """Groups left out because the condition selects none of their rows."""
    whole_filter: bool
    """Whether the whole condition could rule out groups, not only what it says of the key."""


@dataclass(frozen=True, slots=True)
class ScanExplanation:
    """What a scan reads, and what it leaves out and why."""

    sequence: int
    memtables: int
    files: tuple[FileExplanation, ...]
    """The files of the table, newest first."""
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the engine did; fields that its kind has no use for are empty or 0."""

    kind: str
    unix_nanos: int
    collection: str
    number: int
    entries: int
    bytes: int
    micros: int
    detail: str
    text: str
    """The event as a line of a log."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class OptionInfo:
    """One option of ``open``, ``create_column_family`` or ``table``."""

    name: str
    type: str
    """``bool``, ``count``, ``bytes``, ``choice``, ``path`` or ``name``."""
    scope: str
    """``database`` or ``collection``."""
    default: str
    min: int
    max: int
    choices: tuple[str, ...]
    help: str


# The views ask the mapping for what they need in one pass; those of collections.abc would look every key up again.


class SortedKeys(KeysView[bytes]):
    """The keys of a mapping, in order."""

    __slots__ = ()
    _mapping: ColumnFamily

    def __iter__(self) -> Iterator[bytes]:
        return cast("Iterator[bytes]", self._mapping.iterator(include_value=False))

    def __reversed__(self) -> Iterator[bytes]:
        return cast("Iterator[bytes]", self._mapping.iterator(include_value=False, reverse=True))


class SortedValues(ValuesView[bytes]):
    """The values of a mapping, in the order of their keys."""

    __slots__ = ()
    _mapping: ColumnFamily

    def __contains__(self, value: object) -> bool:
        return any(value == each for each in self)

    def __iter__(self) -> Iterator[bytes]:
        return cast("Iterator[bytes]", self._mapping.iterator(include_key=False))

    def __reversed__(self) -> Iterator[bytes]:
        return cast("Iterator[bytes]", self._mapping.iterator(include_key=False, reverse=True))


class SortedItems(ItemsView[bytes, bytes]):
    """The pairs of a mapping, in the order of their keys."""

    __slots__ = ()
    _mapping: ColumnFamily

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return cast("Iterator[tuple[bytes, bytes]]", self._mapping.iterator())

    def __reversed__(self) -> Iterator[tuple[bytes, bytes]]:
        return cast("Iterator[tuple[bytes, bytes]]", self._mapping.iterator(reverse=True))
