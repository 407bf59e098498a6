//! Handles under hostile and concurrent use.

use super::*;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

struct Thing(u64, Arc<AtomicU64>);
struct Everywhere(u64, Arc<AtomicU64>);
struct Lonely(u64);
struct Other;

impl Drop for Thing {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Everywhere {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

impl Object for Everywhere {
    type Opaque = u8;
    const TYPE: u8 = 202;
    const NAME: &'static str = "thing of many threads";
    const USE: Use = Use::Everywhere;
}

impl Object for Lonely {
    type Opaque = u8;
    const TYPE: u8 = 203;
    const NAME: &'static str = "thing of one thread";
    const USE: Use = Use::Alone;
}

impl Object for Thing {
    type Opaque = u8;
    const TYPE: u8 = 200;
    const NAME: &'static str = "thing";
}

impl Object for Other {
    type Opaque = u8;
    const TYPE: u8 = 201;
    const NAME: &'static str = "other";
}

fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

#[test]
fn every_misuse_of_a_handle_is_told_from_the_others() {
    let table = table().unwrap();
    let dropped = Arc::new(AtomicU64::new(0));
    let handle = table.insert(Thing(7, dropped.clone())).unwrap();
    assert_eq!(table.pin::<Thing>(handle).unwrap().0, 7);
    assert_eq!(kind(table.pin::<Other>(handle)), Some(ErrorKind::InvalidArgument));
    assert_eq!(kind(table.pin::<Thing>(std::ptr::null())), Some(ErrorKind::InvalidArgument));
    let held = table.pin::<Thing>(handle).unwrap();
    table.remove::<Thing>(handle).unwrap();
    assert_eq!(kind(table.pin::<Thing>(handle)), Some(ErrorKind::Closed));
    assert_eq!(kind(table.remove::<Thing>(handle)), Some(ErrorKind::Closed));
    assert_eq!(dropped.load(Ordering::SeqCst), 0, "a call that holds the object keeps it");
    drop(held);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn any_bit_pattern_is_safe_to_check() {
    let table = table().unwrap();
    let mut value = 0x1234_5678_9abc_def1_u64;
    for _ in 0..1_000_000 {
        value ^= value << 13;
        value ^= value >> 7;
        value ^= value << 17;
        let handle = std::ptr::without_provenance(value as usize);
        assert!(matches!(kind(table.pin::<Other>(handle)), Some(ErrorKind::InvalidArgument | ErrorKind::Closed)));
    }
}

/// Threads that use an object while it is freed and made anew: no use after the drop, every object dropped once.
fn used_while_freed<T: Object<Opaque = u8> + Sync>(make: fn(u64, Arc<AtomicU64>) -> T, number: fn(&T) -> u64) {
    let table = table().unwrap();
    let dropped = Arc::new(AtomicU64::new(0));
    let stop = AtomicBool::new(false);
    let shared = AtomicPtr::new(table.insert(make(1, dropped.clone())).unwrap());
    let made = 20_000;
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    match table.pin::<T>(shared.load(Ordering::SeqCst)) {
                        Ok(thing) => assert!((1..=made).contains(&number(&thing))),
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Closed),
                    }
                }
            });
        }
        for number in 2..=made {
            let new = table.insert(make(number, dropped.clone())).unwrap();
            let old = shared.swap(new, Ordering::SeqCst);
            table.remove::<T>(old).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(dropped.load(Ordering::SeqCst), made - 1);
}

#[test]
fn an_object_is_not_freed_under_a_call() {
    used_while_freed(Thing, |thing| thing.0);
}

#[test]
fn an_object_with_lanes_is_not_freed_under_a_call() {
    used_while_freed(Everywhere, |thing| thing.0);
}

#[test]
fn an_object_with_lanes_goes_with_the_last_of_all_threads() {
    let table = table().unwrap();
    let dropped = Arc::new(AtomicU64::new(0));
    let handle = AtomicPtr::new(table.insert(Everywhere(7, dropped.clone())).unwrap());
    let (inside, leave) = (std::sync::Barrier::new(LANES + 2), std::sync::Barrier::new(LANES + 2));
    std::thread::scope(|scope| {
        for _ in 0..=LANES {
            scope.spawn(|| {
                let held = table.pin::<Everywhere>(handle.load(Ordering::SeqCst)).unwrap();
                inside.wait();
                leave.wait();
                assert_eq!((held.0, held.1.load(Ordering::SeqCst)), (7, 0));
            });
        }
        inside.wait();
        table.remove::<Everywhere>(handle.load(Ordering::SeqCst)).unwrap();
        assert_eq!(kind(table.pin::<Everywhere>(handle.load(Ordering::SeqCst))), Some(ErrorKind::Closed));
        leave.wait();
    });
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn what_is_used_alone_is_given_to_one_at_a_time() {
    let table = table().unwrap();
    let handle = AtomicPtr::new(table.insert(Lonely(0)).unwrap());
    let mut held = table.hold::<Lonely>(handle.load(Ordering::SeqCst)).unwrap();
    assert_eq!(kind(table.hold::<Lonely>(handle.load(Ordering::SeqCst))), Some(ErrorKind::Busy));
    held.0 += 1;
    drop(held);
    let rounds = 100_000;
    let used: u64 = std::thread::scope(|scope| {
        let users: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let try_once = |_: &u32| match table.hold::<Lonely>(handle.load(Ordering::SeqCst)) {
                        Ok(mut held) => {
                            held.0 += 1;
                            true
                        }
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Busy);
                            false
                        }
                    };
                    (0..rounds).filter(try_once).count() as u64
                })
            })
            .collect();
        users.into_iter().map(|user| user.join().unwrap()).sum()
    });
    let handle = handle.into_inner();
    let held = table.hold::<Lonely>(handle).unwrap();
    assert_eq!(held.0, used + 1, "an addition was lost");
    table.remove::<Lonely>(handle).unwrap();
    assert_eq!(kind(table.hold::<Lonely>(handle)), Some(ErrorKind::Closed));
    assert_eq!(held.0, used + 1, "freed under its user");
}

#[test]
fn slots_are_used_again_but_not_soon() {
    let table = table().unwrap();
    let before = table.free.next.load(Ordering::SeqCst);
    for _ in 0..20 * RESTING_SLOTS {
        let handle = table.insert(Other).unwrap();
        table.remove::<Other>(handle).unwrap();
    }
    let taken = (table.free.next.load(Ordering::SeqCst) - before) as usize;
    assert!(taken < 8 * RESTING_SLOTS, "{taken} slots for one handle at a time");
}
