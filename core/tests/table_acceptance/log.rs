//! Rows in the log: begun anew by a flush, replayed after a kill, cut or refused where it is damaged.

use super::world::*;

#[test]
fn a_flush_begins_a_new_log_and_a_kill_loses_and_doubles_nothing() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format)]);
        let log = world.list("/db/wal");
        world.put(&table, 0..100, 1.0);
        world.files.record_images();
        world.flush();
        world.runtime.run_until_idle();
        let after = world.list("/db/wal");
        assert!(after.iter().all(|name| !log.contains(name)), "the flushed log is gone: {log:?}, {after:?}");
        // Killed before each call of the flush: file, its name, the manifest, the log.
        let images = world.files.take_images();
        assert!(images.len() >= 6);
        for image in images {
            let world = open(image.image.crash_clone(&mut AllKept), &Options::new());
            let table = world.db.table("t").unwrap();
            assert_eq!(
                world.all(&table).len(),
                100,
                "{format}, killed before {:?}: every row is there once",
                image.call
            );
        }
    }
}

#[test]
fn a_log_whose_bytes_are_flipped_gives_the_rows_before_them_or_an_error_if_it_must_be_whole() {
    let (world, table) = world(&[]);
    for round in 0..4 {
        world.put(&table, round * 10..round * 10 + 10, 1.0);
    }
    let name = world.list("/db/wal").pop().unwrap();
    let path = Path::new("/db/wal").join(name);
    let bytes = world.bytes(&path);
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let (mut lost, mut refused) = (0, 0);
    for at in (0..used).step_by(7) {
        for mode in ["point_in_time", "absolute"] {
            let files = world.files.crash_clone(&mut AllKept);
            files.damage(&path, at as u64, &[bytes[at] ^ 0x10]).unwrap();
            let env = Env { files: files.clone(), runtime: SeededRuntime::new(1) };
            let options = Options::new().with("wal_recovery", mode).unwrap();
            match Db::open_in(env, Path::new("/db"), &options) {
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corruption, "{error}");
                    refused += 1;
                }
                Ok(db) => {
                    let table = db.table("t").unwrap();
                    let scan = db.scan(&table, &ScanOptions::default(), &ReadOptions::default()).unwrap();
                    let found: Vec<RecordBatch> = scan.map(Result::unwrap).collect();
                    let count: usize = found.iter().map(RecordBatch::num_rows).sum();
                    assert!([0, 10, 20, 30, 40].contains(&count), "a batch is whole or absent: {count}");
                    let whole = rows(0..40, 1.0);
                    let mut place = 0;
                    for batch in found {
                        let written = whole.slice(place, batch.num_rows());
                        assert_eq!(batch.columns(), written.columns(), "no row is other than it was written");
                        place += batch.num_rows();
                    }
                    lost += usize::from(count < 40);
                }
            }
        }
    }
    assert!(lost > used / 30 && refused > used / 30, "of {used} bytes {lost} cost rows, {refused} an error");
}

#[test]
fn logs_are_replayed_in_order_with_deletes_and_unfinished_directories_are_removed() {
    let (world, table) = world(&[("table_format", "arrow"), ("write_buffer_bytes", "1MiB")]);
    for round in 0..20 {
        world.put(&table, 0..200, round as f64);
        world.delete(&table, &[round]);
    }
    let expected = world.all(&table);
    assert_eq!(expected, (0..200).filter(|id| *id != 19).map(|id| (id, 19.0)).collect::<Vec<_>>());
    let unfinished = format!("{DIRECTORY}/1600000000000000000.tmp");
    world.files.create_dir(Path::new(&unfinished)).unwrap();
    world.files.create(&Path::new(&unfinished).join("data.arrow")).unwrap();
    let (world, table) = world.killed();
    assert_eq!(world.all(&table), expected);
    assert!(world.list(DIRECTORY).iter().all(|name| !name.ends_with(".tmp")), "what is unfinished is removed");
}

#[test]
fn a_flush_after_a_killed_one_is_whole_after_a_power_cut() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format)]);
        world.put(&table, 0..100, 1.0);
        world.files.record_images();
        world.flush();
        for image in world.files.take_images() {
            // The next process sees what was written, durable or not.
            let second = open(image.image, &Options::new());
            let table = second.db.table("t").unwrap();
            second.put(&table, 100..120, 1.0);
            second.flush();
            let third = open(second.files.crash_clone(&mut AllLost), &Options::new());
            let table = third.db.table("t").unwrap();
            assert_eq!(third.all(&table).len(), 120, "{format}, killed before {:?}", image.call);
        }
    }
}
