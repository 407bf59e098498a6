//! Handles: what C holds instead of pointers. Called by `boundary` and by every exported function.
//!
//! A handle's value is {generation 32, type 8, index 24} xor a random cookie of the process; it is never dereferenced.
//! The index names a slot of one reserved mapping that never shrinks, so that any bit pattern is safe to check.
//!
//! A slot's word is {generation 32, type 8, uses 24}. A call raises `uses` in the same compare-and-swap that checks generation
//! and type, and lowers it when it ends; a free puts the next generation in, so that nobody enters any more, and the object goes
//! with the last user. Check and pin are therefore one step that no free can come between, and cost two atomic operations a
//! call. What many threads share has a word for each lane of threads, on cache lines of their own.
//!
//! Promises:
//! 1. A handle that was freed gives Closed, one of another type or of no table InvalidArgument, one from before a fork Forked.
//! 2. A free on another thread never pulls the object away from under a call. The object goes at once when no call uses it,
//!    else with the last call that does.
//! 3. An object that one thread at a time may use is given to one call at a time: the others get Busy.
//! 4. A slot is used again only after its object is gone, first in, first out.
//!
//! `models.rs` tries the orders of its threads' steps, on this very code.
//!
//! This module may use `unsafe`: it turns a checked slot back into the typed object that was stored in it.

mod table;

pub(crate) use self::table::table;
use engine::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, fence, reads, wrote};
use engine::lock::Mutex;
use engine::{Error, ErrorKind, Result};
use std::cell::{Cell, UnsafeCell};
use std::collections::VecDeque;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::AtomicUsize;

#[cfg(not(target_pointer_width = "64"))]
compile_error!("a handle needs 64 bits");

/// Who uses an object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// One thread at a time: [`Handles::hold`] alone gives it out.
    Alone,
    /// Any thread, but seldom many at once.
    Together,
    /// Many threads all the time: uses are counted by lanes.
    Everywhere,
}

/// A type of object that handles stand for.
pub(crate) trait Object: Send + Sized + 'static {
    /// What C calls it.
    type Opaque;
    /// Its number in handles; 0 is a free slot.
    const TYPE: u8;
    /// Its name in messages.
    const NAME: &'static str;
    /// Who uses it.
    const USE: Use = Use::Together;
}

/// How many lanes of threads there are.
const LANES: usize = if cfg!(loom) { 2 } else { 8 };

/// One lane's word, alone on its cache lines.
#[repr(C, align(128))]
struct Lane {
    word: AtomicU64,
    slot: &'static Slot,
}

/// What a handle's index leads to. Zeroed memory is a slot that was never used.
#[repr(C)]
struct Slot {
    /// {generation 32, type 8, uses 24}; type 0: free, or freed and waiting for the last user. `uses` is counted in the lanes
    /// instead if there are any.
    word: AtomicU64,
    object: AtomicPtr<c_void>,
    /// `LANES` words like `word`; made with the first `Use::Everywhere` object of this slot and then never freed.
    lanes: AtomicPtr<Lane>,
    /// Which process, counted by forks, made the object.
    process: AtomicU32,
    /// How many lanes still have or can get users.
    open_lanes: AtomicU32,
    /// Where a small object lies, so that pinning a value allocates nothing.
    room: UnsafeCell<Room>,
}

/// Space for a pinned value, which makes a slot one cache line.
type Room = MaybeUninit<[u64; 4]>;

#[cfg(not(loom))]
const _: () = assert!(size_of::<Slot>() == 64);

/// Whether an object lies in its slot.
const fn fits<T>() -> bool {
    size_of::<T>() <= size_of::<Room>() && align_of::<T>() <= align_of::<Room>()
}

const INDEX_BITS: u32 = 24;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
const USES_MASK: u64 = INDEX_MASK;
const TYPE_MASK: u64 = 0xff << INDEX_BITS;
const READY: u32 = 1;

/// Freed slots rest until this many wait, so that a stale handle is told from a live one for long.
const RESTING_SLOTS: usize = 1024;

/// The table of one process. Made once, and once more in each forked child that calls the library; never freed.
pub(crate) struct Handles {
    slots: *const Slot,
    capacity: u32,
    cookie: u64,
    /// Counts forks from the process that loaded the library.
    process: u32,
    /// `READY`, on a page that the kernel wipes on fork.
    mark: *const std::sync::atomic::AtomicU32,
    free: FreeSlots,
}

/// Which slots can be taken: on cache lines of its own, since every call reads what stands beside it.
#[repr(align(128))]
struct FreeSlots {
    /// From here on no slot was ever used.
    next: AtomicU32,
    resting: Mutex<VecDeque<u32>>,
    /// All lanes there are, so that a leak checker, which does not look into the slots, sees that they are not lost.
    lanes: Mutex<Vec<&'static [Lane; LANES]>>,
}

// SAFETY: the raw pointers lead to mappings that are never unmapped once the table is published, and hold atomics only, but
// for the room of a slot, which belongs to who took the slot, and then to the users of its object.
unsafe impl Send for Handles {}
// SAFETY: as above.
unsafe impl Sync for Handles {}

#[cfg(not(loom))]
thread_local! {
    /// This thread's lane. A plain number: nothing runs at thread exit.
    static LANE: Cell<usize> = const { Cell::new(usize::MAX) };
}

#[cfg(loom)]
loom::thread_local! {
    static LANE: Cell<usize> = Cell::new(usize::MAX);
}

#[inline(always)]
fn lane() -> usize {
    #[cold]
    fn next() -> usize {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let lane = NEXT.fetch_add(1, Ordering::Relaxed) % LANES;
        LANE.with(|own| own.set(lane));
        lane
    }
    let lane = LANE.with(Cell::get);
    if lane < LANES { lane } else { next() }
}

/// The use of an object by one call. Dropping it ends the use.
pub(crate) struct Held<T: Object> {
    /// Of the slot, or of one of its lanes.
    word: &'static AtomicU64,
    object: NonNull<T>,
}

impl<T: Object> Deref for Held<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        reads(self.object.as_ptr());
        // SAFETY: the object stays while `word` counts this use, and only `hold` of a type used `Alone` gives it out mutably,
        // to one user at a time.
        unsafe { self.object.as_ref() }
    }
}

impl<T: Object> DerefMut for Held<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        const { assert!(matches!(T::USE, Use::Alone), "only what is used alone can be changed") };
        wrote(self.object.as_ptr());
        // SAFETY: an object used `Alone` has one `Held` at a time (`hold`), and that is borrowed mutably.
        unsafe { self.object.as_mut() }
    }
}

impl<T: Object> Drop for Held<T> {
    #[inline]
    fn drop(&mut self) {
        // Release: what this call did to the object happens before it goes.
        let word = self.word.fetch_sub(1, Ordering::Release);
        if word & (TYPE_MASK | USES_MASK) == 1 {
            leave_freed::<T>(self.word);
        }
    }
}

/// A live handle's slot, as far as the slot's own word tells.
struct Found {
    slot: &'static Slot,
    index: u32,
    /// The word without uses.
    word: u64,
}

impl Handles {
    /// Counts forks: another number in every child.
    pub(crate) fn process(&self) -> u32 {
        self.process
    }

    #[inline]
    fn slot(&self, index: u32) -> &'static Slot {
        debug_assert!(index < self.capacity);
        // SAFETY: every index comes from `take_index` or was compared with the capacity, and the mapping is zeroed memory of that many slots that is never unmapped.
        unsafe { &*self.slots.add(index as usize) }
    }

    fn take_index(&self) -> Result<u32> {
        let mut resting = self.free.resting.lock();
        let next = self.free.next.load(Ordering::Relaxed);
        if (resting.len() > RESTING_SLOTS || next >= self.capacity)
            && let Some(index) = resting.pop_front()
        {
            return Ok(index);
        }
        if next >= self.capacity {
            return Err(Error::new(ErrorKind::NoMemory, format!("{next} handles are open: no more can be made")));
        }
        self.free.next.store(next + 1, Ordering::Relaxed);
        Ok(next)
    }

    /// A new handle for `object`.
    pub(crate) fn insert<T: Object>(&self, object: T) -> Result<*mut T::Opaque> {
        let index = self.take_index()?;
        let slot = self.slot(index);
        let mut generation = slot.word.load(Ordering::Relaxed) >> 32;
        let typed = |generation: u64| generation << 32 | u64::from(T::TYPE) << INDEX_BITS;
        if (typed(generation) | u64::from(index)) ^ self.cookie == 0 {
            // No handle may look like NULL.
            generation += 1;
        }
        let word = typed(generation);
        let place = if fits::<T>() {
            let room = slot.room.get().cast::<T>();
            // SAFETY: the room is large enough and aligned, and the slot is free and ours: nobody looks into it before its
            // word is stored.
            unsafe { room.write(object) };
            room
        } else {
            Box::into_raw(Box::new(object))
        };
        wrote(place);
        slot.object.store(place.cast(), Ordering::Relaxed);
        slot.process.store(self.process, Ordering::Relaxed);
        if T::USE == Use::Everywhere {
            for lane in slot.make_lanes(&self.free.lanes) {
                lane.word.store(word, Ordering::Relaxed);
            }
            slot.open_lanes.store(LANES as u32, Ordering::Relaxed);
        }
        slot.word.store(word, Ordering::Release);
        Ok(std::ptr::without_provenance_mut(((word | u64::from(index)) ^ self.cookie) as usize))
    }

    /// The slot of `handle`, if that is a handle of this type. Its word may change at any time: enter with a swap.
    #[inline(always)]
    fn find<T: Object>(&self, handle: *const T::Opaque) -> Result<Found> {
        if handle.is_null() {
            return Err(refuse_null::<T>());
        }
        let value = handle.addr() as u64 ^ self.cookie;
        let index = (value & INDEX_MASK) as u32;
        if (value >> INDEX_BITS) as u8 != T::TYPE || index >= self.capacity {
            return Err(refuse_foreign::<T>());
        }
        let slot = self.slot(index);
        let found = Found { slot, index, word: value & !INDEX_MASK };
        let word = slot.word.load(Ordering::Acquire);
        if word & !USES_MASK != found.word {
            return Err(refuse_stale::<T>(found.word, word));
        }
        // A slot that was live at a fork keeps its object in the child, and is never used again there.
        if slot.process.load(Ordering::Relaxed) != self.process { Err(refuse_forked::<T>()) } else { Ok(found) }
    }

    /// The object that `handle` stands for, beside other users.
    // Always inlined, as is what stands between here and an exported function: a result of several words that is returned
    // through memory and copied at once waits for its own stores, which costs more than the whole check.
    #[inline(always)]
    pub(crate) fn pin<T: Object + Sync>(&'static self, handle: *const T::Opaque) -> Result<Held<T>> {
        const { assert!(!matches!(T::USE, Use::Alone), "hold what is used alone") };
        let found = self.find::<T>(handle)?;
        let word = if T::USE == Use::Everywhere { &found.slot.lanes()[lane()].word } else { &found.slot.word };
        let mut seen = word.load(Ordering::Relaxed);
        loop {
            if seen & !USES_MASK != found.word {
                return Err(refuse_stale::<T>(found.word, seen));
            }
            match word.compare_exchange_weak(seen, seen + 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Ok(Held { word, object: found.slot.object() }),
                Err(now) => seen = now,
            }
        }
    }

    /// The object that `handle` stands for, to this user alone; Busy while there is another.
    #[inline(always)]
    pub(crate) fn hold<T: Object>(&'static self, handle: *const T::Opaque) -> Result<Held<T>> {
        const { assert!(matches!(T::USE, Use::Alone), "pin what is shared") };
        let found = self.find::<T>(handle)?;
        let word = &found.slot.word;
        match word.compare_exchange(found.word, found.word + 1, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => Ok(Held { word, object: found.slot.object() }),
            Err(now) if now & !USES_MASK == found.word => Err(refuse_second::<T>()),
            Err(now) => Err(refuse_stale::<T>(found.word, now)),
        }
    }

    /// Ends a handle; its object goes now, or with the last call that uses it. Of two frees at once one gives Closed.
    pub(crate) fn remove<T: Object>(&'static self, handle: *const T::Opaque) -> Result<()> {
        let Found { slot, index, word } = self.find::<T>(handle)?;
        let freed = ((word >> 32) + 1) << 32;
        // Acquire: what the calls that ended did to the object happens before it goes.
        let free = |place: &AtomicU64| {
            place.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |seen| {
                (seen & !USES_MASK == word).then_some(freed | seen & USES_MASK)
            })
        };
        let mut unused = match free(&slot.word) {
            Ok(seen) => seen & USES_MASK == 0,
            Err(seen) => return Err(refuse_stale::<T>(word, seen)),
        };
        if T::USE == Use::Everywhere {
            let idle =
                slot.lanes().iter().filter(|lane| free(&lane.word).is_ok_and(|seen| seen & USES_MASK == 0)).count();
            unused = idle > 0 && slot.open_lanes.fetch_sub(idle as u32, Ordering::AcqRel) == idle as u32;
        }
        if unused {
            self.release::<T>(slot, index);
        }
        Ok(())
    }

    /// Requires: the slot holds a `T`, was freed, has no users, and this is called once.
    fn release<T: Object>(&self, slot: &Slot, index: u32) {
        let object = slot.object.swap(std::ptr::null_mut(), Ordering::Relaxed).cast::<T>();
        wrote(object);
        // SAFETY: `insert::<T>` put the object into the room or a box, as `fits` says; the handle was freed, so nobody enters,
        // and the last user has left.
        unsafe {
            if fits::<T>() {
                object.drop_in_place();
            } else {
                drop(Box::from_raw(object));
            }
        }
        // A slot whose generations are used up, or went round to 0, is given up.
        if (1..u64::from(u32::MAX)).contains(&(slot.word.load(Ordering::Relaxed) >> 32)) {
            self.free.resting.lock().push_back(index);
        }
    }
}

/// The last use of a freed object, or of one of its lanes, has ended. Requires: `word` is that of a `Held<T>`.
#[cold]
fn leave_freed<T: Object>(word: &'static AtomicU64) {
    fence(Ordering::Acquire);
    let word = std::ptr::from_ref(word);
    let slot = if T::USE == Use::Everywhere {
        // SAFETY: `pin` of a type used everywhere takes the first field of a lane, and lanes are never freed.
        let slot = unsafe { (*word.cast::<Lane>()).slot };
        if slot.open_lanes.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        slot
    } else {
        // SAFETY: `pin` and `hold` of other types take the first field of a slot, which lies in a mapping that stays.
        unsafe { &*word.cast::<Slot>() }
    };
    if let Some(table) = table() {
        // SAFETY: both pointers lead into the one mapping of slots.
        let index = unsafe { std::ptr::from_ref(slot).offset_from(table.slots) };
        table.release::<T>(slot, index as u32);
    }
}

impl Slot {
    /// The object. Requires: `T` is what the word names, and the caller is counted in its uses.
    #[inline(always)]
    fn object<T: Object>(&self) -> NonNull<T> {
        let object = self.object.load(Ordering::Relaxed).cast::<T>();
        debug_assert!(!object.is_null());
        // SAFETY: `insert::<T>` stored where the object lies before the word, and nobody takes it out while it has users.
        unsafe { NonNull::new_unchecked(object) }
    }

    /// The lanes. Requires: the slot holds or held a `Use::Everywhere` object.
    #[inline(always)]
    fn lanes(&self) -> &'static [Lane; LANES] {
        let lanes = self.lanes.load(Ordering::Relaxed);
        debug_assert!(!lanes.is_null());
        // SAFETY: whoever calls saw, with Acquire, the word of an object that was stored after `make_lanes`, which leaks them.
        unsafe { &*lanes.cast() }
    }

    /// The lanes, made if there are none. Requires: the slot is free and the caller's.
    fn make_lanes(&'static self, made: &Mutex<Vec<&'static [Lane; LANES]>>) -> &'static [Lane; LANES] {
        if self.lanes.load(Ordering::Relaxed).is_null() {
            let lanes = [(); LANES].map(|()| Lane { word: AtomicU64::new(0), slot: self });
            let lanes: &'static [Lane; LANES] = Box::leak(Box::new(lanes));
            made.lock().push(lanes);
            self.lanes.store(lanes.as_ptr().cast_mut(), Ordering::Relaxed);
        }
        self.lanes()
    }
}

#[cold]
fn refuse_null<T: Object>() -> Error {
    Error::invalid(format!("the {} is NULL", T::NAME))
}

#[cold]
fn refuse_foreign<T: Object>() -> Error {
    Error::invalid(format!(
        "the {} is not one: it was not made by this library, or is a handle of another type",
        T::NAME
    ))
}

#[cold]
fn refuse_forked<T: Object>() -> Error {
    let message = format!("the {} was made before a fork; this process is the child", T::NAME);
    Error::new(ErrorKind::Forked, message)
}

#[cold]
fn refuse_second<T: Object>() -> Error {
    Error::new(ErrorKind::Busy, format!("another thread is using the {} right now", T::NAME))
}

/// For a handle that is {generation, type} `expected` where the slot says `word`.
#[cold]
fn refuse_stale<T: Object>(expected: u64, word: u64) -> Error {
    if expected >> 32 < word >> 32 {
        Error::new(ErrorKind::Closed, format!("the {} was freed or closed", T::NAME))
    } else {
        refuse_foreign::<T>()
    }
}

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;
