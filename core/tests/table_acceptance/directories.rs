//! Arrow IPC: a directory for each flush, its name, its batches, and what lies there unasked.

use super::world::*;

#[test]
fn each_flush_makes_one_directory_named_by_a_time_after_all_earlier_ones_even_if_the_clock_steps_back() {
    let (mut world, mut table) = world(&[("table_format", "arrow")]);
    let mut names: Vec<i64> = Vec::new();
    for round in 0..6 {
        world.put(&table, round..round + 5, 1.0);
        world.flush();
        let mut now: Vec<i64> = world.list(DIRECTORY).iter().map(|name| name.parse().unwrap()).collect();
        now.sort_unstable();
        assert_eq!(now.len(), names.len() + 1, "exactly one new directory: {now:?}");
        assert!(now.iter().zip(&names).all(|(now, before)| now == before), "the new one is the latest: {now:?}");
        names = now;
        let path = Path::new(DIRECTORY).join(names[round as usize].to_string()).join("data.arrow");
        assert_eq!(world.ipc(&path).map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 5);
        if round % 2 == 1 {
            (world, table) = world.killed();
        }
    }
}

#[test]
fn two_hundred_thousand_rows_are_four_batches_that_are_read_one_by_one() {
    let (world, table) = world(&[("table_format", "arrow")]);
    world.put(&table, 0..200_000, 1.0);
    world.flush();
    let [path] = &world.paths(&table)[..] else { panic!("one file") };
    let mut reader = world.ipc(path);
    assert_eq!(reader.num_batches(), 4, "batches of 65,536 rows");
    reader.set_index(2).unwrap();
    let third = reader.next().unwrap().unwrap();
    assert_eq!(third.column(0).as_primitive::<Int64Type>().values()[..2], [131_072, 131_073]);
    let sizes: Vec<usize> = world.ipc(path).map(|batch| batch.unwrap().num_rows()).collect();
    assert_eq!(sizes, [65_536, 65_536, 65_536, 3392]);
    // Ours reads one batch for the rows of one batch.
    let start = Some(vec![Arc::new(Int64Array::from(vec![131_072])) as ArrayRef]);
    let stop = Some(vec![Arc::new(Int64Array::from(vec![131_080])) as ArrayRef]);
    let scan = ScanOptions { start, stop, ..ScanOptions::default() };
    let plan = world.db.explain(&table, &scan, &ReadOptions::default()).unwrap();
    let groups = (plan.files[0].groups, plan.files[0].groups_read, plan.files[0].groups_outside_range);
    assert_eq!(groups, (4, 1, 3), "one batch is read");
    // Counted where nothing is cached: the parts of one batch, once each, and no footer, which opening has read.
    let reads = |scan: &ScanOptions| {
        let (world, table) = world.killed();
        let before = world.calls.count(Call::Read);
        let rows = world.found(&table, scan, &ReadOptions::default()).len();
        (rows, world.calls.count(Call::Read) - before)
    };
    let ((few, of_one), (all, of_all)) = (reads(&scan), reads(&ScanOptions::default()));
    assert_eq!((few, all), (8, 200_000));
    assert!(of_one * 3 <= of_all, "{of_one} reads for one batch, {of_all} for four");
    let ids: Vec<i64> = world.found(&table, &scan, &ReadOptions::default()).iter().map(|row| row.0).collect();
    assert_eq!(ids, (131_072..131_080).collect::<Vec<_>>());
}

#[test]
fn each_codec_of_arrow_ipc_is_read_by_a_plain_reader_and_takes_another_size() {
    let mut sizes = Vec::new();
    for codec in ["none", "lz4", "zstd"] {
        let (world, table) = world(&[("table_format", "arrow"), ("compression", codec)]);
        world.put(&table, 0..10_000, 1.5);
        world.flush();
        let path = world.paths(&table).remove(0);
        let rows: usize = world.ipc(&path).map(|batch| batch.unwrap().num_rows()).sum();
        assert_eq!((rows, world.all(&table).len()), (10_000, 10_000), "{codec}");
        sizes.push(world.bytes(&path).len());
    }
    assert!(sizes[0] > 2 * sizes[1] && sizes[1] != sizes[2], "each codec takes another size: {sizes:?}");
}

#[test]
fn a_directory_that_the_manifest_does_not_name_is_left_out_and_left_alone() {
    let (world, table) = world(&[("table_format", "arrow")]);
    world.put(&table, 0..10, 1.0);
    world.flush();
    let path = world.paths(&table).remove(0);
    let stray = Path::new(DIRECTORY).join("1600000000000000000");
    world.files.create_dir(&stray).unwrap();
    for name in ["data.arrow", "index.sst"] {
        let copy = world.files.create(&stray.join(name)).unwrap();
        copy.write_at(&world.bytes(&path.with_file_name(name)), 0).unwrap();
    }
    let (world, table) = world.killed();
    assert_eq!(world.all(&table).len(), 10);
    assert_eq!(world.paths(&table), [path]);
    assert_eq!(world.list(stray.to_str().unwrap()), ["data.arrow", "index.sst"], "it may be adopted");
}

#[test]
fn a_flush_after_a_stray_directory_of_the_same_time_takes_another_name() {
    let (first, table) = world(&[("table_format", "arrow")]);
    first.put(&table, 0..10, 1.0);
    first.flush();
    let files = first.files.crash_clone(&mut AllKept);
    let name = |world: &World, table: &Table| {
        let path = world.paths(table).pop().unwrap();
        path.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned()
    };
    // What the next flush is called, on a copy; then as if an earlier one had left that name behind.
    let next = || {
        let world = open(files.crash_clone(&mut AllKept), &Options::new());
        let table = world.db.table("t").unwrap();
        world.put(&table, 10..20, 1.0);
        world.flush();
        assert_eq!((world.all(&table).len(), world.counter("flush_failures")), (20, 0));
        name(&world, &table)
    };
    let taken = next();
    assert_eq!(next(), taken, "a run is a function of its files");
    let stray = Path::new(DIRECTORY).join(&taken);
    files.create_dir(&stray).unwrap();
    files.create(&stray.join("data.arrow")).unwrap();
    let other = next();
    assert!(other.parse::<u64>().unwrap() > taken.parse().unwrap(), "{other} after {taken}");
}

#[test]
fn what_a_merge_read_is_removed_at_the_next_opening_if_a_crash_came_first() {
    let (world, table) = world(&[("table_format", "arrow")]);
    world.put(&table, 0..10, 1.0);
    world.flush();
    world.put(&table, 5..15, 2.0);
    world.flush();
    let names = ["data.arrow", "index.sst"];
    let before: Vec<_> = world.paths(&table).iter().map(|path| path.parent().unwrap().to_owned()).collect();
    let kept: Vec<_> = before.iter().map(|dir| names.map(|name| world.bytes(&dir.join(name)))).collect();
    world.db.compact_table(&table).unwrap();
    // As if the process had been killed between the edit of the merge and the first removal.
    for (dir, kept) in before.iter().zip(&kept) {
        assert!(world.files.list(dir).is_err(), "{dir:?} is there");
        world.files.create_dir(dir).unwrap();
        for (name, bytes) in names.iter().zip(kept) {
            world.files.create(&dir.join(name)).unwrap().write_at(bytes, 0).unwrap();
        }
    }
    let merged = world.paths(&table);
    let (world, table) = world.killed();
    for dir in before {
        assert!(world.files.list(&dir).is_err(), "{dir:?} is garbage, and stays for ever");
    }
    assert_eq!(world.paths(&table), merged);
    assert_eq!(world.list(DIRECTORY).len(), 1);
    assert_eq!(world.all(&table).len(), 15);
}

#[test]
fn a_merge_leaves_the_folder_of_a_level_to_the_next_flush_and_a_drop_takes_it_away() {
    let (world, table) = world(&[]);
    for value in [1.0, 2.0] {
        world.put(&table, 0..10, value);
        world.flush();
    }
    world.db.compact_table(&table).unwrap();
    // A flush that has just looked whether it is there must find it when it makes its file.
    assert_eq!(world.list(DIRECTORY), ["0", "1"], "the folder goes while a flush may be about to write in it");
    assert!(world.list("/db/table/t/0").is_empty());
    world.db.drop_table(&table).unwrap();
    assert!(world.list("/db/table").is_empty(), "{:?}", world.list("/db/table"));
}

#[test]
fn a_folder_of_a_table_that_a_killed_process_made_is_made_durable_by_the_next() {
    for failing in [DIRECTORY, "/db/table"] {
        let (world, table) = world(&[]);
        world.put(&table, 0..10, 1.0);
        world.runtime.run_until_idle();
        // Made, but its name is not durable; and the process dies before it can take it back.
        world.calls.add(Rule::once(Call::SyncDir, Effect::Error(libc::EIO)).on(failing).sticky());
        world.calls.add(Rule::once(Call::RemoveDir, Effect::Error(libc::EIO)).sticky());
        assert_eq!(world.db.flush(&[]).unwrap().wait(None).unwrap_err().kind(), ErrorKind::Io);
        let World { files, db, .. } = world;
        drop((table, db));
        // The opening tells when it cannot make it durable.
        let calls = FaultFileSystem::new(files.clone(), Vec::new());
        let env = Env { files: calls.clone(), runtime: SeededRuntime::new(4) };
        calls.add(Rule::once(Call::SyncDir, Effect::Error(libc::EIO)).on(failing));
        let refused = Db::open_in(env, Path::new("/db"), &Options::new());
        assert_eq!(refused.err().map(|error| error.kind()), Some(ErrorKind::Io), "a failing sync of {failing}");
        let again = open(files, &Options::new());
        again.flush();
        let (after, table) = {
            let world = open(again.files.crash_clone(&mut AllLost), &Options::new());
            let table = world.db.table("t").unwrap();
            (world, table)
        };
        assert_eq!(after.all(&table).len(), 10, "the name of a folder in {failing} is lost");
    }
}
