//! Frozen memtables of one family are installed in the order of their making, although two workers look for them at once, and a reader
//! finds each key in a memtable or in a file: never in neither, never in both.

use super::world::{Workers, World};
use loom::thread;
use sstore::atomic::check;
use sstore::env::{Next, Task};
use sstore::{Db, ReadOptions, WriteOptions};
use std::sync::Arc;

fn put(db: &Db, key: &str, value: &str) {
    db.put(&db.default_family(), key.as_bytes(), value.as_bytes(), &WriteOptions::default()).unwrap();
}

/// What a reader finds must be what was written before it began, or later.
fn read(db: &Db) {
    let family = db.default_family();
    let found = db.get(&family, b"a", &ReadOptions::default()).unwrap().expect("a key is in a memtable or in a file");
    assert!([&b"1"[..], b"2"].contains(&&*found));
    let kept = db.get(&family, b"b", &ReadOptions::default()).unwrap();
    assert_eq!(kept.as_deref(), Some(&b"1"[..]), "a key is in a memtable or in a file");
}

fn run(worker: &mut Box<dyn Task>) {
    while worker.step() == Next::Again {}
}

#[test]
fn memtables_are_installed_in_order_and_readers_see_neither_gap_nor_double() {
    let real = sstore::env::posix::posix().runtime;
    let runs = check(1, move || {
        let world = Arc::new(World::open(&real, Workers::ByHand, 2));
        put(&world.db, "a", "1");
        put(&world.db, "b", "1");
        let first = world.db.flush(&[]).unwrap();
        let other = thread::spawn({
            let (world, mut worker) = (world.clone(), world.take_worker());
            move || {
                run(&mut worker);
                drop(worker);
                read(&world.db);
            }
        });
        let mut worker = world.take_worker();
        put(&world.db, "a", "2");
        let second = world.db.flush(&[]).unwrap();
        run(&mut worker);
        read(&world.db);
        other.join().unwrap();
        // What was frozen while the other job ran.
        run(&mut worker);
        assert!(first.poll().is_some_and(|done| done.is_ok()) && second.poll().is_some_and(|done| done.is_ok()));
        let segments = world.db.segments(&world.db.default_family()).unwrap();
        let entries: u64 = segments.iter().map(|segment| segment.entries).sum();
        assert_eq!(world.db.stats().frozen_memtables, 0);
        assert!(
            segments.is_sorted_by(|older, newer| older.largest_sequence < newer.smallest_sequence),
            "files in the order of what they hold"
        );
        assert!(entries <= 3, "{entries} versions of 3 writes: a memtable was flushed twice");
        let newest = world.db.get(&world.db.default_family(), b"a", &ReadOptions::default()).unwrap();
        assert_eq!(newest.as_deref(), Some(&b"2"[..]), "the newest file answers first");
    });
    println!("{runs} runs");
}
