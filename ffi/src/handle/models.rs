//! Models of the handle table: calls, frees and the making of new handles in every order of their steps, with every value that each load may
//! see. As `core/tests/models.rs`, run by `make models`.
//!
//! The table of a model has one slot, so that a handle that was freed and the next one share it.

use super::*;
use engine::atomic::check;
use loom::thread;

/// The table of the model that is running. All threads of a model are coroutines of one thread.
pub(crate) fn table() -> Option<&'static Handles> {
    TABLE.get()
}

std::thread_local! {
    static TABLE: Cell<Option<&'static Handles>> = const { Cell::new(None) };
    /// Objects that were dropped in this run.
    static DROPPED: Cell<u64> = const { Cell::new(0) };
}

impl Slot {
    fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            object: AtomicPtr::new(std::ptr::null_mut()),
            lanes: AtomicPtr::new(std::ptr::null_mut()),
            process: AtomicU32::new(0),
            open_lanes: AtomicU32::new(0),
            room: UnsafeCell::new(Room::uninit()),
        }
    }
}

/// An empty table of one slot, which stays, as a table does.
fn begin() -> &'static Handles {
    DROPPED.set(0);
    let slots = Box::leak(Box::new(Slot::new()));
    let free = FreeSlots { next: AtomicU32::new(0), resting: Mutex::default(), lanes: Mutex::default() };
    let table = Handles { slots, capacity: 1, cookie: 0, process: 0, mark: std::ptr::null(), free };
    let table: &'static Handles = Box::leak(Box::new(table));
    TABLE.set(Some(table));
    table
}

/// What tells one object from the next: its number.
trait Numbered: Object<Opaque = u8> {
    fn new(number: u64) -> Self;
    fn number(&self) -> u64;
}

macro_rules! numbered {
    ($name:ident, $type:literal, $use:expr) => {
        struct $name(u64);

        impl Drop for $name {
            fn drop(&mut self) {
                DROPPED.set(DROPPED.get() + 1);
            }
        }

        impl Object for $name {
            type Opaque = u8;
            const TYPE: u8 = $type;
            const NAME: &'static str = "thing";
            const USE: Use = $use;
        }

        impl Numbered for $name {
            fn new(number: u64) -> Self {
                Self(number)
            }

            fn number(&self) -> u64 {
                self.0
            }
        }
    };
}

numbered!(Shared, 200, Use::Together);
numbered!(Everywhere, 201, Use::Everywhere);
numbered!(Lonely, 202, Use::Alone);

/// A handle, as C passes it between its threads.
#[derive(Clone, Copy)]
struct Passed(usize);

impl Passed {
    fn of(handle: *mut u8) -> Self {
        Self(handle.addr())
    }

    fn handle(self) -> *const u8 {
        std::ptr::without_provenance(self.0)
    }
}

fn is_closed<T>(result: &Result<T>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Closed)
}

/// One call with the first handle: its object, whole, for as long as the call lasts, or none; never the next one.
fn call<T: Numbered + Sync>(table: &'static Handles, first: Passed) {
    let held = table.pin::<T>(first.handle());
    match &held {
        Ok(held) => {
            assert_eq!(held.number(), 1, "a handle led to another object");
            thread::yield_now();
            assert_eq!(held.number(), 1, "an object was freed under a call");
        }
        Err(_) => assert!(is_closed(&held), "a freed handle is closed"),
    }
}

/// Frees the first handle and makes the next, which gets its slot once nobody uses it.
fn free_and_make<T: Numbered + Sync>(table: &'static Handles, first: Passed) {
    table.remove::<T>(first.handle()).unwrap();
    assert!(is_closed(&table.pin::<T>(first.handle())), "a freed handle is closed");
    let Ok(next) = table.insert(T::new(2)) else { return };
    assert_ne!(next.addr(), first.0, "a handle of a used slot is another");
    assert_eq!(table.pin::<T>(next).unwrap().number(), 2);
    assert!(is_closed(&table.pin::<T>(first.handle())), "a freed handle is closed");
    table.remove::<T>(next).unwrap();
}

/// Two threads call while a third frees and goes on with the slot.
fn used_while_freed<T: Numbered + Sync>() {
    let runs = check(2, || {
        let table = begin();
        LANE.with(|lane| lane.set(0));
        let first = Passed::of(table.insert(T::new(1)).unwrap());
        let others: Vec<_> = (0..LANES)
            .map(|own| {
                thread::spawn(move || {
                    LANE.with(|lane| lane.set(own));
                    call::<T>(table, first);
                })
            })
            .collect();
        free_and_make::<T>(table, first);
        others.into_iter().for_each(|other| other.join().unwrap());
        // The slot is free again, and each object was dropped once.
        let before = DROPPED.get();
        assert!((1..=2).contains(&before));
        let last = table.insert(T::new(3)).expect("the slot of what was freed is used again");
        table.remove::<T>(last).unwrap();
        assert_eq!(DROPPED.get(), before + 1);
    });
    println!("{runs} runs");
}

#[test]
fn an_object_is_not_freed_under_a_call_and_its_slot_is_used_again() {
    used_while_freed::<Shared>();
}

#[test]
fn an_object_with_lanes_is_not_freed_under_a_call_and_its_slot_is_used_again() {
    used_while_freed::<Everywhere>();
}

#[test]
fn of_two_frees_at_once_one_finds_it_closed() {
    fn both<T: Numbered + Sync>() {
        let runs = check(3, || {
            let table = begin();
            LANE.with(|lane| lane.set(0));
            let first = Passed::of(table.insert(T::new(1)).unwrap());
            let held = table.pin::<T>(first.handle()).unwrap();
            let other = thread::spawn(move || table.remove::<T>(first.handle()).is_ok());
            let freed = table.remove::<T>(first.handle()).is_ok();
            assert_eq!(held.number(), 1);
            drop(held);
            let freed_there = other.join().unwrap();
            assert!(freed != freed_there, "of two frees one is too late");
            assert_eq!(DROPPED.get(), 1);
        });
        println!("{runs} runs");
    }
    both::<Shared>();
    both::<Everywhere>();
}

#[test]
fn what_is_used_alone_is_given_to_one_call_at_a_time_also_beside_a_free() {
    let runs = check(2, || {
        let table = begin();
        let first = Passed::of(table.insert(Lonely(1)).unwrap());
        let change = move || match table.hold::<Lonely>(first.handle()) {
            Ok(mut held) => {
                let seen = held.0;
                thread::yield_now();
                held.0 = seen + 1;
                true
            }
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Busy | ErrorKind::Closed), "{error}");
                false
            }
        };
        let others: Vec<_> = (0..2).map(|_| thread::spawn(change)).collect();
        let changed = change();
        let freed = table.remove::<Lonely>(first.handle());
        assert!(freed.is_ok());
        let changes =
            others.into_iter().map(|other| u64::from(other.join().unwrap())).sum::<u64>() + u64::from(changed);
        assert!(changes > 0, "nobody got it");
        assert_eq!(DROPPED.get(), 1);
    });
    println!("{runs} runs");
}
