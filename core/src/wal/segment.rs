//! One segment of the log: its name, its header, and what writer, syncer and statistics know of it while it is open.
//!
//! Used by every other file of this folder. A segment that exists under its name has a durable header and a durable name.

use super::backend::{self, Store};
use super::{LogBackend, LogIdentity};
use crate::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::env::{Env, File, read_exact_at};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{FileNumber, Sequence};
use crate::record::Salt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use twox_hash::XxHash3_64;

/// The size of a segment's header in bytes; the first record starts behind it.
pub(super) const SEGMENT_HEADER_BYTES: u64 = 64;

const MAGIC: [u8; 8] = *b"sstorLOG";
const VERSION: u32 = 1;
const CHECKSUM_AT: usize = 56;

/// The file name of the segment `number`.
pub fn segment_name(number: FileNumber) -> String {
    format!("{:06}.log", number.0)
}

/// The number of the segment that is called `name`, or `None` if no segment is called so.
pub fn segment_number(name: &str) -> Option<FileNumber> {
    let number = FileNumber(name.strip_suffix(".log")?.parse().ok()?);
    (segment_name(number) == name).then_some(number)
}

/// The header of a segment, as on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub identity: LogIdentity,
    pub number: FileNumber,
    pub random: u64,
}

impl SegmentHeader {
    pub fn salt(&self) -> Salt {
        Salt::new(self.random, self.number)
    }

    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES as usize] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.identity.database_id.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.number.0.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.identity.epoch.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.random.to_le_bytes());
        let checksum = XxHash3_64::oneshot(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads a header; damage is Corruption, a newer version NotSupported.
    pub fn decode(bytes: &[u8; SEGMENT_HEADER_BYTES as usize], path: &Path) -> Result<Self> {
        let long = |at: usize| bytes[at..].first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk));
        if bytes[..8] != MAGIC {
            return Err(Error::corruption(path, 0, "log segment header damaged: wrong magic"));
        }
        if long(CHECKSUM_AT) != XxHash3_64::oneshot(&bytes[..CHECKSUM_AT]) {
            return Err(Error::corruption(path, 0, "log segment header damaged: checksum does not match"));
        }
        let version = long(8) as u32;
        if version != VERSION {
            let message = format!("log segment of format version {version}, this library reads {VERSION}");
            return Err(Error::new(ErrorKind::NotSupported, message).at(path, 8));
        }
        let identity = LogIdentity { database_id: long(16), epoch: long(32) };
        Ok(Self { identity, number: FileNumber(long(24)), random: long(40) })
    }

    /// Reads the header of an open segment.
    pub fn read(file: &dyn File) -> Result<Self> {
        let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
        read_exact_at(file, &mut bytes, 0)?;
        Self::decode(&bytes, file.path())
    }
}

/// What [`Segment::make`] needs to know.
pub(super) struct Making<'a> {
    pub env: &'a Env,
    pub dir: &'a Path,
    pub identity: LogIdentity,
    pub backend: LogBackend,
}

/// An open segment. The writer stores to it, everyone may read its figures and sync its file.
pub(super) struct Segment {
    pub number: FileNumber,
    pub path: PathBuf,
    pub file: Arc<dyn File>,
    pub salt: Salt,
    pub capacity: u64,
    pub store: Box<dyn Store>,
    /// Where the next record goes: everything before it is stored.
    pub end: AtomicU64,
    /// Everything before it is durable, and so are all older segments; 0 as long as that is not known of the older ones.
    pub durable: AtomicU64,
    /// The sequence of the first operation in it; 0 as long as there is none.
    pub first_sequence: AtomicU64,
    /// The last sequence in it, or before it.
    pub last_sequence: AtomicU64,
    /// Nothing is left to sync: it was synced after the last record was stored.
    pub synced: AtomicBool,
}

impl Segment {
    /// Makes a segment of `capacity` bytes: reserved on disk, headed, durable with its name. After an error nothing is left of it.
    pub fn make(making: &Making<'_>, number: FileNumber, capacity: u64) -> Result<Self> {
        let path = making.dir.join(segment_name(number));
        let file = making.env.files.create(&path)?;
        let made = Self::prepare(making, number, capacity, &path, file);
        if made.is_err() {
            // Left behind it would be ignored: its header is bad, or it holds no record.
            let _ = making.env.files.remove(&path);
        }
        made
    }

    fn prepare(
        making: &Making<'_>,
        number: FileNumber,
        capacity: u64,
        path: &Path,
        file: Arc<dyn File>,
    ) -> Result<Self> {
        let header = SegmentHeader { identity: making.identity, number, random: making.env.runtime.random() };
        file.allocate(capacity)?;
        file.write_at(&header.encode(), 0)?;
        file.sync_data()?;
        making.env.files.sync_dir(making.dir)?;
        let store = backend::open(&file, making.backend, capacity)?;
        Ok(Self {
            number,
            path: path.to_path_buf(),
            salt: header.salt(),
            file,
            capacity,
            store,
            end: AtomicU64::new(SEGMENT_HEADER_BYTES),
            durable: AtomicU64::new(0),
            first_sequence: AtomicU64::new(0),
            last_sequence: AtomicU64::new(0),
            synced: AtomicBool::new(false),
        })
    }

    pub fn last(&self) -> Sequence {
        self.last_sequence.load(Ordering::Acquire)
    }

    pub fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }
}

/// What a BEGIN record says of the segment before: which one it is, where it ended, and its last sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begin {
    /// The segment before; 0 for the first of an epoch.
    pub number: FileNumber,
    pub end: u64,
    pub last_sequence: Sequence,
}

impl Begin {
    pub fn encode(&self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.number.0.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.end.to_le_bytes());
        bytes[16..].copy_from_slice(&self.last_sequence.to_le_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 24] = bytes.try_into().ok()?;
        let long = |at: usize| bytes[at..].first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk));
        Some(Self { number: FileNumber(long(0)), end: long(8), last_sequence: long(16) })
    }
}
