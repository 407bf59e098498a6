//! Frozen memtables of one family are installed in the order of their making, although the background and a close both flush them, and a
//! reader finds its key all the while.

use super::world::{World, unexplored};
use sstore::atomic::check;
use sstore::{CloseOptions, Db, ReadOptions, WriteOptions};

fn put(db: &Db, key: &str, value: &str) {
    db.put(&db.default_family(), key.as_bytes(), value.as_bytes(), &WriteOptions::default()).unwrap();
}

#[test]
fn memtables_are_installed_in_order_and_once() {
    let real = sstore::env::posix::posix().runtime;
    let runs = check(1, move || {
        let world = unexplored(|| {
            let world = World::open(&real);
            put(&world.db, "a", "1");
            put(&world.db, "b", "1");
            world
        });
        let first = world.db.flush(&[]).unwrap();
        put(&world.db, "a", "2");
        // What the background did not yet flush, or not yet begin, is flushed here.
        world.db.close(&CloseOptions { flush: Some(true), force: true, timeout: None }).unwrap();
        assert!(first.poll().is_some_and(|done| done.is_ok()), "who waits for a flush is told of it");
        loom::stop_exploring();
        let again = world.reopen();
        let family = again.db.default_family();
        let segments = again.db.segments(&family).unwrap();
        let entries: u64 = segments.iter().map(|segment| segment.entries).sum();
        assert!((2..=3).contains(&entries), "{entries} versions of 3 writes: a memtable was flushed twice, or never");
        assert!(
            segments.is_sorted_by(|older, newer| older.largest_sequence < newer.smallest_sequence),
            "files in the order of what they hold"
        );
        let newest = again.db.get(&family, b"a", &ReadOptions::default()).unwrap();
        assert_eq!(newest.as_deref(), Some(&b"2"[..]), "the newest file answers first");
        again.db.close(&CloseOptions::default()).unwrap();
        drop(again);
        drop((world, first));
        loom::explore();
    });
    println!("{runs} runs");
}

#[test]
fn a_reader_beside_a_flush_finds_its_key_in_a_memtable_or_in_a_file() {
    let real = sstore::env::posix::posix().runtime;
    let runs = check(2, move || {
        let (world, family, flush) = unexplored(|| {
            let world = World::open(&real);
            put(&world.db, "a", "1");
            let (family, flush) = (world.db.default_family(), world.db.flush(&[]).unwrap());
            (world, family, flush)
        });
        let found = world.db.get(&family, b"a", &ReadOptions::default()).unwrap();
        unexplored(|| {
            flush.wait(None).unwrap();
            world.db.close(&CloseOptions::default()).unwrap();
        });
        // Only now, that a failure does not drop a database at work.
        assert_eq!(found.as_deref(), Some(&b"1"[..]), "the key is in neither");
    });
    println!("{runs} runs");
}
