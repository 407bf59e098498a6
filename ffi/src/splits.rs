//! Splits: a scan cut into pieces that are bytes, which any process executes that can read the files.

use crate::arrow_abi::{ArrowArrayStream, Movable};
use crate::boundary::Stop;
use crate::bytes::{self, Out, Sized32, sstore_slice};
use crate::scan::sstore_scan;
use crate::status::{sstore_code, sstore_error};
use std::ffi::{c_char, c_void};
#[cfg(feature = "arrow")]
use {
    crate::arrow::{export, objects::ScanObject},
    crate::handle::Object,
    engine::{Split, Splits, env::posix::posix},
};

/// The splits of a scan. As long as it is there, no file that they read is deleted; it does not keep its database open. Once that was
/// closed, opening it again for writing deletes what merges replaced.
/// Thread safety: free. Free with sstore_splits_free, when the splits were executed.
pub struct sstore_splits {
    _opaque: [u8; 0],
}

/// One split. Its bytes live until the sstore_splits object is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_split {
    /// Set by the caller to sizeof(sstore_split).
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// All that sstore_split_execute needs, to be sent wherever it will run.
    pub bytes: sstore_slice,
    /// Rows in the part of the files that it reads, about: versions and deletes, before any filter.
    pub estimated_rows: u64,
    /// Bytes of that part, about.
    pub estimated_bytes: u64,
}

impl Default for sstore_split {
    fn default() -> Self {
        let bytes = sstore_slice::NONE;
        Self { struct_size: size_of::<Self>() as u32, reserved: 0, bytes, estimated_rows: 0, estimated_bytes: 0 }
    }
}

// SAFETY: `repr(C)`, two u32, then a pointer and 64-bit numbers: no padding, any bits are a value.
unsafe impl Sized32 for sstore_split {}

#[cfg(feature = "arrow")]
struct SplitsObject {
    /// Each as bytes, beside what it was made from.
    encoded: Vec<Vec<u8>>,
    splits: Splits,
}

#[cfg(feature = "arrow")]
impl Object for SplitsObject {
    type Opaque = sstore_splits;
    const TYPE: u8 = 18;
    const NAME: &'static str = "splits object";
}

/// Cuts a scan into splits of about `target_bytes` of file each: no two share a row, together they show what the scan shows at
/// this call (or at its snapshot), and in order they have its order. What the table has in memory is flushed first. There are none if
/// nothing is in the range. `*splits` is the caller's; free it with sstore_splits_free. Blocks: waits for the flush. One thread at a time.
/// Errors: INVALID_ARGUMENT (also a scan with a limit), and otherwise those of sstore_scan_execute and of the flush.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_scan_splits(
    scan: *const sstore_scan,
    target_bytes: u64,
    splits: *mut *mut sstore_splits,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(splits, std::ptr::null_mut());
    with_tables!(error, |handles| {
        out.required("splits")?;
        let scan = handles.hold::<ScanObject>(scan)?;
        let splits = scan.db.splits(&scan.table.table, &scan.options, &scan.read_options(), target_bytes)?;
        let encoded = splits.splits.iter().map(Split::encode).collect::<engine::Result<_>>()?;
        out.set(handles.insert(SplitsObject { encoded, splits })?);
        Ok(())
    })
}

/// How many splits; 0 for NULL and for what is no splits object. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_splits_count(splits: *const sstore_splits) -> usize {
    value_with_tables!(0, |handles| Ok(handles.pin::<SplitsObject>(splits)?.encoded.len()))
}

/// The last write that the splits show; 0 for NULL and for what is no splits object. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_splits_sequence(splits: *const sstore_splits) -> u64 {
    value_with_tables!(0, |handles| Ok(handles.pin::<SplitsObject>(splits)?.splits.files.sequence))
}

/// The split at `index`. `*split` must have its struct_size set. Does not block; any thread.
/// Errors: NOT_FOUND (no such index), INVALID_ARGUMENT, CLOSED, NOT_SUPPORTED (a library without tables).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_splits_get(
    splits: *const sstore_splits,
    index: usize,
    split: *mut sstore_split,
    error: *mut *mut sstore_error,
) -> sstore_code {
    with_tables!(error, |handles| {
        bytes::fill(split, sstore_split::default(), "split")?;
        let splits = handles.pin::<SplitsObject>(splits)?;
        let encoded = splits.encoded.get(index).ok_or(Stop::Missing)?;
        let described = &splits.splits.splits[index];
        let filled = sstore_split {
            bytes: sstore_slice::of(encoded),
            estimated_rows: described.estimated_rows,
            estimated_bytes: described.estimated_bytes,
            ..Default::default()
        };
        Ok(bytes::fill(split, filled, "split")?)
    })
}

/// Frees the splits, and lets go of their files. NULL and what was freed already do nothing. May block: deletes files that waited.
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_splits_free(splits: *mut sstore_splits) {
    value_with_tables!((), |handles| handles.remove::<SplitsObject>(splits));
}

/// Executes the split that these bytes are into a stream of the caller's, as sstore_scan_execute does a scan: in any process, without
/// a database handle, beside a writer or without one; only the table's files are read. They are looked for in the database directory
/// `database`; NULL: where the database was opened, a relative path seen from this process. Somebody must keep the files until the call returns: the sstore_splits
/// object, an export, a copy. Bytes of strangers are checked, but name files to be read. May block: reads files. Any thread.
/// Errors: CORRUPTION (no split, or a file of it is gone or not to the byte the one it was), NOT_SUPPORTED, IO,
/// INVALID_ARGUMENT, NO_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_split_execute(
    split: *const c_void,
    split_len: usize,
    database: *const c_char,
    stream: *mut ArrowArrayStream,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(stream, ArrowArrayStream::RELEASED);
    with_tables!(error, |_| {
        out.required("stream")?;
        let mut split = Split::decode(bytes::input(split, split_len, "split")?)?;
        if !database.is_null() {
            split.database = bytes::path(database, "database")?.to_path_buf();
        }
        // Scans read past the cache.
        let rows = split.run(&posix(), 0)?;
        let schema = rows.schema().clone();
        out.set(export::stream(schema, rows));
        Ok(())
    })
}
