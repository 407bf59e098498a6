//! Readers inside an epoch against a writer that swaps the pointer and frees what it led to.

use loom::thread;
use sstore::atomic::{check, reads, wrote};
use sstore::batch::Operation;
use sstore::commit::{Commit, One};
use sstore::epoch::{Domain, Shared};
use sstore::key::{CollectionId, Kind};
use std::sync::Arc;

/// What the pointer leads to. Its bytes are written when it is made, and once more when it is freed.
struct Value(u64);

impl Value {
    fn new(number: u64) -> Arc<Self> {
        let value = Arc::new(Self(number));
        wrote(Arc::as_ptr(&value));
        value
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        wrote(std::ptr::from_ref(self));
    }
}

struct Place {
    // Dropped first, like the view of a database.
    shared: Shared<Value>,
    domain: Domain,
}

/// Borrows and does not count: the orders of the standard library's counts are not the model's to see.
fn read(place: &Place, newest: &mut u64) {
    let guard = place.domain.enter();
    let value = place.shared.load(&guard);
    // The model knows of the freeing before this thread reads freed memory.
    reads(std::ptr::from_ref(value));
    assert!(value.0 >= *newest, "a reader went back in time");
    *newest = value.0;
    thread::yield_now();
    reads(std::ptr::from_ref(value));
}

#[test]
fn nothing_is_freed_under_a_reader() {
    let runs = check(2, || {
        let place = Arc::new(Place { shared: Shared::new(Value::new(1)), domain: Domain::new() });
        let reader = thread::spawn({
            let place = place.clone();
            move || {
                let mut newest = 0;
                read(&place, &mut newest);
                read(&place, &mut newest);
            }
        });
        let writer = thread::spawn({
            let place = place.clone();
            move || {
                place.shared.replace(Value::new(2), &place.domain);
                place.shared.replace(Value::new(3), &place.domain);
            }
        });
        let mut newest = 0;
        read(&place, &mut newest);
        reader.join().unwrap();
        writer.join().unwrap();
        place.domain.collect();
        assert_eq!(place.domain.retired_count(), 0, "all readers have left");
    });
    println!("{runs} runs");
}

#[test]
fn a_view_is_never_older_than_the_sequence_read_beside_it() {
    let runs = check(2, || {
        // The number of a value is the last sequence that a reader finds through it: a write goes on in the next memtable only
        // after the view shows that one.
        let place = Arc::new(Place { shared: Shared::new(Value::new(1)), domain: Domain::new() });
        let commit = Arc::new(Commit::new(0, None));
        let reader = |place: Arc<Place>, commit: Arc<Commit>| {
            let guard = place.domain.enter();
            let (view, visible) = place.shared.load_with(&guard, || commit.visible());
            reads(std::ptr::from_ref(view));
            assert!(visible <= view.0, "a reader with sequence {visible} does not see its newest memtable");
        };
        let other = thread::spawn({
            let (place, commit) = (place.clone(), commit.clone());
            move || reader(place, commit)
        });
        let writer = thread::spawn({
            let (place, commit) = (place.clone(), commit.clone());
            move || {
                let payload =
                    One::new(Operation { kind: Kind::Put, collection: CollectionId(1), key: b"k", value: b"" });
                let mut state = commit.lock().unwrap();
                commit.apply(&mut state, &payload, false).unwrap();
                place.shared.replace(Value::new(2), &place.domain);
                commit.apply(&mut state, &payload, false).unwrap();
            }
        });
        reader(place.clone(), commit);
        other.join().unwrap();
        writer.join().unwrap();
    });
    println!("{runs} runs");
}
