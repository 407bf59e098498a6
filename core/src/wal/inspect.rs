//! One segment of the log record by record, for people who look at it: what lies where, whether or not it counts.
//!
//! Called by the command line. Changes nothing on disk and judges nothing: which segments count, and whether a bad end is a torn one or
//! damage, is said by [`replay`](super::replay()).

use super::segment::{Begin, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::key::{FileNumber, Sequence};
use crate::record::{RecordKind, RecordReader, Step};
use std::path::{Path, PathBuf};

/// Whose segment it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectedSegment {
    /// Where it lies.
    pub path: PathBuf,
    /// Its number, as its header has it.
    pub number: FileNumber,
    /// The database that it belongs to.
    pub database_id: u64,
    /// The epoch of its writer.
    pub epoch: u64,
    /// Its length in bytes: what was reserved, as long as it is written to.
    pub file_bytes: u64,
}

/// One record, verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InspectedRecord<'a> {
    /// Where it begins.
    pub offset: u64,
    /// Its length in bytes, header and padding included.
    pub bytes: u64,
    /// What it is for.
    pub kind: RecordKind,
    /// The first sequence of its operations; for other kinds than data, the last sequence before it.
    pub sequence: Sequence,
    /// How many operations it holds.
    pub count: u32,
    /// The segment was durable up to this offset, and all older ones, when the record was written; 0: nothing is told.
    pub durable: u64,
    /// What it carries: of a data record, encoded operations for [`Operations`](crate::batch::Operations).
    pub payload: &'a [u8],
    /// Of a BEGIN record: the segment before, where that ends, and its last sequence; number 0 for the first of an epoch.
    pub follows: Option<(FileNumber, u64, Sequence)>,
}

/// How the records of a segment end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InspectedEnd {
    /// Behind the last good record.
    pub offset: u64,
    /// How many good records there were.
    pub records: u64,
    /// What is wrong behind it; `None`: the file ends, or goes on with zeros only.
    pub damage: Option<&'static str>,
}

/// Gives the good records at the front of the segment at `path` to `sink`, in order, and says how they end.
///
/// Errors: Corruption (its header is damaged), NotSupported (of a later version), those of reading and of `sink`.
pub fn inspect_segment<E: From<Error>>(
    env: &Env,
    path: &Path,
    sink: &mut dyn FnMut(&InspectedSegment, InspectedRecord<'_>) -> std::result::Result<(), E>,
) -> std::result::Result<(InspectedSegment, InspectedEnd), E> {
    let (segment, mut reader) = open(env, path)?;
    let mut records = 0;
    loop {
        let (offset, damage) = match reader.step()? {
            Step::Record { offset, header, payload } => {
                let begin = if header.kind == RecordKind::Begin { Begin::decode(payload) } else { None };
                records += 1;
                let record = InspectedRecord {
                    offset,
                    bytes: header.record_bytes(),
                    kind: header.kind,
                    sequence: header.sequence,
                    count: header.count,
                    durable: header.durable,
                    payload,
                    follows: begin.map(|begin| (begin.number, begin.end, begin.last_sequence)),
                };
                sink(&segment, record)?;
                continue;
            }
            Step::Damage { offset, why } => (offset, Some(why)),
            Step::Nothing { offset } => {
                let blank = reader.is_zero_from(offset)?;
                (offset, (!blank).then_some("zeros where a log record was"))
            }
        };
        return Ok((segment, InspectedEnd { offset, records, damage }));
    }
}

fn open(env: &Env, path: &Path) -> Result<(InspectedSegment, RecordReader)> {
    let file = env.files.open(path)?;
    let header = SegmentHeader::read(&*file)?;
    let reader = RecordReader::new(file, header.salt(), SEGMENT_HEADER_BYTES)?;
    let segment = InspectedSegment {
        path: path.to_path_buf(),
        number: header.number,
        database_id: header.identity.database_id,
        epoch: header.identity.epoch,
        file_bytes: reader.file_len(),
    };
    Ok((segment, reader))
}
