//! The command beside a live writer: it sees what is committed, takes no lock, and changes no byte.

use crate::world::{World, fill};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

const VERBS: &[(&str, &[&str])] = &[
    ("stat", &[]),
    ("levels", &[]),
    ("get", &["key001"]),
    ("scan", &[]),
    ("scan", &["-c", "pets"]),
    ("count", &["-c", "log"]),
    ("wal", &[]),
    ("manifest", &[]),
    ("verify", &[]),
];

/// Each file with its length and the time of its last change.
fn picture(world: &World) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let facts = |path: &PathBuf| path.metadata().map(|facts| (facts.len(), facts.modified().unwrap())).unwrap();
    world.files("").into_iter().map(|path| (path.clone(), facts(&path))).collect()
}

#[test]
fn every_verb_works_beside_a_live_writer_and_changes_nothing() {
    let world = World::empty();
    let db = world.open();
    fill(&db);
    db.put(&db.default_family(), b"just", b"now", &Default::default()).unwrap();
    // The writer's own threads may be at its log and at EVENTS.jsonl.
    let quiet = |path: &PathBuf| !path.ends_with("EVENTS.jsonl") && !path.starts_with(world.path().join("wal"));
    let picture = || -> Vec<_> { picture(&world).into_iter().filter(|(path, _)| quiet(path)).collect() };
    let before = picture();
    for (verb, rest) in VERBS {
        for format in ["table", "json"] {
            let said = world.run(verb, &[rest, &["--format", format][..]].concat());
            assert_eq!((said.code, said.err.as_str()), (0, ""), "{verb} {rest:?}: {}", said.out);
            assert!(!said.out.is_empty(), "{verb}");
        }
    }
    assert_eq!(world.run("get", &["just"]).out, "now\n");
    assert_eq!(picture(), before);
    // The writer still is the one that has it.
    db.put(&db.default_family(), b"still", b"mine", &Default::default()).unwrap();
    assert_eq!(world.run("get", &["still"]).out, "mine\n");
    world.close(db);
}

#[test]
fn a_closed_database_is_looked_at_without_a_change() {
    let world = World::new();
    let before = picture(&world);
    for (verb, rest) in VERBS {
        assert_eq!(world.run(verb, rest).code, 0, "{verb}");
    }
    assert_eq!(picture(&world), before);
}

#[test]
fn verify_finds_no_damage_while_files_come_and_go() {
    let world = World::empty();
    let options = sstore::Options::new().with("write_buffer_bytes", "64KiB").unwrap();
    let db = sstore::Db::open(world.path(), &options.with("compaction_trigger_runs", "2").unwrap()).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let family = db.default_family();
            let mut number = 0u64;
            while !stop.load(Ordering::Relaxed) {
                let key = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 5000).to_be_bytes();
                db.put(&family, &key, &[7; 100], &Default::default()).unwrap();
                number += 1;
            }
        });
        for round in 0..5 {
            let said = world.run("verify", &[]);
            if said.code != 0 {
                stop.store(true, Ordering::Relaxed);
            }
            assert_eq!((said.code, said.err.as_str()), (0, ""), "round {round}: {}", said.out);
        }
        stop.store(true, Ordering::Relaxed);
    });
    db.close(&Default::default()).unwrap();
}
