//! Reading the log back at open: which segments count, whether their chain is whole, and where the log ends.
//!
//! Called by recovery; changes nothing on disk. The one hard question is what a bad record means. A power cut leaves unsynced
//! bytes in any mixture, so a log may end torn, in any segment that was not synced; everything behind the tear is then dropped,
//! even if whole. But bytes that were durable must not be bad: if anything proves that they were, it is Corruption.

use super::salvage::{SalvageScope, SkippedRange};
use super::segment::{Begin, SEGMENT_HEADER_BYTES, SegmentHeader, segment_name, segment_number};
use crate::env::{Env, File};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{FileNumber, LogPosition, Sequence};
use crate::record::{HEADER_BYTES, RecordHeader, RecordKind, RecordReader, Salt, Step};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What to do about a log that is damaged or ends badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoveryMode {
    /// Drop what a power cut may have torn, and all behind it; damage to what was durable is an error.
    PointInTime,
    /// Any bad byte is an error.
    Absolute,
    /// Drop a torn last record of the newest segment, as a killed process leaves it; any damage before it is an error, durable or not.
    TolerateTail,
    /// Leave out what cannot be read, and go on behind it: there may be holes. What was left out is told in [`ReplayOutcome::skipped`].
    Salvage,
}

/// A record of the log.
#[derive(Debug, Clone, Copy)]
pub struct LoggedRecord<'a> {
    /// The sequence of its first operation.
    pub first_sequence: Sequence,
    /// How many operations it holds.
    pub count: u32,
    /// The payload, verified.
    pub payload: &'a [u8],
    /// The segment it is in.
    pub segment: FileNumber,
    /// Where in the segment it starts.
    pub offset: u64,
}

/// Where a torn log was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The segment with the tear.
    pub segment: FileNumber,
    /// The first byte that was dropped.
    pub offset: u64,
    /// The last sequence before it.
    pub sequence: Sequence,
}

/// What a replay found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplayOutcome {
    /// The last sequence in the log, or before it; 0 if nothing tells.
    pub last_sequence: Sequence,
    /// Where a torn end was dropped.
    pub cut: Option<Cut>,
    /// Whether the log was closed in order.
    pub clean: bool,
    /// Behind the last good record; `None` if there is none, and in a salvage.
    pub end: Option<LogPosition>,
    /// How many records there were.
    pub records: u64,
    /// How many bytes of payload.
    pub bytes: u64,
    /// All segments of this database in the directory, of no newer epoch, those below the floor too.
    pub segments: Vec<FileNumber>,
    /// Segments that an open, or the making of a segment, left unfinished.
    pub stale: Vec<FileNumber>,
    /// What was left out: never anything but in a salvage.
    pub skipped: Vec<SkippedRange>,
}

/// A segment whose header is good.
pub(super) struct Found {
    pub number: FileNumber,
    pub path: PathBuf,
    pub file: Arc<dyn File>,
    pub salt: Salt,
}

/// Why and where the records of a segment end.
struct Tear {
    offset: u64,
    why: String,
}

/// Reads the segments of `database_id` from `floor` on (0: all) whose epoch is at most `max_epoch`, and gives every record to
/// `sink` in order. `durable` is a position up to which the log is known to have been durable; below the floor it asks nothing.
///
/// Errors: Corruption, naming file and offset, where what was durable is missing or bad, or a segment is not of this log; those of
/// `sink` and of the files; Busy, if a live writer was in the way. A salvage has those of `sink` and of the files alone.
#[allow(clippy::too_many_arguments)] // Each is a fact of its own, and there is one caller.
pub fn replay(
    env: &Env,
    dir: &Path,
    database_id: u64,
    max_epoch: u64,
    floor: FileNumber,
    durable: Option<LogPosition>,
    mode: RecoveryMode,
    sink: &mut dyn FnMut(LoggedRecord<'_>) -> Result<()>,
) -> Result<ReplayOutcome> {
    if mode == RecoveryMode::Salvage {
        let scope = SalvageScope { database_id, max_epoch, floor, durable, skip_unreadable: false };
        return super::salvage::replay_around_damage(env, dir, &scope, sink);
    }
    let mut outcome = ReplayOutcome::default();
    let used = select(find(env, dir, database_id, max_epoch, floor, &mut outcome)?, dir, floor)?;
    // What nobody needs may be gone.
    let durable = durable.filter(|durable| durable.segment >= floor);
    let reached = LogPosition { segment: floor, offset: 0 };
    let mut walk = Walk { durable, mode, sink, reached, outcome };
    for (at, (segment, begin)) in used.iter().enumerate() {
        let next = used.get(at + 1);
        let tear = walk.segment(segment, begin.as_ref(), next)?;
        if let Some(tear) = tear.or_else(|| walk.early_end(segment)) {
            walk.judge(&used[at..], &tear)?;
            return Ok(walk.outcome);
        }
    }
    match durable {
        Some(durable) if walk.reached < durable => {
            let why =
                format!("log segment missing or empty, but the manifest says that the log was durable up to {durable}");
            Err(Error::corruption(&dir.join(segment_name(durable.segment)), 0, why))
        }
        _ => Ok(walk.outcome),
    }
}

/// Every segment from the floor on, in order of number. Those that do not count go to the outcome alone.
fn find(
    env: &Env,
    dir: &Path,
    database_id: u64,
    max_epoch: u64,
    floor: FileNumber,
    outcome: &mut ReplayOutcome,
) -> Result<Vec<Found>> {
    let names = match env.files.list(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        names => names?,
    };
    let mut numbers: Vec<FileNumber> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort();
    let mut found: Vec<Found> = Vec::new();
    let mut bad = Vec::new();
    for number in numbers {
        let path = dir.join(segment_name(number));
        let file = match env.files.open(&path) {
            // What nobody needs is removed by a live writer whenever it comes to it.
            Err(error) if error.kind() == ErrorKind::NotFound && number < floor => continue,
            file => file?,
        };
        let header = match SegmentHeader::read(&*file) {
            Err(error) if error.kind() == ErrorKind::Corruption => {
                bad.push((number, path, file, error));
                continue;
            }
            header => header?,
        };
        let (id, epoch) = (header.identity.database_id, header.identity.epoch);
        if id != database_id {
            // What nobody needs may be anybody's.
            if number < floor {
                continue;
            }
            return Err(Error::corruption(&path, 16, foreign_database(id, database_id)));
        }
        if header.number != number {
            let message = format!("log segment carries the number {}, not that of its name", header.number);
            return Err(Error::corruption(&path, 24, message));
        }
        if epoch > max_epoch {
            outcome.stale.push(number);
            continue;
        }
        if number >= floor && epoch < max_epoch {
            return Err(Error::corruption(&path, 32, foreign_epoch(epoch, max_epoch)));
        }
        outcome.segments.push(number);
        if number >= floor {
            found.push(Found { number, path, file, salt: header.salt() });
        }
    }
    // Those that were made ahead and never used may have higher numbers than one that a writer was making when it was killed.
    let mut newest = None;
    for segment in found.iter().rev().filter(|_| !bad.is_empty()) {
        if has_records(segment)? {
            newest = Some(segment.number);
            break;
        }
    }
    for (number, path, file, error) in bad {
        // The header is durable before the first record is stored. So one that is bad belongs to a segment that was never
        // used, if nothing is behind it and no used one can have followed; below the floor nothing matters.
        let is_unfinished = number < floor || number > floor && Some(number) > newest && is_empty(&file)?;
        if !is_unfinished {
            return Err(error.in_file(&path).at(&path, 0));
        }
        outcome.stale.push(number);
    }
    outcome.stale.sort();
    Ok(found)
}

/// What is wrong with a segment of the database `found` in the log of `wanted`.
pub(super) fn foreign_database(found: u64, wanted: u64) -> String {
    format!("log segment of another database: its id is {found:016x}, that of this one {wanted:016x}")
}

/// What is wrong with a segment of the epoch `found` in the log of a later one: each opening begins a new log.
pub(super) fn foreign_epoch(found: u64, wanted: u64) -> String {
    format!("log segment of an earlier opening: its epoch is {found}, that of the log {wanted}")
}

/// Whether a segment holds nothing behind its header.
pub(super) fn is_empty(file: &Arc<dyn File>) -> Result<bool> {
    RecordReader::new(file.clone(), Salt::new(0, FileNumber(0)), 0)?.is_zero_from(SEGMENT_HEADER_BYTES)
}

/// The segments that were used, with their BEGIN records, their chain checked. One without a BEGIN was made ahead and is
/// left out; unless the next one names it, which then has an unsynced start that is lost.
fn select(found: Vec<Found>, dir: &Path, floor: FileNumber) -> Result<Vec<(Found, Option<Begin>)>> {
    let missing = |number: FileNumber| {
        Error::corruption(&dir.join(segment_name(number)), 0, format!("log segment {:06} is missing", number.0))
    };
    if floor.0 > 0 && found.first().is_none_or(|first| first.number != floor) {
        return Err(missing(floor));
    }
    let mut all = Vec::new();
    for segment in found {
        let begin = read_begin(&segment)?;
        all.push((segment, begin));
    }
    // Backwards: each BEGIN says which one comes before it.
    let mut used: Vec<(Found, Option<Begin>)> = Vec::new();
    let mut wanted: Option<FileNumber> = None;
    for (segment, begin) in all.into_iter().rev() {
        match wanted {
            Some(number) if segment.number < number => return Err(missing(number)),
            Some(number) if segment.number > number && begin.is_some() => {
                let message = format!("log segments out of order: the one after it follows {:06}", number.0);
                return Err(Error::corruption(&segment.path, SEGMENT_HEADER_BYTES, message));
            }
            Some(number) if segment.number > number => continue,
            None if begin.is_none() && !has_records(&segment)? => continue,
            _ => {}
        }
        wanted = begin.map(|begin| begin.number).filter(|number| number.0 > 0 && segment.number > floor);
        used.push((segment, begin));
    }
    if let Some(number) = wanted {
        return Err(missing(number));
    }
    used.reverse();
    Ok(used)
}

/// The BEGIN record of a segment, if it is there and whole.
pub(super) fn read_begin(segment: &Found) -> Result<Option<Begin>> {
    let mut reader = RecordReader::new(segment.file.clone(), segment.salt, SEGMENT_HEADER_BYTES)?;
    match reader.step()? {
        Step::Record { header, payload, offset } if header.kind == RecordKind::Begin => match Begin::decode(payload) {
            Some(begin) if begin.number < segment.number => Ok(Some(begin)),
            _ => Err(Error::corruption(&segment.path, offset, "BEGIN record with a good checksum but bad content")),
        },
        _ => Ok(None),
    }
}

/// Whether a segment without a BEGIN record was used all the same: then its start is damaged, not absent.
fn has_records(segment: &Found) -> Result<bool> {
    let mut reader = RecordReader::new(segment.file.clone(), segment.salt, SEGMENT_HEADER_BYTES)?;
    Ok(!reader.is_zero_from(SEGMENT_HEADER_BYTES)?)
}

struct Walk<'a> {
    durable: Option<LogPosition>,
    mode: RecoveryMode,
    sink: &'a mut dyn FnMut(LoggedRecord<'_>) -> Result<()>,
    /// Behind the last good record.
    reached: LogPosition,
    outcome: ReplayOutcome,
}

impl Walk<'_> {
    /// Reads the records of one segment. Gives where they end too early, if they do.
    fn segment(
        &mut self,
        segment: &Found,
        begin: Option<&Begin>,
        next: Option<&(Found, Option<Begin>)>,
    ) -> Result<Option<Tear>> {
        let damage = |offset: u64, why: &str| Error::corruption(&segment.path, offset, why);
        let Some(begin) = begin else {
            return Ok(Some(Tear { offset: SEGMENT_HEADER_BYTES, why: "BEGIN record missing or damaged".to_owned() }));
        };
        self.outcome.last_sequence = self.outcome.last_sequence.max(begin.last_sequence);
        let mut reader = RecordReader::new(segment.file.clone(), segment.salt, SEGMENT_HEADER_BYTES)?;
        loop {
            match reader.step()? {
                Step::Record { offset, header, payload } => {
                    self.reached = LogPosition { segment: segment.number, offset: offset + header.record_bytes() };
                    self.outcome.end = Some(self.reached);
                    match header.kind {
                        RecordKind::Begin if offset == SEGMENT_HEADER_BYTES => {}
                        RecordKind::Begin => return Err(damage(offset, "a second BEGIN record")),
                        RecordKind::Mark => {}
                        RecordKind::End => {
                            let end = reader.offset();
                            // Zeros: the close was cut short between its END record and the cut of the file.
                            if !reader.is_zero_from(end)? || next.is_some() {
                                return Err(damage(end, "something follows the END record"));
                            }
                            self.outcome.clean = true;
                            return Ok(None);
                        }
                        RecordKind::Data => {
                            let last = header.sequence + Sequence::from(header.count.max(1)) - 1;
                            if header.sequence <= self.outcome.last_sequence {
                                return Err(damage(offset, "the sequence of a log record does not rise"));
                            }
                            (self.sink)(LoggedRecord {
                                first_sequence: header.sequence,
                                count: header.count,
                                payload,
                                segment: segment.number,
                                offset,
                            })?;
                            self.outcome.last_sequence = last;
                            self.outcome.records += 1;
                            self.outcome.bytes += payload.len() as u64;
                        }
                    }
                }
                Step::Damage { offset, why } => return Ok(Some(Tear { offset, why: why.to_owned() })),
                Step::Nothing { offset } => {
                    if let Some((after, Some(begun))) = next {
                        return self.check_link(segment, offset, after, begun);
                    }
                    // Nobody says where it ends. Bytes behind the end are records that lost the ones before them.
                    let is_torn = !reader.is_zero_from(offset)?;
                    return Ok(is_torn.then(|| Tear { offset, why: "zeros where a log record was".to_owned() }));
                }
            }
        }
    }

    /// Compares the end of a segment with what the BEGIN record of the next one says of it.
    fn check_link(&self, segment: &Found, end: u64, after: &Found, begun: &Begin) -> Result<Option<Tear>> {
        // The first of an epoch follows nothing.
        if begun.number.0 == 0 {
            return Ok(None);
        }
        if end < begun.end {
            let why = format!("segment {:06} says that this one goes to offset {}", after.number.0, begun.end);
            return Ok(Some(Tear { offset: end, why }));
        }
        if end > begun.end || begun.last_sequence != self.outcome.last_sequence {
            let why = format!(
                "BEGIN record does not fit segment {:06}: it says end {} and last sequence {}, found {end} and {}",
                segment.number.0, begun.end, begun.last_sequence, self.outcome.last_sequence
            );
            return Err(Error::corruption(&after.path, SEGMENT_HEADER_BYTES, why));
        }
        Ok(None)
    }

    /// Where the records of a segment end although the manifest knows of more; they end well, so only that tells.
    fn early_end(&self, segment: &Found) -> Option<Tear> {
        let durable = self.durable.filter(|durable| durable.segment == segment.number && self.reached < *durable)?;
        let why = format!("the records end before offset {}", durable.offset);
        Some(Tear { offset: self.reached.offset.max(SEGMENT_HEADER_BYTES), why })
    }

    /// Decides whether the tear in the first of `segments` is what a power cut, or a kill, leaves, or damage.
    fn judge(&mut self, segments: &[(Found, Option<Begin>)], tear: &Tear) -> Result<()> {
        let Some(((torn, _), later)) = segments.split_first() else { return Ok(()) };
        let reached = self.outcome.last_sequence;
        let place = LogPosition { segment: torn.number, offset: tear.offset };
        let proof = match self.durable {
            _ if self.mode == RecoveryMode::Absolute => Some("and recovery is absolute".to_owned()),
            Some(durable) if durable > place => {
                Some(format!("but the manifest says that the log was durable up to {durable}"))
            }
            _ if self.mode == RecoveryMode::TolerateTail => what_follows(torn, tear.offset, later)?,
            _ => proof_of(torn, tear.offset, later)?,
        };
        if let Some(proof) = proof {
            // Whole by now: who reads beside a live writer looks again.
            let mut again = RecordReader::new(torn.file.clone(), torn.salt, tear.offset)?;
            if matches!(again.step()?, Step::Record { .. }) {
                let message = "the log was written to while it was read";
                return Err(Error::new(ErrorKind::Busy, message).at(&torn.path, tear.offset));
            }
            let message = format!("log record damaged ({}) after sequence {reached}, {proof}", tear.why);
            return Err(Error::corruption(&torn.path, tear.offset, message));
        }
        self.outcome.cut = Some(Cut { segment: torn.number, offset: tear.offset, sequence: reached });
        Ok(())
    }
}

/// What shows that the damage at `offset` of `torn` is not the end of the log, if anything does.
fn what_follows(torn: &Found, offset: u64, later: &[(Found, Option<Begin>)]) -> Result<Option<String>> {
    if let Some((next, _)) = later.first() {
        return Ok(Some(format!("and it is not the end: segment {:06} follows", next.number.0)));
    }
    let mut reader = RecordReader::new(torn.file.clone(), torn.salt, offset)?;
    let found = reader.find_header(offset + HEADER_BYTES as u64, |_, _| true)?;
    Ok(found.map(|place| format!("and it is not the end: a record follows at offset {place}")))
}

/// What shows that the byte at `offset` of `torn` was durable, if anything does.
fn proof_of(torn: &Found, offset: u64, later: &[(Found, Option<Begin>)]) -> Result<Option<String>> {
    let is_proof =
        |header: &RecordHeader, durable_min: u64| header.kind == RecordKind::End || header.durable > durable_min;
    let mut reader = RecordReader::new(torn.file.clone(), torn.salt, offset)?;
    // The torn record itself may have a good header, which tells of what is before it only.
    let found = reader.find_header(offset + HEADER_BYTES as u64, |_, header| is_proof(header, offset))?;
    if let Some(place) = found {
        return Ok(Some(format!("but the record at offset {place} shows that it was durable")));
    }
    for (segment, _) in later {
        // A sync goes from old to new: what it reached in a later segment covers all of this one.
        let mut reader = RecordReader::new(segment.file.clone(), segment.salt, SEGMENT_HEADER_BYTES)?;
        if let Some(place) = reader.find_header(SEGMENT_HEADER_BYTES, |_, header| is_proof(header, 0))? {
            let name = segment_name(segment.number);
            return Ok(Some(format!("but the record at offset {place} of {name} shows that it was durable")));
        }
    }
    Ok(None)
}
