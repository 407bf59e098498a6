//! Handles under hostile and concurrent use.

use super::*;
use std::sync::atomic::AtomicBool;

struct Thing(u64, Arc<AtomicU64>);
struct Other;

impl Drop for Thing {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
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

#[test]
fn a_freed_slot_is_not_handed_out_under_a_reader() {
    let table = table().unwrap();
    let dropped = Arc::new(AtomicU64::new(0));
    let stop = AtomicBool::new(false);
    let shared = AtomicPtr::new(table.insert(Thing(1, dropped.clone())).unwrap());
    let made = 20_000;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    match table.pin::<Thing>(shared.load(Ordering::SeqCst)) {
                        Ok(thing) => assert!(thing.0 >= 1),
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Closed),
                    }
                }
            });
        }
        for number in 2..=made {
            let new = table.insert(Thing(number, dropped.clone())).unwrap();
            let old = shared.swap(new, Ordering::SeqCst);
            table.remove::<Thing>(old).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    table.settle();
    assert_eq!(dropped.load(Ordering::SeqCst), made - 1);
}

#[test]
fn slots_are_used_again_but_not_soon() {
    let table = table().unwrap();
    let before = table.next.load(Ordering::SeqCst);
    for _ in 0..20 * RESTING_SLOTS {
        let handle = table.insert(Other).unwrap();
        table.remove::<Other>(handle).unwrap();
        table.settle();
    }
    let taken = (table.next.load(Ordering::SeqCst) - before) as usize;
    assert!(taken < 8 * RESTING_SLOTS, "{taken} slots for one handle at a time");
}
