//! From a memtable to its file: what a flush takes, what it leaves, and what happens when it cannot.

use super::world::*;
use std::time::Duration;

#[test]
fn a_flush_empties_the_memtable_and_changes_no_row() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format)]);
        world.put(&table, 0..100, 1.0);
        world.delete(&table, &[3, 4]);
        let before = world.all(&table);
        let memtables = |world: &World| {
            world.db.explain(&table, &ScanOptions::default(), &ReadOptions::default()).unwrap().memtables
        };
        assert_eq!(memtables(&world), 1);
        world.flush();
        assert_eq!((memtables(&world), world.db.stats().frozen_memtables), (0, 0), "{format}: nothing is in memory");
        assert_eq!(world.all(&table), before, "{format}");
        assert_eq!(before.len(), 98);
    }
}

#[test]
fn several_memtables_make_one_sorted_file_and_an_empty_flush_makes_none() {
    for format in FORMATS {
        let (world, table) =
            world(&[("table_format", format), ("write_buffer_rows", "100"), ("max_frozen_memtables", "8")]);
        let nothing = world.db.flush_tables(&[&table]).unwrap().poll();
        let nothing = nothing.expect("nothing to flush is done at once").unwrap();
        assert!(nothing.files.is_empty(), "{format}: nothing to flush");
        assert_eq!(world.counter("flushes"), 0, "{format}: nothing to flush");
        for round in 0..3 {
            world.put(&table, (0..120).map(|id| (id * 7 + round * 13) % 300), round as f64);
        }
        assert!(world.db.stats().frozen_memtables >= 2, "{format}");
        let before = world.all(&table);
        world.flush();
        let segments = world.db.table_segments(&table).unwrap();
        assert_eq!((segments.len(), world.counter("flushes")), (1, 1), "{format}: one job, one file");
        assert!(world.counter("flushed_memtables") >= 3, "{format}");
        assert_eq!(world.all(&table), before, "{format}");
        assert!(before.is_sorted_by(|a, b| a.0 < b.0), "{format}");
    }
}

#[test]
fn rows_whose_file_cannot_be_written_stay_readable_and_leave_no_orphan() {
    for format in FORMATS {
        for call in [Call::Create, Call::Write, Call::SyncData, Call::Rename, Call::SyncDir] {
            let (world, table) = world(&[("table_format", format)]);
            world.put(&table, 0..100, 1.0);
            world.calls.add(Rule::once(call, Effect::Error(libc::EIO)).on("/db/table/t").sticky());
            let flushed = world.db.flush(&[]).unwrap().wait(None);
            if format == "parquet" && call == Call::Rename {
                flushed.unwrap();
                continue;
            }
            assert_eq!(world.all(&table).len(), 100, "{format} {call:?}: the rows stay readable");
            assert!(flushed.is_err(), "{format} {call:?}: the flush fails");
            let (again, table) = world.killed();
            assert_eq!(again.all(&table).len(), 100, "{format} {call:?}");
            let listed = again.list(DIRECTORY);
            let files: usize = listed.iter().map(|name| again.list(&format!("{DIRECTORY}/{name}")).len()).sum();
            assert_eq!(files, 0, "{format} {call:?}: {listed:?}");
            again.flush();
            assert_eq!(again.all(&table).len(), 100, "{format} {call:?}");
        }
    }
}

#[test]
fn writers_wait_when_too_many_memtables_are_unflushed() {
    let (world, table) = world(&[("write_buffer_rows", "50"), ("max_frozen_memtables", "1")]);
    for round in 0..10 {
        world.put(&table, round * 60..round * 60 + 60, 1.0);
    }
    assert!(world.counter("stalls") + world.counter("delays_flush_debt") > 0, "writers waited");
    let no_stall = WriteOptions { no_stall: true, ..WriteOptions::default() };
    let refused = (0..200).find_map(|_| {
        let error = world.db.append(&table, &rows(0..60, 2.0), &no_stall).err()?;
        // A delay is over when its time has passed; a stop is not.
        world.runtime.pass(Duration::from_millis(1));
        error.message().contains("too many memtables").then_some(error)
    });
    assert!(refused.is_some(), "a write that may not wait is refused");
    assert_eq!(world.all(&table).len(), 600);
}
