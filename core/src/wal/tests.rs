//! Tests of the log.

use super::*;
use crate::env::executor::SeededRuntime;
use crate::env::fault::{Effect, FaultFileSystem, Rule};
use crate::env::mem::MemFileSystem;
use crate::env::{Call, FileSystem};
use crate::error::ErrorKind;
use crate::record::payload_checksum;

const IDENTITY: LogIdentity = LogIdentity { database_id: 77, epoch: 3 };

fn env_of(files: Arc<dyn FileSystem>) -> Env {
    Env { files, runtime: SeededRuntime::new(1) }
}

fn dir() -> &'static Path {
    Path::new("/db/wal")
}

fn numbers_from(first: u64) -> Arc<dyn Fn() -> FileNumber + Send + Sync> {
    let next = AtomicU64::new(first);
    Arc::new(move || FileNumber(next.fetch_add(1, Ordering::Relaxed)))
}

fn options(backend: LogBackend) -> LogOptions {
    LogOptions { backend, segment_bytes_min: 4096, segment_bytes_max: 8192 }
}

fn create_in(env: &Env, dir: &Path, backend: LogBackend) -> (LogWriter, Arc<Log>) {
    env.files.create_dir(dir).unwrap();
    Log::create(env, dir, IDENTITY, options(backend), numbers_from(1), 0, Arc::new(|_| ())).unwrap()
}

fn payload(sequence: u64, len: usize) -> Vec<u8> {
    (0..len).map(|at| (sequence as usize * 31 + at) as u8 | 1).collect()
}

fn append(writer: &mut LogWriter, sequence: u64, len: usize) -> Result<()> {
    let bytes = payload(sequence, len);
    let (left, right) = bytes.split_at(len / 3);
    writer.append(sequence, 1, &[left, right], payload_checksum(&[&bytes]))
}

type Replayed = (ReplayOutcome, Vec<(u64, Vec<u8>)>);

fn replay_in(env: &Env, dir: &Path, mode: RecoveryMode, newest: u64) -> Result<Replayed> {
    let mut records = Vec::new();
    let outcome = replay(env, dir, 77, 3, FileNumber(1), newest, mode, &mut |record| {
        records.push((record.first_sequence, record.payload.to_vec()));
        Ok(())
    })?;
    Ok((outcome, records))
}

fn len_of(sequence: u64) -> usize {
    (sequence * 37 % 300) as usize
}

fn check_prefix(records: &[(u64, Vec<u8>)]) {
    for (at, (sequence, bytes)) in records.iter().enumerate() {
        assert_eq!(*sequence, at as u64 + 1);
        assert_eq!(*bytes, payload(*sequence, bytes.len()));
    }
}

fn round_trip(env: &Env, dir: &Path, backend: LogBackend) {
    let (mut writer, log) = create_in(env, dir, backend);
    for sequence in 1..=200 {
        append(&mut writer, sequence, if sequence == 100 { 20_000 } else { len_of(sequence) }).unwrap();
        if sequence == 50 {
            log.sync(50).unwrap();
            assert_eq!(log.durable_sequence(), 50);
        }
    }
    assert!(log.segments().len() > 3);
    assert_eq!(log.segments().iter().map(|segment| segment.bytes).sum::<u64>(), log.total_bytes());
    for mode in [RecoveryMode::PointInTime, RecoveryMode::Absolute] {
        let (outcome, records) = replay_in(env, dir, mode, 0).unwrap();
        assert_eq!((outcome.last_sequence, outcome.records, outcome.cut, outcome.clean), (200, 200, None, false));
        check_prefix(&records);
    }
    writer.close().unwrap();
    assert_eq!(append(&mut writer, 201, 1).unwrap_err().kind(), ErrorKind::Closed);
    let (outcome, records) = replay_in(env, dir, RecoveryMode::Absolute, 200).unwrap();
    assert!(outcome.clean && records.len() == 200);
    check_prefix(&records);
}

#[test]
fn what_is_appended_is_replayed() {
    for backend in [LogBackend::Mapped, LogBackend::Write] {
        round_trip(&env_of(MemFileSystem::new()), dir(), backend);
        let temporary = tempfile::tempdir().unwrap();
        round_trip(&crate::env::posix::posix(), &temporary.path().join("wal"), backend);
    }
}

#[test]
fn a_helper_makes_segments_ahead() {
    let runtime = SeededRuntime::new(5);
    let env = Env { files: MemFileSystem::new(), runtime: runtime.clone() };
    let (mut writer, log) = create_in(&env, dir(), LogBackend::Mapped);
    let (bell, task) = log.helper();
    let handle = env.runtime.spawn("log", bell, task).unwrap();
    for sequence in 1..=300 {
        append(&mut writer, sequence, len_of(sequence)).unwrap();
        if sequence % 20 == 0 {
            runtime.run_until_idle();
        }
    }
    assert!(log.state.lock().ready.is_some());
    let (outcome, records) = replay_in(&env, dir(), RecoveryMode::Absolute, 0).unwrap();
    assert_eq!(outcome.segments.len(), log.segments().len() + 1);
    assert_eq!(records.len(), 300);
    check_prefix(&records);
    log.stop();
    runtime.run_until_idle();
    assert!(handle.is_done());
    writer.close().unwrap();
    assert!(replay_in(&env, dir(), RecoveryMode::Absolute, 0).unwrap().0.clean);
}
