//! `sstore import`: into a new database, which is whole or not there, and into an existing one. What LevelDB writes is read in
//! `core/tests/leveldb.rs`.

use crate::world::{World, lines, run};
use std::path::{Path, PathBuf};

/// The bytes of an array in the header that the C tests share.
fn array(name: &str) -> Vec<u8> {
    let header = include_str!("../../../ffi/tests/c/leveldb_source.h");
    let (_, after) = header.split_once(&format!("{name}[] = {{")).unwrap();
    let (inside, _) = after.split_once('}').unwrap();
    inside.split(',').map(|byte| u8::from_str_radix(byte.trim().trim_start_matches("0x"), 16).unwrap()).collect()
}

/// A database of LevelDB's with cat and dog.
fn source(world: &World) -> PathBuf {
    let dir = world.path().with_extension("leveldb");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("CURRENT"), "MANIFEST-000002\n").unwrap();
    std::fs::write(dir.join("MANIFEST-000002"), array("leveldb_manifest")).unwrap();
    std::fs::write(dir.join("000003.log"), array("leveldb_log")).unwrap();
    dir
}

fn import(source: &Path, target: &Path, rest: &[&str]) -> crate::world::Said {
    let arguments = ["import", "leveldb", source.to_str().unwrap(), "--to", target.to_str().unwrap()];
    run(&[&arguments[..], rest].concat())
}

fn damage(source: &Path) {
    let mut log = array("leveldb_log");
    log[20] ^= 1;
    std::fs::write(source.join("000003.log"), log).unwrap();
}

#[test]
fn a_new_database_is_made_of_a_leveldb_database() {
    let world = World::empty();
    let source = source(&world);
    // What an import that was killed left.
    let unfinished = world.path().with_file_name("db.unfinished-import");
    std::fs::create_dir(&unfinished).unwrap();
    let said = import(&source, &world.path(), &["--option", "compression=zstd"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
    assert!(said.out.contains("entries        2\n"), "{}", said.out);
    assert!(!unfinished.exists(), "it has got its name");
    assert_eq!(world.run("scan", &[]).out, "key  value\ncat  meow\ndog  woof\n");
    assert_eq!(world.run("verify", &[]).code, 0);
    // Again, into the same, and into a family that is made.
    assert_eq!(import(&source, &world.path(), &[]).code, 0);
    let said = import(&source, &world.path(), &["-c", "animals", "--format", "json"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert_eq!(lines(&said.out)[0]["entries"], 2);
    assert_eq!(world.run("count", &["-c", "animals"]).out, "2\n");
}

#[test]
fn a_failed_import_leaves_nothing_and_damage_is_skipped_on_request() {
    let world = World::empty();
    let source = source(&world);
    damage(&source);
    let said = import(&source, &world.path(), &[]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains("000003.log at offset 0") && said.err.contains("checksum mismatch"), "{}", said.err);
    assert_eq!(std::fs::read_dir(world.path().parent().unwrap()).unwrap().count(), 1, "only the source is there");
    let said = import(&source, &world.path(), &["--skip-damaged", "--format", "json"]);
    assert_eq!((said.code, said.err.as_str()), (1, ""), "damage is told by the exit code");
    let told = lines(&said.out);
    assert_eq!(told[0]["damage"]["offset"], 0);
    assert_eq!((&told[1]["skipped"], &told[1]["entries"]), (&1.into(), &0.into()));
    // Into a family of an existing database: it is gone after a failure.
    assert_eq!(import(&source, &world.path(), &["-c", "animals"]).code, 1);
    assert_eq!(world.run("count", &["-c", "animals"]).code, 1);
    assert_eq!(world.run("stat", &[]).code, 0);
}

#[test]
fn what_is_no_leveldb_database_and_wrong_options_are_told() {
    let world = World::empty();
    let source = source(&world);
    let said = import(&source.join("none"), &world.path(), &[]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("no LevelDB database"), "{}", said.err);
    for wrong in [["--option", "compression"], ["--option", "compresion=zstd"]] {
        assert_eq!(import(&source, &world.path(), &wrong).code, 2);
    }
    assert!(!world.path().exists());
}
