//! The one table of options: name, type, default, range, scope, a line of help.
//!
//! C, Python, the command line and the docs are all fed from [`OptionInfo::ALL`]. Values are set by name and text, or by
//! name and number, and checked when set; the engine reads them through the typed getters below.

use crate::error::{Error, Result};
use crate::observe::{Level, Listener, Logger};
use crate::sst::Compression;
use crate::wal::{ArchiveLimits, LogBackend, RecoveryMode};
use std::path::PathBuf;

/// What an option's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionType {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Count,
    /// A number of bytes; as text also with `KiB`, `MiB`, `GiB`.
    Bytes,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A path, or empty.
    Path,
    /// A name, or empty.
    Name,
}

impl OptionType {
    /// The type's name in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Count => "count",
            Self::Bytes => "bytes",
            Self::Choice(_) => "choice",
            Self::Path => "path",
            Self::Name => "name",
        }
    }
}

/// What an option belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionScope {
    /// The database as a whole, for as long as it is open.
    Database,
    /// A column family: given at its creation and stored; what is set at opening overrides it for as long as it is open.
    Collection,
}

/// One option.
#[derive(Debug)]
pub struct OptionInfo {
    /// Its name, as in the C, Python and Rust calls.
    pub name: &'static str,
    /// What its value is.
    pub kind: OptionType,
    /// What it belongs to.
    pub scope: OptionScope,
    /// The default as text.
    pub default: &'static str,
    /// The least number allowed.
    pub min: u64,
    /// The greatest number allowed.
    pub max: u64,
    /// A line of help.
    pub help: &'static str,
}

macro_rules! options {
    ($($variant:ident $name:literal $scope:ident $kind:expr, $default:literal, $range:expr, $help:literal;)*) => {
        #[derive(Clone, Copy)]
        #[repr(usize)]
        #[cfg_attr(not(feature = "arrow"), expect(dead_code, reason = "nobody asks for the options of tables"))]
        enum Id { $($variant,)* }

        impl OptionInfo {
            /// Every option, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self {
                name: $name, kind: $kind, scope: OptionScope::$scope, default: $default, min: $range.0, max: $range.1, help: $help,
            },)*];
        }
    };
}

use OptionType::{Bool, Bytes, Choice, Count, Name, Path as PathType};

const ANY: (u64, u64) = (0, u64::MAX);

/// What cannot be set anew at opening.
const FIXED: [&str; 2] = ["logged", "ttl_column"];

options! {
    CreateIfMissing "create_if_missing" Database Bool, "true", ANY,
        "Create the database if the directory holds none.";
    ErrorIfExists "error_if_exists" Database Bool, "false", ANY,
        "Refuse to open a database that exists already.";
    ReadOnly "read_only" Database Bool, "false", ANY,
        "Open for reading, without a lock and without changing a byte; also beside a live writer.";
    WriteBufferBytes "write_buffer_bytes" Collection Bytes, "64MiB", (4 << 10, 4u64 << 30),
        "Memory that a memtable may hold before it is frozen and flushed.";
    WriteBufferRows "write_buffer_rows" Collection Count, "0", ANY,
        "Entries that a memtable may hold before it is frozen and flushed; 0: no limit.";
    MemoryBudgetBytes "memory_budget_bytes" Database Bytes, "512MiB", (1 << 20, 1u64 << 50),
        "Memory for memtables, open files, caches, and a scan or merge of a table. All memtables together have up to a half: before they hold it, the family with the most bytes times age is flushed, and writers wait while it is full. A scan or merge has about a quarter; the caches have what is left, at least an eighth.";
    MaxFrozenMemtables "max_frozen_memtables" Collection Count, "3", (1, 64),
        "Frozen memtables that may wait for their flush before writers wait too; from half of that on writes are slowed down.";
    Durability "durability" Database Choice(&["buffered", "sync"]), "buffered", ANY,
        "What a write without its own choice waits for: the kernel (survives a killed process) or the disk (survives a power cut).";
    Logged "logged" Collection Bool, "true", ANY,
        "Write this family's operations to the log. Without it they are lost unless flushed. Fixed at creation.";
    WalDir "wal_dir" Database PathType, "", ANY,
        "Directory of the log, of no other database's too; empty: the folder wal inside the database. Must be the same at every opening.";
    WalBackend "wal_backend" Database Choice(&["auto", "mapped", "write"]), "auto", ANY,
        "How the log is written: through a shared mapping, or by write calls. auto chooses by the file system.";
    WalSegmentBytes "wal_segment_bytes" Database Bytes, "64MiB", (64 << 10, 1 << 30),
        "Largest log segment; segments start at 256 KiB and double. A record larger than that gets a segment of its own.";
    WalTotalBytes "wal_total_bytes" Database Bytes, "0", ANY,
        "Log length beyond which the family that holds the oldest segment is flushed; no segment is longer than a quarter of it. 0: four times the write buffer.";
    WalRecovery "wal_recovery" Database Choice(&["point_in_time", "absolute", "tolerate_tail", "salvage"]), "point_in_time", ANY,
        "What opening does with a damaged log. point_in_time: drops what a power cut may have torn, and all behind it; refuses damage to what was durable. absolute: refuses any. tolerate_tail: drops only a torn last record, refuses the rest. salvage: leaves out whatever cannot be read, so that writes in the middle may be gone while later ones are there; events tell what.";
    WalArchive "wal_archive" Database Bool, "false", ANY,
        "Move segments that the log needs no more to the folder archive in its directory, instead of deleting them. Opening does not read them.";
    WalArchiveSeconds "wal_archive_seconds" Database Count, "0", ANY,
        "How long a segment stays in the archive; 0: no limit. Holds while wal_archive is true.";
    WalArchiveBytes "wal_archive_bytes" Database Bytes, "1GiB", ANY,
        "How long the archive may be before its oldest segments are deleted; 0: no limit. A full disk has them deleted too.";
    BackgroundThreads "background_threads" Database Count, "2", (1, 16),
        "Threads for flushes and merges, shared by all databases of the process: as many as the open one asks for that asks for most. With two or more, one is kept free of merges.";
    BlockBytes "block_bytes" Collection Bytes, "8KiB", (512, 48 << 10),
        "Size of a data block before compression.";
    Compression "compression" Collection Choice(&["auto", "none", "lz4", "zstd"]), "auto", ANY,
        "How files are compressed. auto: Parquet by zstd, all else not at all.";
    BloomBitsPerKey "bloom_bits_per_key" Collection Count, "10", (0, 32),
        "Bits of the filter for each key; 0: no filter.";
    TableFormat "table_format" Collection Choice(&["parquet", "arrow"]), "parquet", ANY,
        "Format of a table's files: Parquet, or Arrow IPC, which takes more room and is read without decoding.";
    RowGroupRows "row_group_rows" Collection Count, "65536", (16, 16 << 20),
        "Rows of a row group in a table's Parquet files; at least those of a page.";
    PageRows "page_rows" Collection Count, "8192", (8, 1 << 20),
        "Rows of a page in a table's Parquet files, and between two entries of the key index in all of a table's files.";
    PageBytes "page_bytes" Collection Bytes, "1MiB", (4 << 10, 64 << 20),
        "Size of a page in a table's Parquet files, about.";
    TtlColumn "ttl_column" Collection Name, "", ANY,
        "Column of a table that tells each row's time: a date, which counts from midnight UTC, or a timestamp. Fixed at creation.";
    TtlSeconds "ttl_seconds" Collection Count, "0", ANY,
        "How long a row of a table with ttl_column lives after its time; 0, or no time: for ever. It stays readable until a merge takes its file.";
    CompactionTriggerRuns "compaction_trigger_runs" Collection Count, "4", (2, 64),
        "Neighbouring runs of similar size that are merged into one.";
    AutoCompaction "auto_compaction" Collection Bool, "true", ANY,
        "Merge runs in the background.";
    FlushOnClose "flush_on_close" Database Bool, "true", ANY,
        "Flush memtables when the database is closed. Families without a log are flushed all the same.";
    ManifestBytes "manifest_bytes" Database Bytes, "4MiB", (4 << 10, 1 << 30),
        "Size at which the manifest is written anew.";
    EventsBytes "events_bytes" Database Bytes, "1MiB", ANY,
        "Bytes that EVENTS.jsonl in the database's directory and EVENTS.jsonl.1, the older one, may take together; 0: no such file. Each line is an event as JSON.";
    SlowDiskMillis "slow_disk_millis" Database Count, "1000", ANY,
        "A sync, or a write of 4 KiB or more, that takes so many milliseconds is told as the event slow_disk; 0: none is.";
    LowDiskBytes "low_disk_bytes" Database Bytes, "512MiB", ANY,
        "If the disk has less room when a flush or merge has ended, the event low_disk tells; 0: it never does.";
}

/// The values of all options, the listener for events, and the logger.
#[derive(Clone)]
pub struct Options {
    values: Vec<Value>,
    listener: Option<Listener>,
    logger: Option<(Level, Logger)>,
}

#[derive(Clone, Debug)]
struct Value {
    number: u64,
    text: String,
    explicit: bool,
}

/// What a write waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Durability {
    /// The operating system has the write: it survives the death of the process.
    Buffered = 1,
    /// The disk has the write: it survives a power cut.
    Sync = 2,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let set = OptionInfo::ALL.iter().zip(&self.values).filter(|(_, value)| value.explicit);
        f.debug_map().entries(set.map(|(info, value)| (info.name, render(info, value)))).finish()
    }
}

/// The longest name to which the nearest option is looked for.
const MAX_COMPARED_BYTES: usize = 256;

fn find(name: &str) -> Result<usize> {
    OptionInfo::ALL.iter().position(|info| info.name == name).ok_or_else(|| {
        // The comparison takes time as the product of the lengths; a name that is no name may be a whole file.
        if name.len() > MAX_COMPARED_BYTES {
            return Error::invalid(format!("unknown option of {} bytes", name.len()));
        }
        let nearest =
            OptionInfo::ALL.iter().min_by_key(|info| edit_distance(info.name, name)).map_or("", |info| info.name);
        Error::invalid(format!("unknown option \"{name}\"; did you mean \"{nearest}\"?"))
    })
}

/// How many single-byte edits turn `a` into `b`.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let next = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], next);
        }
    }
    row[b.len()]
}

fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(unit)
}

fn parse(info: &OptionInfo, text: &str) -> Result<Value> {
    let wrong =
        |expected: &str| Error::invalid(format!("option \"{}\" cannot be \"{text}\": {expected} expected", info.name));
    let number = match info.kind {
        Bool => match text {
            "true" | "1" | "on" | "yes" => 1,
            "false" | "0" | "off" | "no" => 0,
            _ => return Err(wrong("true or false")),
        },
        Count => text.parse().map_err(|_| wrong("a whole number"))?,
        Bytes => parse_bytes(text).ok_or_else(|| wrong("a number of bytes such as 4096 or 64MiB"))?,
        Choice(words) => match words.iter().position(|word| *word == text) {
            Some(index) => index as u64,
            None => return Err(wrong(&format!("one of {}", words.join(", ")))),
        },
        PathType => 0,
        Name if text.contains(char::is_control) => return Err(wrong("a name without line breaks")),
        Name => 0,
    };
    if number < info.min || number > info.max {
        return Err(wrong(&format!("a number from {} to {}", info.min, info.max)));
    }
    let text = if matches!(info.kind, PathType | Name) { text.to_owned() } else { String::new() };
    Ok(Value { number, text, explicit: true })
}

fn render(info: &OptionInfo, value: &Value) -> String {
    match info.kind {
        Bool => (value.number != 0).to_string(),
        Count | Bytes => value.number.to_string(),
        Choice(words) => words[value.number as usize].to_owned(),
        PathType | Name => value.text.clone(),
    }
}

impl Options {
    /// Every option at its default.
    pub fn new() -> Self {
        let default = |info: &OptionInfo| {
            let mut value = parse(info, info.default).unwrap_or_else(|error| unreachable!("{error}"));
            value.explicit = false;
            value
        };
        Self { values: OptionInfo::ALL.iter().map(default).collect(), listener: None, logger: None }
    }

    /// Sets an option from text. An unknown name, a value of the wrong type or out of range is an InvalidArgument that
    /// names it and changes nothing.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let index = find(name)?;
        self.values[index] = parse(&OptionInfo::ALL[index], value)?;
        Ok(())
    }

    /// The same, for chains that begin with [`Options::new`].
    pub fn with(mut self, name: &str, value: &str) -> Result<Self> {
        self.set(name, value)?;
        Ok(self)
    }

    /// Sets a number: a count, bytes, or 0 and 1 for a bool.
    pub fn set_number(&mut self, name: &str, value: u64) -> Result<()> {
        let index = find(name)?;
        if matches!(OptionInfo::ALL[index].kind, Choice(_) | PathType | Name) {
            return Err(Error::invalid(format!("option \"{name}\" is not a number")));
        }
        self.set(name, &value.to_string())
    }

    /// The value of an option as text that [`set`](Self::set) takes.
    pub fn get(&self, name: &str) -> Result<String> {
        let index = find(name)?;
        Ok(render(&OptionInfo::ALL[index], &self.values[index]))
    }

    /// Gives events to `listener`, one at a time, in order, on a thread of the library's own.
    pub fn set_listener(&mut self, listener: Listener) {
        self.listener = Some(listener);
    }

    /// Gives events from `level` on to `logger`, as lines: one at a time, in order, on the thread that tells events.
    pub fn set_logger(&mut self, level: Level, logger: Logger) {
        self.logger = Some((level, logger));
    }

    pub(super) fn logger(&self) -> Option<(Level, Logger)> {
        self.logger.clone()
    }

    pub(super) fn listener(&self) -> Option<Listener> {
        self.listener.clone()
    }

    /// Without listener and logger, which else lived as long as the last handle of the database.
    pub(super) fn without_callbacks(self) -> Self {
        Self { listener: None, logger: None, ..self }
    }

    fn number(&self, id: Id) -> u64 {
        self.values[id as usize].number
    }

    fn flag(&self, id: Id) -> bool {
        self.number(id) != 0
    }

    pub(super) fn create_if_missing(&self) -> bool {
        self.flag(Id::CreateIfMissing)
    }

    pub(super) fn error_if_exists(&self) -> bool {
        self.flag(Id::ErrorIfExists)
    }

    pub(super) fn read_only(&self) -> bool {
        self.flag(Id::ReadOnly)
    }

    pub(super) fn write_buffer_bytes(&self) -> usize {
        self.number(Id::WriteBufferBytes) as usize
    }

    pub(super) fn write_buffer_rows(&self) -> u64 {
        self.number(Id::WriteBufferRows)
    }

    pub(super) fn memory_budget_bytes(&self) -> usize {
        self.number(Id::MemoryBudgetBytes) as usize
    }

    pub(super) fn max_frozen_memtables(&self) -> usize {
        self.number(Id::MaxFrozenMemtables) as usize
    }

    pub(super) fn durability(&self) -> Durability {
        if self.number(Id::Durability) == 0 { Durability::Buffered } else { Durability::Sync }
    }

    pub(super) fn logged(&self) -> bool {
        self.flag(Id::Logged)
    }

    pub(super) fn wal_dir(&self) -> Option<PathBuf> {
        let text = &self.values[Id::WalDir as usize].text;
        (!text.is_empty()).then(|| PathBuf::from(text))
    }

    pub(super) fn wal_backend(&self) -> LogBackend {
        match self.number(Id::WalBackend) {
            0 => LogBackend::Auto,
            1 => LogBackend::Mapped,
            _ => LogBackend::Write,
        }
    }

    pub(super) fn wal_segment_bytes(&self) -> u64 {
        self.number(Id::WalSegmentBytes)
    }

    pub(super) fn wal_total_bytes(&self) -> u64 {
        match self.number(Id::WalTotalBytes) {
            0 => 4 * self.number(Id::WriteBufferBytes),
            bytes => bytes,
        }
    }

    pub(super) fn wal_recovery(&self) -> RecoveryMode {
        match self.number(Id::WalRecovery) {
            0 => RecoveryMode::PointInTime,
            1 => RecoveryMode::Absolute,
            2 => RecoveryMode::TolerateTail,
            _ => RecoveryMode::Salvage,
        }
    }

    /// The limits of the log's archive; `None`: there is none.
    pub(super) fn wal_archive(&self) -> Option<ArchiveLimits> {
        let (seconds, bytes) = (self.number(Id::WalArchiveSeconds), self.number(Id::WalArchiveBytes));
        self.flag(Id::WalArchive).then_some(ArchiveLimits { seconds, bytes })
    }

    pub(super) fn background_threads(&self) -> usize {
        self.number(Id::BackgroundThreads) as usize
    }

    pub(super) fn block_bytes(&self) -> usize {
        self.number(Id::BlockBytes) as usize
    }

    /// `None`: as the format suggests.
    pub(super) fn compression(&self) -> Option<Compression> {
        match self.number(Id::Compression) {
            0 => None,
            1 => Some(Compression::None),
            2 => Some(Compression::Lz4),
            _ => Some(Compression::Zstd),
        }
    }

    /// How a table's files are written.
    #[cfg(feature = "arrow")]
    pub(super) fn row_file_options(&self) -> crate::sst::RowFileOptions {
        use crate::sst::{RowFileOptions, RowFormat};
        let format = if self.number(Id::TableFormat) == 0 { RowFormat::Parquet } else { RowFormat::Ipc };
        let defaults = RowFileOptions::new(format);
        RowFileOptions {
            compression: self.compression().unwrap_or(defaults.compression),
            row_group_rows: self.number(Id::RowGroupRows) as usize,
            page_rows: self.number(Id::PageRows) as usize,
            page_bytes: self.number(Id::PageBytes) as usize,
            bloom: self.bloom_bits_per_key() != 0,
            ..defaults
        }
    }

    pub(super) fn bloom_bits_per_key(&self) -> u32 {
        self.number(Id::BloomBitsPerKey) as u32
    }

    pub(super) fn ttl_column(&self) -> &str {
        &self.values[Id::TtlColumn as usize].text
    }

    #[cfg(feature = "arrow")]
    pub(super) fn ttl_seconds(&self) -> u64 {
        self.number(Id::TtlSeconds)
    }

    pub(super) fn compaction_trigger_runs(&self) -> usize {
        self.number(Id::CompactionTriggerRuns) as usize
    }

    pub(super) fn auto_compaction(&self) -> bool {
        self.flag(Id::AutoCompaction)
    }

    pub(super) fn flush_on_close(&self) -> bool {
        self.flag(Id::FlushOnClose)
    }

    pub(super) fn events_bytes(&self) -> u64 {
        self.number(Id::EventsBytes)
    }

    /// 0: none.
    pub(super) fn slow_disk_nanos(&self) -> u64 {
        self.number(Id::SlowDiskMillis).saturating_mul(1_000_000)
    }

    pub(super) fn low_disk_bytes(&self) -> u64 {
        self.number(Id::LowDiskBytes)
    }

    pub(super) fn manifest_bytes(&self) -> u64 {
        self.number(Id::ManifestBytes)
    }

    /// The options of a column family as the manifest stores them: lines of `name=value`.
    pub(super) fn encode_collection(&self) -> Vec<u8> {
        let mut text = String::new();
        for (info, value) in OptionInfo::ALL.iter().zip(&self.values) {
            if info.scope == OptionScope::Collection {
                text.push_str(&format!("{}={}\n", info.name, render(info, value)));
            }
        }
        text.into_bytes()
    }

    /// The options of a collection alone, each as if it had been set: for looking at them, or for another one like it.
    pub(super) fn of_collection(&self) -> Self {
        let mut options = Self::new();
        let both = options.values.iter_mut().zip(&self.values);
        for ((to, from), _) in both.zip(OptionInfo::ALL).filter(|(_, info)| info.scope == OptionScope::Collection) {
            *to = Value { explicit: true, ..from.clone() };
        }
        options
    }

    /// The options of a stored family: what was stored, overridden by what was set at this opening. Names that this version
    /// does not know are left alone: a newer version stored them.
    pub(super) fn for_stored_collection(&self, stored: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(stored).map_err(|_| {
            Error::new(crate::error::ErrorKind::Corruption, "stored options of a column family are not text")
        })?;
        let mut options = self.clone();
        options.values[Id::TtlColumn as usize].text.clear();
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            let Ok(index) = find(name) else { continue };
            if !options.values[index].explicit || FIXED.contains(&name) {
                let explicit = options.values[index].explicit;
                options.set(name, value)?;
                options.values[index].explicit = explicit;
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_has_a_default_that_it_accepts_and_a_line_of_help() {
        let options = Options::new();
        for info in OptionInfo::ALL {
            let text = options.get(info.name).unwrap();
            Options::new().set(info.name, &text).unwrap();
            assert!(info.help.ends_with('.'), "{}", info.name);
        }
        assert_eq!(options.write_buffer_bytes(), 64 << 20);
    }

    #[test]
    fn wrong_names_and_values_are_refused_with_a_hint() {
        let mut options = Options::new();
        let message = options.set("write_bufer_bytes", "1MiB").unwrap_err().message().to_owned();
        assert!(message.contains("did you mean \"write_buffer_bytes\""), "{message}");
        let message = options.set(&"x".repeat(1 << 20), "1").unwrap_err().message().to_owned();
        assert_eq!(message, "unknown option of 1048576 bytes");
        for (name, value) in [("read_only", "maybe"), ("write_buffer_bytes", "1"), ("write_buffer_bytes", "9XiB")] {
            let message = options.set(name, value).unwrap_err().message().to_owned();
            assert!(message.contains(name) && message.contains(value), "{message}");
        }
        assert!(options.set_number("compression", 1).is_err());
        options.set_number("write_buffer_bytes", 1 << 20).unwrap();
        assert_eq!(options.get("write_buffer_bytes").unwrap(), "1048576");
    }

    #[test]
    fn a_stored_family_keeps_its_options_unless_they_are_set_again() {
        let created = Options::new().with("write_buffer_bytes", "1MiB").unwrap().with("logged", "false").unwrap();
        let stored = created.encode_collection();
        let plain = Options::new().for_stored_collection(&stored).unwrap();
        assert_eq!((plain.write_buffer_bytes(), plain.logged()), (1 << 20, false));
        let set = Options::new().with("write_buffer_bytes", "2MiB").unwrap().with("logged", "true").unwrap();
        let set = set.with("ttl_column", "time").unwrap().for_stored_collection(&stored).unwrap();
        assert_eq!((set.write_buffer_bytes(), set.logged(), set.ttl_column()), (2 << 20, false, ""));
    }
}
