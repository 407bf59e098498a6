//! Closing beside everything: a writer, a job in the background, somebody who waits for a flush, another close. All of them end, each is
//! answered, and nothing touches a file once the database is closed.

use super::world::{World, unexplored};
use loom::thread;
use sstore::atomic::check;
use sstore::{CloseOptions, ErrorKind, ReadOptions, Result, WriteOptions};
use std::sync::Arc;
use std::time::Duration;

/// What may come of a call that a close meets.
fn closed_or_done<T>(result: &Result<T>) {
    if let Err(error) = result {
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    }
}

fn put(world: &World, key: &str) -> Result<u64> {
    world.db.put(&world.db.default_family(), key.as_bytes(), b"v", &WriteOptions::default())
}

/// What is done beside a close.
type Work = fn(&World);

/// Runs `works` beside a close; afterwards nothing goes on.
fn run(options: &'static CloseOptions, works: &'static [Work]) {
    let real = sstore::env::posix::posix().runtime;
    let runs = check(1, move || {
        let world = unexplored(|| {
            let world = Arc::new(World::open(&real));
            put(&world, "a").unwrap();
            world
        });
        let others: Vec<_> = works
            .iter()
            .map(|work| {
                let world = world.clone();
                thread::spawn(move || work(&world))
            })
            .collect();
        let mut closed = world.db.close(options);
        if closed.as_ref().is_err_and(|error| error.kind() == ErrorKind::TimedOut) {
            // It is open again, as if nothing had been asked.
            put(&world, "b").unwrap();
            closed = world.db.close(&CloseOptions::default());
        }
        closed_or_done(&closed);
        // Of another close, which came before, nobody waits for the end.
        let changes = closed.is_ok().then(|| world.changes());
        assert!(
            put(&world, "c").is_err_and(|error| error.kind() == ErrorKind::Closed),
            "a closed database was written"
        );
        others.into_iter().for_each(|other| other.join().unwrap());
        assert!(changes.is_none_or(|changes| world.changes() == changes), "a file was changed after the close");
    });
    println!("{runs} runs");
}

static WITH_FLUSH: CloseOptions = CloseOptions { flush: Some(true), force: true, timeout: None };
static WITHOUT_FLUSH: CloseOptions = CloseOptions { flush: Some(false), force: true, timeout: None };
static AT_ONCE: CloseOptions = CloseOptions { flush: Some(true), force: true, timeout: Some(Duration::ZERO) };

fn write(world: &World) {
    closed_or_done(&put(world, "w"));
}

fn flush_and_wait(world: &World) {
    closed_or_done(&world.db.flush(&[]).and_then(|token| token.wait(None)));
}

fn read(world: &World) {
    let found = world.db.get(&world.db.default_family(), b"a", &ReadOptions::default());
    closed_or_done(&found);
    assert!(found.is_err() || found.is_ok_and(|found| found.is_some()), "a key is lost while the database closes");
}

fn close_too(world: &World) {
    closed_or_done(&world.db.close(&WITH_FLUSH));
}

#[test]
fn a_close_beside_a_writer_and_a_waiter_ends_all_of_them() {
    run(&WITH_FLUSH, &[write, flush_and_wait]);
}

#[test]
fn a_close_that_flushes_nothing_ends_who_waits_for_a_flush() {
    run(&WITHOUT_FLUSH, &[flush_and_wait, read]);
}

#[test]
fn a_close_that_runs_out_of_time_leaves_the_database_open() {
    run(&AT_ONCE, &[]);
}

#[test]
fn of_two_closes_one_closes() {
    run(&WITH_FLUSH, &[close_too]);
}
