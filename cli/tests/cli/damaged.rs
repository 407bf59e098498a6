//! The command over damaged databases: each damaged file is named, nothing panics, and the exit code tells.

use crate::world::{Said, World, run};
use std::path::Path;

/// Flips a bit in the middle of a file, or `from_end` bytes before its end.
fn flip(path: &Path, from_end: Option<usize>) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = from_end.map_or(bytes.len() / 2, |from_end| bytes.len() - from_end);
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

fn assert_names(said: &Said, damaged: &[&Path]) {
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    let named: Vec<&str> = said.out.lines().filter(|line| line.starts_with("DAMAGED")).collect();
    assert_eq!(named.len(), damaged.len(), "{}", said.out);
    for path in damaged {
        assert!(named.iter().any(|line| line.contains(path.to_str().unwrap())), "{}: {}", path.display(), said.out);
    }
}

#[test]
fn verify_names_every_damaged_file_and_goes_on() {
    let world = World::new();
    let (blocks, parquet, arrow) = (world.files(".sst"), world.files(".parquet"), world.files(".arrow"));
    // In the data of one, in the footer of the others: a database with these cannot even be opened.
    flip(&blocks[0], None);
    flip(&parquet[0], Some(3));
    flip(&arrow[0], None);
    let said = world.run("verify", &[]);
    assert_names(&said, &[&blocks[0], &parquet[0], &arrow[0]]);
    assert!(said.out.contains(" at offset "), "{}", said.out);
    assert!(said.out.contains(&format!("ok       {}", blocks[1].display())), "{}", said.out);
    assert!(said.out.lines().last().unwrap().ends_with(" 3 damaged"), "{}", said.out);
    let said = world.run("verify", &["--format", "json"]);
    let told = crate::world::lines(&said.out);
    assert_eq!((said.code, told.iter().filter(|line| line["damage"].is_object()).count()), (1, 3));
}

#[test]
fn verify_names_a_missing_file() {
    let world = World::new();
    let gone = &world.files(".parquet")[0];
    std::fs::remove_file(gone).unwrap();
    assert_names(&world.run("verify", &[]), &[gone]);
}

#[test]
fn verify_names_a_damaged_segment_of_the_log() {
    let world = World::new();
    let segment = world.files(".log").pop().unwrap();
    // After a clean close all of the log is known to have been durable; the header is 64 bytes, the first record 56.
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[64 + 56 + 20] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    assert_names(&world.run("verify", &[]), &[&segment]);
    let said = run(&["wal", segment.to_str().unwrap()]);
    assert!(said.code == 0 && said.out.contains(", then: "), "{}", said.out);
}

#[test]
fn a_torn_end_of_the_log_is_damage_only_if_one_says_so() {
    let world = World::new();
    // Nobody closed it: the copy is what a killed process leaves.
    let db = world.open();
    db.put(&db.default_family(), b"a", b"b", &Default::default()).unwrap();
    let copy = World::empty();
    copy_all(&world.path(), &copy.path());
    world.close(db);
    let used = |path: &Path| std::fs::read(path).unwrap().iter().rposition(|byte| *byte != 0).unwrap();
    // The newest file may be a segment made ahead, which has a header of 64 bytes and no record.
    let segment = copy.files(".log").into_iter().rfind(|path| used(path) >= 64).unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[used(&segment)] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    assert_eq!(copy.run("verify", &[]).code, 0);
    assert_names(&copy.run("verify", &["--absolute"]), &[&segment]);
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn without_a_manifest_every_file_is_read_all_the_same() {
    let world = World::new();
    let manifest = world.files("").into_iter().find(|path| path.to_str().unwrap().contains("MANIFEST-")).unwrap();
    let table = &world.files(".sst")[1];
    flip(&manifest, Some(100));
    flip(table, None);
    assert_names(&world.run("verify", &[]), &[&manifest, table]);
    let said = world.run("manifest", &[]);
    assert!(said.code == 1 && said.err.contains("MANIFEST-"), "{}", said.err);
}

#[test]
fn looking_at_damaged_files_names_them_and_never_panics() {
    let world = World::new();
    for suffix in [".sst", ".parquet", ".arrow"] {
        let file = &world.files(suffix)[0];
        let sound = std::fs::read(file).unwrap();
        for at in (0..sound.len()).step_by((sound.len() / 25).max(1)) {
            let mut bytes = sound.clone();
            bytes[at] ^= 0xff;
            std::fs::write(file, &bytes).unwrap();
            for verb in ["dump", "sst"] {
                let said = run(&[verb, file.to_str().unwrap()]);
                assert!(said.code == 0 || said.code == 1 && said.err.contains(suffix), "{verb} {at}: {}", said.err);
            }
            bytes.truncate(at);
            std::fs::write(file, &bytes).unwrap();
            let said = run(&["dump", file.to_str().unwrap()]);
            assert!(said.code == 1 && !said.err.is_empty(), "{at}: {}", said.err);
        }
        std::fs::write(file, sound).unwrap();
    }
    let segment = world.files(".log").pop().unwrap();
    let sound = std::fs::read(&segment).unwrap();
    for at in [0, 10, 60, 64, 70, 100, 130, sound.len() - 1] {
        let mut bytes = sound.clone();
        bytes[at] ^= 0xff;
        std::fs::write(&segment, bytes).unwrap();
        for format in ["table", "json"] {
            let said = run(&["wal", segment.to_str().unwrap(), "--format", format]);
            assert!(said.code <= 1 && !said.out.is_empty(), "{at}: {}", said.err);
        }
    }
}
