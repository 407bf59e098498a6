//! A segment that is ready at the wrong moment.

use super::*;
use crate::env::Env;
use crate::env::executor::SeededRuntime;
use crate::env::mem::MemFileSystem;
use crate::lock::Mutex;
use crate::record::payload_checksum;
use crate::wal::{LogBackend, LogEvent, LogIdentity, LogOptions, RecoveryMode, replay};
use std::path::Path;
use std::sync::atomic::AtomicU64;

/// The helper's segment 2 becomes ready while an append that found none ready is making segment 3.
/// A segment on its way to a log.
type Late = (Arc<Log>, Segment);

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
    let options = LogOptions { backend: LogBackend::Mapped, segment_bytes_min: 4096, segment_bytes_max: 4096 };
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
