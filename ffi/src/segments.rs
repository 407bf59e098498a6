//! Segments: the immutable files that a column family consists of.

#[cfg(feature = "arrow")]
use crate::arrow::objects::table_of;
use crate::boundary::{self, Stop};
use crate::bytes::{self, Out, Sized32, sstore_slice};
use crate::column_family::sstore_column_family;
use crate::handle::Object;
use crate::open::{Database, sstore_db};
use crate::status::{c_text, sstore_code, sstore_error};
use crate::table::sstore_table;
use engine::Segment;
use std::ffi::{CString, c_char};
use std::os::unix::ffi::OsStrExt;

/// The files of a family or a table at one moment. Thread safety: free. Free with sstore_segments_free.
pub struct sstore_segments {
    _opaque: [u8; 0],
}

struct SegmentsObject(Vec<(Segment, CString)>);

impl Object for SegmentsObject {
    type Opaque = sstore_segments;
    const TYPE: u8 = 12;
    const NAME: &'static str = "segments object";
}

impl SegmentsObject {
    fn new(segments: Vec<Segment>) -> Self {
        let with_path = |segment: Segment| {
            let path = c_text(segment.path.as_os_str().as_bytes());
            (segment, path)
        };
        Self(segments.into_iter().map(with_path).collect())
    }
}

/// One file. Path and keys live until the sstore_segments object is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_segment {
    /// Set by the caller to sizeof(sstore_segment).
    pub struct_size: u32,
    /// How often its data was merged: 0 for a file that a flush wrote.
    pub level: u32,
    /// Its number: unique over the whole database.
    pub number: u64,
    /// Its path.
    pub path: *const c_char,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// How many entries it holds, tombstones included.
    pub entries: u64,
    /// How many of them are tombstones.
    pub tombstones: u64,
    /// Its least key.
    pub smallest_key: sstore_slice,
    /// Its greatest key.
    pub largest_key: sstore_slice,
    /// The oldest write in it.
    pub smallest_sequence: u64,
    /// The newest write in it.
    pub largest_sequence: u64,
}

impl Default for sstore_segment {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            level: 0,
            number: 0,
            path: std::ptr::null(),
            size_bytes: 0,
            entries: 0,
            tombstones: 0,
            smallest_key: sstore_slice::NONE,
            largest_key: sstore_slice::NONE,
            smallest_sequence: 0,
            largest_sequence: 0,
        }
    }
}

// SAFETY: `repr(C)`, two u32, then pointers and 64-bit numbers: no padding, any bits are a value.
unsafe impl Sized32 for sstore_segment {}

/// Lists the files of a family (NULL: the default one), newest last. They may be merged and deleted at any time: open what you
/// want to keep. `*segments` is the caller's; free it with sstore_segments_free. Does not block; any thread.
/// Errors: CLOSED, DROPPED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_segments_list(
    db: *const sstore_db,
    family: *const sstore_column_family,
    segments: *mut *mut sstore_segments,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(segments, std::ptr::null_mut());
    boundary::call(error, |handles| {
        out.required("segments")?;
        let database = handles.pin::<Database>(db)?;
        let family = database.family(handles, family)?;
        out.set(handles.insert(SegmentsObject::new(database.db.segments(family.get())?))?);
        Ok(())
    })
}

/// Lists the files of a table. Keys are as the files have them: encoded so that bytes compare as rows do. Otherwise like
/// sstore_segments_list. Errors also: NOT_SUPPORTED (a library without tables).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_segments(
    db: *const sstore_db,
    table: *const sstore_table,
    segments: *mut *mut sstore_segments,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(segments, std::ptr::null_mut());
    with_tables!(error, |handles| {
        out.required("segments")?;
        let (database, table) = table_of(handles, db, table)?;
        out.set(handles.insert(SegmentsObject::new(database.db.table_segments(&table.table)?))?);
        Ok(())
    })
}

/// How many files; 0 for NULL and for what is no segments object. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_segments_count(segments: *const sstore_segments) -> usize {
    boundary::value(0, |handles| Ok(handles.pin::<SegmentsObject>(segments)?.0.len()))
}

/// Describes the file at `index`. `*segment` must have its struct_size set. Does not block; any thread.
/// Errors: NOT_FOUND (no such index), INVALID_ARGUMENT, CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_segments_get(
    segments: *const sstore_segments,
    index: usize,
    segment: *mut sstore_segment,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        bytes::fill(segment, sstore_segment::default(), "segment")?;
        let segments = handles.pin::<SegmentsObject>(segments)?;
        let (found, path) = segments.0.get(index).ok_or(Stop::Missing)?;
        let filled = sstore_segment {
            level: found.level,
            number: found.number.0,
            path: path.as_ptr(),
            size_bytes: found.size_bytes,
            entries: found.entries,
            tombstones: found.tombstones,
            smallest_key: sstore_slice::of(&found.smallest),
            largest_key: sstore_slice::of(&found.largest),
            smallest_sequence: found.smallest_sequence,
            largest_sequence: found.largest_sequence,
            ..Default::default()
        };
        Ok(bytes::fill(segment, filled, "segment")?)
    })
}

/// Frees the list. NULL and what was freed already do nothing. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_segments_free(segments: *mut sstore_segments) {
    boundary::value((), |handles| handles.remove::<SegmentsObject>(segments));
}
