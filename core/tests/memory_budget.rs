//! What is held is what is counted: the bytes of the allocator, and of the process, beside `Db::memory_use`, on real files.
//!
//! Prints what it measures: `cargo test -p sstore --test memory_budget -- --nocapture`.

mod allocated;

use allocated::{alone, live_bytes, peak_of};
use sstore::{ColumnFamily, Db, MemoryUse, Options, ReadOptions, WriteOptions};

/// Memory of the process that is in no file, in bytes.
fn rss_anon_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).expect("Linux says it");
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

/// Waits until no memtable waits for its flush, and what the flush held is given back.
fn settle(db: &Db) {
    while db.stats().frozen_memtables > 0 {
        std::thread::yield_now();
    }
    db.flush(&[]).unwrap().wait(None).unwrap();
}

fn assert_within(what: &str, least: f64, held: usize, counted: usize) {
    let share = held as f64 / counted as f64;
    println!("{what}: {held} bytes held, {counted} counted ({share:.3})");
    assert!((least..=1.15).contains(&share), "{what}: {held} bytes are held, {counted} counted");
}

fn scattered(index: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&index.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    key[8..].copy_from_slice(&index.to_be_bytes());
    key
}

#[test]
fn what_is_held_is_what_is_counted() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new()
        .with("memory_budget_bytes", "192MiB")
        .unwrap()
        .with("write_buffer_bytes", "64MiB")
        .unwrap()
        .with("auto_compaction", "false")
        .unwrap();
    let (live, rss) = (live_bytes(), rss_anon_bytes());
    let db = Db::open(dir.path().join("db"), &options).unwrap();
    let family = db.default_family();
    let compare = |what: &str| -> MemoryUse {
        let used = db.memory_use();
        let counted = used.total_bytes() as usize;
        assert_within(what, 0.85, live_bytes() - live, counted);
        used
    };
    let write = WriteOptions::default();
    // 30 MiB and some that no flush takes, of two families.
    let other = db.create_column_family("other", &Options::new()).unwrap();
    for index in 0..200_000_u64 {
        let family: &ColumnFamily = if index % 2 == 0 { &family } else { &other };
        db.put(family, &scattered(index), &[5; 40], &write).unwrap();
    }
    let used = compare("memtables");
    assert!(used.active_memtable_bytes > 20 << 20, "{used:?}");
    // Files with their filters, spares, and a cache that is read full.
    settle(&db);
    for index in 0..200_000_u64 {
        let family: &ColumnFamily = if index % 2 == 0 { &family } else { &other };
        assert!(db.get(family, &scattered(index), &ReadOptions::default()).unwrap().is_some());
    }
    let used = compare("files and caches");
    assert!(used.cache_bytes > 8 << 20 && used.file_bytes > 200_000 && used.spare_bytes > 0, "{used:?}");
    // Again in memtables, in memory that was used before: what is taken and never touched does not count for the process.
    for index in 0..190_000_u64 {
        let family: &ColumnFamily = if index % 2 == 0 { &family } else { &other };
        db.put(family, &scattered(index), &[6; 40], &write).unwrap();
    }
    let used = compare("all of it");
    // Less may be held: pages that were taken and not touched yet.
    assert_within("all of it, of the process", 0.75, rss_anon_bytes().saturating_sub(rss), used.total_bytes() as usize);
    db.close(&sstore::CloseOptions::default()).unwrap();
}

#[test]
fn what_was_freed_goes_back_to_the_system() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let set = [("memory_budget_bytes", "256MiB"), ("write_buffer_bytes", "32MiB"), ("auto_compaction", "false")];
    let options = set.iter().fold(Options::new(), |options, (name, value)| options.with(name, value).unwrap());
    let before = rss_anon_bytes();
    let db = Db::open(dir.path().join("db"), &options).unwrap();
    let families: Vec<ColumnFamily> =
        (0..4).map(|at| db.create_column_family(&format!("f{at}"), &Options::new()).unwrap()).collect();
    // Memtables that grow side by side, then go one after another, again and again.
    for round in 0..3 {
        for index in 0..300_000_u64 {
            let family = &families[(index % 4) as usize];
            db.put(family, &scattered(index + round), &[7; 100], &WriteOptions::default()).unwrap();
        }
        // Some 35 MB were put, and what is mapped is not left to an allocator to give back.
        let mapped = sstore::env::pages::mapped_bytes();
        assert!(mapped > 16 << 20, "only {mapped} bytes are mapped");
        settle(&db);
    }
    let used = db.memory_use();
    let held = rss_anon_bytes().saturating_sub(before);
    let counted = used.total_bytes() as usize;
    println!("after 3 rounds: {held} bytes of the process, {counted} counted; {used:?}");
    assert!(held < counted + (24 << 20), "{held} bytes are held, {counted} counted: {used:?}");
    db.close(&sstore::CloseOptions::default()).unwrap();
    drop((families, db));
    let left = rss_anon_bytes().saturating_sub(before);
    println!("after the close: {left} bytes");
    assert!(left < 24 << 20, "{left} bytes are left after the close");
}

/// A database whose two writers filled fifty families in turn.
fn written_at_once(dir: &std::path::Path, options: &Options) -> Db {
    let db = Db::open(dir.join("db"), options).unwrap();
    let families: Vec<ColumnFamily> =
        (0..50).map(|at| db.create_column_family(&format!("f{at}"), &Options::new()).unwrap()).collect();
    std::thread::scope(|scope| {
        for writer in 0..2_u64 {
            let (db, families) = (&db, &families);
            scope.spawn(move || {
                for index in 0..150_000_u64 {
                    let family = &families[(index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % 50];
                    db.put(family, &scattered(index * 2 + writer), &[9; 100], &WriteOptions::default()).unwrap();
                    if index % 100 == 0 {
                        db.get(family, &scattered(index), &ReadOptions::default()).unwrap();
                    }
                }
            });
        }
    });
    db
}

#[test]
fn fifty_families_written_at_once_stay_under_the_budget() {
    const BUDGET: usize = 32 << 20;
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new().with("memory_budget_bytes", &BUDGET.to_string()).unwrap();
    let (peak, db) = peak_of(|| written_at_once(dir.path(), &options));
    let used = db.memory_use();
    println!("50 families, 60 MB: a peak of {peak} bytes within {BUDGET}; {used:?}");
    assert!(peak < BUDGET, "{peak} bytes of {BUDGET}: {used:?}");
    db.close(&sstore::CloseOptions::default()).unwrap();
}
