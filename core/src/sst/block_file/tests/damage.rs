//! Damage of every kind: the answer is an error that names the file, or right data; `verify` always reports it.

use super::*;
use crate::env::Call;
use crate::env::fault::FaultFileSystem;
use crate::error::{Error, Result};
use std::os::unix::fs::FileExt;

#[test]
fn a_cold_lookup_reads_one_block_and_a_warm_one_none() {
    let mut place = Place::new();
    let files = FaultFileSystem::new(place.env.files.clone(), Vec::new());
    place.env.files = files.clone();
    let reads = || files.count(Call::Read);
    let mut model = Model::new();
    for number in 0..20_000u64 {
        put(&mut model, &(number * 2).to_be_bytes(), number + 1, &[3; 80]);
    }
    place.write(&model, SstOptions::default());
    let reader = place.open();
    assert_eq!(reads(), 2, "footer, then index, filter and properties together");
    for number in (0..20_000u64).step_by(997) {
        let key = (number * 2).to_be_bytes();
        let hash = key_hash(&key);
        let before = reads();
        assert!(matches!(reader.get(&key, hash, MAX_SEQUENCE, Io::CacheOnly).unwrap(), Lookup::WouldBlock));
        assert_eq!(get(&reader, &key, MAX_SEQUENCE), wanted(&model, &key, MAX_SEQUENCE));
        assert_eq!(reads(), before + 1);
        assert!(matches!(reader.get(&key, hash, MAX_SEQUENCE, Io::CacheOnly).unwrap(), Lookup::Found { .. }));
        assert_eq!(reads(), before + 1);
    }
    let before = reads();
    let mut cursor = reader.cursor(Access::Scan);
    let mut valid = cursor.seek_to_first().unwrap();
    while valid {
        valid = cursor.next().unwrap();
    }
    let scanned = reads() - before;
    assert!(scanned <= reader.size_bytes() / (256 << 10) + 1, "{scanned} reads for {} bytes", reader.size_bytes());
}

/// The little file that damage is done to: several blocks, a wide one, versions, tombstones.
fn small_model() -> Model {
    let mut model = mixed_model(11, 20);
    for sequence in 100..130 {
        put(&mut model, b"many", sequence, &[sequence as u8; 40]);
    }
    put(&mut model, b"wide", 200, &[5; 700]);
    model
}

/// What reading everything gives: the right data, or an error that names the file.
fn read_all(place: &Place, model: &Model, path: &Path) -> Result<()> {
    let reader = open(&place.env, path, 1 << 20)?;
    let mut cursor = reader.cursor(Access::Cached);
    let mut valid = cursor.seek_to_first()?;
    for ((key, sequence), (kind, value)) in model {
        assert!(valid, "entries are missing and nobody said so");
        assert_eq!(cursor.entry(), Entry { key, sequence: sequence.0, kind: *kind, value });
        valid = cursor.next()?;
    }
    assert!(!valid);
    for ((key, sequence), (kind, value)) in model {
        match reader.get(key, key_hash(key), sequence.0, Io::Allowed)? {
            Lookup::Found { sequence: found, kind: what, value: bytes } => {
                assert_eq!((found, what, &*bytes), (sequence.0, *kind, value.as_slice()));
            }
            _ => panic!("a key is missing and nobody said so"),
        }
    }
    reader.verify()
}

fn assert_names(error: &Error, path: &Path) {
    assert!(matches!(error.kind(), ErrorKind::Corruption | ErrorKind::NotSupported), "{error}");
    assert_eq!(error.path(), Some(path));
    assert!(error.offset().is_some());
}

#[test]
fn every_flipped_byte_and_every_truncation_is_reported() {
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        let place = Place::new();
        let model = small_model();
        place.write(&model, SstOptions { block_bytes: 1 << 10, compression, bloom_bits_per_key: 10 });
        let path = place.path();
        read_all(&place, &model, &path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        // In place: rewriting the whole file would make the file system flush it each time.
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        let mut numbers = Numbers(5);
        for at in 0..bytes.len() {
            let damage = if at % 5 == 0 { 0xff } else { 1 << numbers.below(8) };
            file.write_all_at(&[bytes[at] ^ damage], at as u64).unwrap();
            let error = read_all(&place, &model, &path).expect_err("verify reports every flip");
            assert_names(&error, &path);
            file.write_all_at(&bytes[at..=at], at as u64).unwrap();
        }
        for len in (0..bytes.len()).rev() {
            file.set_len(len as u64).unwrap();
            let error = open(&place.env, &path, 0).map(|_| ()).expect_err("a short file does not open");
            assert_names(&error, &path);
        }
        std::fs::write(&path, [&bytes[..], &[0]].concat()).unwrap();
        assert_names(&open(&place.env, &path, 0).map(|_| ()).unwrap_err(), &path);
    }
}

#[test]
fn damage_after_opening_is_found_and_spoils_only_its_block() {
    let place = Place::new();
    let model = small_model();
    place.write(&model, SstOptions { block_bytes: 1 << 10, ..SstOptions::default() });
    let bytes = std::fs::read(place.path()).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(place.path()).unwrap();
    for at in (0..bytes.len()).step_by(7) {
        let reader = open(&place.env, &place.path(), 0).unwrap();
        file.write_all_at(&[bytes[at] ^ 0x10], at as u64).unwrap();
        assert_names(&reader.verify().unwrap_err(), &place.path());
        let mut wrong = 0;
        for ((key, sequence), (kind, value)) in &model {
            match reader.get(key, key_hash(key), sequence.0, Io::Allowed) {
                Ok(Lookup::Found { sequence: found, kind: what, value: bytes }) => {
                    assert_eq!((found, what, &*bytes), (sequence.0, *kind, value.as_slice()));
                }
                Ok(_) => panic!("a key is missing and nobody said so"),
                Err(error) => {
                    assert_names(&error, &place.path());
                    wrong += 1;
                }
            }
        }
        assert!(wrong < model.len(), "blocks that are whole still read");
        let mut cursor = reader.cursor(Access::Scan);
        if let Err(error) = cursor.seek_to_first() {
            assert_eq!(cursor.next().unwrap_err().message(), error.message(), "a failed cursor stays failed");
            assert!(!cursor.is_valid());
        }
        file.write_all_at(&bytes[at..=at], at as u64).unwrap();
    }
}

#[test]
fn swapped_blocks_and_foreign_files_are_found() {
    let place = Place::new();
    let mut model = Model::new();
    for number in 0..400u64 {
        put(&mut model, &number.to_be_bytes(), number + 1, &[number as u8; 30]);
    }
    let options = SstOptions { block_bytes: 1 << 10, ..SstOptions::default() };
    place.write(&model, options.clone());
    let bytes = std::fs::read(place.path()).unwrap();
    let reader = place.open();
    let index = reader.index();
    let (a, b) = (1..index.len())
        .flat_map(|a| (a + 1..index.len()).map(move |b| (a, b)))
        .map(|(a, b)| (index.place(a), index.place(b)))
        .find(|(a, b)| a.len == b.len)
        .expect("two blocks of one length");
    let (a_range, b_range) =
        (a.offset as usize..(a.offset + a.len) as usize, b.offset as usize..(b.offset + b.len) as usize);
    let mut swapped = bytes.clone();
    swapped[a_range.clone()].copy_from_slice(&bytes[b_range.clone()]);
    swapped[b_range].copy_from_slice(&bytes[a_range]);
    std::fs::write(place.path(), &swapped).unwrap();
    assert_names(&read_all(&place, &model, &place.path()).unwrap_err(), &place.path());

    // A whole file of another number, database or family, and one of another size than the manifest says.
    std::fs::write(place.path(), &bytes).unwrap();
    let cache = BlockCache::new(1 << 20);
    let wrong = [
        expected(6),
        Expected { database_id: 78, ..expected(5) },
        Expected { collection: CollectionId(3), ..expected(5) },
        Expected { size_bytes: Some(bytes.len() as u64 + 1), ..expected(5) },
    ];
    for expected in &wrong {
        let error = SstReader::open(&place.env, &place.path(), expected, cache.clone()).map(|_| ()).unwrap_err();
        assert_names(&error, &place.path());
    }
}

#[test]
fn the_cache_stays_within_its_bound_and_a_closed_file_leaves_it() {
    let place = Place::new();
    let mut model = Model::new();
    for number in 0..20_000u64 {
        put(&mut model, &number.to_be_bytes(), number + 1, &[1; 100]);
    }
    place.write(&model, SstOptions::default());
    let cache = BlockCache::new(256 << 10);
    let reader = SstReader::open(&place.env, &place.path(), &expected(5), cache.clone()).unwrap();
    let mut cursor = reader.cursor(Access::Cached);
    let mut valid = cursor.seek_to_first().unwrap();
    let pinned = cursor.pin_value();
    while valid {
        valid = cursor.next().unwrap();
        assert!(cache.used_bytes() <= cache.capacity_bytes());
    }
    assert!(cache.used_bytes() > cache.capacity_bytes() / 2);
    assert_eq!(&*pinned, &[1; 100], "a pinned value outlives its place in the cache");
    drop((cursor, reader));
    assert_eq!(cache.used_bytes(), 0);
}
