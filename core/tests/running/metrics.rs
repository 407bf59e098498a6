//! `Db::metrics_text`: valid in every line, and true of the database.

use sstore::observe::Counter;
use sstore::{CloseOptions, Db, Durability, ErrorKind, IterOptions, Options, ReadOptions, WriteOptions};
use std::collections::BTreeMap;

/// Samples by name and labels, as a collector would read them. Panics at whatever is not in the format.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut types): (BTreeMap<String, f64>, BTreeMap<&str, &str>) = Default::default();
    let mut current = "";
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# HELP ") {
            let (name, help) = head.split_once(' ').expect(line);
            assert!(!help.is_empty() && name.starts_with("sstore_"), "{line}");
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{line}");
            current = name;
        } else if let Some(head) = line.strip_prefix("# TYPE ") {
            let (name, kind) = head.split_once(' ').expect(line);
            assert_eq!(name, current, "TYPE follows HELP");
            assert!(["counter", "gauge", "summary"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(types.insert(name, kind).is_none(), "{name} is there twice");
        } else {
            let (sample, value) = line.rsplit_once(' ').expect(line);
            let name = sample.split('{').next().unwrap();
            let of_summary = types.get(current) == Some(&"summary");
            let base = if of_summary { name.trim_end_matches("_sum").trim_end_matches("_count") } else { name };
            assert_eq!(base, current, "a sample behind the head of another metric");
            if let Some(labels) = sample.strip_prefix(name).filter(|labels| !labels.is_empty()) {
                let labels = labels.strip_prefix('{').and_then(|labels| labels.strip_suffix('}')).expect(line);
                for label in labels.split(',') {
                    let (_, text) = label.split_once('=').expect(line);
                    assert!(text.len() >= 2 && text.starts_with('"') && text.ends_with('"'), "{line}");
                }
            }
            let value: f64 = value.parse().expect(line);
            assert!(value.is_finite() && value >= 0.0, "{line}");
            assert!(samples.insert(sample.to_owned(), value).is_none(), "{line} is there twice");
        }
    }
    samples
}

#[test]
fn every_line_is_valid_and_says_what_stats_say() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new().with("auto_compaction", "false").unwrap();
    let db = Db::open(directory.path().join("db"), &options).unwrap();
    let empty = parse(&db.metrics_text().unwrap());
    assert_eq!((empty["sstore_writes_total"], empty["sstore_write_amplification"]), (0.0, 0.0));
    let other = db.create_column_family("other-1.x", &Options::new()).unwrap();
    for round in 0..3u8 {
        for number in 0..500u32 {
            db.put(&other, &number.to_be_bytes(), &[round; 100], &WriteOptions::default()).unwrap();
        }
        db.flush(&[]).unwrap().wait(None).unwrap();
    }
    db.put(&other, b"more", b"", &WriteOptions::default()).unwrap();
    let _snapshot = db.snapshot().unwrap();
    let (samples, stats) = (parse(&db.metrics_text().unwrap()), db.stats());
    for (name, value) in &stats.counters {
        assert_eq!(samples[&format!("sstore_{name}_total")], *value as f64, "{name}");
    }
    // The log's next segment may be synced at any time.
    for (name, summary) in stats.histograms.iter().filter(|(name, _)| *name != "fsync") {
        assert_eq!(samples[&format!("sstore_{name}_seconds_count")], summary.count as f64, "{name}");
        assert_eq!(samples[&format!("sstore_{name}_seconds{{quantile=\"1\"}}")], summary.max as f64 / 1e9, "{name}");
    }
    assert!(samples["sstore_fsync_seconds_count"] >= 9.0);
    let labels = "{collection=\"other-1.x\",kind=\"family\"}";
    assert_eq!(samples[&format!("sstore_collection_runs{labels}")], 3.0);
    assert_eq!(samples[&format!("sstore_collection_entries{labels}")], 1500.0);
    assert_eq!(samples[&format!("sstore_collection_file_bytes{labels}")], stats.file_bytes as f64);
    assert_eq!(samples[&format!("sstore_read_amplification{labels}")], 4.0);
    let space = samples[&format!("sstore_space_amplification{labels}")];
    assert!((2.9..=3.0).contains(&space), "{space}");
    let write = samples["sstore_write_amplification"];
    assert!((0.9..1.5).contains(&write), "{write}");
    assert_eq!(samples["sstore_memory_bytes{owner=\"memtables_active\"}"], stats.memtable_bytes as f64);
    assert_eq!(samples["sstore_memory_bytes{owner=\"indexes_and_filters\"}"], stats.resident_bytes as f64);
    assert_eq!(samples["sstore_memory_budget_bytes"], (512u64 << 20) as f64);
    assert_eq!((samples["sstore_open_snapshots"], samples["sstore_healthy"]), (1.0, 1.0));
    db.close(&CloseOptions { force: true, ..CloseOptions::default() }).unwrap();
    assert_eq!(db.metrics_text().unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn every_counter_says_what_it_counts() {
    for counter in Counter::ALL {
        assert!(counter.help().ends_with('.') && !counter.help().starts_with(' '), "{}", counter.name());
    }
}

#[test]
fn every_operation_has_its_histogram() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new().with("auto_compaction", "false").unwrap();
    let db = Db::open(directory.path().join("db"), &options).unwrap();
    let family = db.default_family();
    let synced = WriteOptions { durability: Some(Durability::Sync), ..WriteOptions::default() };
    for round in 0..2u8 {
        for number in 0..3200u32 {
            db.put(&family, &number.to_be_bytes(), &[round; 20], &WriteOptions::default()).unwrap();
        }
        db.put(&family, b"last", b"", &synced).unwrap();
        db.flush(&[]).unwrap().wait(None).unwrap();
    }
    db.compact(&family).unwrap();
    let mut iterator = db.iterator(&family, IterOptions::default()).unwrap();
    for number in 0..6400u32 {
        let key = (number % 3200).to_be_bytes();
        assert!(db.get(&family, &key, &ReadOptions::default()).unwrap().is_some());
        assert!(iterator.seek(&key).unwrap());
    }
    let stats = db.stats();
    let histogram = |name| stats.histograms.iter().find(|(other, _)| *other == name).expect(name).1;
    for name in ["write", "get", "seek"] {
        let summary = histogram(name);
        assert!((40..=60).contains(&summary.count), "about one {name} in 128 of 6,400 is timed: {summary:?}");
        assert_eq!(summary.one_in, 128, "{name}");
    }
    let counter = |name| stats.counters.iter().find(|(other, _)| *other == name).expect(name).1;
    for (name, counted) in [("sync", "sync_writes"), ("flush", "flushes"), ("merge", "compactions")] {
        assert_eq!((histogram(name).count, histogram(name).one_in), (counter(counted), 1), "each {name} is timed");
    }
    // Each flush and merge syncs its file, its directory and the manifest; two writes waited for the log.
    assert!(histogram("fsync").count >= 11, "each fsync is timed: {:?}", histogram("fsync"));
    // And here it is the log's file alone that is synced.
    let before = histogram("fsync").count;
    for _ in 0..20 {
        db.put(&family, b"last", b"", &synced).unwrap();
    }
    let synced = db.histogram("fsync").unwrap().count - before;
    assert!(synced >= 20, "each fsync is timed: {synced} of 20 of the log");
    for (name, summary) in &stats.histograms {
        assert!(summary.p50 <= summary.p99 && summary.p999 <= summary.max && summary.max <= summary.sum, "{name}");
        assert_eq!(summary.max > 0, summary.count > 0, "{name}: {summary:?}");
    }
}
