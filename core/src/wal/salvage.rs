//! Reading what can be read of a log whose rules are broken: segments missing, damaged, foreign, or left over.
//!
//! Called by `repair`, and by a replay that is to go on behind damage; changes nothing on disk. Where [`replay`](super::replay) refuses a
//! log that lost something durable, this hands out what is left and says what is not. Each record is whole or not there.

use super::LoggedRecord;
use super::replay::{ReplayOutcome, foreign_database, foreign_epoch, is_empty};
use super::segment::{Begin, SEGMENT_HEADER_BYTES, SegmentHeader, segment_name, segment_number};
use crate::env::{Env, File};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{FileNumber, LogPosition, Sequence};
use crate::record::{RecordHeader, RecordKind, RecordReader, Step};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which log is meant, and what is known of it.
#[derive(Debug, Clone, Copy)]
pub struct SalvageScope {
    /// The database that it belongs to.
    pub database_id: u64,
    /// The epoch of its last writer: segments of later ones an opening left unfinished. `u64::MAX`: nothing tells.
    pub max_epoch: u64,
    /// The first segment that is needed; 0: every one that is there.
    pub floor: FileNumber,
    /// Up to where it was durable.
    pub durable: Option<LogPosition>,
    /// Leave out what the disk does not give back, too; else that is an error.
    pub skip_unreadable: bool,
}

/// A stretch of a segment that was not handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedRange {
    /// The segment.
    pub segment: FileNumber,
    /// The first byte that was left out.
    pub from: u64,
    /// Behind the last byte that was; 0 for a segment that is missing.
    pub to: u64,
    /// What is wrong there.
    pub why: String,
}

/// What a segment is to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Counts,
    /// Below the floor.
    Old,
    /// Nothing was ever logged in it.
    Unfinished,
    Foreign,
    /// Its header is damaged: nothing of it can be read.
    Headless,
    Missing,
}

/// What became of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SalvagedSegment {
    /// Where it lies, or should.
    pub path: PathBuf,
    /// Its number.
    pub number: FileNumber,
    /// The epoch of its writer; 0 if it cannot be told.
    pub epoch: u64,
    /// Records that were handed out.
    pub records: u64,
    /// What was not, in order: damage, or all of a segment that does not count. Empty: it was read to its end.
    pub skipped: Vec<SkippedRange>,
    standing: Standing,
}

impl SalvagedSegment {
    fn new(dir: &Path, number: FileNumber, standing: Standing) -> Self {
        let path = dir.join(segment_name(number));
        Self { path, number, epoch: 0, records: 0, skipped: Vec::new(), standing }
    }

    /// What was left out of it and why, for people; `None`: nothing.
    pub fn stopped(&self) -> Option<String> {
        let first = self.skipped.first()?;
        let more = match self.skipped.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more places"),
        };
        let is_part = self.standing == Standing::Counts;
        let place = if is_part { format!(" at offset {}", first.from) } else { String::new() };
        Some(format!("{}{place}{more}", first.why))
    }

    fn skip(&mut self, from: u64, to: u64, why: &str) {
        match self.skipped.last_mut() {
            Some(last) if last.to == from && last.to > 0 => last.to = to,
            _ => self.skipped.push(SkippedRange { segment: self.number, from, to, why: why.to_owned() }),
        }
    }
}

struct Segment {
    told: SalvagedSegment,
    /// `None`: nothing of it counts.
    open: Option<(Arc<dyn File>, SegmentHeader)>,
    begin: Option<Begin>,
    /// Behind its last byte that was read or told of.
    end: u64,
    ended: bool,
}

/// The database that the newest segment with a good header belongs to; `None` if there is none. Errors are those of reading.
pub fn salvaged_database_id(env: &Env, dir: &Path) -> Result<Option<u64>> {
    for number in numbers(env, dir)?.into_iter().rev() {
        let header = env.files.open(&dir.join(segment_name(number))).and_then(|file| SegmentHeader::read(&*file));
        if let Ok(header) = header {
            return Ok(Some(header.identity.database_id));
        }
    }
    Ok(None)
}

/// Gives the records of the segments of `scope` to `sink`, sequences rising; a record of a later writer whose sequence does not rise
/// repeats an earlier one, and is left out.
///
/// What is damaged is left out, and reading goes on behind it. Only where a writer of a later epoch went on, it knew what ended the log
/// before it, and nothing behind that comes back. Errors are those of `sink`, of listing the directory, and of reading unless they are
/// to be skipped.
pub fn salvage(
    env: &Env,
    dir: &Path,
    scope: &SalvageScope,
    sink: &mut dyn FnMut(LoggedRecord<'_>) -> Result<()>,
) -> Result<Vec<SalvagedSegment>> {
    let segments = walk(env, dir, scope, sink)?;
    Ok(segments.into_iter().map(|segment| segment.told).collect())
}

/// The same as a replay: what was left out is in its outcome.
pub(super) fn replay_around_damage(
    env: &Env,
    dir: &Path,
    scope: &SalvageScope,
    sink: &mut dyn FnMut(LoggedRecord<'_>) -> Result<()>,
) -> Result<ReplayOutcome> {
    let mut outcome = ReplayOutcome::default();
    let (mut last, mut records, mut bytes) = (0, 0, 0);
    let segments = walk(env, dir, scope, &mut |record| {
        last = record.first_sequence + Sequence::from(record.count.max(1)) - 1;
        records += 1;
        bytes += record.payload.len() as u64;
        sink(record)
    })?;
    let begins = segments.iter().filter_map(|segment| segment.begin).map(|begin| begin.last_sequence);
    outcome.last_sequence = begins.max().unwrap_or(0).max(last);
    (outcome.records, outcome.bytes) = (records, bytes);
    outcome.clean = segments.iter().rfind(|segment| segment.end > 0).is_some_and(|segment| segment.ended);
    for Segment { told, .. } in segments {
        match told.standing {
            Standing::Unfinished => outcome.stale.push(told.number),
            Standing::Counts | Standing::Old | Standing::Headless => outcome.segments.push(told.number),
            Standing::Foreign | Standing::Missing => {}
        }
        let counts = matches!(told.standing, Standing::Counts | Standing::Headless | Standing::Missing);
        if counts || told.standing == Standing::Foreign && told.number >= scope.floor {
            outcome.skipped.extend(told.skipped);
        }
    }
    Ok(outcome)
}

fn numbers(env: &Env, dir: &Path) -> Result<Vec<FileNumber>> {
    let names = match env.files.list(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        names => names?,
    };
    let mut numbers: Vec<FileNumber> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort();
    Ok(numbers)
}

/// Every segment in the order of their numbers, those that are missing too, read as far as that goes.
fn walk(
    env: &Env,
    dir: &Path,
    scope: &SalvageScope,
    sink: &mut dyn FnMut(LoggedRecord<'_>) -> Result<()>,
) -> Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for number in numbers(env, dir)? {
        match look_at(env, dir, number, scope) {
            // What nobody needs is removed by a live writer whenever it comes to it.
            Err(error) if error.kind() == ErrorKind::NotFound && number < scope.floor => {}
            segment => segments.push(segment?),
        }
    }
    let counting = |segment: &&Segment| segment.open.is_some();
    let newest = segments.iter().filter(counting).map(|segment| segment.told.number).max();
    for segment in segments.iter_mut().filter(|segment| segment.told.standing == Standing::Headless) {
        // As in a replay: one that was never used.
        let number = segment.told.number;
        if number < scope.floor || number > scope.floor && Some(number) > newest && segment.end == 0 {
            segment.told.standing = Standing::Unfinished;
        }
    }
    let newest_epoch = segments.iter().map(|segment| segment.told.epoch).max().unwrap_or(0);
    let mut reading = Reading { scope, newest_epoch, last: 0, last_epoch: 0, ended_epoch: None, sink };
    for segment in &mut segments {
        reading.segment(segment)?;
    }
    check_chain(&mut segments, dir, scope);
    Ok(segments)
}

/// Says what a segment is to the log, by its header.
fn look_at(env: &Env, dir: &Path, number: FileNumber, scope: &SalvageScope) -> Result<Segment> {
    let mut told = SalvagedSegment::new(dir, number, Standing::Counts);
    let opened = env.files.open(&told.path).and_then(|file| Ok((file.len()?, file)));
    let (len, file) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let why = left_out(error, scope)?;
            told.standing = Standing::Headless;
            told.skip(0, 0, &why);
            // Who knows what is in it.
            return Ok(Segment { told, open: None, begin: None, end: 1, ended: false });
        }
    };
    let mut end = 0;
    let (standing, why) = match SegmentHeader::read(&*file) {
        Err(error) if error.kind() == ErrorKind::NotSupported && !scope.skip_unreadable => return Err(error),
        Err(error) => {
            let blank = if error.kind() == ErrorKind::Corruption { is_empty(&file) } else { Ok(false) };
            end = u64::from(!blank.unwrap_or(false));
            (Standing::Headless, left_out(error, scope)?)
        }
        Ok(header) => {
            let (id, epoch) = (header.identity.database_id, header.identity.epoch);
            if id != scope.database_id {
                (Standing::Foreign, foreign_database(id, scope.database_id))
            } else if header.number != number {
                let why = format!("log segment carries the number {}, not that of its name", header.number);
                (Standing::Foreign, why)
            } else if number < scope.floor {
                (Standing::Old, "all of it lies in files, as the manifest says".to_owned())
            } else if epoch > scope.max_epoch {
                (Standing::Unfinished, "an opening left it unfinished".to_owned())
            } else if epoch < scope.max_epoch && scope.max_epoch < u64::MAX {
                (Standing::Foreign, foreign_epoch(epoch, scope.max_epoch))
            } else {
                told.epoch = epoch;
                let open = Some((file, header));
                return Ok(Segment { told, open, begin: None, end: 0, ended: false });
            }
        }
    };
    told.standing = standing;
    told.skip(0, len, &why);
    Ok(Segment { told, open: None, begin: None, end, ended: false })
}

/// Why something is left out because of `error`, if that may be.
fn left_out(error: Error, scope: &SalvageScope) -> Result<String> {
    if error.kind() == ErrorKind::Corruption || scope.skip_unreadable {
        Ok(error.message().to_owned())
    } else {
        Err(error)
    }
}

struct Reading<'a> {
    scope: &'a SalvageScope,
    newest_epoch: u64,
    /// The last sequence that was handed out, and the epoch of its writer.
    last: Sequence,
    last_epoch: u64,
    /// The epoch of a log that ended badly, and was continued by a later writer.
    ended_epoch: Option<u64>,
    sink: &'a mut dyn FnMut(LoggedRecord<'_>) -> Result<()>,
}

impl Reading<'_> {
    fn segment(&mut self, segment: &mut Segment) -> Result<()> {
        let Some((file, header)) = &segment.open else { return Ok(()) };
        let (salt, file) = (header.salt(), file.clone());
        if self.ended_epoch == Some(segment.told.epoch) {
            let len = file.len().unwrap_or(SEGMENT_HEADER_BYTES);
            segment.told.skip(0, len, "the log ended before it, and was continued by a later writer");
            return Ok(());
        }
        let mut reader = match RecordReader::new(file, salt, SEGMENT_HEADER_BYTES) {
            Ok(reader) => reader,
            Err(error) => return self.unreadable(segment, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES, error),
        };
        if let Err(error) = self.records(segment, &mut reader)? {
            let (offset, len) = (reader.offset(), reader.file_len());
            return self.unreadable(segment, offset, len, error);
        }
        if !segment.told.skipped.is_empty() && segment.told.epoch < self.newest_epoch {
            self.ended_epoch = Some(segment.told.epoch);
        }
        Ok(())
    }

    fn unreadable(&mut self, segment: &mut Segment, from: u64, to: u64, error: Error) -> Result<()> {
        let why = left_out(error, self.scope)?;
        segment.told.skip(from, to, &why);
        segment.end = to;
        Ok(())
    }

    /// Reads the records of one segment, around what is damaged. The inner error is one of reading.
    fn records(&mut self, segment: &mut Segment, reader: &mut RecordReader) -> Result<Result<()>> {
        loop {
            let (offset, why) = match reader.step() {
                Err(error) => return Ok(Err(error)),
                Ok(Step::Record { offset, header, payload }) => {
                    segment.end = offset + header.record_bytes();
                    self.record(segment, offset, &header, payload)?;
                    continue;
                }
                Ok(Step::Damage { offset, why }) => (offset, why),
                Ok(Step::Nothing { offset }) => match reader.is_zero_from(offset) {
                    Err(error) => return Ok(Err(error)),
                    Ok(true) => return Ok(Ok(())),
                    Ok(false) => (offset, "zeros where a log record was"),
                },
            };
            let why = if offset == SEGMENT_HEADER_BYTES { "BEGIN record missing or damaged" } else { why };
            let goes_on = segment.told.epoch >= self.newest_epoch;
            let next = if goes_on { reader.skip_damage() } else { Ok(None) };
            let to = match next.transpose() {
                Some(to) => to,
                None => reader.used_end(offset),
            };
            let to = match to {
                Ok(to) => to,
                Err(error) => return Ok(Err(error)),
            };
            segment.told.skip(offset, to, why);
            segment.end = to;
            if reader.offset() == offset {
                return Ok(Ok(()));
            }
        }
    }

    fn record(&mut self, segment: &mut Segment, offset: u64, header: &RecordHeader, payload: &[u8]) -> Result<()> {
        match header.kind {
            RecordKind::Begin => segment.begin = Begin::decode(payload),
            RecordKind::End => segment.ended = true,
            RecordKind::Mark => {}
            RecordKind::Data if header.sequence <= self.last => {
                if self.last_epoch == segment.told.epoch {
                    let end = offset + header.record_bytes();
                    segment.told.skip(offset, end, "the sequence of a log record does not rise");
                }
            }
            RecordKind::Data => {
                let (first_sequence, count) = (header.sequence, header.count);
                (self.sink)(LoggedRecord { first_sequence, count, payload, segment: segment.told.number, offset })?;
                self.last = header.sequence + Sequence::from(header.count.max(1)) - 1;
                self.last_epoch = segment.told.epoch;
                segment.told.records += 1;
            }
        }
        Ok(())
    }
}

/// Tells of segments that are missing, and of ends that came too early although nothing behind them is damaged.
fn check_chain(segments: &mut Vec<Segment>, dir: &Path, scope: &SalvageScope) {
    // Up to where each segment must go, and what says so.
    let mut wanted: Vec<(FileNumber, u64, String)> = Vec::new();
    if scope.floor.0 > 0 {
        wanted.push((scope.floor, SEGMENT_HEADER_BYTES, "the manifest needs it".to_owned()));
    }
    let first = segments.iter().find(|segment| segment.open.is_some()).map(|segment| segment.told.number);
    for segment in segments.iter() {
        // What came before the first one may have been deleted, if nothing tells where the log begins.
        let begin = segment.begin.filter(|_| scope.floor.0 > 0 || Some(segment.told.number) != first);
        if let Some(begin) = begin.filter(|begin| begin.number.0 > 0 && begin.number >= scope.floor) {
            let who = format!("segment {:06} says that it goes to offset {}", segment.told.number.0, begin.end);
            wanted.push((begin.number, begin.end, who));
        }
    }
    if let Some(durable) = scope.durable.filter(|durable| durable.segment >= scope.floor) {
        let who = format!("the manifest says that the log was durable up to {durable}");
        wanted.push((durable.segment, durable.offset, who));
    }
    for (number, end, who) in wanted {
        match segments.iter_mut().find(|segment| segment.told.number == number) {
            Some(found) if found.open.is_none() => {}
            Some(found) => {
                let reached = found.end.max(SEGMENT_HEADER_BYTES);
                if reached < end {
                    found.told.skip(reached, end, &format!("the records end too early: {who}"));
                    found.end = end;
                }
            }
            None => {
                let mut told = SalvagedSegment::new(dir, number, Standing::Missing);
                told.skip(0, 0, &format!("log segment {:06} is missing: {who}", number.0));
                segments.push(Segment { told, open: None, begin: None, end: 0, ended: false });
            }
        }
    }
    segments.sort_by_key(|segment| segment.told.number);
}
