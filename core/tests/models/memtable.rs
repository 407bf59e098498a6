//! One writer, readers that loaded the visible sequence, and a feeder of the order, over keys that come out of order.
//!
//! Under the model blocks of the tree hold a handful of keys and the hash's arrays eight slots, so that splits, a rebuild and a
//! doubling happen within a few inserts.

use loom::thread;
use sstore::atomic::check;
use sstore::batch::Operation;
use sstore::commit::{ActiveMemtable, Commit, One};
use sstore::iter::Cursor;
use sstore::key::{CollectionId, Kind, MemtableId, Sequence};
use sstore::memtable::{AnyMemtable, AnyMemtableWriter, ArenaPool, Memtable, MemtableOptions, create};
use std::sync::Arc;

const FAMILY: CollectionId = CollectionId(1);

/// A memtable behind a commit lock, and the key that each sequence writes: `script[0]` is that of sequence 1.
struct Database {
    script: &'static [&'static str],
    commit: Commit,
    memtable: Arc<Memtable>,
}

impl Database {
    /// With the first `written` operations of the script done.
    fn new(script: &'static [&'static str], written: usize) -> Arc<Self> {
        let options = MemtableOptions { hash_seed: 1, pool: ArenaPool::new(0) };
        let (writer, memtable) = create(MemtableId(1), &options).unwrap();
        let commit = Commit::new(0, None);
        let active = ActiveMemtable {
            collection: FAMILY,
            memtable: AnyMemtable::Bytes(memtable.clone()),
            writer: AnyMemtableWriter::Bytes(writer),
            logged: false,
            full_bytes: usize::MAX,
            full_rows: 0,
            batch_end: 0,
        };
        commit.lock().unwrap().add(active);
        let database = Self { script, commit, memtable };
        database.write(written);
        Arc::new(database)
    }

    /// The next `count` operations of the script.
    fn write(&self, count: usize) {
        for _ in 0..count {
            let mut state = self.commit.lock().unwrap();
            let sequence = state.last_sequence + 1;
            let key = self.script[sequence as usize - 1].as_bytes();
            let value = [sequence as u8];
            let operation = Operation { kind: Kind::Put, collection: FAMILY, key, value: &value };
            state.find(FAMILY).unwrap().writer.reserve(1, key.len() + 1).unwrap();
            self.commit.apply(&mut state, &One::new(operation), false).unwrap();
        }
    }

    /// What a reader of `visible` must find, in the order of the script.
    fn expected(&self, visible: Sequence) -> Vec<(&'static str, Sequence)> {
        self.script.iter().zip(1..=visible).map(|(key, sequence)| (*key, sequence)).collect()
    }

    /// Looks up every key through the hash.
    fn get_all(&self) {
        let visible = self.commit.visible();
        for key in self.script {
            let newest = self.expected(visible).into_iter().rev().find(|(other, _)| other == key);
            let found = self.memtable.get(key.as_bytes(), visible);
            assert_eq!(found.map(|found| found.sequence), newest.map(|newest| newest.1), "{key} at {visible}");
            assert!(found.is_none_or(|found| found.value == [found.sequence as u8]));
        }
    }

    /// Seeks a key that nobody writes, and goes on to the first entry that the visible sequence shows.
    fn seek(&self, target: &str) {
        let visible = self.commit.visible();
        let expected = self.expected(visible).into_iter().filter(|(key, _)| *key >= target).min();
        let mut cursor = self.memtable.cursor();
        let mut more = cursor.seek(target.as_bytes()).unwrap();
        while more && cursor.entry().sequence > visible {
            more = cursor.next().unwrap();
        }
        let found = more.then(|| (String::from_utf8(cursor.entry().key.to_vec()).unwrap(), cursor.entry().sequence));
        let found = found.as_ref().map(|(key, sequence)| (key.as_str(), *sequence));
        assert_eq!(found, expected, "a cursor at {visible} that seeks {target}");
    }

    /// Walks forward, or back, over what a cursor shows of the visible sequence.
    fn walk(&self, forward: bool) {
        let visible = self.commit.visible();
        let mut expected = self.expected(visible);
        expected.sort_by(|a, b| a.0.cmp(b.0).then(b.1.cmp(&a.1)));
        let mut cursor = self.memtable.cursor();
        let mut more = if forward { cursor.seek_to_first() } else { cursor.seek_to_last() }.unwrap();
        let mut found = Vec::new();
        while more {
            let entry = cursor.entry();
            assert_eq!(entry.value, [entry.sequence as u8]);
            if entry.sequence <= visible {
                found.push((String::from_utf8(entry.key.to_vec()).unwrap(), entry.sequence));
            }
            more = if forward { cursor.next() } else { cursor.prev() }.unwrap();
        }
        if !forward {
            found.reverse();
        }
        let found: Vec<_> = found.iter().map(|(key, sequence)| (key.as_str(), *sequence)).collect();
        assert_eq!(found, expected, "a cursor at {visible}, forward: {forward}");
    }
}

/// Runs the threads beside each other, the first of them on the thread of the model.
fn run(
    preemptions: usize,
    database: impl Fn() -> Arc<Database> + Send + Sync + 'static,
    threads: &'static [fn(&Database)],
) {
    let runs = check(preemptions, move || {
        let database = database();
        let others: Vec<_> = threads[1..]
            .iter()
            .map(|work| {
                let database = database.clone();
                thread::spawn(move || work(&database))
            })
            .collect();
        threads[0](&database);
        others.into_iter().for_each(|thread| thread.join().unwrap());
        database.get_all();
        database.walk(true);
    });
    println!("{runs} runs");
}

#[test]
fn a_reader_of_a_sequence_finds_its_keys_by_hash() {
    let threads: &[fn(&Database)] = &[Database::get_all, |database| database.write(4), Database::get_all];
    run(2, || Database::new(&["5", "3", "7", "5"], 0), threads);
}

#[test]
fn a_hash_that_doubles_under_a_reader_loses_no_key() {
    // Four of eight slots are taken: the fifth key begins a larger array, the sixth publishes it.
    let threads: &[fn(&Database)] = &[Database::get_all, |database| database.write(3), Database::get_all];
    run(2, || Database::new(&["a", "b", "c", "d", "e", "f", "g"], 4), threads);
}

/// Nothing is written yet, and the feeder knows that there will be cursors.
fn expecting_iterators(script: &'static [&'static str]) -> Arc<Database> {
    let database = Database::new(script, 0);
    database.memtable.expect_iterators();
    database
}

#[test]
fn two_readers_walk_what_one_writes_and_one_feeds() {
    let threads: &[fn(&Database)] = &[
        |database| database.walk(true),
        |database| database.write(3),
        |database| database.memtable.feed_lag(),
        |database| database.walk(false),
    ];
    run(1, || expecting_iterators(&["5", "3", "7"]), threads);
}

#[test]
fn a_reader_walks_what_one_writes_and_one_feeds() {
    let threads: &[fn(&Database)] =
        &[|database| database.walk(true), |database| database.write(3), |database| database.memtable.feed_lag()];
    run(2, || expecting_iterators(&["5", "3", "7"]), threads);
}

#[test]
fn a_reader_seeks_in_a_prefix_that_ends_meanwhile() {
    run(3, || expecting_iterators(&["5", "3", "7"]), &[|database| database.seek("4"), |database| database.write(3)]);
}

/// With the first `written` operations of the script done, and all of them sorted in.
fn fed(script: &'static [&'static str], written: usize) -> Arc<Database> {
    let database = Database::new(script, written);
    drop(database.memtable.cursor());
    database
}

impl Database {
    /// Writes and sorts in.
    fn write_and_feed(&self, count: usize) {
        self.write(count);
        drop(self.memtable.cursor());
    }
}

#[test]
fn a_leaf_that_splits_under_walks_loses_no_key() {
    // The tree is a leaf of 4 and 2, which is full.
    const SCRIPT: &[&str] = &["6", "4", "2", "5", "3"];
    run(2, || fed(SCRIPT, 3), &[|database| database.walk(true), |database| database.write_and_feed(2)]);
    run(2, || fed(SCRIPT, 3), &[|database| database.walk(false), |database| database.write_and_feed(2)]);
}

#[test]
fn an_inner_block_that_splits_under_a_walk_loses_no_key() {
    // Beside a root of two leaves a third is made; the last key makes a fourth, for which the root, being full, splits.
    const SCRIPT: &[&str] = &["z", "b", "d", "f", "h", "a", "c", "e", "dd"];
    let full = || {
        let database = fed(SCRIPT, 5);
        database.write_and_feed(3);
        database
    };
    run(2, full, &[|database| database.walk(true), |database| database.write_and_feed(1)]);
    run(2, full, &[|database| database.walk(false), |database| database.write_and_feed(1)]);
}

#[test]
fn an_inner_block_that_gets_a_slot_under_a_walk_loses_no_key() {
    // Above the leaf at the left end, which the next two keys split, an inner block has room for the new half.
    const SCRIPT: &[&str] = &["z", "b", "d", "f", "h", "j", "l", "n", "a", "c"];
    run(2, || fed(SCRIPT, 8), &[|database| database.walk(true), |database| database.write_and_feed(2)]);
    run(2, || fed(SCRIPT, 8), &[|database| database.walk(false), |database| database.write_and_feed(2)]);
}

#[test]
fn a_tree_that_is_built_anew_under_walks_loses_no_key() {
    // A lag of four is sorted at once, and a new tree takes the place of the one that holds 4 and 2.
    const SCRIPT: &[&str] = &["6", "4", "2", "5", "3", "7", "1"];
    run(2, || fed(SCRIPT, 3), &[|database| database.walk(true), |database| database.write_and_feed(4)]);
    run(2, || fed(SCRIPT, 3), &[|database| database.walk(false), |database| database.write_and_feed(4)]);
}
