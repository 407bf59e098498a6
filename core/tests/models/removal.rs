//! Files go once nothing needs them, and not before: not from under somebody who works by their names, while a family is dropped.

use super::world::{World, unexplored};
use loom::thread;
use sstore::atomic::check;
use sstore::env::FileSystem;
use sstore::{CloseOptions, ErrorKind, Options, ReadOptions, WriteOptions};
use std::sync::Arc;

#[test]
fn a_file_keeps_its_name_while_somebody_works_by_names() {
    let real = sstore::env::posix::posix().runtime;
    let runs = check(2, move || {
        let (world, family) = unexplored(|| {
            let world = World::open(&real);
            let family = world.db.create_column_family("f", &Options::new()).unwrap();
            world.db.put(&family, b"a", b"1", &WriteOptions::default()).unwrap();
            world.db.flush(&[&family]).unwrap().wait(None).unwrap();
            (Arc::new(world), Arc::new(family))
        });
        let path = world.db.live_files(&family, &ReadOptions::default()).unwrap().files[0].path.clone();
        let dropper = thread::spawn({
            let (world, family) = (world.clone(), family.clone());
            move || world.db.drop_column_family(&family).unwrap()
        });
        let live = world.db.live_files(&family, &ReadOptions::default());
        thread::yield_now();
        let is_there = world.memory.file_len(&path).unwrap().is_some();
        match &live {
            Ok(live) => assert!(is_there && live.files.len() == 1, "a file lost its name while it was held"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Dropped, "{error}"),
        }
        drop(live);
        dropper.join().unwrap();
        assert!(world.memory.file_len(&path).unwrap().is_none(), "a file was left behind that nobody needs");
        unexplored(|| world.db.close(&CloseOptions::default())).unwrap();
    });
    println!("{runs} runs");
}
