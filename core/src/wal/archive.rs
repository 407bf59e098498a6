//! The archive: segments that the log needs no more, kept for who wants to look back, within limits of age and bytes.
//!
//! Fed by [`Log::remove_below`] and [`Log::retire`]; a task of its own does the work, so that neither flushes nor writers wait for it. A
//! segment with data lies in the log's directory or in the archive, and goes only past a limit, on a full disk, or if it cannot be
//! made durable; of that an event tells. Nothing in the engine reads the archive back.

use super::segment::{SEGMENT_HEADER_BYTES, Segment, SegmentHeader, segment_name};
use super::{Log, LogEvent};
use crate::atomic::Ordering;
use crate::env::{Bell, File, Next, Task};
use crate::error::{ErrorKind, Result};
use crate::key::FileNumber;
use crate::lock::Mutex;
use crate::record::{RecordKind, RecordReader, Step};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The folder in the log's directory.
pub const ARCHIVE_DIR: &str = "archive";

/// How long to rest after a segment could not be moved.
const RETRY: Duration = Duration::from_secs(1);

/// What the archive may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// Segments that came so many seconds ago leave it; 0: none does.
    pub seconds: u64,
    /// The oldest leave it as long as it holds more bytes; 0: no limit.
    pub bytes: u64,
}

/// The name of a segment that was archived at `stamp`, in nanoseconds since 1970, made to rise: by name they are in the log's order.
pub fn archived_name(stamp: u64) -> String {
    format!("wal-{stamp:019}.log")
}

/// When the archived segment that is called `name` was archived, or `None` if none is called so.
pub fn archived_stamp(name: &str) -> Option<u64> {
    let stamp = name.strip_prefix("wal-")?.strip_suffix(".log")?.parse().ok()?;
    (archived_name(stamp) == name).then_some(stamp)
}

/// A segment on its way.
pub(super) struct Retired {
    number: FileNumber,
    path: PathBuf,
    bytes: u64,
    /// What this log knows of it; `None`: an earlier process left it.
    segment: Option<Arc<Segment>>,
}

impl Retired {
    pub fn ours(segment: Arc<Segment>) -> Self {
        Self { number: segment.number, path: segment.path.clone(), bytes: segment.end(), segment: Some(segment) }
    }
}

/// What is on its way, and the limits.
pub(super) struct Archive {
    limits: ArchiveLimits,
    queue: Mutex<VecDeque<Retired>>,
    wanted: Arc<Bell>,
}

impl Archive {
    pub fn new(limits: ArchiveLimits) -> Self {
        Self { limits, queue: Mutex::default(), wanted: Arc::new(Bell::new()) }
    }

    pub fn take(&self, retired: Retired) {
        self.queue.lock().push_back(retired);
        self.wanted.ring();
    }

    pub fn ring(&self) {
        self.wanted.ring();
    }
}

impl Log {
    /// Gives up segments of earlier processes, which the manifest does not need any more: archives or removes them. What cannot be
    /// removed is left to the next opening.
    pub fn retire(&self, numbers: &[FileNumber]) {
        for &number in numbers {
            let path = self.dir.join(segment_name(number));
            match &self.archive {
                Some(archive) => {
                    let bytes = self.env.files.file_len(&path).ok().flatten().unwrap_or(0);
                    archive.take(Retired { number, path, bytes, segment: None });
                }
                None => _ = self.env.files.remove(&path),
            }
        }
    }

    /// The background task that moves segments to the archive and deletes the oldest there, and the bell that wakes it; `None` if
    /// there is no archive. It ends once the log is stopped and nothing more can be moved.
    pub fn archiver(self: &Arc<Self>) -> Option<(Arc<Bell>, Box<dyn Task>)> {
        let archive = self.archive.as_ref()?;
        let archiver = Archiver { log: self.clone(), limits: archive.limits, kept: None };
        Some((archive.wanted.clone(), Box::new(archiver)))
    }
}

/// A segment in the archive.
struct Kept {
    stamp: u64,
    bytes: u64,
}

/// The task.
struct Archiver {
    log: Arc<Log>,
    limits: ArchiveLimits,
    /// Oldest first; `None`: to be looked up.
    kept: Option<VecDeque<Kept>>,
}

impl Task for Archiver {
    fn step(&mut self) -> Next {
        // Whether what is in the files can be made durable is unknown.
        if self.log.is_poisoned() {
            return Next::Done;
        }
        let is_last = self.log.stopped.load(Ordering::SeqCst);
        let retired = self.queued();
        let moved = match &retired {
            Some(retired) => self.archive(retired),
            None => Ok(()),
        };
        let Err(error) = moved.and_then(|()| self.shrink()) else {
            return match retired {
                Some(_) => Next::Again,
                None if is_last => Next::Done,
                None => Next::Wait(self.until_next_expiry()),
            };
        };
        // Perhaps a rename took effect all the same.
        self.kept = None;
        if let Some(retired) = retired {
            // Live data need the space more.
            if error.kind() == ErrorKind::NoSpace && !self.drop_oldest().unwrap_or(false) {
                self.give_up(&retired, &error.to_string());
                return Next::Again;
            }
            self.put_back(retired);
            let _ = self.shrink();
        }
        if is_last { Next::Done } else { Next::Wait(Some(RETRY)) }
    }
}

impl Archiver {
    fn queued(&self) -> Option<Retired> {
        self.log.archive.as_ref()?.queue.lock().pop_front()
    }

    /// To be tried again.
    fn put_back(&self, retired: Retired) {
        if let Some(archive) = &self.log.archive {
            archive.queue.lock().push_front(retired);
        }
    }

    fn waiting_bytes(&self) -> u64 {
        let bytes = |archive: &Archive| archive.queue.lock().iter().map(|retired| retired.bytes).sum();
        self.log.archive.as_ref().map_or(0, bytes)
    }

    fn dir(&self) -> PathBuf {
        self.log.dir.join(ARCHIVE_DIR)
    }

    fn path(&self, stamp: u64) -> PathBuf {
        self.dir().join(archived_name(stamp))
    }

    /// What is in the archive, oldest first.
    fn kept(&mut self) -> Result<&mut VecDeque<Kept>> {
        if self.kept.is_none() {
            let files = &*self.log.env.files;
            let dir = self.dir();
            let names = match files.list(&dir) {
                Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
                names => names?,
            };
            let mut kept = VecDeque::new();
            for stamp in names.iter().filter_map(|name| archived_stamp(name)) {
                let bytes = files.file_len(&dir.join(archived_name(stamp)))?.unwrap_or(0);
                kept.push_back(Kept { stamp, bytes });
            }
            self.kept = Some(kept);
        }
        Ok(self.kept.get_or_insert_default())
    }

    /// Moves a segment: cut behind its last record, durable, and only then renamed. If the move is cut short the segment lies where it
    /// lay, or in the archive.
    fn archive(&mut self, retired: &Retired) -> Result<()> {
        let log = self.log.clone();
        let files = &*log.env.files;
        if files.file_len(&retired.path)?.is_none() {
            return Ok(());
        }
        let file = match &retired.segment {
            Some(segment) => segment.file.clone(),
            None => files.open(&retired.path)?,
        };
        let holds_data = match &retired.segment {
            Some(segment) => segment.first_sequence.load(Ordering::Acquire) != 0,
            None => holds_data(&file)? && !self.is_archived(&file)?,
        };
        if !holds_data {
            return files.remove(&retired.path);
        }
        let newest = self.kept()?.back().map(|kept| kept.stamp);
        let dir = self.dir();
        if files.create_dir(&dir)? || newest.is_none() {
            files.sync_dir(&log.dir)?;
        }
        if let Some(segment) = &retired.segment {
            // One that is not cut is as good, only longer.
            let _ = file.set_len(segment.end());
        }
        if let Err(error) = file.sync_data() {
            // What it holds is unknown, and a second sync would prove nothing.
            self.give_up(retired, &error.to_string());
            return Ok(());
        }
        let bytes = file.len()?;
        // Rising, whatever the clock does.
        let stamp = log.env.runtime.unix_nanos().max(newest.map_or(0, |newest| newest + 1));
        files.rename(&retired.path, &self.path(stamp))?;
        self.kept()?.push_back(Kept { stamp, bytes });
        // The archive first. Should either fail, a power cut may put the segment back, for the next opening to move.
        let _ = files.sync_dir(&dir).and_then(|()| files.sync_dir(&log.dir));
        (log.events)(LogEvent::SegmentArchived { number: retired.number, bytes, stamp });
        Ok(())
    }

    /// Whether a segment lies in the archive already: a power cut may have kept both names of a rename.
    fn is_archived(&mut self, file: &Arc<dyn File>) -> Result<bool> {
        let header = SegmentHeader::read(&**file)?;
        let stamps: Vec<u64> = self.kept()?.iter().rev().map(|kept| kept.stamp).collect();
        for stamp in stamps {
            let archived = self.log.env.files.open(&self.path(stamp))?;
            match SegmentHeader::read(&*archived) {
                Ok(archived) if archived == header => return Ok(true),
                // They came in the order of their numbers.
                Ok(archived) if archived.number < header.number => return Ok(false),
                _ => {}
            }
        }
        Ok(false)
    }

    /// Removes a segment that cannot be archived.
    fn give_up(&self, retired: &Retired, why: &str) {
        if self.log.env.files.remove(&retired.path).is_ok() {
            let (number, bytes) = (retired.number, retired.bytes);
            (self.log.events)(LogEvent::NotArchived { number, bytes, why: why.to_owned() });
        }
    }

    /// Deletes the oldest as long as a limit asks for it. What waits to be moved counts too, so that it cannot heap up.
    fn shrink(&mut self) -> Result<()> {
        let ArchiveLimits { seconds, bytes: limit } = self.limits;
        loop {
            let now = self.log.env.runtime.unix_nanos();
            let waiting = self.waiting_bytes();
            let kept = self.kept()?;
            let bytes = waiting + kept.iter().map(|kept| kept.bytes).sum::<u64>();
            let is_long = limit > 0 && bytes > limit;
            let is_old = kept.front().is_some_and(|oldest| is_past(oldest.stamp, seconds, now));
            if !is_long && !is_old {
                return Ok(());
            }
            if !self.drop_oldest()? {
                let Some(retired) = self.queued() else { return Ok(()) };
                self.give_up(&retired, "the archive is full");
            }
        }
    }

    /// Deletes the oldest segment in the archive; false if it is empty.
    fn drop_oldest(&mut self) -> Result<bool> {
        let Some(&Kept { stamp, bytes }) = self.kept()?.front() else { return Ok(false) };
        match self.log.env.files.remove(&self.path(stamp)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.kept()?.pop_front();
        (self.log.events)(LogEvent::ArchivedDeleted { bytes, stamp });
        Ok(true)
    }

    fn until_next_expiry(&mut self) -> Option<Duration> {
        let (seconds, now) = (self.limits.seconds, self.log.env.runtime.unix_nanos());
        let oldest = self.kept.as_ref()?.front().filter(|_| seconds > 0)?.stamp;
        let until = oldest.saturating_add(seconds.saturating_mul(1_000_000_000));
        Some(Duration::from_nanos(until.saturating_sub(now).max(1)))
    }
}

fn is_past(stamp: u64, seconds: u64, now: u64) -> bool {
    seconds > 0 && now >= stamp.saturating_add(seconds.saturating_mul(1_000_000_000))
}

/// Whether anything was logged in a segment; what is damaged counts as data.
fn holds_data(file: &Arc<dyn File>) -> Result<bool> {
    let salt = match SegmentHeader::read(&**file) {
        Err(error) if error.kind() == ErrorKind::Corruption => return Ok(false),
        header => header?.salt(),
    };
    let mut reader = RecordReader::new(file.clone(), salt, SEGMENT_HEADER_BYTES)?;
    loop {
        match reader.step()? {
            Step::Record { header, .. } if header.kind == RecordKind::Data => return Ok(true),
            Step::Record { .. } => {}
            Step::Damage { .. } => return Ok(true),
            Step::Nothing { offset } => return Ok(!reader.is_zero_from(offset)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_when_and_no_other_name_does() {
        assert_eq!(archived_name(1_763_689_123_123_456_789), "wal-1763689123123456789.log");
        for stamp in [0, 7, u64::MAX] {
            assert_eq!(archived_stamp(&archived_name(stamp)), Some(stamp));
        }
        for name in ["wal-7.log", "000007.log", "wal-1763689123123456789.log2", "wal-+763689123123456789.log"] {
            assert_eq!(archived_stamp(name), None, "{name}");
        }
    }
}
