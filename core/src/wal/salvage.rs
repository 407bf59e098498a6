//! Reading what can be read of a log whose rules are broken: segments missing, damaged, or left over.
//!
//! Called by `repair`; changes nothing on disk. Where [`replay`](super::replay) refuses a log that lost something durable, this hands
//! out what is left and says where something is missing. Each record is whole or not there; damaged ones are never handed out.

use super::LoggedRecord;
use super::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, segment_name, segment_number};
use crate::env::{Env, File};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{FileNumber, Sequence};
use crate::record::{RecordKind, RecordReader, Step};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What became of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SalvagedSegment {
    /// Where it lies.
    pub path: PathBuf,
    /// Its number.
    pub number: FileNumber,
    /// The epoch of its writer; 0 if it cannot be told.
    pub epoch: u64,
    /// Records that were handed out.
    pub records: u64,
    /// Why the rest, or all of it, was not: damage, another database. `None`: it was read to its end.
    pub stopped: Option<String>,
}

struct Segment {
    told: SalvagedSegment,
    /// `None`: its header says that nothing of it counts, or is damaged.
    open: Option<(Arc<dyn File>, SegmentHeader)>,
}

/// The database that the newest segment with a good header belongs to; `None` if there is none. Errors are those of reading.
pub fn salvaged_database_id(env: &Env, dir: &Path) -> Result<Option<u64>> {
    let segments = find(env, dir, None, FileNumber(0))?;
    Ok(segments.iter().rev().find_map(|segment| Some(segment.open.as_ref()?.1.identity.database_id)))
}

/// Gives the records of the segments of `database_id` from `floor` on to `sink`, sequences rising; a record whose sequence does not
/// rise repeats an earlier one, and is left out.
///
/// A damaged record ends its segment; the next segment is read all the same. Only where a writer of a later epoch went on, it knew
/// what ended the log before it, and nothing behind that comes back. Errors are those of `sink`, and of listing the directory.
pub fn salvage(
    env: &Env,
    dir: &Path,
    database_id: u64,
    floor: FileNumber,
    sink: &mut dyn FnMut(LoggedRecord<'_>) -> Result<()>,
) -> Result<Vec<SalvagedSegment>> {
    let mut segments = find(env, dir, Some(database_id), floor)?;
    let newest_epoch = segments.iter().map(|segment| segment.told.epoch).max().unwrap_or(0);
    let mut last = 0;
    let mut ended_epoch = None;
    for Segment { told, open } in &mut segments {
        let Some((file, header)) = open else { continue };
        if ended_epoch == Some(told.epoch) {
            told.stopped = Some("the log ended before it, and was continued by a later writer".to_owned());
            continue;
        }
        read_segment(file, header, told, &mut last, sink)?;
        if told.stopped.is_some() && told.epoch < newest_epoch {
            ended_epoch = Some(told.epoch);
        }
    }
    Ok(segments.into_iter().map(|segment| segment.told).collect())
}

/// The segments in the order of their numbers.
fn find(env: &Env, dir: &Path, database_id: Option<u64>, floor: FileNumber) -> Result<Vec<Segment>> {
    let names = match env.files.list(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        names => names?,
    };
    let mut numbers: Vec<FileNumber> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort();
    let open = |number: FileNumber| {
        let path = dir.join(segment_name(number));
        let mut told = SalvagedSegment { path, number, epoch: 0, records: 0, stopped: None };
        let opened = env.files.open(&told.path).and_then(|file| Ok((SegmentHeader::read(&*file)?, file)));
        let open = match opened {
            Err(error) => {
                told.stopped = Some(error.message().to_owned());
                None
            }
            Ok((header, _)) if database_id.is_some_and(|id| id != header.identity.database_id) => {
                told.stopped = Some("it belongs to another database".to_owned());
                None
            }
            Ok(_) if number < floor => {
                told.stopped = Some("all of it lies in files, as the manifest says".to_owned());
                None
            }
            Ok((header, file)) => {
                told.epoch = header.identity.epoch;
                Some((file, header))
            }
        };
        Segment { told, open }
    };
    Ok(numbers.into_iter().map(open).collect())
}

/// Reads one segment as far as it goes.
fn read_segment(
    file: &Arc<dyn File>,
    header: &SegmentHeader,
    told: &mut SalvagedSegment,
    last: &mut Sequence,
    sink: &mut dyn FnMut(LoggedRecord<'_>) -> Result<()>,
) -> Result<()> {
    let mut reader = match RecordReader::new(file.clone(), header.salt(), SEGMENT_HEADER_BYTES) {
        Ok(reader) => reader,
        Err(error) => return stop(told, &error),
    };
    loop {
        match reader.step() {
            Err(error) => return stop(told, &error),
            Ok(Step::Record { offset, header, payload }) => {
                if header.kind != RecordKind::Data || header.sequence <= *last {
                    continue;
                }
                *last = header.sequence + Sequence::from(header.count.max(1)) - 1;
                let (first_sequence, count) = (header.sequence, header.count);
                sink(LoggedRecord { first_sequence, count, payload, segment: told.number, offset })?;
                told.records += 1;
            }
            Ok(Step::Damage { offset, why }) => {
                told.stopped = Some(format!("{why} at offset {offset}"));
                return Ok(());
            }
            Ok(Step::Nothing { offset }) => {
                match reader.is_zero_from(offset) {
                    Ok(true) => {}
                    Ok(false) => told.stopped = Some(format!("zeros where a log record was at offset {offset}")),
                    Err(error) => return stop(told, &error),
                }
                return Ok(());
            }
        }
    }
}

/// A segment that cannot be read ends there; the others are read all the same.
fn stop(told: &mut SalvagedSegment, error: &Error) -> Result<()> {
    told.stopped = Some(error.message().to_owned());
    Ok(())
}
