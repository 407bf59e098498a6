//! Databases forged by LevelDB's format documents: what is visible comes in, and nothing that was damaged passes for it. What LevelDB itself
//! wrote is read in `core/tests/leveldb.rs`.

mod forge;

use super::*;
use crate::env::mem::MemFileSystem;
use crate::env::posix::posix;
use crate::key::Kind;
use forge::{Edit, Item, batch, delete, fragment, log, put, spoiled_table, table};
use std::collections::BTreeMap;

type Files = BTreeMap<String, Vec<u8>>;
type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// What is read of a database made of these files, and what was skipped.
fn read(files: &Files, skip: bool) -> Result<(Entries, u64)> {
    let world = MemFileSystem::new();
    let dir = Path::new("/source");
    world.create_dir(dir)?;
    for (name, bytes) in files {
        world.create(&dir.join(name))?.write_at(bytes, 0)?;
    }
    let env = Env { files: world, runtime: posix().runtime };
    let mut listener = |_: &ImportProgress| true;
    let reading = Rc::new(Reading::new(Meter::new(env.runtime.clone(), &mut listener), skip));
    let found = Found::open(&env, dir, &reading)?;
    let (sources, _) = found.sources(&env, &reading)?;
    let mut visible = Survivors::new(Merge::new(sources), Vec::new(), true);
    let mut entries = Vec::new();
    while let Some(entry) = visible.next()? {
        entries.push((entry.key.to_vec(), entry.value.to_vec()));
    }
    found.check_unchanged(&*env.files)?;
    Ok((entries, reading.skipped().0))
}

fn entries(files: &Files) -> Entries {
    read(files, false).unwrap().0
}

/// Tables in three levels, in each compression, and two logs: keys that are overwritten and deleted at each step.
struct World {
    files: Files,
    /// Every version of every key.
    items: Vec<Item>,
    /// What is visible if the last log ends after so many batches.
    visible: Vec<Entries>,
}

fn visible(items: &[Item]) -> Entries {
    let mut newest: BTreeMap<&[u8], &Item> = BTreeMap::new();
    for item in items {
        let known = newest.entry(&item.0).or_insert(item);
        if known.1 < item.1 {
            *known = item;
        }
    }
    let puts = newest.into_values().filter(|item| item.2 == Kind::Put);
    puts.map(|item| (item.0.clone(), item.3.clone())).collect()
}

impl World {
    fn new() -> Self {
        let deep: Vec<Item> = (0..10).map(|n| put(&format!("k{n:02}"), 1 + n, &"deep".repeat(9))).collect();
        let low = vec![delete("k01", 21), put("k02", 22, "low"), put("k02", 12, "hidden"), put("k055", 23, "low")];
        let high = vec![put("k06", 24, "low"), delete("k08", 25)];
        let old = vec![put("a", 31, "old"), put("k01", 32, "back"), delete("k03", 33)];
        let new = vec![put("a", 41, "new"), put("k03", 42, "again"), put("k09", 43, "new")];
        let tables = [(2, 5, &deep, 1), (1, 6, &low, 2), (1, 7, &high, 0), (0, 8, &old, 0), (0, 9, &new, 1)];
        let mut files = Files::new();
        let mut edit = Edit::first("leveldb.BytewiseComparator", 10);
        for (level, number, items, compression) in tables {
            let bytes = table(items, compression);
            edit = edit.add(level, number, &bytes, items);
            let extension = if number == 5 { "sst" } else { "ldb" };
            files.insert(format!("{number:06}.{extension}"), bytes);
        }
        // A table that joined and left again.
        let second = Edit::default().add(0, 4, b"x", &old);
        files.insert("CURRENT".into(), b"MANIFEST-000003\n".to_vec());
        files.insert("MANIFEST-000003".into(), log(&[edit.0, second.0, Edit::default().remove(0, 4).0]));
        let earlier = vec![put("a", 50, "log"), delete("k00", 51)];
        let batches = [
            vec![put("b", 60, "one"), delete("a", 61)],
            vec![put("c", 62, "two")],
            vec![delete("b", 63), put("k00", 64, "")],
        ];
        files.insert("000010.log".into(), log(&[batch(&earlier)]));
        files.insert("000011.log".into(), log(&batches.each_ref().map(|items| batch(items))));
        files.insert("000002.log".into(), b"a log that counts no more".to_vec());
        files.insert("LOCK".into(), Vec::new());
        let mut items: Vec<Item> = [deep, low, high, old, new, earlier].concat();
        let mut all = vec![visible(&items)];
        for batch in batches {
            items.extend(batch);
            all.push(visible(&items));
        }
        Self { files, items, visible: all }
    }

    fn truth(&self) -> &Entries {
        &self.visible[3]
    }

    /// The database with one file changed.
    fn with(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Files {
        let mut files = self.files.clone();
        change(files.get_mut(name).unwrap());
        files
    }

    /// The files that count.
    fn names(&self) -> Vec<String> {
        let names = self.files.keys().filter(|name| !["000002.log", "LOCK"].contains(&name.as_str()));
        names.cloned().collect()
    }

    /// What a changed database may be read as: all of it, less if it is the last log that was changed, or an error that names the file.
    fn check(&self, name: &str, files: &Files, what: &str) -> bool {
        match read(files, false) {
            Ok((entries, skipped)) => {
                let may_be_short = name == "000011.log";
                let fits = entries == *self.truth() || may_be_short && self.visible.contains(&entries);
                assert!(fits && skipped == 0, "{name} {what}: read as {entries:?}");
                false
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corruption, "{name} {what}: {error}");
                let path = error.path().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
                // A CURRENT that names another manifest, and a manifest that ends before a table leaves, are found out there.
                let found_elsewhere = name == "CURRENT" && path.starts_with("MANIFEST")
                    || name.starts_with("MANIFEST") && path == "000004.ldb";
                assert!(path == name || found_elsewhere, "{name} {what}: {error}");
                assert!(error.offset().is_some(), "{name} {what}: {error}");
                true
            }
        }
    }

    /// Skipping damage never ends in anything but a part of what was once written.
    fn check_skipping(&self, name: &str, files: &Files, what: &str) {
        match read(files, true) {
            Ok((entries, _)) => {
                for (key, value) in entries {
                    let known = self.items.iter().any(|item| item.0 == key && item.3 == value);
                    assert!(known, "{name} {what}: {key:?} was never written with {value:?}");
                }
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corruption, "{name} {what}: {error}"),
        }
    }
}

#[test]
fn what_leveldb_would_show_is_read() {
    let world = World::new();
    assert_eq!(entries(&world.files), *world.truth());
    let keys: Vec<&[u8]> = world.truth().iter().map(|(key, _)| &key[..]).collect();
    let expected: [&[u8]; 11] = [b"c", b"k00", b"k01", b"k02", b"k03", b"k04", b"k05", b"k055", b"k06", b"k07", b"k09"];
    assert_eq!(keys, expected);
}

#[test]
fn every_flipped_byte_is_noticed_or_of_no_meaning() {
    let world = World::new();
    for name in world.names() {
        let (len, mut noticed) = (world.files[&name].len(), 0);
        for at in 0..len {
            let bit = if at % 5 == 0 { 0xff } else { 1 << (at % 8) };
            let files = world.with(&name, |bytes| bytes[at] ^= bit);
            let what = format!("with byte {at} xored by {bit:#x}");
            noticed += usize::from(world.check(&name, &files, &what));
            world.check_skipping(&name, &files, &what);
        }
        // What is not noticed is padding, and the length of the last record of a log.
        assert!(noticed > len / 2, "{name}: of {len} flips {noticed} were noticed");
    }
}

#[test]
fn every_cut_is_noticed_and_a_log_that_ends_early_is_as_long_as_it_is() {
    let world = World::new();
    for name in world.names() {
        for len in 0..world.files[&name].len() {
            let files = world.with(&name, |bytes| bytes.truncate(len));
            let noticed = world.check(&name, &files, &format!("cut to {len}"));
            // A log or manifest that ends between two records ends there.
            assert!(noticed || name.ends_with(".log") || name.starts_with("MANIFEST"), "{name} cut to {len}");
            world.check_skipping(&name, &files, &format!("cut to {len}"));
        }
    }
    let reads: Vec<Entries> = (0..world.files["000011.log"].len())
        .map(|len| entries(&world.with("000011.log", |bytes| bytes.truncate(len))))
        .collect();
    for (after, visible) in world.visible[..3].iter().enumerate() {
        assert!(reads.contains(visible), "a log that ends after {after} batches");
    }
}

#[test]
fn missing_and_swapped_files_are_named() {
    let world = World::new();
    for name in world.names() {
        let mut files = world.files.clone();
        files.remove(&name);
        match read(&files, false) {
            // Nothing says that there was a newer log.
            Ok((entries, _)) => assert_eq!((name.as_str(), &entries), ("000011.log", &world.visible[0])),
            Err(error) if name == "CURRENT" => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corruption, "{error}");
                let stem = error.path().unwrap().file_stem().unwrap().to_str().unwrap();
                assert!(name.starts_with(stem), "{name}: {error}");
            }
        }
    }
    let tables: Vec<String> =
        world.names().into_iter().filter(|name| name.ends_with("b") || name.ends_with("t")).collect();
    assert_eq!(tables.len(), 5);
    for (a, b) in tables.iter().zip(&tables[1..]) {
        let mut files = world.files.clone();
        files.insert(a.clone(), world.files[b].clone());
        files.insert(b.clone(), world.files[a].clone());
        let error = read(&files, false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corruption, "{a} and {b}: {error}");
    }
    // Also one of the same length, from another time.
    let new = vec![put("a", 41, "NEW"), put("k03", 42, "again"), put("k09", 44, "new")];
    let error = read(&world.with("000009.ldb", |bytes| *bytes = table(&new, 1)), false).unwrap_err();
    assert!(error.message().contains("does not end with the key"), "{error}");
}

#[test]
fn another_order_of_keys_is_refused_by_name() {
    let world = World::new();
    let files = world.with("MANIFEST-000003", |bytes| *bytes = log(&[Edit::first("idb_cmp1", 10).0]));
    for skip in [false, true] {
        let error = read(&files, skip).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotSupported);
        assert!(error.message().contains("\"idb_cmp1\""), "{error}");
    }
}

#[test]
fn damage_is_skipped_and_counted_if_that_is_wanted() {
    let world = World::new();
    // One block of the deepest table: three entries.
    let files = world.with("000005.sst", |bytes| bytes[2] ^= 1);
    let (entries, skipped) = read(&files, true).unwrap();
    assert_eq!(skipped, 1);
    // k00 and k02 have newer versions elsewhere, k01 too.
    assert_eq!(entries, *world.truth());
    let mut files = world.files.clone();
    files.remove("000005.sst");
    let (entries, skipped) = read(&files, true).unwrap();
    assert_eq!((skipped, entries.len()), (1, world.truth().len() - 3), "k04, k05 and k07 are nowhere else");
    // The first record of the last log: the rest of its block goes with it, as LevelDB has it.
    let files = world.with("000011.log", |bytes| bytes[9] ^= 1);
    assert_eq!(read(&files, true).unwrap(), (world.visible[0].clone(), 1));
}

#[test]
fn long_records_and_reserved_space_of_a_log() {
    let world = World::new();
    let long: Vec<Vec<Item>> = (0..40)
        .map(|n| vec![(format!("long{n:02}").into_bytes(), 100 + n, Kind::Put, vec![n as u8; 977 * n as usize])])
        .collect();
    let records: Vec<Vec<u8>> = long.iter().map(|items| batch(items)).collect();
    let expected = visible(&[world.items[..world.items.len() - 5].to_vec(), long.concat()].concat());
    let whole = log(&records);
    assert_eq!(entries(&world.with("000011.log", |bytes| *bytes = whole.clone())), expected);
    // Reserved and never written.
    let files = world.with("000011.log", |bytes| *bytes = [&whole[..], &[0; 100_000]].concat());
    assert_eq!(entries(&files), expected);
    // Zeros where a record was, and more behind them.
    let files = world.with("000011.log", |bytes| {
        *bytes = whole.clone();
        bytes[40_000..80_000].fill(0);
    });
    let error = read(&files, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corruption, "{error}");
    assert!(read(&files, true).unwrap().1 > 0);
    // An empty fragment at the end of a block, and then the record anew, as old versions wrote it.
    let first = batch(&[(b"old".to_vec(), 100, Kind::Put, vec![7; (32 << 10) - 7 - 7 - 12 - 8])]);
    let mut bytes = log(&[first]);
    assert_eq!(bytes.len(), (32 << 10) - 7);
    bytes.extend(fragment(2, &[]));
    bytes.extend(fragment(2, &records[3][..5]));
    bytes.extend(fragment(4, &records[3][5..]));
    let found = entries(&world.with("000011.log", |log| *log = bytes));
    assert!(found.iter().any(|(key, _)| key == b"old") && found.iter().any(|(key, _)| key == b"long03"));
}

#[test]
fn a_log_that_ends_early_before_another_one_is_damage() {
    let world = World::new();
    let files = world.with("000010.log", |bytes| bytes.truncate(bytes.len() - 1));
    let error = read(&files, false).unwrap_err();
    assert!(error.message().contains("another one follows"), "{error}");
    assert_eq!(read(&files, true).unwrap().1, 1);
}

/// Lengths, handles and counts that are not true, under checksums that are.
#[test]
fn what_is_verified_is_still_not_trusted() {
    let world = World::new();
    let deep: Vec<Item> = world.items[..10].to_vec();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let (mut refused, rounds) = (0, 1500);
    for round in 0..rounds {
        let (part, change, at, by) = (next() % 15, next() % 4, next() as usize, next());
        let spoil = &mut |place: usize, bytes: &mut Vec<u8>| {
            if place as u64 != part || bytes.is_empty() {
                return;
            }
            let at = at % bytes.len();
            match change {
                0 => bytes[at] ^= by as u8 | 1,
                1 => bytes.truncate(at),
                2 => bytes[at..].iter_mut().take(10).for_each(|byte| *byte = 0xff),
                _ => drop(bytes.splice(at..at, by.to_le_bytes())),
            }
        };
        let bytes = spoiled_table(&deep, (round % 3) as u8, spoil);
        let mut files = world.files.clone();
        // The manifest fits the table, else nothing of it would be looked at.
        let manifest = Edit::first("leveldb.BytewiseComparator", 10).add(2, 5, &bytes, &deep);
        files.insert("MANIFEST-000003".into(), log(&[manifest.0]));
        files.insert("000005.sst".into(), bytes);
        match read(&files, false) {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corruption, "{error}");
                refused += 1;
            }
        }
        if let Err(error) = read(&files, true) {
            assert_eq!(error.kind(), ErrorKind::Corruption, "{error}");
        }
    }
    assert!(refused > rounds / 3, "{refused} of {rounds}");
    // Batches of the log, and edits of the manifest.
    for round in 0..1500 {
        let name = if round % 2 == 0 { "000011.log" } else { "MANIFEST-000003" };
        let manifest = || {
            let mut edit = Edit::first("leveldb.BytewiseComparator", 10);
            for (number, extension) in [(5, "sst"), (6, "ldb")] {
                edit = edit.add(1, number, &world.files[&format!("{number:06}.{extension}")], &deep);
            }
            edit.0
        };
        let mut record = if round % 2 == 0 {
            batch(&[put("x", 70, "value"), delete("y", 71), put("z", 72, "w")])
        } else {
            manifest()
        };
        let at = next() as usize % record.len();
        match next() % 3 {
            0 => record[at] ^= next() as u8 | 1,
            1 => record.truncate(at),
            _ => record[at..].iter_mut().take(10).for_each(|byte| *byte = 0xff),
        }
        let files = world.with(name, |bytes| *bytes = log(&[record]));
        for skip in [false, true] {
            if let Err(error) = read(&files, skip) {
                assert!(matches!(error.kind(), ErrorKind::Corruption | ErrorKind::NotSupported), "{error}");
            }
        }
    }
}

#[test]
fn lengths_beyond_what_a_compression_can_reach_take_no_memory() {
    let mut decoder = block::Decoder::default();
    let mut refused = |data: &[u8], compression: u8| {
        let mut stored = [data, &[compression]].concat();
        let crc = checksum::masked(crc32c::crc32c(&stored));
        stored.extend_from_slice(&crc.to_le_bytes());
        let mut out = Vec::new();
        let why = decoder.decode(&stored, &mut out).unwrap_err();
        assert!(out.capacity() < 1 << 20, "{} bytes for {why}", out.capacity());
        why
    };
    assert!(refused(b"\xff\xff\xff\xff\x0fabc", 1).contains("longer than Snappy"));
    assert!(refused(b"\xff\xff\xff\x07abc", 1).contains("longer than Snappy"));
    // A frame that says 1 GiB (and nothing of it there), and one that says 2^60.
    let frame = |len: u64| [&b"\x28\xb5\x2f\xfd\xe0"[..], &len.to_le_bytes(), b"\x01\0\0"].concat();
    assert!(refused(&frame(1 << 30), 2).contains("no Zstd frame"));
    assert!(refused(&frame(1 << 60), 2).contains("more than 1 GiB"));
    assert!(refused(b"abc", 7).contains("unknown compression"));
}

#[test]
fn an_import_is_written_tells_how_far_it_is_and_can_be_run_again() {
    let world = World::new();
    let files = MemFileSystem::new();
    let dir = Path::new("/source");
    files.create_dir(dir).unwrap();
    for (name, bytes) in &world.files {
        files.create(&dir.join(name)).unwrap().write_at(bytes, 0).unwrap();
    }
    let env = Env { files: files.clone(), runtime: posix().runtime };
    let db = Db::open_in(env, Path::new("/target"), &Default::default()).unwrap();
    let family = db.create_column_family("from", &Default::default()).unwrap();
    db.put(&family, b"mine", b"1", &Default::default()).unwrap();
    for _ in 0..2 {
        let mut told = Vec::new();
        let done = db.import_leveldb(&family, dir, &Default::default(), &mut |progress| {
            told.push(*progress);
            // When all is written it is too late to call it off.
            progress.entries < world.truth().len() as u64
        });
        let done = done.unwrap();
        assert!(
            told.len() >= 2 && told[0].bytes_read < done.progress.bytes_read,
            "told as soon as it has begun: {told:?}"
        );
        assert_eq!(told.last(), Some(&done.progress));
        assert_eq!(done.progress.entries, world.truth().len() as u64);
        let payload: usize = world.truth().iter().map(|(key, value)| key.len() + value.len()).sum();
        assert_eq!((done.payload_bytes, done.skipped, done.torn_bytes), (payload as u64, 0, 0));
        for (key, value) in world.truth() {
            assert_eq!(db.get(&family, key, &Default::default()).unwrap().as_deref(), Some(&value[..]));
        }
        assert_eq!(db.get(&family, b"mine", &Default::default()).unwrap().as_deref(), Some(&b"1"[..]));
        assert!(db.get(&family, b"a", &Default::default()).unwrap().is_none(), "deleted in the log");
    }
    let other = Db::open_in(
        Env { files: MemFileSystem::new(), runtime: posix().runtime },
        Path::new("/other"),
        &Default::default(),
    );
    let error = other.unwrap().import_leveldb(&family, dir, &Default::default(), &mut |_| true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let error = db.import_leveldb(&family, "/target/cf", &Default::default(), &mut |_| true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[test]
fn a_database_that_is_opened_meanwhile_is_told() {
    let world = World::new();
    let files = MemFileSystem::new();
    let dir = Path::new("/source");
    files.create_dir(dir).unwrap();
    for (name, bytes) in &world.files {
        files.create(&dir.join(name)).unwrap().write_at(bytes, 0).unwrap();
    }
    let env = Env { files: files.clone(), runtime: posix().runtime };
    let mut listener = |_: &ImportProgress| true;
    let reading = Reading::new(Meter::new(env.runtime.clone(), &mut listener), false);
    let found = Found::open(&env, dir, &reading).unwrap();
    found.check_unchanged(&*files).unwrap();
    files.remove(&dir.join("CURRENT")).unwrap();
    files.create(&dir.join("CURRENT")).unwrap().write_at(b"MANIFEST-000012\n", 0).unwrap();
    assert_eq!(found.check_unchanged(&*files).unwrap_err().kind(), ErrorKind::Locked);
}

#[test]
fn a_key_that_is_too_long_is_told() {
    let world = World::new();
    let long = vec![(vec![b'x'; (64 << 10) + 1], 70, Kind::Put, Vec::new())];
    let files = MemFileSystem::new();
    let dir = Path::new("/source");
    files.create_dir(dir).unwrap();
    for (name, bytes) in world.with("000011.log", |bytes| *bytes = log(&[batch(&long)])) {
        files.create(&dir.join(name)).unwrap().write_at(&bytes, 0).unwrap();
    }
    let db = Db::open_in(Env { files, runtime: posix().runtime }, Path::new("/target"), &Default::default()).unwrap();
    let error = db.import_leveldb(&db.default_family(), dir, &Default::default(), &mut |_| true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.message().contains("xxxx") && error.message().contains("beyond the limits"), "{error}");
}
