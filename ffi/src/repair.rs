//! Repair: a new database from what is left of a damaged one, and the report of it.

use crate::boundary::{self, Stop};
use crate::bytes::{self, Out, Sized32};
use crate::handle::Object;
use crate::options::{self, ListObject, sstore_list, sstore_options};
use crate::progress::{Progress, sstore_progress_callback};
use crate::status::{c_text, sstore_code, sstore_error};
use engine::wal::SalvagedSegment;
use engine::{Db, RepairOptions, RepairReport, RepairedFile};
use std::ffi::{CString, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What a repair found and did. Thread safety: free. Free with sstore_repair_report_free.
pub struct sstore_repair_report {
    _opaque: [u8; 0],
}

struct ReportObject {
    report: RepairReport,
    manifest_error: Option<CString>,
    /// Path, collection, and why it was left out.
    files: Vec<(CString, CString, Option<CString>)>,
    /// Path, and why it was not read to its end.
    segments: Vec<(CString, Option<CString>)>,
}

impl Object for ReportObject {
    type Opaque = sstore_repair_report;
    const TYPE: u8 = 20;
    const NAME: &'static str = "repair report";
}

fn path_text(path: &Path) -> CString {
    c_text(path.as_os_str().as_bytes())
}

fn text(text: &Option<String>) -> Option<CString> {
    text.as_ref().map(|text| c_text(text.as_bytes()))
}

fn pointer(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(std::ptr::null(), |text| text.as_ptr())
}

impl ReportObject {
    fn new(report: RepairReport) -> Self {
        let file =
            |file: &RepairedFile| (path_text(&file.path), c_text(file.collection.as_bytes()), text(&file.skipped));
        let segment = |segment: &SalvagedSegment| (path_text(&segment.path), text(&segment.stopped()));
        Self {
            manifest_error: text(&report.manifest_error),
            files: report.files.iter().map(file).collect(),
            segments: report.log.iter().map(segment).collect(),
            report,
        }
    }
}

/// How a repair is done. Start from SSTORE_REPAIR_OPTIONS_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_repair_options {
    /// sizeof(sstore_repair_options).
    pub struct_size: u32,
    /// Not 0: files get a second name instead of being copied, where that can be. Faster, and takes no space; but if their device
    /// goes, both databases are gone.
    pub link: u32,
    /// Where the log of the damaged database lies; NULL: in its directory.
    pub wal_dir: *const c_char,
}

impl Default for sstore_repair_options {
    fn default() -> Self {
        Self { struct_size: size_of::<Self>() as u32, link: 0, wal_dir: std::ptr::null() }
    }
}

// SAFETY: `repr(C)`, two u32 and a pointer: no padding, any bits are a value.
unsafe impl Sized32 for sstore_repair_options {}

/// Makes a database in the directory `new_path`, which must not exist or be empty, from what can be read in `path`, where no database
/// may be open. The damaged one is only read. `options` are those of the new one, and of families and tables whose own are
/// lost; NULL: every default, as for `repair_options`. `*report` is the caller's, to be freed with sstore_repair_report_free; a NULL
/// `report` wants none. After an error there is no new database. Blocks: reads every file to its end, writes, syncs. Any thread.
/// Errors: NOT_FOUND (with an error object: no directory `path`), LOCKED, INVALID_ARGUMENT (`new_path` is not empty), NOT_SUPPORTED,
/// IO, NO_SPACE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_repair(
    path: *const c_char,
    new_path: *const c_char,
    repair_options: *const sstore_repair_options,
    options: *const sstore_options,
    report: *mut *mut sstore_repair_report,
    error: *mut *mut sstore_error,
) -> sstore_code {
    repair(path, new_path, repair_options, options, None, std::ptr::null_mut(), report, error)
}

/// The same, which tells `progress` (NULL: nobody) how far it is, with `user_data`, and can be called off by it. What is told are bytes
/// read and written of files and log: twice what the damaged database has. Otherwise like sstore_repair. Errors also: CANCELLED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_repair_with_progress(
    path: *const c_char,
    new_path: *const c_char,
    repair_options: *const sstore_repair_options,
    options: *const sstore_options,
    progress: sstore_progress_callback,
    user_data: *mut c_void,
    report: *mut *mut sstore_repair_report,
    error: *mut *mut sstore_error,
) -> sstore_code {
    repair(path, new_path, repair_options, options, progress, user_data, report, error)
}

fn repair(
    path: *const c_char,
    new_path: *const c_char,
    repair_options: *const sstore_repair_options,
    options: *const sstore_options,
    progress: sstore_progress_callback,
    user_data: *mut c_void,
    report: *mut *mut sstore_repair_report,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(report, std::ptr::null_mut());
    boundary::call(error, |handles| {
        let (path, new_path) = (bytes::path(path, "path")?, bytes::path(new_path, "new_path")?);
        let how = bytes::structure(repair_options, "repair_options")?;
        let source_wal_dir = match how.wal_dir.is_null() {
            true => None,
            false => Some(bytes::path(how.wal_dir, "repair_options.wal_dir")?.to_path_buf()),
        };
        let options = RepairOptions { options: options::copy(handles, options)?, source_wal_dir, link: how.link != 0 };
        let mut told = Progress::to(progress, user_data);
        let done = Db::repair_told(path, new_path, &options, &mut |done, total| told.tell(done, total))?;
        if !report.is_null() {
            out.set(handles.insert(ReportObject::new(done))?);
        }
        told.finish();
        Ok(())
    })
}

/// What a repair did, in numbers.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_repair_summary {
    /// Set by the caller to sizeof(sstore_repair_summary).
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// Why the manifest could not be used; NULL: it was. Lives until the report is freed.
    pub manifest_error: *const c_char,
    /// Files that were looked at, for sstore_repair_report_file.
    pub files: u64,
    /// How many of them are in the new database.
    pub adopted: u64,
    /// Segments of the log, for sstore_repair_report_segment.
    pub segments: u64,
    /// Operations of the log that are in the new database, beyond those in files.
    pub log_operations: u64,
    /// Operations of the log that were given up: nothing tells which family, table or schema they belong to.
    pub log_operations_lost: u64,
}

impl Default for sstore_repair_summary {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            reserved: 0,
            manifest_error: std::ptr::null(),
            files: 0,
            adopted: 0,
            segments: 0,
            log_operations: 0,
            log_operations_lost: 0,
        }
    }
}

// SAFETY: `repr(C)`, two u32, a pointer and u64: no padding, any bits are a value.
unsafe impl Sized32 for sstore_repair_summary {}

/// The numbers of a report. `*summary` must have its struct_size set. Does not block; any thread. Errors: INVALID_ARGUMENT, CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_repair_report_summary(
    report: *const sstore_repair_report,
    summary: *mut sstore_repair_summary,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        bytes::fill(summary, sstore_repair_summary::default(), "summary")?;
        let told = handles.pin::<ReportObject>(report)?;
        let filled = sstore_repair_summary {
            manifest_error: pointer(&told.manifest_error),
            files: told.files.len() as u64,
            adopted: told.report.adopted() as u64,
            segments: told.segments.len() as u64,
            log_operations: told.report.log_operations,
            log_operations_lost: told.report.log_operations_lost,
            ..Default::default()
        };
        Ok(bytes::fill(summary, filled, "summary")?)
    })
}

/// What became of one file. The texts live until the report is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_repaired_file {
    /// Set by the caller to sizeof(sstore_repaired_file).
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// Where it lies in the damaged database.
    pub path: *const c_char,
    /// The family or table that it was found in.
    pub collection: *const c_char,
    /// Why it was left out; NULL: it is in the new database.
    pub skipped: *const c_char,
    /// Its number; 0 if it cannot be told.
    pub number: u64,
    /// Its rows, or versions of keys; 0 if they cannot be told.
    pub rows: u64,
}

impl Default for sstore_repaired_file {
    fn default() -> Self {
        let none = std::ptr::null();
        let struct_size = size_of::<Self>() as u32;
        Self { struct_size, reserved: 0, path: none, collection: none, skipped: none, number: 0, rows: 0 }
    }
}

// SAFETY: `repr(C)`, two u32, pointers and u64: no padding, any bits are a value.
unsafe impl Sized32 for sstore_repaired_file {}

/// What became of the file at `index`. `*file` must have its struct_size set. Does not block; any thread.
/// Errors: NOT_FOUND (no such index), INVALID_ARGUMENT, CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_repair_report_file(
    report: *const sstore_repair_report,
    index: usize,
    file: *mut sstore_repaired_file,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        bytes::fill(file, sstore_repaired_file::default(), "file")?;
        let told = handles.pin::<ReportObject>(report)?;
        let (path, collection, skipped) = told.files.get(index).ok_or(Stop::Missing)?;
        let found = &told.report.files[index];
        let filled = sstore_repaired_file {
            path: path.as_ptr(),
            collection: collection.as_ptr(),
            skipped: pointer(skipped),
            number: found.number.map_or(0, |number| number.0),
            rows: found.rows,
            ..Default::default()
        };
        Ok(bytes::fill(file, filled, "file")?)
    })
}

/// What became of one segment of the log. The texts live until the report is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_salvaged_segment {
    /// Set by the caller to sizeof(sstore_salvaged_segment).
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// Where it lies in the damaged database.
    pub path: *const c_char,
    /// What of it was left out and why, the first place if there are several; NULL: it was read to its end.
    pub stopped: *const c_char,
    /// Its number.
    pub number: u64,
    /// The records that were read.
    pub records: u64,
}

impl Default for sstore_salvaged_segment {
    fn default() -> Self {
        let none = std::ptr::null();
        let struct_size = size_of::<Self>() as u32;
        Self { struct_size, reserved: 0, path: none, stopped: none, number: 0, records: 0 }
    }
}

// SAFETY: `repr(C)`, two u32, pointers and u64: no padding, any bits are a value.
unsafe impl Sized32 for sstore_salvaged_segment {}

/// What became of the segment at `index`. `*segment` must have its struct_size set. Otherwise like sstore_repair_report_file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_repair_report_segment(
    report: *const sstore_repair_report,
    index: usize,
    segment: *mut sstore_salvaged_segment,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        bytes::fill(segment, sstore_salvaged_segment::default(), "segment")?;
        let told = handles.pin::<ReportObject>(report)?;
        let (path, stopped) = told.segments.get(index).ok_or(Stop::Missing)?;
        let found = &told.report.log[index];
        let filled = sstore_salvaged_segment {
            path: path.as_ptr(),
            stopped: pointer(stopped),
            number: found.number.0,
            records: found.records,
            ..Default::default()
        };
        Ok(bytes::fill(segment, filled, "segment")?)
    })
}

/// The names of the families and tables of the new database. `*names` is the caller's; free it with sstore_list_free.
/// Does not block; any thread. Errors: INVALID_ARGUMENT, CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_repair_report_collections(
    report: *const sstore_repair_report,
    names: *mut *mut sstore_list,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(names, std::ptr::null_mut());
    boundary::call(error, |handles| {
        out.required("names")?;
        let names = handles.pin::<ReportObject>(report)?.report.collections.clone();
        ListObject::give(handles, &out, names)
    })
}

/// Frees a report and its texts. NULL and what was freed already do nothing. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_repair_report_free(report: *mut sstore_repair_report) {
    boundary::value((), |handles| handles.remove::<ReportObject>(report));
}
