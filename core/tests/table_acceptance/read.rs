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
