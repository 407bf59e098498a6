//! A segment that is ready at the wrong moment, and marks in a log that nobody writes to.

use super::*;
use crate::env::Env;
use crate::env::executor::SeededRuntime;
use crate::env::fault::{Effect, FaultFileSystem, Rule};
use crate::env::mem::MemFileSystem;
use crate::env::mem::crash::AllKept;
use crate::env::{Call, FileSystem, Runtime};
use crate::error::ErrorKind;
use crate::lock::Mutex;
use crate::record::{payload_checksum, record_bytes};
use crate::wal::{
    LogBackend, LogEvent, LogIdentity, LogOptions, LogWriter, RecoveryMode, ReplayOutcome, replay, segment_name,
};
use std::path::Path;
use std::sync::atomic::AtomicU64;

/// A segment on its way to a log.
type Late = (Arc<Log>, Segment);

/// The helper's segment 2 becomes ready while an append that found none ready is making segment 3.
#[test]
fn a_segment_that_is_ready_too_late_is_not_used_after_its_successor() {
    let env = Env { files: MemFileSystem::new(), runtime: SeededRuntime::new(1) };
    let dir = Path::new("/db/wal");
    env.files.create_dir(dir).unwrap();
    let next = AtomicU64::new(1);
    let numbers = Arc::new(move || FileNumber(next.fetch_add(1, Ordering::Relaxed)));
    let late: Arc<Mutex<Option<Late>>> = Arc::default();
    let helper = late.clone();
    let events = Arc::new(move |event| {
        if let LogEvent::SegmentCreated { number: FileNumber(3), .. } = event
            && let Some((log, segment)) = helper.lock().take()
        {
            assert_eq!(segment.number, FileNumber(2));
            if let Some(unwanted) = log.offer(segment) {
                log.discard(&unwanted);
            }
        }
    });
    let identity = LogIdentity { database_id: 7, epoch: 1 };
    let options =
        LogOptions { backend: LogBackend::Mapped, segment_bytes_min: 4096, segment_bytes_max: 4096, archive: None };
    let (mut writer, log) = Log::create(&env, dir, identity, options, numbers, 0, events).unwrap();
    let made = log.make_segment(0).unwrap();
    *late.lock() = Some((log.clone(), made));
    let payload = [7; 1000];
    for sequence in 1..=20 {
        writer.append(sequence, 1, &[&payload], payload_checksum(&[&payload])).unwrap();
    }
    assert!(late.lock().is_none(), "the late segment was offered");

    let mut sequences = Vec::new();
    let outcome = replay(&env, dir, 7, 1, FileNumber(1), None, RecoveryMode::Absolute, &mut |record| {
        sequences.push(record.first_sequence);
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(sequences, (1..=20).collect::<Vec<_>>());
    let numbers: Vec<_> = log.segments().iter().map(|segment| segment.number).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
}

/// A log with its helper, on the seeded executor; the lock stands for the commit lock.
struct Marked {
    files: Arc<MemFileSystem>,
    faults: Arc<FaultFileSystem>,
    runtime: Arc<SeededRuntime>,
    writer: Arc<Mutex<LogWriter>>,
    log: Arc<Log>,
    last: u64,
}

const BACKENDS: [LogBackend; 2] = [LogBackend::Mapped, LogBackend::Write];
const MARK_BYTES: u64 = record_bytes(0);

impl Marked {
    fn new(backend: LogBackend) -> Self {
        let (files, runtime) = (MemFileSystem::new(), SeededRuntime::new(4));
        let faults = FaultFileSystem::new(files.clone(), Vec::new());
        let env = Env { files: faults.clone(), runtime: runtime.clone() };
        files.create_dir(Path::new("/wal")).unwrap();
        let next = AtomicU64::new(1);
        let numbers = Arc::new(move || FileNumber(next.fetch_add(1, Ordering::Relaxed)));
        let options = LogOptions { backend, segment_bytes_min: 4096, segment_bytes_max: 4096, archive: None };
        let identity = LogIdentity { database_id: 7, epoch: 1 };
        let made = Log::create(&env, Path::new("/wal"), identity, options, numbers, 0, Arc::new(|_| ()));
        let (writer, log) = made.unwrap();
        let writer = Arc::new(Mutex::new(writer));
        let marking = writer.clone();
        let (bell, helper) = log.helper(Box::new(move || _ = marking.lock().mark()));
        runtime.spawn("log", bell, helper).unwrap();
        runtime.run_until_idle();
        Self { files, faults, runtime, writer, log, last: 0 }
    }

    fn append(&mut self, len: usize) {
        self.last += 1;
        let payload = vec![self.last as u8 | 1; len];
        self.writer.lock().append(self.last, 1, &[&payload], payload_checksum(&[&payload])).unwrap();
    }

    fn sync(&self) {
        self.log.sync(self.last).unwrap();
    }

    fn pass(&self, millis: u64) {
        self.runtime.sleep(Duration::from_millis(millis));
    }

    fn end(&self) -> u64 {
        self.log.segments().last().unwrap().bytes
    }

    /// Where each record starts, and what a replay of a copy makes of it with one byte flipped.
    fn replayed(&self, damage: Option<(FileNumber, u64)>) -> Result<(ReplayOutcome, Vec<(FileNumber, u64)>)> {
        let files = self.files.crash_clone(&mut AllKept);
        if let Some((segment, at)) = damage {
            let path = Path::new("/wal").join(segment_name(segment));
            let mut byte = [0];
            files.open(&path).unwrap().read_at(&mut byte, at).unwrap();
            files.damage(&path, at, &[byte[0] ^ 4]).unwrap();
        }
        let env = Env { files, runtime: SeededRuntime::new(1) };
        let mut found = Vec::new();
        let outcome =
            replay(&env, Path::new("/wal"), 7, 1, FileNumber(1), None, RecoveryMode::PointInTime, &mut |record| {
                found.push((record.segment, record.offset));
                Ok(())
            })?;
        Ok((outcome, found))
    }

    /// Whether damage to each byte of record `index` is told from a torn end; all bytes agree.
    fn tells_damage_of(&self, index: usize) -> bool {
        let places = self.replayed(None).unwrap().1;
        let (segment, offset) = places[index];
        let mut told = Vec::new();
        for at in offset..offset + record_bytes(10) {
            match self.replayed(Some((segment, at))) {
                Err(error) => {
                    assert_eq!((error.kind(), error.offset()), (ErrorKind::Corruption, Some(offset)), "byte {at}");
                    assert_eq!(error.path(), Some(&*Path::new("/wal").join(segment_name(segment))));
                    told.push(true);
                }
                Ok((outcome, found)) => {
                    assert_eq!((found.len(), outcome.cut.map(|cut| cut.offset)), (index, Some(offset)), "byte {at}");
                    told.push(false);
                }
            }
        }
        assert!(told.iter().all(|one| *one == told[0]), "{told:?}");
        told[0]
    }
}

#[test]
fn an_idle_log_tells_damage_to_its_last_synced_record() {
    for backend in BACKENDS {
        let mut run = Marked::new(backend);
        (0..5).for_each(|_| run.append(10));
        let end = run.end();
        run.pass(5_000);
        assert_eq!(run.end(), end, "nothing was synced, so there is nothing to tell");
        run.sync();
        assert!(!run.tells_damage_of(4), "no record tells of the sync yet");
        run.pass(800);
        assert_eq!(run.end(), end, "too early");
        run.pass(800);
        assert_eq!(run.end(), end + MARK_BYTES);
        assert!((0..5).all(|index| run.tells_damage_of(index)), "{backend:?}");
        assert_eq!((run.log.appended_sequence(), run.log.durable_sequence()), (5, 5));
        let (outcome, found) = run.replayed(None).unwrap();
        assert_eq!((outcome.last_sequence, outcome.cut, found.len()), (5, None, 5));
        // The mark itself tells of nothing that is missing.
        for at in end..end + MARK_BYTES {
            assert_eq!(run.replayed(Some((FileNumber(1), at))).unwrap().1.len(), 5);
        }
        let steps = run.runtime.step_count();
        run.pass(60_000);
        assert_eq!((run.end(), run.runtime.step_count()), (end + MARK_BYTES, steps), "once, and no polling");
        run.append(10);
        run.sync();
        run.pass(3_000);
        assert_eq!(run.end(), end + 2 * MARK_BYTES + record_bytes(10), "the same again");
        run.log.stop();
        run.runtime.run_until_idle();
        run.writer.lock().close().unwrap();
        assert!(run.replayed(None).unwrap().0.clean);
    }
}

#[test]
fn a_busy_log_is_not_marked_and_a_later_record_spares_the_mark() {
    let mut run = Marked::new(LogBackend::Mapped);
    for _ in 0..20 {
        run.append(10);
        run.sync();
        run.pass(300);
    }
    assert_eq!(run.end(), 120 + 20 * record_bytes(10));
    run.append(10);
    run.pass(5_000);
    assert_eq!(run.end(), 120 + 21 * record_bytes(10), "the last record tells of every sync");
    assert!(run.tells_damage_of(19) && !run.tells_damage_of(20));
    let steps = run.runtime.step_count();
    run.pass(60_000);
    assert_eq!(run.runtime.step_count(), steps);
}

#[test]
fn a_closed_or_failed_log_is_not_marked() {
    let mut run = Marked::new(LogBackend::Write);
    run.append(10);
    run.sync();
    run.writer.lock().close().unwrap();
    let end = run.end();
    run.writer.lock().mark().unwrap();
    run.pass(5_000);
    assert_eq!(run.end(), end);
    assert!(run.replayed(None).unwrap().0.clean);

    let mut run = Marked::new(LogBackend::Write);
    run.append(10);
    run.sync();
    run.append(10);
    run.faults.add(Rule::once(Call::SyncData, Effect::Error(5)));
    assert_eq!(run.log.sync(2).unwrap_err().kind(), ErrorKind::Poisoned);
    let (end, writes) = (run.end(), run.faults.count(Call::Write));
    run.writer.lock().mark().unwrap();
    run.pass(5_000);
    assert_eq!((run.end(), run.faults.count(Call::Write)), (end, writes));
}

#[test]
fn a_mark_that_fails_is_no_failure_unless_its_trace_stays() {
    let mut run = Marked::new(LogBackend::Write);
    run.append(10);
    run.sync();
    run.faults.add(Rule::once(Call::Write, Effect::ShortWrite(9, 28)));
    run.pass(5_000);
    assert!(!run.log.is_poisoned() && !run.tells_damage_of(0));
    run.append(10);
    run.sync();
    run.pass(5_000);
    assert!(run.tells_damage_of(0) && run.tells_damage_of(1));
    run.append(10);
    run.sync();
    run.faults.add(Rule::once(Call::Write, Effect::ShortWrite(9, 28)));
    run.faults.add(Rule::once(Call::SetLen, Effect::Error(5)));
    assert_eq!(run.writer.lock().mark().unwrap_err().kind(), ErrorKind::Poisoned);
    assert!(run.log.is_poisoned());
}

/// Whatever the marks take, there is room for the END, and for one mark that covers all.
#[test]
fn marks_leave_room_for_what_must_come() {
    for len in 0..160 {
        let mut run = Marked::new(LogBackend::Write);
        while run.log.segments().len() < 2 {
            run.append(len);
            let active = run.log.state.lock().segments.back().cloned().unwrap();
            // As if the record had come while the sync was in flight: what is durable is not told by it.
            active.durable.store(active.end() - record_bytes(len), Ordering::Release);
            run.writer.lock().mark().unwrap();
            active.durable.store(active.end(), Ordering::Release);
            run.writer.lock().mark().unwrap();
            run.writer.lock().mark().unwrap();
            let place = run.replayed(None).unwrap().1.pop().unwrap();
            assert!(run.replayed(Some(place)).is_err(), "{len}: record {} is told", run.last);
            assert!(active.end() + MARK_BYTES <= active.capacity, "{len}");
        }
        let count = run.last as usize;
        run.log.stop();
        run.writer.lock().close().unwrap();
        let (outcome, found) = run.replayed(None).unwrap();
        assert!(outcome.clean && found.len() == count, "{len}: {outcome:?}");
    }
}

#[test]
fn what_was_synced_is_told_across_a_switch() {
    // Nothing came after the sync: BEGIN of the next segment tells.
    let mut run = Marked::new(LogBackend::Mapped);
    (0..3).for_each(|_| run.append(10));
    run.sync();
    run.writer.lock().switch_segment().unwrap();
    assert!((0..3).all(|index| run.tells_damage_of(index)));

    // The last record came while the sync was in flight: a mark at the end of the old segment tells.
    let mut run = Marked::new(LogBackend::Mapped);
    (0..3).for_each(|_| run.append(10));
    let active = run.log.state.lock().segments.back().cloned().unwrap();
    active.durable.store(active.end() - record_bytes(10), Ordering::Release);
    run.writer.lock().switch_segment().unwrap();
    assert!(run.tells_damage_of(0) && run.tells_damage_of(1) && !run.tells_damage_of(2));

    // The sync ended only after the switch: whatever comes next in the new segment tells.
    let mut run = Marked::new(LogBackend::Mapped);
    (0..3).for_each(|_| run.append(10));
    let active = run.log.state.lock().segments.back().cloned().unwrap();
    run.writer.lock().switch_segment().unwrap();
    active.durable.store(active.end(), Ordering::Release);
    run.log.pass_on(&active, active.end() - record_bytes(10));
    run.writer.lock().mark().unwrap();
    assert!(!run.tells_damage_of(0), "the sync did not reach the end of the old segment");
    run.log.pass_on(&active, active.end());
    assert!(!run.tells_damage_of(2));
    run.writer.lock().mark().unwrap();
    assert!((0..3).all(|index| run.tells_damage_of(index)));
    assert_eq!(run.log.durable_position().unwrap().segment, FileNumber(1), "of the new segment nothing is durable yet");
}
