//! Events: one flat record for all kinds, so that C, Python and a log line can show each without a case per kind.

/// What happened. Numbers are frozen: the C ABI uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
#[non_exhaustive]
pub enum EventKind {
    /// A memtable was full, or asked to be flushed, and takes no more writes. `number` is its id, `detail` the reason; of one that
    /// held the oldest segment of a log that is too long, also which, and how long the log is.
    MemtableSealed = 1,
    /// A flush job began. `number` is the file that it will write.
    FlushBegin = 2,
    /// A flush job's file is in the manifest and visible. `detail` is the reason.
    FlushDone = 3,
    /// A merge of runs began. `number` is the file that it will write.
    CompactionBegin = 4,
    /// A merge's file is in the manifest and visible.
    CompactionDone = 5,
    /// A log segment was begun.
    LogCreated = 6,
    /// A log segment that nobody needs any more was deleted. If it was, or was to be, in the archive, `detail` is its name there, or why it
    /// is not there.
    LogDeleted = 7,
    /// A file that nobody needs any more was deleted.
    FileDeleted = 8,
    /// Writers wait. `detail` is the name of a [`StallCause`](super::StallCause): a stop, or the first of many small delays.
    StallBegin = 9,
    /// Writers go on. `micros` is how long they waited, `detail` the cause.
    StallEnd = 10,
    /// A background job failed. `detail` is the error; it is retried unless the database turned read-only.
    BackgroundError = 11,
    /// Opening found a log to replay.
    RecoveryBegin = 12,
    /// The log was replayed. `entries` counts its records, `bytes` their size.
    RecoveryDone = 13,
    /// A column family was created.
    ColumnFamilyCreated = 14,
    /// A column family was dropped.
    ColumnFamilyDropped = 15,
    /// A new manifest became current.
    ManifestCreated = 16,
    /// A table was created.
    TableCreated = 17,
    /// A table was dropped.
    TableDropped = 18,
    /// A table's columns changed.
    TableAltered = 19,
    /// Opening found a live file that is too damaged to open. `number` is the file, `detail` the error, which reads that need the file get.
    FileBroken = 20,
    /// A sync, or a write of 4 KiB or more, took longer than the option `slow_disk_millis`. `micros` is how long, `bytes` are those of the
    /// write, `detail` says what and where. At most one in ten seconds is told; `entries` counts those between that were not.
    SlowDisk = 21,
    /// A flush or merge has ended, and the disk has less room than the option `low_disk_bytes`. `bytes` are what is free, `detail` says
    /// where. Told again after a minute, or once there was more in between.
    LowDisk = 22,
    /// Opening with `wal_recovery=salvage` left out a stretch of the log: what was written there may be missing. `number` is the segment,
    /// `bytes` how many, `detail` the file, the offsets from and to, and why.
    LogSkipped = 23,
    /// A log segment that nobody needs any more was moved to the archive. `number` is the segment, `detail` its name there.
    LogArchived = 24,
}

impl EventKind {
    /// The name in lower case with underscores, as logs and Python show it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MemtableSealed => "memtable_sealed",
            Self::FlushBegin => "flush_begin",
            Self::FlushDone => "flush_done",
            Self::CompactionBegin => "compaction_begin",
            Self::CompactionDone => "compaction_done",
            Self::LogCreated => "log_created",
            Self::LogDeleted => "log_deleted",
            Self::FileDeleted => "file_deleted",
            Self::StallBegin => "stall_begin",
            Self::StallEnd => "stall_end",
            Self::BackgroundError => "background_error",
            Self::RecoveryBegin => "recovery_begin",
            Self::RecoveryDone => "recovery_done",
            Self::ColumnFamilyCreated => "column_family_created",
            Self::ColumnFamilyDropped => "column_family_dropped",
            Self::ManifestCreated => "manifest_created",
            Self::TableCreated => "table_created",
            Self::TableDropped => "table_dropped",
            Self::TableAltered => "table_altered",
            Self::FileBroken => "file_broken",
            Self::SlowDisk => "slow_disk",
            Self::LowDisk => "low_disk",
            Self::LogSkipped => "log_skipped",
            Self::LogArchived => "log_archived",
        }
    }
}

/// Why a memtable was flushed. Numbers are frozen: the C ABI uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
#[non_exhaustive]
pub enum FlushReason {
    /// It held `write_buffer_bytes`, or `write_buffer_rows`.
    WriteBufferFull = 1,
    /// The application asked.
    Manual = 2,
    /// The database is being closed.
    Close = 3,
    /// What the log held at opening was written to files.
    Recovery = 4,
    /// The log was longer than `wal_total_bytes`, and this family held its oldest segment.
    LogFull = 5,
    /// All memtables together held more than the memory budget allows.
    MemoryBudget = 6,
    /// The table's columns changed: a memtable holds rows of one schema.
    SchemaChange = 7,
    /// No memtable: entries of another database came in as a file.
    Import = 8,
}

impl FlushReason {
    /// The name in lower case with underscores.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WriteBufferFull => "write_buffer_full",
            Self::Manual => "manual",
            Self::Close => "close",
            Self::Recovery => "recovery",
            Self::LogFull => "log_full",
            Self::MemoryBudget => "memory_budget",
            Self::SchemaChange => "schema_change",
            Self::Import => "import",
        }
    }
}

/// Something that happened; fields that the kind has no use for are empty or 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// When, in nanoseconds since 1970.
    pub unix_nanos: u64,
    /// The column family or table concerned.
    pub collection: String,
    /// The file or memtable concerned.
    pub number: u64,
    /// Entries or records handled.
    pub entries: u64,
    /// Bytes written, read or freed.
    pub bytes: u64,
    /// How long it took.
    pub micros: u64,
    /// Reason, cause or error.
    pub detail: String,
}

impl Event {
    /// An event of `kind` with every field empty; its time is set when it is queued.
    pub fn new(kind: EventKind) -> Self {
        Self {
            kind,
            unix_nanos: 0,
            collection: String::new(),
            number: 0,
            entries: 0,
            bytes: 0,
            micros: 0,
            detail: String::new(),
        }
    }

    /// The event as one JSON object, without a line break: `time` in ISO 8601, `unix_nanos`, `event`, and those of `collection`,
    /// `number`, `entries`, `bytes`, `micros` and `detail` that it has a use for.
    pub fn to_json(&self) -> String {
        let mut json = format!(
            "{{\"time\":\"{}\",\"unix_nanos\":{},\"event\":\"{}\"",
            iso_8601(self.unix_nanos),
            self.unix_nanos,
            self.kind.name()
        );
        let numbers =
            [("number", self.number), ("entries", self.entries), ("bytes", self.bytes), ("micros", self.micros)];
        if !self.collection.is_empty() {
            json.push_str(",\"collection\":");
            put_json_string(&mut json, &self.collection);
        }
        for (name, value) in numbers.into_iter().filter(|(_, value)| *value != 0) {
            json.push_str(&format!(",\"{name}\":{value}"));
        }
        if !self.detail.is_empty() {
            json.push_str(",\"detail\":");
            put_json_string(&mut json, &self.detail);
        }
        json.push('}');
        json
    }
}

/// A moment in UTC, to the microsecond.
fn iso_8601(unix_nanos: u64) -> String {
    let (seconds, micros) = (unix_nanos / 1_000_000_000, unix_nanos / 1000 % 1_000_000);
    let (mut days, mut year) = (seconds / 86_400, 1970);
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    // At most the 584 years that 64 bits of nanoseconds can tell.
    let days_of = |year| if is_leap(year) { 366 } else { 365 };
    while days >= days_of(year) {
        days -= days_of(year);
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z", days + 1)
}

fn put_json_string(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            c if c.is_control() => json.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => json.push(c),
        }
    }
    json.push('"');
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.kind.name())?;
        if !self.collection.is_empty() {
            write!(f, " collection={}", self.collection)?;
        }
        for (name, value) in
            [("number", self.number), ("entries", self.entries), ("bytes", self.bytes), ("micros", self.micros)]
        {
            if value != 0 {
                write!(f, " {name}={value}")?;
            }
        }
        if !self.detail.is_empty() {
            write!(f, " {}", self.detail)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_as_json_is_one_line_whatever_its_texts_hold() {
        let mut event = Event::new(EventKind::BackgroundError);
        event.collection = "a-b".to_owned();
        event.detail = "no \"space\"\n\\".to_owned();
        event.micros = 7;
        let expected = r#"{"time":"1970-01-01T00:00:00.000000Z","unix_nanos":0,"event":"background_error","collection":"a-b","micros":7,"detail":"no \"space\"\u000a\\"}"#;
        assert_eq!(event.to_json(), expected);
    }

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (seconds, text) in [
            (951_782_399, "2000-02-28T23:59:59.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (951_868_800, "2000-03-01T00:00:00.000000Z"),
            (1_798_761_599, "2026-12-31T23:59:59.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(iso_8601(seconds * 1_000_000_000), text);
        }
        assert_eq!(&iso_8601(u64::MAX)[..4], "2554");
    }
}
