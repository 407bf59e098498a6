//! The one that appends. Owned by the commit lock, which is held over each call.

use super::backend::StoreError;
use super::helper::POPULATE_STEP_BYTES;
use super::mapped::WRITTEN_PART_BYTES;
use super::segment::{Begin, SEGMENT_HEADER_BYTES, Segment};
use super::{Log, LogEvent};
use crate::atomic::Ordering;
use crate::env::Call;
use crate::error::{Error, ErrorKind, Result};
use crate::key::{FileNumber, MAX_SEQUENCE, Sequence};
use crate::record::{MAX_PAYLOAD_BYTES, RecordHeader, RecordKind, payload_checksum, record_bytes};
use std::sync::Arc;

const BEGIN_BYTES: u64 = record_bytes(24);
const MARK_BYTES: u64 = record_bytes(0);
const END_BYTES: u64 = record_bytes(0);

/// Room that a segment keeps behind its data: for a MARK that covers a part of them, for one that covers them all, for the END.
const RESERVED_BYTES: u64 = 2 * MARK_BYTES + END_BYTES;

/// Appends records. Single-threaded.
pub struct LogWriter {
    log: Arc<Log>,
    active: Arc<Segment>,
    offset: u64,
    last_sequence: Sequence,
    /// The greatest durable offset that a record of the active segment carries.
    told: u64,
    /// Where the last record of the active segment ends that is no MARK.
    unmarked_end: u64,
    /// Where to ask the helper for more pages.
    populate_at: u64,
    closed: bool,
}

impl LogWriter {
    /// Makes the first segment, its BEGIN record included, durable.
    pub(super) fn new(log: Arc<Log>, last_sequence: Sequence) -> Result<Self> {
        let first = log.make_segment(0)?;
        let begin = Begin { number: FileNumber(0), end: 0, last_sequence };
        let begun = begin_segment(&first, &begin, 0).and_then(|end| {
            first.file.sync_data()?;
            first.durable.store(end, Ordering::Release);
            Ok(end)
        });
        let offset = begun.inspect_err(|_| log.discard(&first))?;
        let active = Arc::new(first);
        log.active_end.store(offset, Ordering::Relaxed);
        log.state.lock().segments.push_back(active.clone());
        let (told, unmarked_end) = (0, offset);
        Ok(Self { log, active, offset, last_sequence, told, unmarked_end, populate_at: offset, closed: false })
    }

    /// Appends one record of `count` operations from `first_sequence` on, whose payload is the concatenation of `parts` and has
    /// `checksum` ([`payload_checksum`]). Never syncs, except to make a new segment where none is ready. After an error the log is
    /// as before, or, with kind Poisoned, unusable. Requires: sequences rise; count > 0.
    #[inline]
    pub fn append(&mut self, first_sequence: Sequence, count: u32, parts: &[&[u8]], checksum: u32) -> Result<()> {
        let payload_len: usize = parts.iter().map(|part| part.len()).sum();
        let last_sequence = first_sequence + Sequence::from(count.max(1)) - 1;
        if first_sequence <= self.last_sequence || last_sequence > MAX_SEQUENCE || payload_len > MAX_PAYLOAD_BYTES {
            return Err(Error::invalid("a log record is too long, or its sequence does not rise"));
        }
        self.check_usable()?;
        let bytes = record_bytes(payload_len);
        if self.offset + bytes + RESERVED_BYTES > self.active.capacity {
            self.advance(bytes)?;
        }
        let header = RecordHeader {
            kind: RecordKind::Data,
            sequence: first_sequence,
            count,
            payload_len: payload_len as u32,
            payload_checksum: checksum,
            durable: self.active.durable.load(Ordering::Acquire),
        };
        self.store(&header, parts)?;
        self.told = header.durable;
        self.unmarked_end = self.offset;
        if self.active.first_sequence.load(Ordering::Relaxed) == 0 {
            self.active.first_sequence.store(first_sequence, Ordering::Release);
        }
        self.last_sequence = last_sequence;
        // The end after the sequence: who syncs up to an end that it read has then also at least the sequence before it.
        self.active.last_sequence.store(last_sequence, Ordering::Release);
        self.publish_end();
        self.log.appended.store(last_sequence, Ordering::Release);
        if self.offset >= self.populate_at {
            self.populate_at = self.offset + POPULATE_STEP_BYTES;
            // Long records are written, into pages that are better not there.
            if bytes < WRITTEN_PART_BYTES as u64 {
                self.log.wants_pages.store(true, Ordering::SeqCst);
                self.log.wanted.ring();
            }
        }
        Ok(())
    }

    /// Ends the active segment and goes on in the next. Does nothing if the active one holds no data.
    pub fn switch_segment(&mut self) -> Result<()> {
        self.check_usable()?;
        if self.active.first_sequence.load(Ordering::Relaxed) == 0 { Ok(()) } else { self.advance(0) }
    }

    /// Stores a MARK, unsynced, if the active segment is durable beyond what its records tell; takes no sequence. Does nothing once
    /// the log is closed or poisoned, or where there is no room. A MARK that fails and leaves no trace is no error: the next sync
    /// asks for another one. An error has kind Poisoned.
    pub fn mark(&mut self) -> Result<()> {
        let durable = self.active.durable.load(Ordering::Acquire);
        if self.closed || self.log.is_poisoned() || durable <= self.told || self.unmarked_end <= self.told {
            return Ok(());
        }
        // The last place is kept for a MARK that covers every record: nothing can be wanted after it.
        let behind = if durable < self.unmarked_end { MARK_BYTES + END_BYTES } else { END_BYTES };
        if self.offset + MARK_BYTES + behind > self.active.capacity {
            return Ok(());
        }
        match self.store(&self.bare_header(RecordKind::Mark, durable), &[]) {
            Ok(()) => {
                self.told = durable;
                self.publish_end();
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Poisoned => Err(error),
            Err(_) => Ok(()),
        }
    }

    /// Ends the log: everything is durable when this returns, and the file ends with an END record. Nothing can be appended
    /// after it, whether it succeeds or not.
    pub fn close(&mut self) -> Result<()> {
        self.check_usable()?;
        self.closed = true;
        let log = self.log.clone();
        log.stop();
        // END says that everything before it is durable: also a MARK or a BEGIN, whose sync no sequence asks for.
        if !self.is_durable() {
            log.sync_all()?;
        }
        let durable = self.active.durable.load(Ordering::Acquire);
        self.store(&self.bare_header(RecordKind::End, durable), &[])?;
        self.publish_end();
        self.active.file.set_len(self.offset).map_err(|error| log.failed(Call::SetLen, error))?;
        self.active.file.sync_data().map_err(|error| log.failed(Call::SyncData, error))?;
        self.active.durable.store(self.offset, Ordering::Release);
        Ok(())
    }

    fn bare_header(&self, kind: RecordKind, durable: u64) -> RecordHeader {
        let (sequence, payload_checksum) = (self.last_sequence, payload_checksum(&[]));
        RecordHeader { kind, sequence, count: 0, payload_len: 0, payload_checksum, durable }
    }

    fn check_usable(&self) -> Result<()> {
        if self.closed {
            return Err(Error::new(ErrorKind::Closed, "the log is closed"));
        }
        self.log.check_poison()
    }

    #[inline]
    fn store(&mut self, header: &RecordHeader, parts: &[&[u8]]) -> Result<()> {
        let bytes = header.record_bytes();
        let encoded = header.encode(self.active.salt, self.offset);
        let stored = self.active.store.store(self.offset, &encoded, parts, bytes);
        stored.map_err(|StoreError { call, error }| self.log.failed(call, error))?;
        self.offset += bytes;
        Ok(())
    }

    /// Whether the active segment is durable as a whole, with all older ones.
    fn is_durable(&self) -> bool {
        self.active.durable.load(Ordering::Acquire) >= self.offset
    }

    #[inline]
    fn publish_end(&self) {
        self.active.end.store(self.offset, Ordering::Release);
        self.log.active_end.store(self.offset, Ordering::Relaxed);
    }

    /// Goes on in a segment that has room for a record of `bytes`. After an error the active segment is the same as before.
    #[cold]
    fn advance(&mut self, bytes: u64) -> Result<()> {
        let log = self.log.clone();
        let wanted = SEGMENT_HEADER_BYTES + BEGIN_BYTES + bytes + RESERVED_BYTES;
        let ready = log.state.lock().ready.take();
        let next = match ready {
            Some(ready) if ready.capacity >= wanted => ready,
            spare => {
                let began = log.env.runtime.monotonic_nanos();
                let made = log.make_segment(wanted)?;
                // Segments are used in order of their numbers, so one that is too small can never be used.
                if let Some(spare) = spare {
                    log.discard(&spare);
                }
                let nanos = log.env.runtime.monotonic_nanos().saturating_sub(began);
                if nanos > 0 {
                    (log.events)(LogEvent::Stalled { nanos });
                }
                made
            }
        };
        // What the segment's records do not tell now, none will: either a MARK does, or the next one's records if all is durable.
        let told = if self.is_durable() {
            SEGMENT_HEADER_BYTES
        } else {
            self.mark().inspect_err(|_| log.discard(&next))?;
            0
        };
        let begin = Begin { number: self.active.number, end: self.offset, last_sequence: self.last_sequence };
        let offset = begin_segment(&next, &begin, told).inspect_err(|_| log.discard(&next))?;
        let next = Arc::new(next);
        let late = {
            let mut state = log.state.lock();
            state.segments.push_back(next.clone());
            // One that the helper numbered before `next` was made, and offered while it was.
            state.ready.take_if(|ready| ready.number < next.number)
        };
        if let Some(late) = late {
            log.discard(&late);
        }
        if self.is_durable() {
            // Perhaps only since BEGIN was made. A sync that ends later finds the next segment in the list, and does the same.
            next.durable.fetch_max(SEGMENT_HEADER_BYTES, Ordering::AcqRel);
        }
        log.closed_bytes.fetch_add(self.offset, Ordering::Relaxed);
        self.active = next;
        self.offset = offset;
        self.told = told;
        self.unmarked_end = offset;
        self.populate_at = offset;
        self.publish_end();
        log.wanted.ring();
        Ok(())
    }
}

/// Stores the BEGIN record of a fresh segment, which carries `durable`, and gives the offset behind it.
fn begin_segment(segment: &Segment, begin: &Begin, durable: u64) -> Result<u64> {
    let payload = begin.encode();
    let header = RecordHeader {
        kind: RecordKind::Begin,
        sequence: begin.last_sequence,
        count: 0,
        payload_len: payload.len() as u32,
        payload_checksum: payload_checksum(&[&payload]),
        durable,
    };
    let bytes = header.record_bytes();
    let encoded = header.encode(segment.salt, SEGMENT_HEADER_BYTES);
    // A segment that nobody uses is thrown away whatever it holds.
    segment.store.store(SEGMENT_HEADER_BYTES, &encoded, &[&payload], bytes).map_err(|failed| failed.error)?;
    let end = SEGMENT_HEADER_BYTES + bytes;
    segment.durable.store(durable, Ordering::Release);
    segment.last_sequence.store(begin.last_sequence, Ordering::Release);
    segment.end.store(end, Ordering::Release);
    Ok(end)
}
