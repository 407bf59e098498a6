//! Reading on in the log of a live writer, from where one ended before.
//!
//! Called by databases open for reading when they are brought up to date. Changes nothing, and never waits for the writer.
//!
//! The writer stores into pages that a reader's system calls copy while it does, in an order that nobody promises: a copy may hold the
//! end of a record without its beginning, or a later record without an earlier one. So nothing is believed but whole records whose
//! checksums hold, one behind the other without a gap, each segment's first record saying how far the one before it goes. What is
//! found so was appended in that order, and only what the writer appended later is missing.

use super::LoggedRecord;
use super::replay::{Found, read_begin};
use super::segment::{Begin, SEGMENT_HEADER_BYTES, SegmentHeader, segment_name, segment_number};
use crate::env::{Env, read_exact_at};
use crate::error::{ErrorKind, Result};
use crate::key::{FileNumber, LogPosition, Sequence};
use crate::record::{HEADER_BYTES, RecordKind, RecordReader, Step};
use std::path::{Path, PathBuf};

/// Where a reader stands in the log of one epoch. One thread at a time.
pub struct LogTail {
    env: Env,
    dir: PathBuf,
    database_id: u64,
    epoch: u64,
    segment: Found,
    offset: u64,
    last_sequence: Sequence,
    /// Where bytes stood that are no record, when it was last read.
    damage: Option<u64>,
}

/// Why no record follows in the segment.
enum Stop {
    /// There is none yet, as far as one can tell.
    Nothing,
    /// What stands there is not, or not yet, a record.
    Damage,
    /// It is no continuation of what was read before.
    Wrong,
}

impl LogTail {
    /// Stands at `place` of the log of `epoch`, or without one at the beginning of `segment`; `last_sequence` is the last one before it.
    /// Errors: those of reading, NotFound among them; Corruption if it is not that segment.
    pub fn open(
        env: &Env,
        dir: &Path,
        (database_id, epoch): (u64, u64),
        (segment, offset): (FileNumber, Option<u64>),
        last_sequence: Sequence,
    ) -> Result<Option<Self>> {
        let Some(segment) = open_segment(env, dir, (database_id, epoch), segment)? else { return Ok(None) };
        let (env, dir) = (env.clone(), dir.to_path_buf());
        let offset = offset.unwrap_or(SEGMENT_HEADER_BYTES);
        Ok(Some(Self { env, dir, database_id, epoch, segment, offset, last_sequence, damage: None }))
    }

    /// The epoch of the writer whose log it is.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Behind the last record that was read.
    pub fn place(&self) -> LogPosition {
        LogPosition { segment: self.segment.number, offset: self.offset }
    }

    /// The last sequence in the log up to there, or before it.
    pub fn last_sequence(&self) -> Sequence {
        self.last_sequence
    }

    /// Gives every whole record from here on to `sink`, in order, and stands behind the last one that `sink` took. False: the log does
    /// not go on from here in a way that can be told from damage, or from segments that are gone; only a replay from the floor tells more.
    /// Errors: those of `sink` and of reading.
    pub fn advance(&mut self, sink: &mut dyn FnMut(LoggedRecord<'_>) -> Result<()>) -> Result<bool> {
        let mut looked_again = false;
        loop {
            let stop = self.read_on(sink)?;
            match (stop, self.successor()?) {
                (Stop::Wrong, _) | (_, Successor::Unlinked) => return Ok(false),
                (Stop::Nothing, Successor::None) => {
                    self.damage = None;
                    return Ok(true);
                }
                // The writer was storing it, or it is damage: then it looks the same next time.
                (Stop::Damage, Successor::None) => return Ok(self.damage.replace(self.offset) != Some(self.offset)),
                (_, Successor::Next(next, begin)) => {
                    if begin.end == self.offset && begin.last_sequence == self.last_sequence {
                        (self.segment, self.offset, looked_again) = (next, SEGMENT_HEADER_BYTES, false);
                    } else if begin.end > self.offset && !looked_again {
                        // The rest was stored after it was looked for here.
                        looked_again = true;
                    } else {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Reads the records that follow in this segment.
    fn read_on(&mut self, sink: &mut dyn FnMut(LoggedRecord<'_>) -> Result<()>) -> Result<Stop> {
        let mut ahead = [0; HEADER_BYTES];
        let file = &self.segment.file;
        if self.offset + HEADER_BYTES as u64 <= file.len()? {
            read_exact_at(&**file, &mut ahead, self.offset)?;
            if ahead == [0; HEADER_BYTES] {
                return Ok(Stop::Nothing);
            }
        }
        let mut reader = RecordReader::new(file.clone(), self.segment.salt, self.offset)?;
        loop {
            let (offset, header, payload) = match reader.step()? {
                Step::Record { offset, header, payload } => (offset, header, payload),
                Step::Nothing { .. } => return Ok(Stop::Nothing),
                Step::Damage { .. } => return Ok(Stop::Damage),
            };
            match header.kind {
                RecordKind::Begin if offset == SEGMENT_HEADER_BYTES => match Begin::decode(payload) {
                    Some(begin) => self.last_sequence = self.last_sequence.max(begin.last_sequence),
                    None => return Ok(Stop::Wrong),
                },
                RecordKind::Data if header.sequence > self.last_sequence && offset > SEGMENT_HEADER_BYTES => {
                    sink(LoggedRecord {
                        first_sequence: header.sequence,
                        count: header.count,
                        payload,
                        segment: self.segment.number,
                        offset,
                    })?;
                    self.last_sequence = header.sequence + Sequence::from(header.count.max(1)) - 1;
                }
                RecordKind::Mark | RecordKind::End => {}
                RecordKind::Begin | RecordKind::Data => return Ok(Stop::Wrong),
            }
            self.offset = offset + header.record_bytes();
        }
    }

    /// The used segment after this one.
    fn successor(&self) -> Result<Successor> {
        let names = self.env.files.list(&self.dir)?;
        let mut numbers: Vec<FileNumber> = names.iter().filter_map(|name| segment_number(name)).collect();
        numbers.retain(|number| *number > self.segment.number);
        numbers.sort();
        let mut is_unlinked = false;
        for number in numbers {
            let begin = match open_segment(&self.env, &self.dir, (self.database_id, self.epoch), number)? {
                Some(found) => read_begin(&found)?.map(|begin| (found, begin)),
                None => None,
            };
            match begin {
                Some((found, begin)) if begin.number == self.segment.number => {
                    return Ok(Successor::Next(found, begin));
                }
                // Made ahead, and not used yet.
                None => {}
                Some(_) => is_unlinked = true,
            }
        }
        Ok(if is_unlinked { Successor::Unlinked } else { Successor::None })
    }
}

enum Successor {
    None,
    Next(Found, Begin),
    /// There is a later one, but not the next.
    Unlinked,
}

/// The segment `number`, if it is of the log of this database and epoch; `None` if it is not, is being made, or went meanwhile.
fn open_segment(env: &Env, dir: &Path, (database_id, epoch): (u64, u64), number: FileNumber) -> Result<Option<Found>> {
    let path = dir.join(segment_name(number));
    let opened = env.files.open(&path).and_then(|file| Ok((SegmentHeader::read(&*file)?, file)));
    let (header, file) = match opened {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corruption) => return Ok(None),
        opened => opened?,
    };
    let is_ours =
        header.number == number && header.identity.database_id == database_id && header.identity.epoch == epoch;
    Ok(is_ours.then(|| Found { number, path, file, salt: header.salt() }))
}
