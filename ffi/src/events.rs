//! Events: what the library tells the application of its own accord. Called by `options`.
//!
//! This module may use `unsafe`: it calls function pointers of the application.

use crate::status::c_text;
use engine::{Event, EventKind};
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// Something that happened in a database. Fields that the kind has no use for are "" or 0.
/// It and its texts live until the callback returns.
#[repr(C)]
pub struct sstore_event {
    /// sizeof(sstore_event) of the library: fields beyond it do not exist.
    pub struct_size: u32,
    /// What happened: a number of sstore_event_kind. A later version may add some.
    pub kind: u32,
    /// When, in nanoseconds since 1970.
    pub unix_nanos: u64,
    /// The kind's name in lower case, such as "flush_done".
    pub kind_name: *const c_char,
    /// The column family or table concerned.
    pub family: *const c_char,
    /// Reason, cause or error.
    pub detail: *const c_char,
    /// All of it as one line for a log, without a line end.
    pub text: *const c_char,
    /// The file or memtable concerned.
    pub number: u64,
    /// Entries or records handled.
    pub entries: u64,
    /// Bytes written, read or freed.
    pub bytes: u64,
    /// How long it took, in microseconds.
    pub micros: u64,
}

/// Receives an event. Runs on a thread of the library, which runs no other callback of that database meanwhile; it may take
/// its time (when 1,024 events wait, further ones are dropped and counted), may read and write the database and wait
/// for its flushes, and must not throw, longjmp or otherwise not return. It cannot close the database (INVALID_ARGUMENT); released in it for the last
/// time, the database is closed without further events.
pub type sstore_event_callback = Option<unsafe extern "C" fn(user_data: *mut c_void, event: *const sstore_event)>;

/// What an event tells. The numbers are frozen.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum sstore_event_kind {
    /// A memtable was full, or asked to be flushed, and takes no more writes. `number` is its id, `detail` the reason. Was
    /// it log_full, `detail` goes on with the log's oldest segment, which it held, and the length of the log.
    SSTORE_EVENT_MEMTABLE_SEALED = 1,
    /// A flush job began. `number` is the file that it will write.
    SSTORE_EVENT_FLUSH_BEGIN = 2,
    /// A flush job's file is in the manifest and visible. `detail` is the reason.
    SSTORE_EVENT_FLUSH_DONE = 3,
    /// A merge of runs began. `number` is the file that it will write.
    SSTORE_EVENT_COMPACTION_BEGIN = 4,
    /// A merge's file is in the manifest and visible.
    SSTORE_EVENT_COMPACTION_DONE = 5,
    /// A log segment was begun.
    SSTORE_EVENT_LOG_CREATED = 6,
    /// A log segment that nobody needs any more was deleted. If it was, or was to be, in the archive, `detail` is its name
    /// there, or why it is not there.
    SSTORE_EVENT_LOG_DELETED = 7,
    /// A file that nobody needs any more was deleted.
    SSTORE_EVENT_FILE_DELETED = 8,
    /// Writers wait. `detail` is the cause: frozen_memtables or memory_budget (they are stopped until a flush made room),
    /// flush_debt or merge_debt (single writes are delayed by 50 to 200 microseconds).
    SSTORE_EVENT_STALL_BEGIN = 9,
    /// Writers go on. `micros` is how long they waited, `detail` the cause; log_segment: a write had to make the next segment of
    /// the log, which is told only when it is over.
    SSTORE_EVENT_STALL_END = 10,
    /// A background job failed. `detail` is the error.
    SSTORE_EVENT_BACKGROUND_ERROR = 11,
    /// Opening found a log to replay.
    SSTORE_EVENT_RECOVERY_BEGIN = 12,
    /// The log was replayed. `entries` counts its records, `bytes` their size.
    SSTORE_EVENT_RECOVERY_DONE = 13,
    /// A column family was created.
    SSTORE_EVENT_COLUMN_FAMILY_CREATED = 14,
    /// A column family was dropped.
    SSTORE_EVENT_COLUMN_FAMILY_DROPPED = 15,
    /// A new manifest became current.
    SSTORE_EVENT_MANIFEST_CREATED = 16,
    /// A table was created.
    SSTORE_EVENT_TABLE_CREATED = 17,
    /// A table was dropped.
    SSTORE_EVENT_TABLE_DROPPED = 18,
    /// A table's columns changed.
    SSTORE_EVENT_TABLE_ALTERED = 19,
    /// Opening found a live file that is too damaged to open. `number` is the file, `detail` the error, which reads that need the
    /// file get.
    SSTORE_EVENT_FILE_BROKEN = 20,
    /// A sync, or a write of 4 KiB or more, took longer than the option slow_disk_millis. `micros` is how long, `bytes` are those of the
    /// write, `detail` says what and where. At most one in ten seconds is told; `entries` counts those between that were not.
    SSTORE_EVENT_SLOW_DISK = 21,
    /// A flush or merge has ended, and the disk has less room than the option low_disk_bytes. `bytes` are what is free, `detail` says
    /// where. Told again after a minute, or once there was more in between.
    SSTORE_EVENT_LOW_DISK = 22,
    /// Opening with wal_recovery=salvage left out a stretch of the log: what was written there may be missing. `number` is the
    /// segment, `bytes` how many, `detail` the file, the offsets from and to, and why.
    SSTORE_EVENT_LOG_SKIPPED = 23,
    /// A log segment that nobody needs any more was moved to the archive. `number` is the segment, `detail` its name there.
    SSTORE_EVENT_LOG_ARCHIVED = 24,
}

const _: () = assert!(
    sstore_event_kind::SSTORE_EVENT_MEMTABLE_SEALED as u32 == EventKind::MemtableSealed as u32
        && sstore_event_kind::SSTORE_EVENT_FILE_BROKEN as u32 == EventKind::FileBroken as u32
        && sstore_event_kind::SSTORE_EVENT_LOW_DISK as u32 == EventKind::LowDisk as u32
        && sstore_event_kind::SSTORE_EVENT_LOG_SKIPPED as u32 == EventKind::LogSkipped as u32
        && sstore_event_kind::SSTORE_EVENT_LOG_ARCHIVED as u32 == EventKind::LogArchived as u32
);

/// A function of the application's, and what it wants to be called with.
pub(crate) struct Receiver<F> {
    pub(crate) function: F,
    pub(crate) user_data: *mut c_void,
    pub(crate) destroy: Option<unsafe extern "C" fn(*mut c_void)>,
}

// SAFETY: the header says that the callback runs on a thread of the library, so the application passes data fit for that.
unsafe impl<F: Send> Send for Receiver<F> {}
// SAFETY: as above; the engine calls a listener from one thread at a time.
unsafe impl<F: Sync> Sync for Receiver<F> {}

impl Receiver<unsafe extern "C" fn(*mut c_void, *const sstore_event)> {
    fn tell(&self, event: &Event) {
        let [family, detail, text] =
            [&event.collection, &event.detail, &event.to_string()].map(|t| c_text(t.as_bytes()));
        let kind_name = c_text(event.kind.name().as_bytes());
        let event = sstore_event {
            struct_size: size_of::<sstore_event>() as u32,
            kind: event.kind as u32,
            unix_nanos: event.unix_nanos,
            kind_name: kind_name.as_ptr(),
            family: family.as_ptr(),
            detail: detail.as_ptr(),
            text: text.as_ptr(),
            number: event.number,
            entries: event.entries,
            bytes: event.bytes,
            micros: event.micros,
        };
        // SAFETY: by the contract of sstore_options_set_listener the function may be called with this data until
        // `destroy` was, which waits for this object to be dropped.
        unsafe { (self.function)(self.user_data, &raw const event) };
    }
}

impl<F> Drop for Receiver<F> {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            // SAFETY: by the contracts of the functions that set a callback it is called once, when nobody can call the callback.
            unsafe { destroy(self.user_data) };
        }
    }
}

pub(crate) fn listener(
    function: unsafe extern "C" fn(*mut c_void, *const sstore_event),
    user_data: *mut c_void,
    destroy: Option<unsafe extern "C" fn(*mut c_void)>,
) -> Arc<dyn Fn(&Event) + Send + Sync> {
    let receiver = Receiver { function, user_data, destroy };
    Arc::new(move |event| receiver.tell(event))
}
