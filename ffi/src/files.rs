//! Files: those that a family or table consists of, for other programs to read, where they lie or under names of their own.

#[cfg(feature = "arrow")]
use crate::arrow::objects::table_of;
use crate::boundary::{self, Outcome, Stop};
use crate::bytes::{self, Out, Sized32, sstore_slice};
use crate::column_family::sstore_column_family;
#[cfg(feature = "arrow")]
use crate::get::read_snapshot;
use crate::get::{Place, sstore_read_options};
use crate::handle::{Handles, Object};
use crate::open::{Database, sstore_db};
use crate::progress::{Progress, sstore_progress_callback};
use crate::status::{c_text, sstore_code, sstore_error};
use crate::table::sstore_table;
use engine::{Export, FileFormat, LiveFile, LiveFiles, ReadOptions};
use std::ffi::{CString, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The files of a family or table at one moment: live ones, which keep their names as long as it is there, or exported ones.
/// It does not keep its database open; once that was closed, opening it again for writing deletes what merges replaced. Thread safety: free. Free with sstore_files_free.
pub struct sstore_files {
    _opaque: [u8; 0],
}

struct FilesObject {
    files: Vec<(LiveFile, CString)>,
    sequence: u64,
    complete_through: u64,
    copied: usize,
    /// Of live files: keeps them.
    _live: Option<LiveFiles>,
}

impl Object for FilesObject {
    type Opaque = sstore_files;
    const TYPE: u8 = 19;
    const NAME: &'static str = "files object";
}

fn with_path(file: LiveFile, path: &Path) -> (LiveFile, CString) {
    let path = c_text(path.as_os_str().as_bytes());
    (file, path)
}

impl FilesObject {
    fn live(mut live: LiveFiles) -> Self {
        let files = std::mem::take(&mut live.files).into_iter().map(|file| {
            let path = file.path.clone();
            with_path(file, &path)
        });
        Self {
            files: files.collect(),
            sequence: live.sequence,
            complete_through: live.complete_through,
            copied: 0,
            _live: Some(live),
        }
    }

    fn exported(export: Export, directory: &Path) -> Self {
        let files = export.files.into_iter().map(|exported| with_path(exported.file, &directory.join(&exported.name)));
        Self {
            files: files.collect(),
            sequence: export.sequence,
            complete_through: export.sequence,
            copied: export.copied,
            _live: None,
        }
    }
}

/// One file. Path and keys live until the sstore_files object is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_file {
    /// Set by the caller to sizeof(sstore_file).
    pub struct_size: u32,
    /// How it is encoded: a number of sstore_file_format.
    pub format: u32,
    /// How often its data was merged: 0 for a file that a flush wrote.
    pub level: u32,
    /// The schema of its rows, counted from 1; 0 for a family.
    pub schema_id: u32,
    /// The checksum that the database has of it.
    pub checksum: u32,
    /// 1 if some key has more than one version in it, else 0.
    pub multi_version: u32,
    /// Its number: unique over the whole database.
    pub number: u64,
    /// Where it lies.
    pub path: *const c_char,
    /// Its size in bytes; of an Arrow file in the database with the index beside it.
    pub size_bytes: u64,
    /// How many rows, or versions of keys, it holds, deletes included.
    pub rows: u64,
    /// How many of them are deletes.
    pub tombstones: u64,
    /// Its least key; of a table encoded so that bytes compare as rows do, and empty without a key.
    pub smallest_key: sstore_slice,
    /// Its greatest key.
    pub largest_key: sstore_slice,
    /// The oldest write in it.
    pub smallest_sequence: u64,
    /// The newest write in it.
    pub largest_sequence: u64,
}

impl Default for sstore_file {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            format: 0,
            level: 0,
            schema_id: 0,
            checksum: 0,
            multi_version: 0,
            number: 0,
            path: std::ptr::null(),
            size_bytes: 0,
            rows: 0,
            tombstones: 0,
            smallest_key: sstore_slice::NONE,
            largest_key: sstore_slice::NONE,
            smallest_sequence: 0,
            largest_sequence: 0,
        }
    }
}

// SAFETY: `repr(C)`, six u32, then pointers and 64-bit numbers: no padding, any bits are a value.
unsafe impl Sized32 for sstore_file {}

/// How a file is encoded. The numbers are frozen.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum sstore_file_format {
    /// Blocks of keys and values: the files of column families.
    SSTORE_FILE_FORMAT_BLOCKS = 1,
    /// Parquet.
    SSTORE_FILE_FORMAT_PARQUET = 2,
    /// The Arrow IPC file format.
    SSTORE_FILE_FORMAT_ARROW = 3,
}

impl sstore_file_format {
    fn of(format: FileFormat) -> u32 {
        let format = match format {
            FileFormat::Blocks => Self::SSTORE_FILE_FORMAT_BLOCKS,
            FileFormat::Parquet => Self::SSTORE_FILE_FORMAT_PARQUET,
            FileFormat::Ipc => Self::SSTORE_FILE_FORMAT_ARROW,
        };
        format as u32
    }
}

/// What is told of all files together.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_files_info {
    /// Set by the caller to sizeof(sstore_files_info).
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// The moment: later writes are not part of it, though files may hold some.
    pub sequence: u64,
    /// Every write up to this one is in the files. If it is less than `sequence`, the rest was in memory. Of an export both are the same.
    pub complete_through: u64,
    /// How many of the files an export had to copy, because they could not be linked.
    pub copied: u64,
}

impl Default for sstore_files_info {
    fn default() -> Self {
        Self { struct_size: size_of::<Self>() as u32, reserved: 0, sequence: 0, complete_through: 0, copied: 0 }
    }
}

// SAFETY: `repr(C)`, two u32 and three u64: no padding, any bits are a value.
unsafe impl Sized32 for sstore_files_info {}

/// The files that a family (NULL: the default one) consists of, oldest first: of two versions of a key the one in the later file is the
/// newer one. As of now, or of the snapshot in `options`; NULL options: now. None of them is deleted before `*files`, which is the
/// caller's, is freed with sstore_files_free. Does not block; any thread. Errors: CLOSED, DROPPED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_live_files(
    db: *const sstore_db,
    family: *const sstore_column_family,
    options: *const sstore_read_options,
    files: *mut *mut sstore_files,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(files, std::ptr::null_mut());
    boundary::call(error, |handles| {
        out.required("files")?;
        let database = handles.pin::<Database>(db)?;
        let place = Place::find(handles, &database, family, options)?;
        let live = database.db.live_files(place.family.get(), &place.options())?;
        out.set(handles.insert(FilesObject::live(live))?);
        Ok(())
    })
}

/// The files that a table consists of. With its schema and `sequence` other programs read exactly what a scan shows: of each key the
/// row with the greatest `_seq` at or below it, unless its `_op` is 1. Otherwise like sstore_live_files.
/// Errors also: NOT_SUPPORTED (a library without tables).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_live_files(
    db: *const sstore_db,
    table: *const sstore_table,
    options: *const sstore_read_options,
    files: *mut *mut sstore_files,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(files, std::ptr::null_mut());
    with_tables!(error, |handles| {
        out.required("files")?;
        let (database, table) = table_of(handles, db, table)?;
        let snapshot = read_snapshot(handles, &database, options)?;
        let options = ReadOptions { snapshot: snapshot.as_ref().map(|snapshot| &snapshot.snapshot) };
        out.set(handles.insert(FilesObject::live(database.db.table_live_files(&table.table, &options)?))?);
        Ok(())
    })
}

/// Gives what an export made, if the caller wants it, and tells that it is over.
fn give(
    handles: &'static Handles,
    files: *mut *mut sstore_files,
    out: &Out<*mut sstore_files>,
    export: Export,
    directory: &Path,
    told: Progress,
) -> Outcome {
    if !files.is_null() {
        out.set(handles.insert(FilesObject::exported(export, directory))?);
    }
    told.finish();
    Ok(())
}

/// Flushes a family (NULL: the default one) and puts hard links to its files into `directory`, which must not exist yet; copies, where
/// links cannot be. Their names sort oldest first. The directory appears whole and durable, or not at all; the database goes on
/// meanwhile. `*files` tells what is in it; it is the caller's, to be freed with sstore_files_free; a NULL `files` wants none.
/// Blocks: waits for the flush, writes, syncs. Any thread, but not a callback.
/// Errors: INVALID_ARGUMENT (also if `directory` exists), NOT_FOUND (its parent does not), CLOSED, DROPPED, READ_ONLY, IO, NO_SPACE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_export(
    db: *mut sstore_db,
    family: *const sstore_column_family,
    directory: *const c_char,
    files: *mut *mut sstore_files,
    error: *mut *mut sstore_error,
) -> sstore_code {
    export(db, family, directory, None, std::ptr::null_mut(), files, error)
}

/// The same, which tells `progress` (NULL: nobody) how far it is, with `user_data`, and can be called off by it: then there is no
/// directory; the flush goes on. Otherwise like sstore_export. Errors also: CANCELLED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_export_with_progress(
    db: *mut sstore_db,
    family: *const sstore_column_family,
    directory: *const c_char,
    progress: sstore_progress_callback,
    user_data: *mut c_void,
    files: *mut *mut sstore_files,
    error: *mut *mut sstore_error,
) -> sstore_code {
    export(db, family, directory, progress, user_data, files, error)
}

fn export(
    db: *mut sstore_db,
    family: *const sstore_column_family,
    directory: *const c_char,
    progress: sstore_progress_callback,
    user_data: *mut c_void,
    files: *mut *mut sstore_files,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(files, std::ptr::null_mut());
    boundary::call(error, |handles| {
        let directory = bytes::path(directory, "directory")?;
        let database = handles.pin::<Database>(db)?;
        let family = database.family(handles, family)?;
        let mut told = Progress::to(progress, user_data);
        let export = database.db.export_told(family.get(), directory, &mut |done, total| told.tell(done, total))?;
        give(handles, files, &out, export, directory, told)
    })
}

/// Exports a table: files that any program opens that reads the format, without our index of Arrow files. Otherwise like
/// sstore_export. Errors also: NOT_SUPPORTED (a library without tables).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_export(
    db: *mut sstore_db,
    table: *const sstore_table,
    directory: *const c_char,
    files: *mut *mut sstore_files,
    error: *mut *mut sstore_error,
) -> sstore_code {
    table_export(db, table, directory, None, std::ptr::null_mut(), files, error)
}

/// Exports a table as sstore_table_export does, and tells how far it is. Otherwise like sstore_export_with_progress.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_export_with_progress(
    db: *mut sstore_db,
    table: *const sstore_table,
    directory: *const c_char,
    progress: sstore_progress_callback,
    user_data: *mut c_void,
    files: *mut *mut sstore_files,
    error: *mut *mut sstore_error,
) -> sstore_code {
    table_export(db, table, directory, progress, user_data, files, error)
}

fn table_export(
    db: *mut sstore_db,
    table: *const sstore_table,
    directory: *const c_char,
    progress: sstore_progress_callback,
    user_data: *mut c_void,
    files: *mut *mut sstore_files,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(files, std::ptr::null_mut());
    with_tables!(error, |handles| {
        let directory = bytes::path(directory, "directory")?;
        let (database, table) = table_of(handles, db, table)?;
        let mut told = Progress::to(progress, user_data);
        let export =
            database.db.export_table_told(&table.table, directory, &mut |done, total| told.tell(done, total))?;
        give(handles, files, &out, export, directory, told)
    })
}

/// How many files; 0 for NULL and for what is no files object. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_files_count(files: *const sstore_files) -> usize {
    boundary::value(0, |handles| Ok(handles.pin::<FilesObject>(files)?.files.len()))
}

/// What is told of all files together. `*info` must have its struct_size set. Does not block; any thread.
/// Errors: INVALID_ARGUMENT, CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_files_describe(
    files: *const sstore_files,
    info: *mut sstore_files_info,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        bytes::fill(info, sstore_files_info::default(), "info")?;
        let files = handles.pin::<FilesObject>(files)?;
        let filled = sstore_files_info {
            sequence: files.sequence,
            complete_through: files.complete_through,
            copied: files.copied as u64,
            ..Default::default()
        };
        Ok(bytes::fill(info, filled, "info")?)
    })
}

/// Describes the file at `index`. `*file` must have its struct_size set. Does not block; any thread.
/// Errors: NOT_FOUND (no such index), INVALID_ARGUMENT, CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_files_get(
    files: *const sstore_files,
    index: usize,
    file: *mut sstore_file,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        bytes::fill(file, sstore_file::default(), "file")?;
        let files = handles.pin::<FilesObject>(files)?;
        let (found, path) = files.files.get(index).ok_or(Stop::Missing)?;
        let filled = sstore_file {
            format: sstore_file_format::of(found.format),
            level: found.level,
            schema_id: found.schema_id,
            checksum: found.checksum,
            multi_version: u32::from(found.multi_version),
            number: found.number.0,
            path: path.as_ptr(),
            size_bytes: found.size_bytes,
            rows: found.rows,
            tombstones: found.tombstones,
            smallest_key: sstore_slice::of(&found.smallest),
            largest_key: sstore_slice::of(&found.largest),
            smallest_sequence: found.smallest_sequence,
            largest_sequence: found.largest_sequence,
            ..Default::default()
        };
        Ok(bytes::fill(file, filled, "file")?)
    })
}

/// Frees the files object; live files may go from then on, exported ones stay. NULL and what was freed already do nothing.
/// May block: deletes files that waited. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_files_free(files: *mut sstore_files) {
    boundary::value((), |handles| handles.remove::<FilesObject>(files));
}
