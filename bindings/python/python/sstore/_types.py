"""Plain values that calls of sstore return."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
class LiveFile:
    """One file that a column family or a table consists of."""

    number: int
    path: Path
    """Where it lies; of an Arrow file its ``data.arrow``."""
    format: str
    """``blocks`` for a column family, ``parquet`` or ``arrow`` for a table."""
    level: int
    """How often its data was merged: 0 for a file that a flush wrote."""
    size_bytes: int
    """With the index that lies beside an Arrow file."""
    rows: int
    """Rows, or versions of keys, in it: deletes among them."""
    tombstones: int
    """How many of them are deletes."""
    multi_version: bool
    """Whether some key has more than one version in it."""
    smallest: bytes
    """Its least key; of a table encoded, and empty without a key."""
    largest: bytes
    smallest_sequence: int
    largest_sequence: int
    schema_id: int
    """The schema of its rows; 0 for a column family."""
    checksum: int


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file of an export."""

    name: str
    """Its name in the directory."""
    file: LiveFile
    """What is known of it; the path is that in the database."""


@dataclass(frozen=True, slots=True)
class Export:
    """What was exported."""

    files: tuple[ExportedFile, ...]
    """The files, oldest first, which is also the order of their names."""
    sequence: int
    """Every write up to this one is in them; they may hold newer rows."""
    copied: int
    """How many of them had to be copied."""


@dataclass(frozen=True, slots=True)
class RepairedFile:
    """What became of one file of a damaged database."""

    path: Path
    collection: str
    """The column family or table that it was found in."""
    number: int | None
    """None if it cannot be told."""
    rows: int
    skipped: str | None
    """Why it was left out; None: it is in the new database."""


@dataclass(frozen=True, slots=True)
class SalvagedSegment:
    """What became of one segment of the log of a damaged database."""

    path: Path
    number: int
    records: int
    """The records that were read."""
    stopped: str | None
    """What was left out and why, the first place if there are several; None: it was read to its end."""


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What a repair found and did."""

    manifest_error: str | None
    """Why the manifest could not be used, or None."""
    files: tuple[RepairedFile, ...]
    log: tuple[SalvagedSegment, ...]
    log_operations: int
    """Operations of the log that are in the new database, beyond those in files."""
    log_operations_lost: int
    """Operations of the log that were given up: nothing tells where they belong."""
    collections: tuple[str, ...]
    """The names of the column families and tables of the new database."""


@dataclass(frozen=True, slots=True)
class LevelDBImport:
    """What the import of a LevelDB database did."""

    entries: int
    """Entries that were written."""
    payload_bytes: int
    """Bytes of keys and values that were written."""
    bytes_read: int
    """Bytes of the source that were read."""
    skipped: int
    """Damaged places that were skipped; 0 unless that was asked for."""
    skipped_bytes: int
    """Their bytes in the files, as far as that can be told."""
    damage: tuple[str, ...]
    """The first hundred of them, with file and offset."""
    torn_bytes: int
    """Bytes at the end of the last log that its writer, killed or cut off from power, did not finish."""


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


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long call is. Handed to its ``progress``, ten times a second at most, and at its end; an answer of False calls it off."""

    done: int
    total: int
    """0 while it is not known."""
    unit: str
    """What ``done`` and ``total`` count: ``bytes``, ``collections``, ``pairs`` or ``rows``."""
    phase: str
    """The name of the call."""
