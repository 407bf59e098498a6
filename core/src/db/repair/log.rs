//! The log's part in a repair: what is left of the old one, without what lies in files, becomes the log of the new database.

use super::super::collection::Schemas;
use crate::batch::{Operation, Operations, put_prefix};
use crate::env::{Env, FileSystem};
use crate::error::Result;
#[cfg(feature = "arrow")]
use crate::error::{Error, ErrorKind};
use crate::key::{CollectionId, CollectionKind, FileNumber, Sequence};
use crate::record::payload_checksum;
use crate::version::VersionState;
use crate::wal::{
    Log, LogIdentity, LogOptions, LogWriter, LoggedRecord, SalvageScope, SalvagedSegment, salvage, segment_number,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What was found out about the old log.
#[derive(Default)]
pub(super) struct OldLog {
    /// Families that it has entries of.
    pub families: BTreeSet<CollectionId>,
    /// One above the greatest segment number.
    pub next_file: u64,
    /// The greatest epoch of a writer.
    pub epoch: u64,
}

/// What became of the old log.
#[derive(Default)]
pub(super) struct Relogged {
    pub segments: Vec<SalvagedSegment>,
    /// Operations in the new log.
    pub operations: u64,
    /// Operations whose family, table or schema nothing tells of, or which are damaged.
    pub lost: u64,
    /// The first segment of the new log, if there is one.
    pub floor: Option<FileNumber>,
    pub last_sequence: Sequence,
}

/// All that is left from `floor` on. The manifest may be lost, or an old one.
fn scope(state: &VersionState, floor: FileNumber) -> SalvageScope {
    SalvageScope { database_id: state.database_id, max_epoch: u64::MAX, floor, durable: None, skip_unreadable: true }
}

/// The bytes of the segments in `dir`.
pub(super) fn bytes(files: &dyn FileSystem, dir: &Path) -> u64 {
    let names = files.list(dir).unwrap_or_default();
    let segments = names.iter().filter(|name| segment_number(name).is_some());
    segments.map(|name| files.file_len(&dir.join(name)).ok().flatten().unwrap_or(0)).sum()
}

/// Looks through the old log. `passed` hears of the bytes of each record, and may end it.
pub(super) fn look_through(
    env: &Env,
    dir: &Path,
    state: &VersionState,
    passed: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<OldLog> {
    let mut old = OldLog::default();
    let segments = salvage(env, dir, &scope(state, state.log_floor), &mut |record| {
        let operations = Operations::new(record.payload).filter_map(std::result::Result::ok);
        old.families.extend(operations.filter(|op| !op.kind.is_rows()).map(|op| op.collection));
        passed(record.payload.len())
    })?;
    old.next_file = segments.iter().map(|segment| segment.number.0.saturating_add(1)).max().unwrap_or(0);
    old.epoch = segments.iter().map(|segment| segment.epoch).max().unwrap_or(0);
    Ok(old)
}

/// What is logged anew.
struct Relogging<'a> {
    env: &'a Env,
    dir: &'a Path,
    state: &'a VersionState,
    schemas: BTreeMap<CollectionId, Schemas>,
    next_file: Arc<AtomicU64>,
    log: Option<(LogWriter, Arc<Log>)>,
    done: Relogged,
}

/// Logs what is left of the log in `from` anew in `to`, which exists, under the epoch of `state`: what its collections do not have in
/// files. Durable when it returns, but for the name of `to`. `passed` hears of the bytes of each old record, and may end it.
pub(super) fn relog(
    env: &Env,
    (from, floor): (&Path, FileNumber),
    to: &Path,
    state: &VersionState,
    next_file: Arc<AtomicU64>,
    passed: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<Relogged> {
    let tables = state.collections.values().filter(|collection| collection.kind == CollectionKind::Rows);
    let decode =
        |table: &crate::version::CollectionState| Ok((table.id, Schemas::decode(&table.name, &table.schemas)?));
    let schemas = tables.map(decode).collect::<Result<_>>()?;
    let mut relogging = Relogging { env, dir: to, state, schemas, next_file, log: None, done: Relogged::default() };
    let segments = salvage(env, from, &scope(state, floor), &mut |record| {
        relogging.record(record)?;
        passed(record.payload.len())
    })?;
    if let Some((mut writer, _)) = relogging.log.take() {
        writer.close()?;
    }
    Ok(Relogged { segments, ..relogging.done })
}

impl Relogging<'_> {
    /// One record of the old log: a record of the new one, or several around what is left out.
    fn record(&mut self, record: LoggedRecord<'_>) -> Result<()> {
        let mut payload = Vec::new();
        let (mut first, mut count) = (record.first_sequence, 0);
        let mut sequence = record.first_sequence;
        for operation in Operations::new(record.payload) {
            let kept = match operation {
                Ok(operation) if self.is_wanted(sequence, &operation) => Some(operation),
                Ok(_) => None,
                Err(_) => {
                    // Behind a good checksum nobody wrote this; nothing after it can be told apart.
                    self.done.lost += 1;
                    break;
                }
            };
            sequence += 1;
            match kept {
                Some(Operation { kind, collection, key, value }) => {
                    if count == 0 {
                        first = sequence - 1;
                    }
                    put_prefix(&mut payload, kind, collection, key.len(), value.len());
                    payload.extend_from_slice(key);
                    payload.extend_from_slice(value);
                    count += 1;
                }
                None => {
                    self.append(first, count, &payload)?;
                    (count, payload) = (0, Vec::new());
                }
            }
        }
        self.append(first, count, &payload)?;
        self.done.last_sequence = self.done.last_sequence.max(sequence.saturating_sub(1));
        Ok(())
    }

    /// Whether an operation is neither in a file already nor of something that nobody knows.
    fn is_wanted(&mut self, sequence: Sequence, operation: &Operation<'_>) -> bool {
        let Some(collection) = self.state.collections.get(&operation.collection) else {
            self.done.lost += 1;
            return false;
        };
        if sequence <= collection.flushed_through {
            return false;
        }
        let fits = match (collection.kind, self.schemas.get(&operation.collection)) {
            (CollectionKind::Bytes, _) => !operation.kind.is_rows(),
            (CollectionKind::Rows, Some(schemas)) => operation.kind.is_rows() && decodes(schemas, operation),
            (CollectionKind::Rows, None) => false,
        };
        self.done.lost += u64::from(!fits);
        fits
    }

    fn append(&mut self, first: Sequence, count: u32, payload: &[u8]) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let (writer, _) = match &mut self.log {
            Some(log) => log,
            none => {
                let identity = LogIdentity { database_id: self.state.database_id, epoch: self.state.epoch };
                let numbers = self.next_file.clone();
                let numbers = Arc::new(move || FileNumber(numbers.fetch_add(1, Ordering::Relaxed)));
                let options = LogOptions::default();
                let quiet = Arc::new(|_| ());
                let made = Log::create(self.env, self.dir, identity, options, numbers, first - 1, quiet)?;
                self.done.floor = made.1.segments().first().map(|segment| segment.number);
                none.insert(made)
            }
        };
        writer.append(first, count, &[payload], payload_checksum(&[payload]))?;
        self.done.operations += u64::from(count);
        Ok(())
    }
}

#[cfg(feature = "arrow")]
fn decodes(schemas: &Schemas, operation: &Operation<'_>) -> bool {
    schemas.decode_rows(operation, &|why| Error::new(ErrorKind::Corruption, why)).is_ok()
}

#[cfg(not(feature = "arrow"))]
fn decodes(_schemas: &Schemas, _operation: &Operation<'_>) -> bool {
    false
}
