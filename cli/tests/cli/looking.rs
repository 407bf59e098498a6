//! What each verb shows of a sound database, in both formats, and what it says to wrong calls.

use crate::world::{World, command, lines, run};
use serde_json::{Value, json};
use sstore::{Db, Options, WriteOptions};
use std::io::Read;
use std::process::Stdio;

#[test]
fn stat_counts_what_is_there() {
    let world = World::new();
    let [stat] = &world.json("stat", &[])[..] else { panic!("one object") };
    assert_eq!(stat["files"], 4);
    assert!(stat["log_segments"].as_u64().unwrap() >= 1 && stat["log_file_bytes"].as_u64().unwrap() > 0);
    let collections = stat["collections"].as_array().unwrap();
    let names: Vec<_> = collections.iter().map(|one| (&one["collection"], &one["kind"], &one["runs"])).collect();
    let expected = [("default", "family", 2), ("log", "table", 1), ("pets", "table", 1)];
    let expected: Vec<_> = expected.map(|(name, kind, runs)| (json!(name), json!(kind), json!(runs))).into();
    assert_eq!(names, expected.iter().map(|(a, b, c)| (a, b, c)).collect::<Vec<_>>());
    let said = world.run("stat", &[]);
    assert!(said.code == 0 && said.out.contains("pets") && said.out.contains("file_bytes"), "{}", said.out);
}

#[test]
fn levels_names_each_run_with_its_keys() {
    let world = World::new();
    let runs = world.json("levels", &["-c", "default"]);
    assert_eq!(runs.len(), 2);
    for run in &runs {
        assert_eq!((&run["smallest"], &run["largest"], &run["level"]), (&json!("key000"), &json!("key099"), &json!(0)));
        assert_eq!((&run["entries"], &run["tombstones"]), (&json!(101), &json!(1)));
    }
    let said = world.run("levels", &[]);
    assert!(said.out.contains("default  family  2 runs"), "{}", said.out);
    assert!(said.out.contains("  level 0  2 runs") && said.out.contains("####"), "{}", said.out);
    assert!(said.out.contains("key000 .. key099") && said.out.contains("pets  table  1 run"), "{}", said.out);
}

#[test]
fn get_gives_the_newest_value_or_says_that_there_is_none() {
    let world = World::new();
    let said = world.run("get", &["key001"]);
    assert_eq!((said.code, said.out.as_str()), (0, "value 1 1\n"));
    for absent in ["key000", "key050", "nothing"] {
        let said = world.run("get", &[absent]);
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{absent}");
        assert!(said.err.contains(absent), "{}", said.err);
    }
    // What scan shows can be given back, in either form.
    let said = world.run("get", &["odd\\x00key\\xff"]);
    assert_eq!((said.code, said.out.as_str()), (0, "\\x0a\n"));
    let said = world.run("get", &["--hex", "6f6464006b6579ff"]);
    assert_eq!((said.code, said.out.as_str()), (0, "0a\n"));
    let [entry] = &world.json("get", &["key100"])[..] else { panic!("one object") };
    assert_eq!((&entry["key"], &entry["value"]), (&json!("key100"), &json!("in the log")));
}

#[test]
fn get_finds_a_row_by_its_key() {
    let world = World::new();
    let [row] = &world.json("get", &["O'Neil", "-c", "pets"])[..] else { panic!("one object") };
    assert_eq!(*row, json!({ "name": "O'Neil", "age": null, "seen": "1970-01-01T00:00:01" }));
    let said = world.run("get", &["Tom", "-c", "pets", "--columns", "age"]);
    assert_eq!((said.code, said.out.as_str()), (0, "age  9\n"));
    assert_eq!(world.run("get", &["Rex", "-c", "pets"]).code, 1);
    assert_eq!(world.run("get", &["Tom", "9", "-c", "pets"]).code, 2);
    assert_eq!(world.run("get", &["Tom", "-c", "log"]).code, 2);
    let said = world.run("get", &["Tom", "-c", "cats"]);
    assert!(said.code == 1 && said.err.contains("default, log, pets"), "{}", said.err);
}

#[test]
fn scan_shows_entries_in_order_between_bounds() {
    let world = World::new();
    let keys = |rest: &[&str]| -> Vec<String> {
        world.json("scan", rest).iter().map(|entry| entry["key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(keys(&["--limit", "2"]), ["key001", "key002"]);
    assert_eq!(keys(&["--from", "key048", "--to", "key053"]), ["key048", "key049", "key051", "key052"]);
    assert_eq!(keys(&["--prefix", "key09", "--limit", "3", "--reverse"]), ["key099", "key098", "key097"]);
    assert_eq!(keys(&["--prefix", "odd"]), ["odd\\x00key\\xff"]);
    assert_eq!(keys(&["--limit", "0"]), [""; 0]);
    assert_eq!(keys(&[]).len(), 100);
    let said = world.run("scan", &["--limit", "1"]);
    assert_eq!(said.out, "key     value\nkey001  value 1 1\n");
    assert_eq!(world.run("scan", &["--where", "a = 1"]).code, 2);
}

#[test]
fn scan_shows_rows_under_a_condition() {
    let world = World::new();
    let rows = world.json("scan", &["-c", "pets", "--where", "age < 5", "--columns", "age,name"]);
    assert_eq!(rows, [json!({ "age": 2, "name": "Mia" })]);
    assert_eq!(world.json("scan", &["-c", "log"]).len(), 6);
    assert_eq!(world.json("scan", &["-c", "log", "--limit", "4"]).len(), 4);
    let said = world.run("scan", &["-c", "pets"]);
    let first = said.out.lines().next().unwrap();
    assert!(first.starts_with("name") && first.ends_with("seen") && said.out.lines().count() == 4, "{}", said.out);
    for wrong in [&["--where", "age <"][..], &["--columns", "colour"], &["--from", "a"], &["--reverse"]] {
        let said = world.run("scan", &[&["-c", "pets"], wrong].concat());
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{wrong:?}: {}", said.err);
    }
}

#[test]
fn count_counts_without_showing() {
    let world = World::new();
    assert_eq!(world.run("count", &[]).out, "100\n");
    assert_eq!(world.run("count", &["--prefix", "key09"]).out, "10\n");
    assert_eq!(world.run("count", &["-c", "pets", "--where", "age is not null"]).out, "2\n");
    assert_eq!(world.json("count", &["-c", "log"]), [json!({ "collection": "log", "count": 6 })]);
}

#[test]
fn dump_shows_every_version_in_a_file_without_its_database() {
    let world = World::new();
    let moved = world.path().join("elsewhere.sst");
    std::fs::copy(&world.files(".sst")[0], &moved).unwrap();
    let said = run(&["dump", moved.to_str().unwrap(), "--format", "json"]);
    let entries = lines(&said.out);
    assert_eq!((said.code, entries.len()), (0, 101));
    let of = |key: &str| -> Vec<&Value> {
        entries.iter().filter(|entry| entry["key"] == key).map(|entry| &entry["kind"]).collect()
    };
    assert_eq!((of("key049"), of("key050")), (vec![&json!("put")], vec![&json!("delete"), &json!("put")]));
    for suffix in [".parquet", ".arrow"] {
        let file = &world.files(suffix)[0];
        let rows = lines(&run(&["dump", file.to_str().unwrap(), "--format", "json"]).out);
        assert_eq!(rows.len(), 3, "{suffix}");
        assert_eq!((&rows[0]["_op"], &rows[0]["name"], &rows[0]["age"]), (&json!("put"), &json!("Mia"), &json!(2)));
        assert!(rows[0]["_seq"].as_u64().unwrap() > 0);
        let said = run(&["dump", file.to_str().unwrap(), "--limit", "1"]);
        assert_eq!((said.code, said.out.lines().count()), (0, 2), "{suffix}: {}", said.out);
    }
    assert_eq!(run(&["dump", "nothing.sst"]).code, 1);
    assert_eq!(run(&["dump", "/etc/hostname"]).code, 2);
}

#[test]
fn sst_says_what_a_file_is() {
    let world = World::new();
    for (suffix, format) in [(".sst", "blocks"), (".parquet", "parquet"), (".arrow", "arrow")] {
        let file = world.files(suffix).into_iter().find(|file| !file.ends_with("index.sst")).unwrap();
        let [facts] = &lines(&run(&["sst", file.to_str().unwrap(), "--format", "json"]).out)[..] else {
            panic!("one object")
        };
        assert_eq!((&facts["format"], &facts["made_of"]), (&json!(format), &json!([])));
        let on_disk: u64 = match suffix {
            ".arrow" => {
                file.parent().unwrap().read_dir().unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
            }
            _ => file.metadata().unwrap().len(),
        };
        assert_eq!(facts["bytes"], on_disk, "{suffix}");
        assert_eq!(facts["entries"], if suffix == ".sst" { 101 } else { 3 });
        let said = run(&["sst", file.to_str().unwrap()]);
        assert!(said.out.contains("filter_bits_per_entry"), "{}", said.out);
    }
}

#[test]
fn wal_shows_records_and_how_segments_end() {
    let world = World::new();
    let shown = world.json("wal", &[]);
    let records: Vec<_> = shown.iter().filter(|line| line["type"] == "record").collect();
    assert_eq!(records[0]["kind"], "begin");
    assert_eq!(records.last().unwrap()["kind"], "end");
    let batch = records.iter().rfind(|record| record["kind"] == "data").unwrap();
    let parts = json!([
        { "collection": 0, "kind": "put", "operations": 2, "rows": null, "bytes": 8 + 1 + 6 + 10 },
        { "collection": 0, "kind": "delete", "operations": 1, "rows": null, "bytes": 6 },
    ]);
    assert_eq!((&batch["operations"], &batch["sections"]), (&json!(3), &parts));
    assert!(records.iter().any(|record| record["sections"][0]["rows"] == 3));
    let end = shown.last().unwrap();
    assert_eq!((&end["type"], &end["damage"]), (&json!("end"), &Value::Null));
    let segment = world.files(".log").pop().unwrap();
    let said = run(&["wal", segment.to_str().unwrap()]);
    assert!(said.code == 0 && said.out.contains("0: 2 put; 0: 1 delete"), "{}", said.out);
    assert_eq!(run(&["wal", "/nowhere"]).code, 1);
}

#[test]
fn wal_shows_the_archive_too_and_verify_reads_it() {
    let world = World::empty();
    let db = Db::open(world.path(), &Options::new().with("wal_archive", "true").unwrap()).unwrap();
    for value in ["first", "second"] {
        db.put(&db.default_family(), b"key", value.as_bytes(), &WriteOptions::default()).unwrap();
        db.flush(&[]).unwrap().wait(None).unwrap();
    }
    db.put(&db.default_family(), b"key", b"third", &WriteOptions::default()).unwrap();
    world.close(db);
    let archive = world.path().join("wal").join("archive");
    let data = |shown: Vec<Value>| {
        let sequences =
            shown.iter().filter(|line| line["kind"] == "data").map(|line| line["sequence"].as_u64().unwrap());
        sequences.collect::<Vec<_>>()
    };
    assert_eq!(data(world.json("wal", &["--archive"])), [1, 2, 3]);
    assert_eq!(data(world.json("wal", &[])), [3]);
    let said = run(&["wal", archive.to_str().unwrap(), "--format", "json"]);
    assert_eq!((said.code, said.out.matches("\"kind\":\"data\"").count()), (0, 2), "{}", said.out);
    let verified = world.json("verify", &[]);
    assert_eq!(verified.iter().filter(|line| line["part"] == "archive").count(), 2, "{verified:?}");
    let victim = std::fs::read_dir(&archive).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&victim, b"sstor").unwrap();
    let said = world.run("verify", &[]);
    assert!(said.code == 1 && said.out.contains(victim.to_str().unwrap()), "{}", said.out);
}

#[test]
fn manifest_shows_edits_and_what_they_add_up_to() {
    let world = World::new();
    let shown = world.json("manifest", &[]);
    let of = |change: &str| shown.iter().filter(|line| line["change"] == change).count();
    assert_eq!((of("create_collection"), of("add_file"), of("add_schema")), (3, 4, 2));
    let end = shown.last().unwrap();
    assert_eq!((&end["files"], &end["collections"], &end["unfinished_bytes"]), (&json!(4), &json!(3), &json!(0)));
    let current = std::fs::read_to_string(world.path().join("CURRENT")).unwrap();
    let file = world.path().join(current.split(' ').next().unwrap());
    let said = run(&["manifest", file.to_str().unwrap()]);
    assert!(said.code == 0 && said.out.contains("name=pets kind=table"), "{}", said.out);
    assert_eq!(run(&["manifest", world.path().join("CURRENT").to_str().unwrap()]).code, 2);
}

#[test]
fn verify_reads_everything_and_sums_up() {
    let world = World::new();
    let told = world.json("verify", &[]);
    let sum = told.last().unwrap();
    assert_eq!((&sum["type"], &sum["damaged"]), (&json!("sum"), &json!(0)));
    let parts = |part: &str| told.iter().filter(|line| line["part"] == part).count();
    assert_eq!((parts("manifest"), parts("family"), parts("table")), (1, 2, 2));
    assert_eq!(parts("log"), world.files(".log").len());
    assert!(told.iter().all(|line| line["bytes"].as_u64().unwrap() > 0));
    let said = world.run("verify", &[]);
    assert!(said.code == 0 && said.out.lines().last().unwrap().ends_with(" 0 damaged"), "{}", said.out);
}

#[test]
fn wrong_calls_are_told_from_what_is_not_there() {
    assert_eq!(run(&[]).code, 2);
    assert_eq!(run(&["frob"]).code, 2);
    assert_eq!(run(&["--help"]).code, 0);
    let world = World::empty();
    for verb in ["stat", "levels", "scan", "count", "wal", "manifest", "verify"] {
        let said = world.run(verb, &[]);
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{verb}: {}", said.err);
        assert!(said.err.starts_with("sstore: "), "{verb}: {}", said.err);
        assert!(!world.path().exists(), "{verb} made a directory");
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let world = World::new();
    let db = world.open();
    let family = db.default_family();
    for number in 0..2_000u32 {
        db.put(&family, format!("more{number}").as_bytes(), &[b'x'; 200], &Default::default()).unwrap();
    }
    world.close(db);
    for format in ["table", "json"] {
        let path = world.path();
        let mut child = command(&["scan", path.to_str().unwrap(), "--format", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 10]).unwrap();
        drop(stdout);
        let ended = child.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), ended.stderr.len()), (Some(0), 0), "{format}");
    }
}
