//! Reading on in a log that is being written: what counts as there, and what is left for later.

use super::*;
use crate::wal::follow::LogTail;

type Taken = Vec<(u64, Vec<u8>)>;

fn tail(env: &Env) -> LogTail {
    LogTail::open(env, dir(), (77, 3), (FileNumber(1), None), 0).unwrap().unwrap()
}

fn advance(tail: &mut LogTail, taken: &mut Taken) -> bool {
    tail.advance(&mut |record| {
        taken.push((record.first_sequence, record.payload.to_vec()));
        Ok(())
    })
    .unwrap()
}

#[test]
fn what_is_appended_is_read_on_from_segment_to_segment() {
    for backend in [LogBackend::Mapped, LogBackend::Write] {
        let env = env_of(MemFileSystem::new());
        let (mut writer, log) = create_in(&env, dir(), backend);
        let (mut tail, mut taken) = (tail(&env), Vec::new());
        assert!(advance(&mut tail, &mut taken) && taken.is_empty(), "nothing was written yet");
        let mut sequence = 0;
        for many in [1, 0, 3, 40, 1, 0, 100, 7] {
            for _ in 0..many {
                sequence += 1;
                append(&mut writer, sequence, if sequence == 60 { 20_000 } else { len_of(sequence) }).unwrap();
            }
            assert!(advance(&mut tail, &mut taken));
            assert_eq!((taken.len() as u64, tail.last_sequence()), (sequence, sequence), "each once, and at once");
        }
        check_prefix(&taken);
        assert!(log.segments().len() > 3 && tail.place().segment == log.segments().last().unwrap().number);
        writer.close().unwrap();
        assert!(advance(&mut tail, &mut taken), "the END of a log is no damage");
        assert_eq!(taken.len() as u64, sequence);
    }
}

#[test]
fn a_record_that_its_reader_did_not_take_comes_again() {
    let env = env_of(MemFileSystem::new());
    let (mut writer, _log) = create_in(&env, dir(), LogBackend::Write);
    (1..=5).for_each(|sequence| append(&mut writer, sequence, 50).unwrap());
    let mut tail = tail(&env);
    let mut taken = Vec::new();
    let refused = tail.advance(&mut |record| match record.first_sequence {
        3 => Err(Error::new(ErrorKind::Busy, "not yet")),
        sequence => {
            taken.push((sequence, record.payload.to_vec()));
            Ok(())
        }
    });
    assert_eq!((refused.unwrap_err().kind(), taken.len(), tail.last_sequence()), (ErrorKind::Busy, 2, 2));
    assert!(advance(&mut tail, &mut taken));
    assert_eq!(taken.len(), 5);
    check_prefix(&taken);
}

/// Each way in which a copy of pages may lag behind a store, byte by byte: nothing of the record counts, nor what follows it, and all of it does
/// once it is whole.
#[test]
fn a_record_that_is_stored_in_part_is_left_for_later() {
    let files = MemFileSystem::new();
    let env = env_of(files.clone());
    let (mut writer, log) = create_in(&env, dir(), LogBackend::Write);
    append(&mut writer, 1, 64).unwrap();
    let from = log.segments()[0].bytes;
    append(&mut writer, 2, 64).unwrap();
    let to = log.segments()[0].bytes;
    append(&mut writer, 3, 64).unwrap();
    let path = dir().join(segment_name(FileNumber(1)));
    let mut whole = vec![0; (to - from) as usize];
    crate::env::read_exact_at(&*env.files.open(&path).unwrap(), &mut whole, from).unwrap();
    for cut in 0..whole.len() {
        for is_front in [false, true] {
            let missing = if is_front { 0..cut } else { cut..whole.len() };
            if whole[missing.clone()].iter().all(|&byte| byte == 0) {
                continue;
            }
            files.damage(&path, from + missing.start as u64, &vec![0; missing.len()]).unwrap();
            let (mut tail, mut taken) = (tail(&env), Vec::new());
            assert!(advance(&mut tail, &mut taken), "{missing:?}");
            assert_eq!(taken.len(), 1, "{missing:?}: nothing of it counts, nor what follows it");
            files.damage(&path, from, &whole).unwrap();
            assert!(advance(&mut tail, &mut taken), "{missing:?}");
            assert_eq!(taken.len(), 3, "{missing:?}: once it is whole");
            check_prefix(&taken);
        }
    }
}

#[test]
fn what_stays_damaged_is_left_to_a_replay() {
    let files = MemFileSystem::new();
    let env = env_of(files.clone());
    let (mut writer, log) = create_in(&env, dir(), LogBackend::Write);
    append(&mut writer, 1, 64).unwrap();
    let from = log.segments()[0].bytes;
    append(&mut writer, 2, 64).unwrap();
    files.damage(&dir().join(segment_name(FileNumber(1))), from + 40, &[0; 8]).unwrap();
    let (mut tail, mut taken) = (tail(&env), Vec::new());
    assert!(advance(&mut tail, &mut taken), "the writer may be storing it");
    assert!(!advance(&mut tail, &mut taken), "not for so long");
    assert_eq!(taken.len(), 1);
}

#[test]
fn a_segment_that_is_gone_or_ends_early_is_left_to_a_replay() {
    for is_gone in [true, false] {
        let files = MemFileSystem::new();
        let env = env_of(files.clone());
        let (mut writer, log) = create_in(&env, dir(), LogBackend::Write);
        let (mut tail, mut taken) = (tail(&env), Vec::new());
        append(&mut writer, 1, 64).unwrap();
        assert!(advance(&mut tail, &mut taken));
        let mut sequence = 1;
        while log.segments().len() < 4 {
            sequence += 1;
            append(&mut writer, sequence, 300).unwrap();
        }
        let second = dir().join(segment_name(log.segments()[1].number));
        if is_gone {
            env.files.remove(&second).unwrap();
        } else {
            // Its last record reads as zeros: without the next segment it would pass for the end.
            let end = log.segments()[1].bytes;
            files.damage(&second, end - 336, &[0; 336]).unwrap();
        }
        assert!(!advance(&mut tail, &mut taken), "gone: {is_gone}");
        assert!(taken.len() < sequence as usize);
        check_prefix(&taken);
    }
}
