//! Rows past their time: when they go, what they leave, and who still sees them.

use super::world::*;
use std::collections::BTreeMap;

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

impl World {
    fn now_millis(&self) -> i64 {
        (self.runtime.unix_nanos() / 1_000_000) as i64
    }

    /// Rows of these ids with a time so many days from now.
    fn put_dated(&self, table: &Table, ids: impl IntoIterator<Item = i64>, value: f64, days: i64) {
        let mut columns = rows(ids, value).columns().to_vec();
        let time = self.now_millis() + days * 86_400_000;
        columns[1] = Arc::new(TimestampMillisecondArray::from(vec![time; columns[0].len()]));
        let rows = RecordBatch::try_new(table.schema(), columns).unwrap();
        self.db.append(table, &rows, &WriteOptions::default()).unwrap();
    }
}

const TEN_DAYS: [(&str, &str); 2] = [("ttl_column", "time"), ("ttl_seconds", "864000")];

fn ids(found: &[(i64, f64)]) -> Vec<i64> {
    found.iter().map(|row| row.0).collect()
}

#[test]
fn rows_past_their_time_are_gone_after_a_merge_and_live_rows_are_not_changed() {
    for format in FORMATS {
        for keyed in [true, false] {
            let what = format!("{format}, keyed: {keyed}");
            let world = open(MemFileSystem::new(), &Options::new());
            let set = [("table_format", format), ("auto_compaction", "true"), TEN_DAYS[0], TEN_DAYS[1]];
            let key: &[&str] = if keyed { &["id"] } else { &[] };
            let table = world.db.create_table("t", &columns(), key, &KeyOptions::default(), &options(&set)).unwrap();
            // Of each five rows three live on: time within ten days.
            for round in 0..5 {
                for (place, days) in [-30, -9, 0, -11, 5].into_iter().enumerate() {
                    world.put_dated(&table, [round * 5 + place as i64], round as f64, days);
                }
                world.flush();
            }
            let before = world.all(&table);
            assert_eq!(before.len(), 25, "{what}: readable until a merge takes them");
            world.runtime.run_until_idle();
            assert!(world.counter("compactions") >= 1, "{what}: five flushes are merged");
            world.db.compact_table(&table).unwrap();
            let live: Vec<(i64, f64)> = before.iter().copied().filter(|row| ![0, 3].contains(&(row.0 % 5))).collect();
            assert_eq!(world.all(&table), live, "{what}: rows past their time are gone, all others are as they were");
            assert_eq!(world.counter("expired_rows"), 10, "{what}");
            let [segment] = &world.db.table_segments(&table).unwrap()[..] else { panic!("{what}: one file") };
            assert_eq!((segment.entries, segment.tombstones), (15, 0), "{what}: nothing is left of them");
            // Time passes, and nothing is written: a merge by hand takes what it finds.
            world.runtime.pass(2 * DAY);
            world.db.compact_table(&table).unwrap();
            assert_eq!(world.all(&table).len(), 10, "{what}: nine days and two");
            world.runtime.pass(20 * DAY);
            world.db.compact_table(&table).unwrap();
            assert_eq!(world.db.table_segments(&table).unwrap(), [], "{what}: no row, no file");
            world.db.verify().unwrap();
        }
    }
}

#[test]
fn a_row_past_its_time_hides_older_versions_as_a_delete_does() {
    for format in FORMATS {
        let (world, table) = world(&[("table_format", format), TEN_DAYS[0], TEN_DAYS[1]]);
        // The largest run stays out of the merge of the small ones above it.
        world.put_dated(&table, 0..5000, 1.0, 100);
        world.flush();
        for round in 0..4 {
            world.put_dated(&table, 0..10, 2.0, -20);
            world.put_dated(&table, [5000 + round], 2.0, 0);
            world.flush();
        }
        let (world, table) = world.killed_with(&Options::new().with("auto_compaction", "true").unwrap());
        world.put_dated(&table, [6000], 2.0, 0);
        world.flush();
        world.runtime.run_until_idle();
        let expected: Vec<i64> = (10..5004).chain([6000]).collect();
        assert_eq!(ids(&world.all(&table)), expected, "{format}: no older version comes back");
        assert_eq!(world.get(&table, 3), None, "{format}: no older version comes back");
        let segments = world.db.table_segments(&table).unwrap();
        assert_eq!(segments.len(), 2, "{format}: the small ones are merged: {segments:?}");
        assert_eq!((segments[1].tombstones, world.counter("expired_rows")), (10, 40), "{format}");
        let path = world.paths(&table).pop().unwrap();
        let left = match format {
            "parquet" => world.parquet(&path).metadata().row_group(0).column(1).statistics().unwrap().null_count_opt(),
            _ => Some(world.ipc(&path).map(|batch| batch.unwrap().column(1).null_count() as u64).sum()),
        };
        assert_eq!(left, Some(10), "{format}: but for their keys the values are gone");
        world.db.compact_table(&table).unwrap();
        assert_eq!(ids(&world.all(&table)), expected, "{format}: no older version comes back");
        assert_eq!(world.db.table_segments(&table).unwrap()[0].tombstones, 0, "{format}");
        world.db.verify().unwrap();
    }
}

#[test]
fn a_snapshot_still_sees_rows_past_their_time() {
    for keyed in [true, false] {
        let world = open(MemFileSystem::new(), &Options::new());
        let key: &[&str] = if keyed { &["id"] } else { &[] };
        let table = world.db.create_table("t", &columns(), key, &KeyOptions::default(), &options(&TEN_DAYS)).unwrap();
        world.put_dated(&table, 0..10, 1.0, -9);
        world.flush();
        let snapshot = world.db.snapshot().unwrap();
        let then = world.all(&table);
        world.put_dated(&table, 5..15, 2.0, -9);
        world.runtime.pass(2 * DAY);
        world.db.compact_table(&table).unwrap();
        let at = ReadOptions { snapshot: Some(&snapshot) };
        let seen = world.found(&table, &ScanOptions::default(), &at);
        assert_eq!(seen, then, "keyed: {keyed}: the snapshot sees what it saw");
        // What the snapshot sees lives on for all; what it does not see is gone.
        let now: Vec<i64> = if keyed { (0..5).collect() } else { (0..10).collect() };
        assert_eq!(ids(&world.all(&table)), now, "keyed: {keyed}");
        drop(snapshot);
        world.db.compact_table(&table).unwrap();
        assert_eq!(world.all(&table), [], "keyed: {keyed}");
    }
}

#[test]
fn the_column_of_times_is_checked_at_creation_and_known_by_its_id_from_then_on() {
    let world = open(MemFileSystem::new(), &Options::new());
    let create = |name: &str, set: &[(&str, &str)]| {
        world.db.create_table(name, &columns(), &["id"], &KeyOptions::default(), &options(set))
    };
    for (set, says) in [
        (vec![("ttl_column", "when"), TEN_DAYS[1]], "\"when\", which does not exist"),
        (vec![("ttl_column", "value"), TEN_DAYS[1]], "\"value\", which is Float64: neither a date nor a timestamp"),
        (vec![TEN_DAYS[1]], "no ttl_column"),
    ] {
        let error = create("t", &set).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains(says), "{error}");
    }
    assert!(world.db.create_column_family("f", &options(&TEN_DAYS[..1])).is_err(), "entries have no times");
    let table = create("t", &TEN_DAYS).unwrap();
    let change = |change| world.db.alter_table(&table, &change);
    change(SchemaChange::Rename { name: "time".into(), to: "then".into() }).unwrap();
    let other = Field::new("time", DataType::Timestamp(TimeUnit::Second, None), true);
    change(SchemaChange::Add { field: other, position: Some(0) }).unwrap();
    // Its times are past in one row, in the future in one; the other column's say the opposite, or nothing.
    let now = world.now_millis();
    let (past, later) = (now - 20 * 86_400_000, now + 86_400_000);
    let row = RecordBatch::try_from_iter_with_nullable([
        (
            "time",
            Arc::new(TimestampSecondArray::from(vec![Some(later / 1000), Some(past / 1000), None])) as ArrayRef,
            true,
        ),
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef, false),
        ("then", Arc::new(TimestampMillisecondArray::from(vec![past, later, past])) as ArrayRef, false),
        ("value", Arc::new(Float64Array::from(vec![1.0; 3])) as ArrayRef, true),
        ("name", Arc::new(StringArray::from(vec!["name"; 3])) as ArrayRef, true),
    ])
    .unwrap();
    world.db.append(&table, &row, &WriteOptions::default()).unwrap();
    world.db.compact_table(&table).unwrap();
    assert_eq!(ids(&world.all(&table)), [2], "the column that was named at creation counts, whatever it is called");
    let error = change(SchemaChange::Drop { name: "then".into() }).expect_err("the column of times is dropped");
    assert!(error.message().contains("\"then\" tells when rows expire (ttl_column)"), "{error}");
    // Reopened with another column named, and with the limit lifted.
    let lifted = options(&[("ttl_column", "time"), ("ttl_seconds", "0")]);
    let (world, table) = world.killed_with(&lifted);
    world.runtime.pass(100 * DAY);
    world.db.compact_table(&table).unwrap();
    assert_eq!(ids(&world.all(&table)), [2], "0 seconds: rows live for ever");
    let (world, table) = world.killed_with(&options(&[("ttl_column", "time")]));
    world.runtime.pass(100 * DAY);
    world.db.compact_table(&table).unwrap();
    assert_eq!(ids(&world.all(&table)), [0; 0], "the limit of its creation counts again");
}

#[test]
fn each_type_of_time_counts_and_a_row_without_one_lives_for_ever() {
    let world = open(MemFileSystem::new(), &Options::new());
    let second = 1_000_000_000_i64;
    // A midnight, so that the edge is the same moment in every unit.
    let day = 86_400 * second;
    let start = world.runtime.unix_nanos() as i64;
    let edge = (start / day + 2) * day;
    type Column = fn(Vec<Option<i64>>) -> ArrayRef;
    let times: Vec<(&str, Column, i64)> = vec![
        (
            "date32",
            |days| Arc::new(days.into_iter().map(|day| day.map(|day| day as i32)).collect::<Date32Array>()),
            day,
        ),
        ("date64", |times| Arc::new(Date64Array::from(times)), second / 1000),
        ("s", |times| Arc::new(TimestampSecondArray::from(times)), second),
        ("ms", |times| Arc::new(TimestampMillisecondArray::from(times)), second / 1000),
        ("us", |times| Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")), second / 1_000_000),
        ("ns", |times| Arc::new(TimestampNanosecondArray::from(times)), 1),
    ];
    let mut tables = Vec::new();
    for (name, array, unit) in times {
        let earlier = edge - if name.starts_with("date") { day } else { second };
        let array = array(vec![Some(edge / unit), Some(earlier / unit), None]);
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("at", array.data_type().clone(), true),
            Field::new("value", DataType::Float64, true),
        ]);
        let set = options(&[("ttl_column", "at"), ("ttl_seconds", "3600")]);
        let table = world.db.create_table(name, &schema, &["id"], &KeyOptions::default(), &set).unwrap();
        let value = Arc::new(Float64Array::from(vec![0.0; 3])) as ArrayRef;
        let columns = vec![Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef, array, value];
        world
            .db
            .append(&table, &RecordBatch::try_new(Arc::new(schema), columns).unwrap(), &WriteOptions::default())
            .unwrap();
        world.flush();
        tables.push(table);
    }
    let until = |moment: i64| {
        let wait = moment - world.runtime.unix_nanos() as i64;
        world.runtime.pass(std::time::Duration::from_nanos(wait as u64));
    };
    let hour = 3600 * second;
    for (moment, left) in [(edge + hour - second / 2, vec![1, 3]), (edge + hour + second / 2, vec![3])] {
        until(moment);
        for table in &tables {
            world.db.compact_table(table).unwrap();
            assert_eq!(ids(&world.all(table)), left, "{}: a later time, or none, keeps a row", table.name());
        }
    }
}

#[test]
fn a_snapshot_taken_while_a_merge_runs_sees_the_same_before_and_after_it() {
    for format in FORMATS {
        // Real threads: the merge stands still in a sync of its file while the snapshot is taken.
        let calls = FaultFileSystem::new(MemFileSystem::new(), Vec::new());
        let runtime = sstore::env::posix::posix().runtime;
        let db = Db::open_in(Env { files: calls.clone(), runtime }, Path::new("/db"), &Options::new()).unwrap();
        let set = options(&[("table_format", format), TEN_DAYS[0], TEN_DAYS[1]]);
        let table = db.create_table("t", &columns(), &["id"], &KeyOptions::default(), &set).unwrap();
        // Times of 1970, and one of the year 2286.
        let rows = rows((0..100).chain([10_000_000_000_000]), 1.0);
        db.append(&table, &rows, &WriteOptions::default()).unwrap();
        db.flush_tables(&[&table]).unwrap().wait(None).unwrap();
        let count = |read: &ReadOptions<'_>| {
            let scan = db.scan(&table, &ScanOptions::default(), read).unwrap();
            scan.map(|batch| batch.unwrap().num_rows()).sum::<usize>()
        };
        let delay = std::time::Duration::from_millis(300);
        calls.add(Rule::once(Call::SyncData, Effect::Delay(delay)).on("/db/table/t"));
        let created = calls.count(Call::Create);
        let snapshot = std::thread::scope(|threads| {
            let merge = threads.spawn(|| db.compact_table(&table));
            while calls.count(Call::Create) == created {
                assert!(!merge.is_finished(), "a merge writes a file");
                std::thread::yield_now();
            }
            let snapshot = db.snapshot().unwrap();
            assert_eq!(count(&ReadOptions { snapshot: Some(&snapshot) }), 101, "{format}");
            merge.join().unwrap().unwrap();
            snapshot
        });
        let seen = count(&ReadOptions { snapshot: Some(&snapshot) });
        assert_eq!(seen, 101, "{format}: taken while the merge ran, it sees what it saw");
        drop(snapshot);
        db.compact_table(&table).unwrap();
        assert_eq!(count(&ReadOptions::default()), 1, "{format}: the next merge lets them go");
        db.close(&CloseOptions::default()).unwrap();
    }
}

/// One version of a row, as it was written: its time, and its value; `None`: a delete.
type Version = Option<(i64, f64)>;

#[test]
fn of_random_rows_only_those_past_their_time_go_and_no_snapshot_sees_a_difference() {
    for seed in 0..8_u64 {
        let mut random = seed;
        let mut below = |bound: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % bound
        };
        let format = FORMATS[(seed % 2) as usize];
        let (world, table) = world(&[("table_format", format), ("auto_compaction", "true"), TEN_DAYS[0], TEN_DAYS[1]]);
        let mut newest: BTreeMap<i64, Version> = BTreeMap::new();
        let mut snapshots = Vec::new();
        let mut gone = 0;
        for step in 0..150 {
            let id = below(12) as i64;
            match below(10) {
                0..4 => {
                    let days = below(20) as i64 - 12;
                    newest.insert(id, Some((world.now_millis() + days * 86_400_000, f64::from(step))));
                    world.put_dated(&table, [id], f64::from(step), days);
                }
                4 => {
                    newest.insert(id, None);
                    world.delete(&table, &[id]);
                }
                5 | 6 => world.flush(),
                7 => world.runtime.pass(DAY),
                8 if snapshots.len() < 3 => snapshots.push((world.db.snapshot().unwrap(), world.all(&table))),
                8 => drop(snapshots.remove(below(3) as usize)),
                _ if below(3) == 0 => world.db.compact_table(&table).unwrap(),
                _ => world.runtime.run_some(),
            }
            for (snapshot, then) in &snapshots {
                let at = ReadOptions { snapshot: Some(snapshot) };
                let seen = world.found(&table, &ScanOptions::default(), &at);
                assert_eq!(seen, *then, "seed {seed}, step {step}: a snapshot sees what it saw");
            }
            let found: BTreeMap<i64, f64> = world.all(&table).into_iter().collect();
            let horizon = world.now_millis() - 864_000_000;
            for id in 0..12 {
                let version = newest.get(&id).copied().flatten();
                let is = found.get(&id).copied();
                let may_be_gone = version.is_some_and(|(time, _)| time <= horizon);
                gone += usize::from(may_be_gone && is.is_none());
                let as_written = is == version.map(|(_, value)| value);
                assert!(
                    as_written || (may_be_gone && is.is_none()),
                    "seed {seed}, step {step}: {id}: {is:?}, {version:?}"
                );
            }
        }
        assert!(gone > 0, "seed {seed}: no row was let go");
    }
}
