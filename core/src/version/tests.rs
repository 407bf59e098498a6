//! The state against a model, and the manifest against cuts and flips.

use super::*;
use crate::env::Env;
use crate::env::posix::posix;
use crate::error::ErrorKind;
use std::path::Path;

fn create(id: u32, name: &str) -> Change {
    Change::CreateCollection {
        id: CollectionId(id),
        name: name.into(),
        kind: CollectionKind::Bytes,
        logged: true,
        options: vec![1, 2],
    }
}

fn file(collection: u32, number: u64, keys: (&[u8], &[u8]), sequences: (Sequence, Sequence)) -> FileMeta {
    FileMeta {
        number: FileNumber(number),
        collection: CollectionId(collection),
        size_bytes: 4096,
        checksum: 7,
        entries: 3,
        tombstones: 1,
        smallest: keys.0.to_vec(),
        largest: keys.1.to_vec(),
        smallest_sequence: sequences.0,
        largest_sequence: sequences.1,
        ..FileMeta::default()
    }
}

fn edit(changes: impl IntoIterator<Item = Change>) -> VersionEdit {
    VersionEdit { changes: changes.into_iter().collect() }
}

/// Edits that use every kind of change and field.
fn history() -> Vec<VersionEdit> {
    let full = FileMeta {
        level: 2,
        multi_version: true,
        rows: 5,
        schema_id: 6,
        footer_offset: 7,
        range_deletes: 8,
        sequence_override: Some(70),
        ..file(1, 14, (b"", &[0; 1500]), (1, 2))
    };
    let cut = Cut { segment: FileNumber(3), offset: 999, sequence: 60 };
    vec![
        edit([Change::Epoch(1), create(0, "default"), create(1, "other")]),
        edit([
            Change::AddFile(file(0, 10, (b"a", b"m"), (1, 20))),
            Change::FlushedThrough { collection: CollectionId(0), sequence: 20 },
            Change::LogFloor(FileNumber(4)),
        ]),
        edit([Change::AddFile(file(0, 11, (b"c", b"z"), (21, 40)))]),
        edit([
            Change::RemoveFile { collection: CollectionId(0), number: FileNumber(10) },
            Change::RemoveFile { collection: CollectionId(0), number: FileNumber(11) },
            Change::AddFile(file(0, 13, (b"a", b"z"), (1, 40))),
        ]),
        edit([
            Change::AddFile(full),
            Change::Cut(Some(cut)),
            Change::LastSequence(90),
            Change::LogDurable(LogPosition { segment: FileNumber(4), offset: 300 }),
        ]),
        edit([create(2, "gone"), Change::AddFile(file(2, 15, (b"x", b"x"), (80, 80)))]),
        edit([
            Change::DropCollection(CollectionId(2)),
            Change::NextFileNumber(FileNumber(30)),
            Change::NextCollectionId(CollectionId(9)),
        ]),
    ]
}

/// The state before the history and after each of its edits.
fn states() -> Vec<VersionState> {
    let mut states = vec![VersionState::new(77)];
    for edit in history() {
        let mut next = states[states.len() - 1].clone();
        next.apply(&edit).unwrap();
        states.push(next);
    }
    states
}

/// A directory whose manifest 5 holds the first state and the history.
fn written() -> (tempfile::TempDir, Env) {
    let (dir, env) = (tempfile::tempdir().unwrap(), posix());
    let mut manifest = Manifest::create(&env, dir.path(), FileNumber(5), &states()[0]).unwrap();
    history().iter().for_each(|edit| manifest.append(edit).unwrap());
    assert_eq!(manifest.size_bytes(), std::fs::metadata(dir.path().join("MANIFEST-000005")).unwrap().len());
    (dir, env)
}

fn read_state(env: &Env, dir: &Path) -> Result<VersionState> {
    Manifest::read(env, dir).map(|found| found.unwrap().0)
}

#[test]
fn what_was_appended_is_read_and_survives_a_new_manifest() {
    let (dir, env) = written();
    let expected = states().pop().unwrap();
    assert_eq!(read_state(&env, dir.path()).unwrap(), expected);
    Manifest::create(&env, dir.path(), FileNumber(31), &expected).unwrap();
    assert_eq!(Manifest::read(&env, dir.path()).unwrap(), Some((expected.clone(), FileNumber(31))));
    let taken = Manifest::create(&env, dir.path(), FileNumber(5), &expected).err().unwrap();
    assert_eq!(taken.kind(), ErrorKind::Io, "no manifest is overwritten");
    assert_eq!(expected.collections.len(), 2);
    assert_eq!(expected.newest_sequence_in_files(), 70);
    assert_eq!(expected.owner_of(FileNumber(13)), Some(CollectionId(0)));
}

#[test]
fn every_damaged_byte_is_corruption() {
    let (dir, env) = written();
    for name in ["MANIFEST-000005", "CURRENT"] {
        let path = dir.path().join(name);
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            for value in [good[at] ^ 1 << (at % 8), good[at] ^ 0x80, 0x00, 0xff] {
                if value == good[at] {
                    continue;
                }
                let mut bad = good.clone();
                bad[at] = value;
                std::fs::write(&path, &bad).unwrap();
                let error = read_state(&env, dir.path()).expect_err(&format!("{name}: byte {at} of {}", good.len()));
                assert_eq!(error.kind(), ErrorKind::Corruption, "{name}: byte {at}");
                assert_eq!(error.path(), Some(&*path));
            }
        }
        std::fs::write(&path, &good).unwrap();
    }
}

#[test]
fn an_append_cut_short_anywhere_is_as_if_it_never_was() {
    let (dir, env) = written();
    let path = dir.path().join("MANIFEST-000005");
    let good = std::fs::read(&path).unwrap();
    let states = states();
    let mut ends = vec![framing::HEADER_BYTES];
    while let framing::Found::Record(record) = framing::find_record(&good, FileNumber(5), *ends.last().unwrap()) {
        ends.push(record.end);
    }
    assert_eq!(ends.len(), states.len() + 1);
    for len in 0..good.len() {
        let whole = ends.iter().rposition(|&end| end <= len).unwrap_or(0);
        let record_end = ends[whole + 1];
        let zeros = vec![0; record_end - len];
        let zeroed = [&good[..len], &zeros].concat();
        // No disk tears a single byte off: a last byte that is zero by itself is damage.
        let single = (record_end - len == 1).then(|| good[..len].to_vec());
        for torn in [good[..len].to_vec(), single.unwrap_or(zeroed)] {
            std::fs::write(&path, &torn).unwrap();
            match read_state(&env, dir.path()) {
                Ok(state) => assert_eq!(state, states[whole - 1], "cut at {len}"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corruption);
                    assert_eq!(whole, 0, "cut at {len}: only the first record must be whole: {error}");
                }
            }
        }
    }
    // Of a long last record (the fifth edit), the sectors in the middle were never written.
    let mut torn = good[..ends[6]].to_vec();
    let sector = ends[5].next_multiple_of(512);
    torn[sector..sector + 512].fill(0);
    torn[ends[5] + 30] ^= 1;
    std::fs::write(&path, &torn).unwrap();
    assert_eq!(read_state(&env, dir.path()).unwrap(), states[4]);
}

#[test]
fn impossible_changes_are_refused_and_leave_the_state_alone() {
    let state = states().pop().unwrap();
    let add = |meta| Change::AddFile(meta);
    let refused = [
        Change::Epoch(1),
        Change::LastSequence(89),
        Change::LastSequence(MAX_SEQUENCE + 1),
        Change::NextFileNumber(FileNumber(29)),
        Change::NextCollectionId(CollectionId(8)),
        Change::LogFloor(FileNumber(3)),
        Change::LogDurable(LogPosition { segment: FileNumber(4), offset: 299 }),
        Change::LogDurable(LogPosition { segment: FileNumber(3), offset: 9_999 }),
        create(2, "new"),
        create(9, "default"),
        create(9, "../up"),
        Change::DropCollection(CollectionId(2)),
        Change::FlushedThrough { collection: CollectionId(0), sequence: 19 },
        Change::FlushedThrough { collection: CollectionId(5), sequence: 100 },
        Change::RemoveFile { collection: CollectionId(0), number: FileNumber(14) },
        add(file(5, 40, (b"a", b"b"), (91, 92))),
        add(file(0, 14, (b"a", b"b"), (91, 92))),
        add(file(0, 40, (b"b", b"a"), (91, 92))),
        add(file(0, 40, (b"a", b"b"), (92, 91))),
        add(file(0, 40, (b"a", b"b"), (40, 92))),
        add(FileMeta { entries: 0, tombstones: 0, ..file(0, 40, (b"a", b"b"), (91, 92)) }),
        add(file(0, u64::MAX, (b"a", b"b"), (91, 92))),
    ];
    for change in refused {
        let mut changed = state.clone();
        let error = changed.apply(&edit([Change::Epoch(2), change.clone()])).expect_err(&format!("{change:?}"));
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert_eq!(changed, state, "{change:?}");
    }
}

#[test]
fn files_stand_newest_first_however_they_come() {
    let mut state = VersionState::new(1);
    state.apply(&edit([create(0, "default")])).unwrap();
    for (number, sequences) in [(5, (50, 59)), (9, (10, 19)), (6, (60, 69)), (7, (20, 29))] {
        state.apply(&edit([Change::AddFile(file(0, number, (b"a", b"b"), sequences))])).unwrap();
    }
    let numbers = |state: &VersionState| -> Vec<u64> {
        state.collections[&CollectionId(0)].runs.iter().map(|file| file.number.0).collect()
    };
    assert_eq!(numbers(&state), [6, 5, 7, 9]);
    let remove = |number| Change::RemoveFile { collection: CollectionId(0), number: FileNumber(number) };
    let merged = file(0, 11, (b"a", b"b"), (20, 59));
    state.apply(&edit([remove(5), remove(7), Change::AddFile(merged)])).unwrap();
    assert_eq!(numbers(&state), [6, 11, 9], "the output takes the place of its inputs");
    let between = FileMeta { sequence_override: Some(62), ..file(0, 12, (b"a", b"b"), (1, 2)) };
    assert!(state.apply(&edit([Change::AddFile(between.clone())])).is_err(), "inside another file's sequences");
    let apart = FileMeta { smallest: b"x".to_vec(), largest: b"y".to_vec(), ..between };
    state.apply(&edit([Change::AddFile(apart)])).unwrap();
}

#[test]
fn data_without_current_is_never_taken_for_a_new_database() {
    let (dir, env) = (tempfile::tempdir().unwrap(), posix());
    assert_eq!(Manifest::read(&env, dir.path()).unwrap(), None);
    assert_eq!(Manifest::read(&env, &dir.path().join("absent")).unwrap(), None);
    let blank = states()[0].clone();
    Manifest::create(&env, dir.path(), FileNumber(1), &blank).unwrap();
    std::fs::remove_file(dir.path().join("CURRENT")).unwrap();
    assert_eq!(Manifest::read(&env, dir.path()).unwrap(), None, "a creation that did not end");
    for path in ["wal/000002.log", "cf/default/000003.sst"] {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, b"").unwrap();
        let error = Manifest::read(&env, dir.path()).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::Corruption, Some(&*dir.path().join("CURRENT"))));
        std::fs::remove_file(path).unwrap();
    }
    let (dir, env) = written();
    std::fs::remove_file(dir.path().join("CURRENT")).unwrap();
    assert_eq!(Manifest::read(&env, dir.path()).unwrap_err().kind(), ErrorKind::Corruption);
}

#[test]
fn what_a_later_version_wrote_is_skipped_or_refused_but_not_called_damage() {
    let path = Path::new("m");
    assert_eq!(VersionEdit::decode(&[65, 1, 9], path, 0).unwrap(), VersionEdit::new());
    assert_eq!(VersionEdit::decode(&[63, 1, 9], path, 0).unwrap_err().kind(), ErrorKind::NotSupported);
    let encoded = |meta: &FileMeta, extra: &[u8]| {
        let mut body = Vec::new();
        meta.encode(&mut body);
        body.extend_from_slice(extra);
        let mut out = vec![10];
        crate::coding::put_bytes(&mut out, &body);
        out
    };
    let meta = file(0, 1, (b"a", b"b"), (1, 2));
    assert!(VersionEdit::decode(&encoded(&meta, &[64, 1, 9]), path, 0).is_ok());
    assert_eq!(VersionEdit::decode(&encoded(&meta, &[60, 1, 9]), path, 0).unwrap_err().kind(), ErrorKind::NotSupported);
    for short in [&[1][..], &[1, 2, 3], &[6, 1, 1], &[1, 2, 1, 1], &[64, 1, 9], &[64, 0]] {
        assert_eq!(VersionEdit::decode(short, path, 0).unwrap_err().kind(), ErrorKind::Corruption, "{short:?}");
    }
}

#[test]
fn the_example_of_the_format_text_decodes() {
    let hex: Vec<u8> = include_str!("FORMAT.md")
        .lines()
        .skip_while(|line| !line.starts_with("```hex"))
        .skip(1)
        .take_while(|line| !line.starts_with("```"))
        .flat_map(|line| line.split('#').next().unwrap().split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let (dir, env) = (tempfile::tempdir().unwrap(), posix());
    let mut manifest = Manifest::create(&env, dir.path(), FileNumber(3), &VersionState::new(7)).unwrap();
    manifest.append(&edit([Change::Epoch(1)])).unwrap();
    let position = LogPosition { segment: FileNumber(2), offset: 120 };
    manifest.append(&edit([Change::LogDurable(position)])).unwrap();
    assert_eq!(std::fs::read(dir.path().join("MANIFEST-000003")).unwrap(), hex);
}
