//! What the C interface adds to a call: the shipped library, loaded as an application loads it, against the same calls of the
//! Rust interface.
//!
//! Both sides have a database of their own with the same few keys, small enough for the processor's caches. They take turns of
//! 10,000 calls (of 1,000 where a call takes long), and which one begins alternates, so that whatever slows the machine down slows both. The figure is the median
//! of the differences of neighbouring turns. `scripts/boundary` runs this under callgrind too and counts instructions: each side
//! of each operation is a function of its own that is never inlined.
//!
//! This module may use `unsafe`: it calls functions of a library that it found by name.
#![allow(unsafe_code)]

use crate::data::{Keys, Shape, VALUE_BYTES, Values};
use crate::measure::{Goal, Row, timed};
use crate::write::{fill, quiet_options, with_new};
use crate::{Plan, Result};
use sstore::{ColumnFamily, Db, DbIterator, EntryBatch, IterOptions, ReadOptions, WriteBatch, WriteOptions};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::hint::black_box;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU64, Ordering};

/// Keys of either database: some 120 KiB with their values.
const KEYS: usize = 1_000;
/// How many turns of how many calls make one figure.
#[derive(Clone, Copy)]
struct Turns {
    turns: usize,
    calls: usize,
}
const READS: Turns = Turns { turns: 30, calls: 10_000 };
/// With `--quick`; `scripts/boundary`, which counts instructions, divides by it.
const QUICK_TURNS: usize = 3;
/// Writes use memory up, and some turns pay for pages and segments; long calls make long turns, which other programs interrupt:
/// short turns keep that out of most of them.
const SHORT: Turns = Turns { turns: 100, calls: 1_000 };
/// Entries asked for by one call of an iterator.
const BATCH: usize = 10;
/// What a call may cost more than in Rust, in nanoseconds.
const GOAL_NANOS: f64 = 20.0;

type Opaque = *mut c_void;

/// Bytes as C sees them.
#[repr(C)]
#[derive(Clone, Copy)]
struct Slice {
    data: *const c_void,
    len: usize,
}

/// The functions that are measured or needed for it, as include/sstore.h declares them.
struct Library {
    options_create: unsafe extern "C" fn(*mut Opaque, *mut Opaque) -> c_int,
    options_set: unsafe extern "C" fn(Opaque, *const c_char, *const c_char, *mut Opaque) -> c_int,
    options_free: unsafe extern "C" fn(Opaque),
    open: unsafe extern "C" fn(*const c_char, Opaque, *mut Opaque, *mut Opaque) -> c_int,
    release: unsafe extern "C" fn(Opaque),
    error_message: unsafe extern "C" fn(Opaque) -> *const c_char,
    family_open: unsafe extern "C" fn(Opaque, *const c_char, *mut Opaque, *mut Opaque) -> c_int,
    family_free: unsafe extern "C" fn(Opaque),
    put: unsafe extern "C" fn(
        Opaque,
        Opaque,
        *const c_void,
        *const c_void,
        usize,
        *const c_void,
        usize,
        *mut u64,
        *mut Opaque,
    ) -> c_int,
    batch_create: unsafe extern "C" fn(*mut Opaque, *mut Opaque) -> c_int,
    batch_put: unsafe extern "C" fn(Opaque, Opaque, *const c_void, usize, *const c_void, usize, *mut Opaque) -> c_int,
    batch_free: unsafe extern "C" fn(Opaque),
    write: unsafe extern "C" fn(Opaque, *const c_void, Opaque, *mut u64, *mut Opaque) -> c_int,
    get_into: unsafe extern "C" fn(
        Opaque,
        Opaque,
        *const c_void,
        *const c_void,
        usize,
        *mut c_void,
        usize,
        *mut usize,
        *mut Opaque,
    ) -> c_int,
    get_pinned: unsafe extern "C" fn(
        Opaque,
        Opaque,
        *const c_void,
        *const c_void,
        usize,
        *mut Opaque,
        *mut Slice,
        *mut u64,
        *mut Opaque,
    ) -> c_int,
    pinned_free: unsafe extern "C" fn(Opaque),
    iterator_create: unsafe extern "C" fn(Opaque, Opaque, *const c_void, *mut Opaque, *mut Opaque) -> c_int,
    iterator_seek_to_first: unsafe extern "C" fn(Opaque, *mut Opaque) -> c_int,
    iterator_next: unsafe extern "C" fn(Opaque, *mut Opaque) -> c_int,
    iterator_next_batch:
        unsafe extern "C" fn(Opaque, *mut Slice, *mut Slice, usize, usize, *mut usize, *mut Opaque) -> c_int,
    iterator_free: unsafe extern "C" fn(Opaque),
}

/// A function pointer of type `T` to the symbol `name`. Requires: `T` is a function pointer as the header declares it.
unsafe fn symbol<T: Copy>(library: *mut c_void, name: &CStr) -> Result<T> {
    assert_eq!(size_of::<T>(), size_of::<*mut c_void>());
    // SAFETY: the handle is that of an open library and the name is terminated.
    let found = unsafe { libc::dlsym(library, name.as_ptr()) };
    if found.is_null() {
        return Err(format!("the library has no {}", name.to_string_lossy()).into());
    }
    // SAFETY: not NULL, and of the size of a pointer; the caller vouches for the type.
    Ok(unsafe { std::mem::transmute_copy(&found) })
}

impl Library {
    /// Loads the library that was built beside this program.
    fn load() -> Result<Self> {
        let path = std::env::current_exe()?.with_file_name("libsstore.so");
        let name = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: the library's initialisation touches nothing of this program's.
        let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if library.is_null() {
            return Err(format!("{}: build it first: cargo build --release -p sstore-ffi", path.display()).into());
        }
        // SAFETY: the types of the fields are those of the header.
        unsafe {
            Ok(Self {
                options_create: symbol(library, c"sstore_options_create")?,
                options_set: symbol(library, c"sstore_options_set")?,
                options_free: symbol(library, c"sstore_options_free")?,
                open: symbol(library, c"sstore_open")?,
                release: symbol(library, c"sstore_release")?,
                error_message: symbol(library, c"sstore_error_message")?,
                family_open: symbol(library, c"sstore_column_family_open")?,
                family_free: symbol(library, c"sstore_column_family_free")?,
                put: symbol(library, c"sstore_put")?,
                batch_create: symbol(library, c"sstore_batch_create")?,
                batch_put: symbol(library, c"sstore_batch_put")?,
                batch_free: symbol(library, c"sstore_batch_free")?,
                write: symbol(library, c"sstore_write")?,
                get_into: symbol(library, c"sstore_get_into")?,
                get_pinned: symbol(library, c"sstore_get_pinned")?,
                pinned_free: symbol(library, c"sstore_pinned_free")?,
                iterator_create: symbol(library, c"sstore_iterator_create")?,
                iterator_seek_to_first: symbol(library, c"sstore_iterator_seek_to_first")?,
                iterator_next: symbol(library, c"sstore_iterator_next")?,
                iterator_next_batch: symbol(library, c"sstore_iterator_next_batch")?,
                iterator_free: symbol(library, c"sstore_iterator_free")?,
            })
        }
    }
}

/// What both sides work with.
struct Work {
    keys: Keys,
    values: Values,
}

impl Work {
    /// A key for each call.
    fn keys(&self, calls: usize) -> impl Iterator<Item = &[u8]> {
        (0..calls).map(|call| self.keys.get(call % KEYS))
    }
}

/// The Rust interface.
struct Rust<'a> {
    work: &'a Work,
    db: &'a Db,
    family: &'a ColumnFamily,
    batch: WriteBatch,
    iterator: DbIterator,
    entries: EntryBatch,
}

impl<'a> Rust<'a> {
    fn new(work: &'a Work, db: &'a Db, family: &'a ColumnFamily) -> Result<Self> {
        fill(db, family, &work.keys, &work.values)?;
        let mut batch = WriteBatch::new();
        batch.put(family.id(), work.keys.get(0), work.values.get(0))?;
        let iterator = db.iterator(family, IterOptions::default())?;
        Ok(Self { work, db, family, batch, iterator, entries: EntryBatch::new() })
    }

    #[inline(never)]
    fn get_into(&mut self, calls: usize) -> Result<()> {
        let (options, mut buffer) = (ReadOptions::default(), [0; VALUE_BYTES]);
        for key in self.work.keys(calls) {
            let len = self.db.get_into(self.family, key, &mut buffer, &options)?;
            black_box(&buffer);
            len.ok_or("not found")?;
        }
        Ok(())
    }

    #[inline(never)]
    fn get_pinned(&mut self, calls: usize) -> Result<()> {
        let options = ReadOptions::default();
        for key in self.work.keys(calls) {
            drop(black_box(self.db.get(self.family, key, &options)?).ok_or("not found")?);
        }
        Ok(())
    }

    #[inline(never)]
    fn put(&mut self, calls: usize) -> Result<()> {
        let (options, value) = (WriteOptions::default(), self.work.values.get(0));
        for key in self.work.keys(calls) {
            black_box(self.db.put(self.family, key, value, &options)?);
        }
        Ok(())
    }

    #[inline(never)]
    fn write(&mut self, calls: usize) -> Result<()> {
        let options = WriteOptions::default();
        for _ in 0..calls {
            black_box(self.db.write(&self.batch, &options)?);
        }
        Ok(())
    }

    #[inline(never)]
    fn next(&mut self, calls: usize) -> Result<()> {
        for _ in 0..calls {
            if !self.iterator.is_valid() || !self.iterator.next()? {
                self.iterator.seek_to_first()?;
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn next_batch(&mut self, calls: usize) -> Result<()> {
        for _ in 0..calls {
            if self.iterator.next_batch(&mut self.entries, BATCH, usize::MAX)? == 0 {
                self.iterator.seek_to_first()?;
            }
            black_box(&self.entries);
        }
        Ok(())
    }
}

/// The C interface.
struct ThroughC<'a> {
    work: &'a Work,
    library: &'a Library,
    db: Opaque,
    /// NULL stands for the default family, as most programs have it.
    family: Opaque,
    named: Opaque,
    batch: Opaque,
    iterator: Opaque,
    error: Opaque,
}

impl<'a> ThroughC<'a> {
    fn new(work: &'a Work, library: &'a Library, path: &Path) -> Result<Self> {
        let none = null_mut();
        let mut c =
            Self { work, library, db: none, family: none, named: none, batch: none, iterator: none, error: none };
        let path = CString::new(path.as_os_str().as_bytes())?;
        let mut options = null_mut();
        // SAFETY: every pointer is to a variable of the type that the header asks for, and texts are terminated.
        unsafe {
            let code = (library.options_create)(&raw mut options, &raw mut c.error);
            c.must(code)?;
            for (name, value) in
                [(c"write_buffer_bytes", c"1GiB"), (c"memory_budget_bytes", c"4GiB"), (c"wal_total_bytes", c"8GiB")]
            {
                let code = (library.options_set)(options, name.as_ptr(), value.as_ptr(), &raw mut c.error);
                c.must(code)?;
            }
            let code = (library.options_set)(options, c"auto_compaction".as_ptr(), c"false".as_ptr(), &raw mut c.error);
            c.must(code)?;
            let code = (library.options_set)(options, c"flush_on_close".as_ptr(), c"false".as_ptr(), &raw mut c.error);
            c.must(code)?;
            let code = (library.open)(path.as_ptr(), options, &raw mut c.db, &raw mut c.error);
            c.must(code)?;
            (library.options_free)(options);
            let code = (library.family_open)(c.db, c"default".as_ptr(), &raw mut c.named, &raw mut c.error);
            c.must(code)?;
        }
        for (index, key) in work.keys.iter().enumerate() {
            c.put_one(key, work.values.get(index))?;
        }
        let (key, value) = (work.keys.get(0), work.values.get(0));
        // SAFETY: as above; key and value are live slices of the lengths given.
        unsafe {
            let code = (library.batch_create)(&raw mut c.batch, &raw mut c.error);
            c.must(code)?;
            let (key_data, value_data) = (key.as_ptr().cast(), value.as_ptr().cast());
            let code = (library.batch_put)(
                c.batch,
                null_mut(),
                key_data,
                key.len(),
                value_data,
                value.len(),
                &raw mut c.error,
            );
            c.must(code)?;
            let code = (library.iterator_create)(c.db, null_mut(), null(), &raw mut c.iterator, &raw mut c.error);
            c.must(code)?;
        }
        Ok(c)
    }

    fn must(&self, code: c_int) -> Result<()> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: the function takes any handle, also NULL, and gives a text that lives until the error is freed.
        let message = unsafe { CStr::from_ptr((self.library.error_message)(self.error)) };
        Err(format!("code {code}: {}", message.to_string_lossy()).into())
    }

    #[inline(always)]
    fn put_one(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let (key_data, value_data, none) = (key.as_ptr().cast(), value.as_ptr().cast(), null());
        let error = &raw mut self.error;
        // SAFETY: key and value are live slices of the lengths given; NULL is allowed for options and sequence.
        let code = unsafe {
            let put = self.library.put;
            put(self.db, self.family, none, key_data, key.len(), value_data, value.len(), null_mut(), error)
        };
        self.must(code)
    }

    #[inline(never)]
    fn get_into(&mut self, calls: usize) -> Result<()> {
        let (mut buffer, mut len) = ([0u8; VALUE_BYTES], 0);
        for key in self.work.keys(calls) {
            let error = &raw mut self.error;
            // SAFETY: key and buffer are live slices of the lengths given; NULL is allowed for the options.
            let code = unsafe {
                let (get, into) = (self.library.get_into, buffer.as_mut_ptr().cast());
                let key_data = key.as_ptr().cast();
                get(self.db, self.family, null(), key_data, key.len(), into, VALUE_BYTES, &raw mut len, error)
            };
            black_box(&buffer);
            self.must(code)?;
        }
        Ok(())
    }

    #[inline(never)]
    fn get_pinned(&mut self, calls: usize) -> Result<()> {
        let (mut pinned, mut value) = (null_mut(), Slice { data: null(), len: 0 });
        for key in self.work.keys(calls) {
            let error = &raw mut self.error;
            // SAFETY: the key is a live slice of the length given; NULL is allowed for options and sequence.
            let code = unsafe {
                let (get, key_data) = (self.library.get_pinned, key.as_ptr().cast());
                let (pinned, value) = (&raw mut pinned, &raw mut value);
                get(self.db, self.family, null(), key_data, key.len(), pinned, value, null_mut(), error)
            };
            self.must(code)?;
            black_box(&value);
            // SAFETY: the handle is freed once.
            unsafe { (self.library.pinned_free)(pinned) };
        }
        Ok(())
    }

    #[inline(never)]
    fn put(&mut self, calls: usize) -> Result<()> {
        let value = self.work.values.get(0);
        for key in self.work.keys(calls) {
            self.put_one(key, value)?;
        }
        Ok(())
    }

    #[inline(never)]
    fn write(&mut self, calls: usize) -> Result<()> {
        for _ in 0..calls {
            let error = &raw mut self.error;
            // SAFETY: NULL is allowed for options and sequence.
            let code = unsafe { (self.library.write)(self.db, null(), self.batch, null_mut(), error) };
            self.must(code)?;
        }
        Ok(())
    }

    #[inline(never)]
    fn next(&mut self, calls: usize) -> Result<()> {
        let mut valid = false;
        for _ in 0..calls {
            let error = &raw mut self.error;
            // SAFETY: the iterator is not used by another thread.
            let code = unsafe {
                if valid {
                    (self.library.iterator_next)(self.iterator, error)
                } else {
                    (self.library.iterator_seek_to_first)(self.iterator, error)
                }
            };
            valid = code == 0;
            if code != 1 {
                self.must(code)?;
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn next_batch(&mut self, calls: usize) -> Result<()> {
        let empty = Slice { data: null(), len: 0 };
        let (mut keys, mut values, mut count) = ([empty; BATCH], [empty; BATCH], 0);
        for _ in 0..calls {
            let error = &raw mut self.error;
            // SAFETY: both arrays have as many elements as the capacity says; no other thread uses the iterator.
            let code = unsafe {
                let (next, keys, values) = (self.library.iterator_next_batch, keys.as_mut_ptr(), values.as_mut_ptr());
                next(self.iterator, keys, values, BATCH, 0, &raw mut count, error)
            };
            black_box((&keys, &values));
            if code == 1 {
                // SAFETY: as above.
                let code = unsafe { (self.library.iterator_seek_to_first)(self.iterator, &raw mut self.error) };
                self.must(code)?;
            } else {
                self.must(code)?;
            }
        }
        Ok(())
    }
}

impl Drop for ThroughC<'_> {
    fn drop(&mut self) {
        // SAFETY: each handle was made by this library or is NULL, and is freed once.
        unsafe {
            (self.library.iterator_free)(self.iterator);
            (self.library.batch_free)(self.batch);
            (self.library.family_free)(self.named);
            (self.library.release)(self.db);
        }
    }
}

type Turn<S> = fn(&mut S, usize) -> Result<()>;

/// The rows of one operation, which is `weight` calls.
fn compare<'a>(
    plan: &Plan,
    name: &str,
    weight: f64,
    Turns { turns, calls }: Turns,
    (rust, in_rust): (&mut Rust<'a>, Turn<Rust<'a>>),
    (c, through_c): (&mut ThroughC<'a>, Turn<ThroughC<'a>>),
) -> Result<[Row; 2]> {
    let median = |mut figures: Vec<f64>| {
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let turns = if plan.rounds == 1 { QUICK_TURNS } else { turns };
    in_rust(rust, calls)?;
    through_c(c, calls)?;
    let (mut bare, mut added) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        let (mut alone, mut differences) = (Vec::new(), Vec::new());
        for turn in 0..turns {
            let (first, second);
            if turn % 2 == 0 {
                first = timed(|| in_rust(rust, calls));
                second = timed(|| through_c(c, calls));
            } else {
                second = timed(|| through_c(c, calls));
                first = timed(|| in_rust(rust, calls));
            }
            first.1?;
            second.1?;
            alone.push(first.0 / calls as f64 * 1e9);
            differences.push((second.0 - first.0) / calls as f64 * 1e9);
        }
        bare.push(median(alone));
        added.push(median(differences));
    }
    Ok([
        Row::new(format!("{name}, in Rust"), "ns", Goal::None, bare),
        Row::new(format!("{name}, what C adds"), "ns", Goal::AtMost(GOAL_NANOS * weight), added),
    ])
}

/// What it costs to count the uses of two handles in and out, and nothing else: a compare-and-swap and a subtraction for each.
/// A call that is given two handles (database and family, database and batch) can add no less.
fn uses(plan: &Plan) -> Row {
    let words = [Word(AtomicU64::new(7 << 32)), Word(AtomicU64::new(9 << 32))];
    let mut figures = Vec::new();
    for _ in 0..plan.rounds {
        let (seconds, ()) = timed(|| {
            for _ in 0..READS.calls * READS.turns {
                for word in black_box(&words) {
                    let seen = word.0.load(Ordering::Relaxed);
                    let _ = word.0.compare_exchange(seen, seen + 1, Ordering::Acquire, Ordering::Relaxed);
                }
                for word in black_box(&words) {
                    word.0.fetch_sub(1, Ordering::Release);
                }
            }
        });
        figures.push(seconds / (READS.calls * READS.turns) as f64 * 1e9);
    }
    Row::new("limit: the uses of two handles counted in and out", "ns", Goal::None, figures)
}

/// A count on cache lines of its own, as a handle has.
#[repr(align(128))]
struct Word(AtomicU64);

/// What each kind of call costs more through C.
pub fn run(plan: &Plan) -> Result<Vec<Row>> {
    let library = Library::load()?;
    let work = Work { keys: Keys::new(Shape::Random, KEYS, 29), values: Values::new(7) };
    let path: PathBuf = plan.dir.join("boundary-c");
    let rows = with_new(&plan.dir.join("boundary-rust"), &quiet_options()?, |db, family| {
        let mut rust = Rust::new(&work, db, family)?;
        let mut c = ThroughC::new(&work, &library, &path)?;
        let mut rows = Vec::new();
        let (rust, c) = (&mut rust, &mut c);
        rows.extend(compare(plan, "get into a buffer", 1.0, READS, (rust, Rust::get_into), (c, ThroughC::get_into))?);
        let pinned = "get pinned and free";
        rows.extend(compare(plan, pinned, 2.0, READS, (rust, Rust::get_pinned), (c, ThroughC::get_pinned))?);
        c.family = c.named;
        let named = "get into a buffer, a family given";
        rows.extend(compare(plan, named, 1.0, READS, (rust, Rust::get_into), (c, ThroughC::get_into))?);
        c.family = null_mut();
        rows.extend(compare(plan, "iterator next", 1.0, READS, (rust, Rust::next), (c, ThroughC::next))?);
        let batches = "iterator next_batch of 10";
        rows.extend(compare(plan, batches, 1.0, SHORT, (rust, Rust::next_batch), (c, ThroughC::next_batch))?);
        rows.extend(compare(plan, "put", 1.0, SHORT, (rust, Rust::put), (c, ThroughC::put))?);
        let write = "write of a batch of 1";
        rows.extend(compare(plan, write, 1.0, SHORT, (rust, Rust::write), (c, ThroughC::write))?);
        rows.push(uses(plan));
        Ok(rows)
    });
    std::fs::remove_dir_all(&path)?;
    rows
}
