//! Zone maps, plans, lookups and caches.

use super::world::*;

#[test]
fn a_range_of_time_leaves_groups_and_files_out_and_finds_what_reading_everything_finds() {
    for (format, set) in [("parquet", ("row_group_rows", "1024")), ("arrow", ("bloom_bits_per_key", "10"))] {
        let (world, table) = world(&[("table_format", format), set, ("page_rows", "64")]);
        let rows_each = if format == "arrow" { 70_000 } else { 5000 };
        for file in 0..3 {
            world.put(&table, file * rows_each..(file + 1) * rows_each, file as f64);
            world.flush();
        }
        let low = rows_each + 100;
        let text = format!("value < 2 AND time >= {low} AND time <= {}", low + 50);
        let high = low + 50;
        let literal = |time: i64| Arc::new(TimestampMillisecondArray::from(vec![time])) as ArrayRef;
        let time = Filter::between("time", literal(low), literal(high));
        let scan = ScanOptions { filter: Some(time), ..ScanOptions::default() };
        let plan = world.db.explain(&table, &scan, &ReadOptions::default()).unwrap();
        let skipped = plan.files.iter().filter(|file| file.skipped == Some("ruled out by the filter")).count();
        let ruled_out: usize = plan.files.iter().map(|file| file.groups_ruled_out).sum();
        assert_eq!(skipped, 2, "{format}, {text}: files without a row of that time are not read: {plan}");
        assert!(ruled_out >= 1, "{format}: {plan}");
        let found = world.found(&table, &scan, &ReadOptions::default());
        let expected: Vec<_> = world.all(&table).into_iter().filter(|row| (low..=high).contains(&row.0)).collect();
        assert_eq!(found, expected);
        assert_eq!(found.len(), 51);
    }
}

#[test]
fn a_condition_on_a_value_never_brings_a_hidden_row_back() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format), ("row_group_rows", "16"), ("page_rows", "8")]);
        world.put(&table, 0..200, 1.0);
        world.flush();
        world.put(&table, 50..150, 2.0);
        world.delete(&table, &[7]);
        world.flush();
        // Its newest rows do not meet it, so that a filter below the merge would find the old ones.
        let found = world.found(&table, &filter("value < 2"), &ReadOptions::default());
        let expected: Vec<(i64, f64)> =
            (0..200).filter(|id| !(50..150).contains(id) && *id != 7).map(|id| (id, 1.0)).collect();
        assert_eq!(found, expected, "{format}: no hidden row comes back");
        let none = world.found(&table, &filter("value = 1 AND id >= 50 AND id < 150"), &ReadOptions::default());
        assert_eq!(none, [], "{format}");
    }
}

#[test]
fn a_lookup_finds_the_newest_version_wherever_it_is_and_a_delete_ends_it() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format)]);
        world.put(&table, 0..10, 1.0);
        world.flush();
        world.put(&table, 0..5, 2.0);
        world.delete(&table, &[9]);
        world.flush();
        world.put(&table, [0], 3.0);
        world.delete(&table, &[1]);
        let found: Vec<Option<f64>> = [0, 1, 2, 5, 9, 77].map(|id| world.get(&table, id)).to_vec();
        let expected = [Some(3.0), None, Some(2.0), Some(1.0), None, None];
        assert_eq!(found, expected, "{format}: the newest version answers");
        let many = world.db.get_rows(&table, &keys(&[5, 9, 0, 0]), None, &ReadOptions::default()).unwrap();
        assert_eq!(many.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true, true], "{format}");
    }
}

#[test]
fn a_scan_hands_out_batches_of_many_rows() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format)]);
        world.put(&table, 0..20_000, 1.0);
        world.flush();
        let scan = world.db.scan(&table, &ScanOptions::default(), &ReadOptions::default()).unwrap();
        let sizes: Vec<usize> = scan.map(|batch| batch.unwrap().num_rows()).collect();
        assert!(sizes.len() <= 4 && sizes.iter().all(|rows| *rows <= 8192), "{format}: {sizes:?}");
        let limited = ScanOptions { limit: Some(3), ..filter("id > 100") };
        let ids: Vec<i64> = world.found(&table, &limited, &ReadOptions::default()).iter().map(|row| row.0).collect();
        assert_eq!(ids, [101, 102, 103], "{format}: no more than the limit");
    }
}

#[test]
fn a_lookup_of_an_absent_key_is_answered_by_the_filter_without_reading() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format)]);
        world.put(&table, (0..2000).map(|id| id * 2), 1.0);
        world.flush();
        world.get(&table, 2);
        let looked = || world.db.stats().cache_hits + world.db.stats().cache_misses + world.calls.count(Call::Read);
        let before = looked();
        (0..200).for_each(|id| assert_eq!(world.get(&table, id * 2 + 1), None));
        let looked = looked() - before;
        assert!(looked < 40, "{format}: 200 absent keys were looked for in {looked} places");
    }
}

#[test]
fn a_second_scan_reads_no_footer_and_cached_rows_stay_within_the_budget() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format)]);
        world.put(&table, 0..5000, 1.0);
        world.flush();
        let cached = ScanOptions { cached: true, ..ScanOptions::default() };
        world.found(&table, &cached, &ReadOptions::default());
        let (opened, read) = (world.calls.count(Call::Open), world.calls.count(Call::Read));
        world.found(&table, &cached, &ReadOptions::default());
        let again = (world.calls.count(Call::Open), world.calls.count(Call::Read));
        assert_eq!(again, (opened, read), "{format}: nothing is read again");
        let stats = world.db.stats();
        assert!(stats.cache_bytes > 0 && stats.cache_bytes <= 512 << 20, "{format}: {}", stats.cache_bytes);
    }
}

/// A table `t` of 200,000 rows with some bytes each, of which one alone has the flag 1, in a file; opened again, so that nothing is cached.
fn flagged(format: &str, key: &[&str]) -> (World, Table) {
    let columns = Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("flag", DataType::Int64, false),
        Field::new("text", DataType::Utf8, false),
    ]);
    let world = open(MemFileSystem::new(), &Options::new());
    let set = options(&[("table_format", format), ("page_rows", "1024")]);
    let table = world.db.create_table("t", &columns, key, &KeyOptions::default(), &set).unwrap();
    let (mut state, mut text) = (1u64, String::new());
    let texts = StringArray::from_iter_values((0..200_000).map(|_| {
        text.clear();
        while text.len() < 40 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            text.push_str(&(state >> 33).to_string());
        }
        text.clone()
    }));
    let flag = |id: i64| if id == 70_000 { 1 } else { id % 2 * 2 };
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(0..200_000)),
        Arc::new(Int64Array::from_iter_values((0..200_000).map(flag))),
        Arc::new(texts),
    ];
    let rows = RecordBatch::try_new(Arc::new(columns), arrays).unwrap();
    world.db.append(&table, &rows, &WriteOptions::default()).unwrap();
    world.flush();
    world.killed()
}

/// The ids that a scan finds, and the bytes that it reads.
fn ids_and_bytes((world, table): &(World, Table), scan: &ScanOptions) -> (Vec<i64>, u64) {
    let before = world.calls.read_bytes();
    let mut ids = Vec::new();
    for batch in world.db.scan(table, scan, &ReadOptions::default()).unwrap() {
        ids.extend(batch.unwrap().column_by_name("id").unwrap().as_primitive::<Int64Type>().values());
    }
    (ids, world.calls.read_bytes() - before)
}

#[test]
fn in_reverse_the_last_rows_are_found_without_reading_those_before() {
    for (format, key) in [("parquet", &["id"][..]), ("parquet", &[]), ("arrow", &["id"]), ("arrow", &[])] {
        let opened = flagged(format, key);
        let last = ScanOptions { reverse: true, limit: Some(5), ..ScanOptions::default() };
        let (ids, bytes) = ids_and_bytes(&opened, &last);
        assert_eq!(ids, [199_999, 199_998, 199_997, 199_996, 199_995], "{format} {key:?}: the last one first");
        let (mut all, of_all) = ids_and_bytes(&opened, &ScanOptions { reverse: true, ..ScanOptions::default() });
        println!("{format} {key:?}: {bytes} of {of_all} bytes for the last five");
        assert!(bytes * 8 <= of_all, "{format} {key:?}: {bytes} bytes read for five rows, {of_all} for all");
        let (forward, of_forward) = ids_and_bytes(&opened, &ScanOptions::default());
        all.reverse();
        assert!(all == forward, "{format} {key:?}: the same rows in the opposite order");
        assert!(of_all <= of_forward * 3 / 2, "{format} {key:?}: {of_all} bytes in reverse, {of_forward} forward");
        // Of rows that were written anew, and of deleted ones, the newest word counts.
        let (world, table) = &opened;
        if key.is_empty() {
            continue;
        }
        world.db.delete_from(table, &keys(&[199_999, 199_996]), &WriteOptions::default()).unwrap();
        let (ids, _) = ids_and_bytes(&opened, &ScanOptions { limit: Some(3), ..last });
        assert_eq!(ids, [199_998, 199_997, 199_995], "{format}: no deleted row");
        let plan =
            world.db.explain(table, &ScanOptions { reverse: true, ..filter("id >= 5") }, &ReadOptions::default());
        assert!(plan.unwrap().to_string().starts_with("scan in reverse at sequence"), "{format}");
    }
}

#[test]
fn of_pages_without_a_wanted_row_only_the_columns_of_the_condition_are_read() {
    for (format, key) in [("parquet", &["id"][..]), ("parquet", &[]), ("arrow", &["id"]), ("arrow", &[])] {
        let opened = flagged(format, key);
        let (all, of_all) = ids_and_bytes(&opened, &ScanOptions::default());
        for reverse in [false, true] {
            let one = ScanOptions { reverse, ..filter("flag = 1") };
            let plan = opened.0.db.explain(&opened.1, &one, &ReadOptions::default()).unwrap();
            assert_eq!(plan.files[0].groups_ruled_out, 0, "{format}: zone maps do not tell: {plan}");
            let (ids, bytes) = ids_and_bytes(&opened, &one);
            assert_eq!((all.len(), ids), (200_000, vec![70_000]), "{format} {key:?}");
            println!("{format} {key:?} {reverse}: {bytes} of {of_all} bytes for one row");
            assert!(bytes * 2 <= of_all, "{format} {key:?}: {bytes} bytes read for one row, {of_all} for all");
            // A condition that most pages meet is not asked for long: in vain nothing is read twice.
            let (ids, bytes) = ids_and_bytes(&opened, &ScanOptions { reverse, ..filter("flag > 1") });
            assert_eq!(ids.len(), 100_000, "{format} {key:?}");
            assert!(
                bytes <= of_all * 3 / 2,
                "{format} {key:?}: {bytes} bytes read for half of the rows, {of_all} for all"
            );
        }
    }
}

#[test]
fn a_prefix_of_the_key_leaves_what_lies_outside_of_it_unread() {
    for (format, key) in FORMATS.into_iter().flat_map(|format| [(format, &["name"][..]), (format, &["name", "id"])]) {
        let world = open(MemFileSystem::new(), &Options::new());
        let columns =
            Schema::new(vec![Field::new("name", DataType::Utf8, false), Field::new("id", DataType::Int64, false)]);
        let set = options(&[("table_format", format), ("row_group_rows", "16"), ("page_rows", "8")]);
        let table = world.db.create_table("t", &columns, key, &KeyOptions::default(), &set).unwrap();
        for place in ["attic", "barn", "cellar"] {
            let names = StringArray::from_iter_values((0..100).map(|number| format!("{place}/{number:02}")));
            let ids = Int64Array::from_iter_values(0..100);
            let rows = RecordBatch::try_new(Arc::new(columns.clone()), vec![Arc::new(names), Arc::new(ids)]).unwrap();
            world.db.append(&table, &rows, &WriteOptions::default()).unwrap();
            world.flush();
        }
        let scan = filter("name LIKE 'barn/3%'");
        let plan = world.db.explain(&table, &scan, &ReadOptions::default()).unwrap();
        let outside = |file: &&sstore::FileExplanation| file.skipped == Some("outside of the key range");
        assert_eq!(plan.files.iter().filter(outside).count(), 2, "{format} {key:?}: by the range of keys: {plan}");
        if format == "parquet" {
            let [.., file, _] = &plan.files[..] else { panic!("{plan}") };
            assert!(file.groups_read <= 2 && file.groups_outside_range >= 4, "{format} {key:?}: {plan}");
        }
        let batches = world.db.scan(&table, &scan, &ReadOptions::default()).unwrap();
        let ids: Vec<i64> =
            batches.flat_map(|batch| batch.unwrap().column(1).as_primitive::<Int64Type>().values().to_vec()).collect();
        assert_eq!(ids, (30..40).collect::<Vec<_>>(), "{format} {key:?}");
    }
}
