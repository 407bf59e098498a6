//! Tests of the log.

mod follow;
mod modes;

use super::segment::{Begin, SegmentHeader};
use super::*;
use crate::env::executor::SeededRuntime;
use crate::env::fault::{Effect, FaultFileSystem, Rule};
use crate::env::mem::MemFileSystem;
use crate::env::mem::crash::{AllKept, AllLost, CrashChoice, RandomPages, RandomSectors, Torn, Zeroed};
use crate::env::{Call, FileSystem, Runtime};
use crate::error::ErrorKind;
use crate::record::{RecordHeader, RecordKind, payload_checksum, put_record};

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
    LogOptions { backend, segment_bytes_min: 4096, segment_bytes_max: 8192, archive: None }
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

fn replay_in(env: &Env, dir: &Path, mode: RecoveryMode, durable: Option<LogPosition>) -> Result<Replayed> {
    let mut records = Vec::new();
    let outcome = replay(env, dir, 77, 3, FileNumber(1), durable, mode, &mut |record| {
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
        let (outcome, records) = replay_in(env, dir, mode, None).unwrap();
        assert_eq!((outcome.last_sequence, outcome.records, outcome.cut, outcome.clean), (200, 200, None, false));
        check_prefix(&records);
    }
    writer.close().unwrap();
    assert_eq!(append(&mut writer, 201, 1).unwrap_err().kind(), ErrorKind::Closed);
    let (outcome, records) = replay_in(env, dir, RecoveryMode::Absolute, log.durable_position()).unwrap();
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
    let (bell, task) = log.helper(Box::new(|| ()));
    let handle = env.runtime.spawn("log", bell, task).unwrap();
    for sequence in 1..=300 {
        append(&mut writer, sequence, len_of(sequence)).unwrap();
        if sequence % 20 == 0 {
            runtime.run_until_idle();
        }
    }
    assert!(log.state.lock().ready.is_some());
    let (outcome, records) = replay_in(&env, dir(), RecoveryMode::Absolute, None).unwrap();
    assert_eq!(outcome.segments.len(), log.segments().len() + 1);
    assert_eq!(records.len(), 300);
    check_prefix(&records);
    log.stop();
    runtime.run_until_idle();
    assert!(handle.is_done());
    writer.close().unwrap();
    assert!(replay_in(&env, dir(), RecoveryMode::Absolute, None).unwrap().0.clean);
}

/// A log of a few segments whose records up to `synced` are durable; not closed.
fn sample(backend: LogBackend, count: u64, synced: u64) -> Arc<MemFileSystem> {
    let files = MemFileSystem::new();
    let (mut writer, log) = create_in(&env_of(files.clone()), dir(), backend);
    for sequence in 1..=count {
        append(&mut writer, sequence, len_of(sequence)).unwrap();
        if sequence == synced {
            log.sync(sequence).unwrap();
        }
    }
    files
}

#[test]
fn a_torn_tail_is_cut_at_every_byte() {
    let env = env_of(sample(LogBackend::Write, 6, 0));
    let path = dir().join(segment_name(FileNumber(1)));
    let bytes = crate::env::read_file(&*env.files, &path, 1 << 20).unwrap();
    let used = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    for len in SEGMENT_HEADER_BYTES as usize + 56..=used {
        let files = MemFileSystem::new();
        files.create_dir(dir()).unwrap();
        files.create(&path).unwrap().write_at(&bytes[..len], 0).unwrap();
        let (outcome, records) = replay_in(&env_of(files.clone()), dir(), RecoveryMode::PointInTime, None).unwrap();
        check_prefix(&records);
        assert_eq!(outcome.last_sequence, records.len() as u64);
        assert!(outcome.cut.is_none_or(|cut| cut.sequence == outcome.last_sequence && cut.offset <= len as u64));
        if let Some(cut) = outcome.cut {
            let absolute = replay_in(&env_of(files.clone()), dir(), RecoveryMode::Absolute, None).unwrap_err();
            assert_eq!((absolute.kind(), absolute.offset()), (ErrorKind::Corruption, Some(cut.offset)));
            let durable = Some(LogPosition { segment: FileNumber(1), offset: cut.offset });
            replay_in(&env_of(files.clone()), dir(), RecoveryMode::PointInTime, durable).unwrap();
            let beyond = durable.map(|place| LogPosition { offset: place.offset + 8, ..place });
            let error = replay_in(&env_of(files), dir(), RecoveryMode::PointInTime, beyond).unwrap_err();
            assert_eq!((error.kind(), error.offset()), (ErrorKind::Corruption, Some(cut.offset)));
        }
    }
}

#[test]
fn damage_to_durable_bytes_is_corruption() {
    let files = sample(LogBackend::Mapped, 12, 8);
    let env = env_of(files.clone());
    let path = dir().join(segment_name(FileNumber(1)));
    let bytes = crate::env::read_file(&*env.files, &path, 1 << 20).unwrap();
    let mut offsets = Vec::new();
    replay(&env, dir(), 77, 3, FileNumber(1), None, RecoveryMode::Absolute, &mut |record| {
        offsets.push(record.offset as usize);
        Ok(())
    })
    .unwrap();
    for at in 0..offsets[11] {
        files.damage(&path, at as u64, &[bytes[at] ^ 0x20]).unwrap();
        let result = replay_in(&env, dir(), RecoveryMode::PointInTime, None);
        files.damage(&path, at as u64, &bytes[at..=at]).unwrap();
        if at < offsets[8] {
            assert_eq!(result.unwrap_err().path(), Some(path.as_path()), "byte {at}");
        } else {
            // Not durable: cut, and never a wrong record.
            let (outcome, records) = result.unwrap();
            check_prefix(&records);
            assert!(outcome.cut.is_some() && records.len() >= 8, "byte {at}");
        }
    }
}

#[test]
fn a_missing_segment_is_named() {
    for missing in 1..=3 {
        let files = sample(LogBackend::Write, 120, 0);
        let env = env_of(files.clone());
        let path = dir().join(segment_name(FileNumber(missing)));
        env.files.remove(&path).unwrap();
        let error = replay_in(&env, dir(), RecoveryMode::PointInTime, None).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::Corruption, Some(path.as_path())));
        assert_eq!(error.message(), format!("log segment {missing:06} is missing"));
    }
}

#[test]
fn newer_epochs_and_unfinished_segments_are_stale() {
    let files = sample(LogBackend::Write, 5, 5);
    let env = env_of(files.clone());
    let newer = LogIdentity { epoch: 4, ..IDENTITY };
    Log::create(&env, dir(), newer, options(LogBackend::Write), numbers_from(7), 5, Arc::new(|_| ())).unwrap();
    files.create(&dir().join("000009.log")).unwrap().write_at(b"sstor", 0).unwrap();
    files.create(&dir().join("foreign.log")).unwrap();
    let (outcome, records) = replay_in(&env, dir(), RecoveryMode::PointInTime, None).unwrap();
    assert_eq!((outcome.segments, outcome.stale), (vec![FileNumber(1)], vec![FileNumber(7), FileNumber(9)]));
    assert_eq!(records.len(), 5);
}

/// The helper made a segment ahead while a writer, whose record was too long for it, was killed making its own.
#[test]
fn a_segment_without_a_header_below_one_that_was_made_ahead_is_stale() {
    let files = sample(LogBackend::Write, 5, 5);
    let env = env_of(files.clone());
    let ahead = SegmentHeader { identity: IDENTITY, number: FileNumber(9), random: 1 };
    files.create(&dir().join("000009.log")).unwrap().write_at(&ahead.encode(), 0).unwrap();
    files.create(&dir().join("000008.log")).unwrap();
    let (outcome, records) = replay_in(&env, dir(), RecoveryMode::PointInTime, None).unwrap();
    assert_eq!((outcome.segments, outcome.stale), (vec![FileNumber(1), FileNumber(9)], vec![FileNumber(8)]));
    assert_eq!(records.len(), 5);
    // Not below one that was used.
    let files = sample(LogBackend::Write, 120, 0);
    let path = dir().join(segment_name(FileNumber(2)));
    files.remove(&path).unwrap();
    files.create(&path).unwrap();
    let error = replay_in(&env_of(files), dir(), RecoveryMode::PointInTime, None).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Corruption, Some(path.as_path())));
}

#[test]
fn segments_below_the_floor_go() {
    let files = MemFileSystem::new();
    let env = env_of(files.clone());
    let (mut writer, log) = create_in(&env, dir(), LogBackend::Mapped);
    for sequence in 1..=120 {
        append(&mut writer, sequence, len_of(sequence)).unwrap();
    }
    let second = log.segments()[1];
    let floor = log.floor_for(second.first_sequence);
    assert_eq!(floor, second.number);
    assert_eq!(log.remove_below(floor).unwrap(), vec![FileNumber(1)]);
    let active = log.segments().last().unwrap().number;
    assert_eq!(log.floor_for(1_000), active);
    let mut first = 0;
    replay(&env, dir(), 77, 3, floor, None, RecoveryMode::Absolute, &mut |record| {
        first = if first == 0 { record.first_sequence } else { first };
        Ok(())
    })
    .unwrap();
    assert_eq!(first, second.first_sequence);
    log.remove_below(FileNumber(1_000)).unwrap();
    assert_eq!(log.segments().len(), 1);
    assert_eq!(log.total_bytes(), log.segments()[0].bytes);
    writer.switch_segment().unwrap();
    writer.switch_segment().unwrap();
    assert_eq!(log.segments().len(), 2);
}

#[test]
fn a_segment_below_the_floor_may_go_while_the_log_is_read() {
    let memory = sample(LogBackend::Write, 120, 120);
    let floor = FileNumber(2);
    let modes = [RecoveryMode::Absolute, RecoveryMode::PointInTime, RecoveryMode::TolerateTail, RecoveryMode::Salvage];
    for mode in modes {
        let read_without = |number: FileNumber| {
            let gone = Rule::once(Call::Open, Effect::Error(libc::ENOENT)).on(&segment_name(number));
            let env = env_of(FaultFileSystem::new(memory.clone(), vec![gone]));
            replay(&env, dir(), 77, 3, floor, None, mode, &mut |_| Ok(())).map(|outcome| outcome.last_sequence)
        };
        assert_eq!(read_without(FileNumber(1)).unwrap(), 120, "{mode:?}: nobody needs it");
        assert_eq!(read_without(floor).unwrap_err().kind(), ErrorKind::NotFound, "{mode:?}");
    }
}

#[test]
fn a_failed_sync_poisons() {
    let files = FaultFileSystem::new(MemFileSystem::new(), Vec::new());
    let env = env_of(files.clone());
    let (mut writer, log) = create_in(&env, dir(), LogBackend::Mapped);
    append(&mut writer, 1, 10).unwrap();
    files.add(Rule::once(Call::SyncData, Effect::Error(5)));
    assert_eq!(log.sync(1).unwrap_err().kind(), ErrorKind::Poisoned);
    let count = files.count(Call::SyncData);
    assert_eq!(log.sync(1).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(append(&mut writer, 2, 10).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!((files.count(Call::SyncData), log.durable_sequence()), (count, 0));
}

#[test]
fn a_failed_append_leaves_the_log_as_it_was() {
    for effect in [Effect::Error(28), Effect::ShortWrite(20, 28), Effect::AppliedButError(28)] {
        let files = FaultFileSystem::new(MemFileSystem::new(), Vec::new());
        let env = env_of(files.clone());
        let (mut writer, log) = create_in(&env, dir(), LogBackend::Write);
        append(&mut writer, 1, 50).unwrap();
        files.add(Rule::once(Call::Write, effect));
        assert_eq!(append(&mut writer, 2, 50).unwrap_err().kind(), ErrorKind::NoSpace);
        assert_eq!(log.appended_sequence(), 1);
        append(&mut writer, 2, 50).unwrap();
        files.add(Rule::once(Call::Allocate, Effect::Error(28)));
        assert_eq!(append(&mut writer, 3, 9_000).unwrap_err().kind(), ErrorKind::NoSpace);
        append(&mut writer, 3, 9_000).unwrap();
        assert_eq!(replay_in(&env, dir(), RecoveryMode::Absolute, None).unwrap().1.len(), 3);
        // When the record cannot be taken back nobody knows what the segment holds.
        files.add(Rule::once(Call::Write, effect));
        files.add(Rule::once(Call::SetLen, Effect::Error(5)));
        assert_eq!(append(&mut writer, 4, 50).unwrap_err().kind(), ErrorKind::Poisoned);
        assert!(log.is_poisoned() && log.error().is_some());
    }
}

#[test]
fn threads_share_syncs() {
    let files = FaultFileSystem::new(MemFileSystem::new(), Vec::new());
    let env = Env { files: files.clone(), runtime: crate::env::posix::posix().runtime };
    let (writer, log) = create_in(&env, dir(), LogBackend::Mapped);
    files.add(Rule::once(Call::SyncData, Effect::Delay(std::time::Duration::from_millis(1))).sticky());
    let writer = Mutex::new((writer, 0_u64));
    let before = files.count(Call::SyncData);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..25 {
                    let sequence = {
                        let mut writer = writer.lock();
                        writer.1 += 1;
                        let sequence = writer.1;
                        append(&mut writer.0, sequence, 16).unwrap();
                        sequence
                    };
                    log.sync(sequence).unwrap();
                    assert!(log.durable_sequence() >= sequence);
                }
            });
        }
    });
    let syncs = files.count(Call::SyncData) - before;
    assert!(syncs < 150, "{syncs} syncs for 200 records");
    assert_eq!(replay_in(&env, dir(), RecoveryMode::Absolute, None).unwrap().1.len(), 200);
}

/// Runs a workload, cuts the power before every call that it made, in many ways, and checks what is left each time.
fn crash_everywhere(backend: LogBackend) {
    let files = MemFileSystem::new();
    let runtime = SeededRuntime::new(9);
    let env = Env { files: files.clone(), runtime: runtime.clone() };
    let (writer, log) = create_in(&env, dir(), backend);
    let writer = Arc::new(Mutex::new(writer));
    let marking = writer.clone();
    let (bell, task) = log.helper(Box::new(move || marking.lock().mark().unwrap()));
    let _handle = env.runtime.spawn("log", bell, task).unwrap();
    // The directory's own name is its maker's concern.
    files.sync_dir(Path::new("/db")).unwrap();
    files.sync_dir(Path::new("/")).unwrap();
    let created_at = files.op_count();
    files.record_images();
    // After how many calls which sequence was appended, and which one was synced.
    // And up to where the log knew itself durable.
    let mut history = vec![(created_at, 0, 0, log.durable_position())];
    for sequence in 1..=60 {
        append(&mut writer.lock(), sequence, len_of(sequence)).unwrap();
        let (_, _, synced, _) = history[history.len() - 1];
        history.push((files.op_count(), sequence, synced, log.durable_position()));
        if sequence % 9 == 0 {
            log.sync(sequence).unwrap();
            history.push((files.op_count(), sequence, sequence, log.durable_position()));
        }
        if sequence % 25 == 0 {
            runtime.run_some();
        }
        if sequence % 21 < 2 {
            // Idle: after a sync, after more records, and with nothing new.
            runtime.sleep(std::time::Duration::from_secs(3));
        }
        if sequence == 40 || sequence == 54 {
            writer.lock().switch_segment().unwrap();
        }
    }
    writer.lock().close().unwrap();
    let mut torn = 0;
    let images = files.take_images();
    assert!(images.len() > 80);
    for recorded in images {
        let done = history.partition_point(|(ops, ..)| *ops <= recorded.op);
        let (_, appended, synced, durable) = history[done - 1];
        let choices: [&mut dyn CrashChoice; 8] = [
            &mut AllLost,
            &mut AllKept,
            &mut Zeroed,
            &mut Torn(recorded.op),
            &mut RandomSectors(recorded.op),
            &mut RandomSectors(recorded.op + 1_000),
            &mut RandomPages(recorded.op),
            &mut RandomPages(recorded.op + 1_000),
        ];
        for (number, choice) in choices.into_iter().enumerate() {
            let left = recorded.image.crash_clone(choice);
            let (outcome, records) = replay_in(&env_of(left), dir(), RecoveryMode::PointInTime, durable)
                .unwrap_or_else(|error| panic!("call {} ({:?}), choice {number}: {error}", recorded.op, recorded.call));
            check_prefix(&records);
            let last = records.len() as u64;
            assert_eq!(outcome.last_sequence, last);
            // One record may be between its last store and its acknowledgement.
            assert!(last >= synced && last <= appended + 1, "call {}, choice {number}: {last}", recorded.op);
            assert!(number != 1 || last >= appended);
            torn += u64::from(outcome.cut.is_some());
        }
    }
    assert!(torn > 20, "only {torn} torn ends");
}

#[test]
fn a_power_cut_leaves_a_prefix_with_all_that_was_synced() {
    crash_everywhere(LogBackend::Mapped);
    crash_everywhere(LogBackend::Write);
}

/// The END record says that everything before it is durable: also a mark that nobody asked to be synced, in another sector.
#[test]
fn a_power_cut_while_a_marked_log_is_closed_is_no_damage() {
    for (backend, switched) in
        [LogBackend::Mapped, LogBackend::Write].map(|backend| [(backend, false), (backend, true)]).concat()
    {
        let files = MemFileSystem::new();
        let env = env_of(files.clone());
        let (mut writer, log) = create_in(&env, dir(), backend);
        files.sync_dir(Path::new("/db")).unwrap();
        files.sync_dir(Path::new("/")).unwrap();
        // The mark fills the first sector, and END begins the next.
        append(&mut writer, 1, 512 - 32 - 120 - 32).unwrap();
        log.sync(1).unwrap();
        writer.mark().unwrap();
        assert_eq!(log.segments()[0].bytes, 512);
        if switched {
            writer.switch_segment().unwrap();
        }
        files.record_images();
        writer.close().unwrap();
        for recorded in files.take_images() {
            for seed in 0..16 {
                let left = recorded.image.crash_clone(&mut RandomSectors(seed));
                let (_, records) = replay_in(&env_of(left), dir(), RecoveryMode::PointInTime, None)
                    .unwrap_or_else(|error| panic!("before call {} ({:?}): {error}", recorded.op, recorded.call));
                assert_eq!(records.len(), 1);
            }
        }
        assert!(replay_in(&env, dir(), RecoveryMode::Absolute, log.durable_position()).unwrap().0.clean);
    }
}

#[test]
fn the_example_of_the_format_is_what_is_written() {
    let hex: Vec<u8> = include_str!("FORMAT.md")
        .lines()
        .skip_while(|line| !line.starts_with("```hex"))
        .skip(1)
        .take_while(|line| !line.starts_with("```"))
        .flat_map(|line| line.split('#').next().unwrap_or_default().split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let header = SegmentHeader { identity: IDENTITY, number: FileNumber(31), random: 0x0123_4567_89ab_cdef };
    let begin = Begin { number: FileNumber(30), end: 4_000, last_sequence: 41 };
    let mut bytes = header.encode().to_vec();
    let head = |kind, sequence, count, durable| RecordHeader {
        kind,
        sequence,
        count,
        payload_len: 0,
        payload_checksum: 0,
        durable,
    };
    put_record(&mut bytes, head(RecordKind::Begin, 41, 0, 0), &begin.encode(), header.salt(), 64);
    put_record(&mut bytes, head(RecordKind::Data, 42, 1, 120), b"payload", header.salt(), 120);
    put_record(&mut bytes, head(RecordKind::Mark, 42, 0, 160), b"", header.salt(), 160);
    put_record(&mut bytes, head(RecordKind::End, 42, 0, 192), b"", header.salt(), 192);
    assert_eq!(hex, bytes, "{bytes:02x?}");
    let files = MemFileSystem::new();
    files.create_dir(dir()).unwrap();
    files.create(&dir().join("000031.log")).unwrap().write_at(&hex, 0).unwrap();
    let mut records = Vec::new();
    let outcome = replay(&env_of(files), dir(), 77, 3, FileNumber(31), None, RecoveryMode::Absolute, &mut |record| {
        records.push((record.first_sequence, record.offset, record.payload.to_vec()));
        Ok(())
    });
    assert!(outcome.unwrap().clean);
    assert_eq!(records, [(42, 120, b"payload".to_vec())]);
}
