//! Merges: what they keep, what they let go, and which files stay.

use super::world::*;

#[test]
fn five_flushes_are_merged_in_the_background_and_no_live_row_changes() {
    for format in FORMATS {
        let set = [("table_format", format), ("auto_compaction", "true"), ("compaction_trigger_runs", "4")];
        let (world, table) = world(&set);
        for round in 0..5 {
            world.put(&table, round * 10..round * 10 + 50, round as f64);
            world.delete(&table, &[round]);
            world.flush();
        }
        let before = world.all(&table);
        world.runtime.run_until_idle();
        assert!(world.counter("compactions") >= 1, "{format}: merged in the background");
        assert!(world.paths(&table).len() < 5, "{format}");
        assert_eq!(world.all(&table), before, "{format}");
    }
}

#[test]
fn a_full_merge_leaves_one_file_without_deletes_or_none() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format)]);
        world.put(&table, 0..10, 1.0);
        world.flush();
        world.delete(&table, &[1, 2]);
        world.flush();
        let segments = world.db.table_segments(&table).unwrap();
        assert_eq!((segments[1].entries, segments[1].tombstones), (2, 2), "{format}: deletes are flushed");
        world.db.compact_table(&table).unwrap();
        let segments = world.db.table_segments(&table).unwrap();
        let left = (segments.len(), segments[0].entries, segments[0].tombstones);
        assert_eq!(left, (1, 8, 0), "{format}: one file, and no delete in it");
        world.delete(&table, &(0..10).collect::<Vec<_>>());
        world.db.compact_table(&table).unwrap();
        assert_eq!(world.db.table_segments(&table).unwrap(), [], "{format}: all is deleted");
        assert_eq!(world.all(&table), [], "{format}");
    }
}

#[test]
fn a_snapshot_reads_what_it_saw_before_and_after_flush_and_merge() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format)]);
        world.put(&table, 0..20, 1.0);
        let snapshot = world.db.snapshot().unwrap();
        let then = world.all(&table);
        world.put(&table, 5..25, 2.0);
        world.delete(&table, &[0]);
        let now = world.all(&table);
        for step in ["in memory", "flushed", "merged"] {
            let at = ReadOptions { snapshot: Some(&snapshot) };
            assert_eq!(
                world.found(&table, &ScanOptions::default(), &at),
                then,
                "{format} {step}: the snapshot sees what it saw"
            );
            assert_eq!(world.found(&table, &filter("value > 1"), &at), [], "{format} {step}");
            assert_eq!(world.all(&table), now, "{format} {step}");
            if step == "in memory" { world.flush() } else { world.db.compact_table(&table).unwrap() }
        }
        drop(snapshot);
        world.put(&table, [100], 1.0);
        world.db.compact_table(&table).unwrap();
        let segments = world.db.table_segments(&table).unwrap();
        assert_eq!(segments[0].entries, 25, "{format}: nobody needs the old versions any more");
    }
}

#[test]
fn files_go_when_neither_the_manifest_nor_a_reader_needs_them() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format)]);
        for round in 0..3 {
            world.put(&table, 0..1000, f64::from(round));
            world.flush();
        }
        let old = world.paths(&table);
        let mut scan = world
            .db
            .scan(&table, &ScanOptions { batch_rows: 10, ..ScanOptions::default() }, &ReadOptions::default())
            .unwrap();
        scan.next().unwrap().unwrap();
        world.db.compact_table(&table).unwrap();
        world.runtime.run_until_idle();
        assert_eq!(scan.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 990, "{format}: a scan goes on");
        world.runtime.run_until_idle();
        for path in old {
            let len = world.files.file_len(&path).unwrap_or(None);
            assert_eq!(len, None, "{format}: nobody needs {} any more", path.display());
        }
        world.db.verify().unwrap();
    }
}
