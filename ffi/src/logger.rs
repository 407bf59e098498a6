//! Lines for the application's log. Called by `options`.
//!
//! This module may use `unsafe`: it calls function pointers of the application.

use crate::bytes;
use crate::events::Receiver;
use crate::status::c_text;
use engine::{Error, Level, LogLine, Logger, Result};
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// How much a line matters. The numbers are frozen.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum sstore_log_level {
    /// Steps of what goes on in the background: jobs that begin, files that come and go.
    SSTORE_LOG_DEBUG = 1,
    /// What was done: flushes, merges, recoveries, families and tables created and dropped; and small delays of writers.
    SSTORE_LOG_INFO = 2,
    /// What somebody should look at before it hurts: writers were stopped, the disk is slow or nearly full.
    SSTORE_LOG_WARN = 3,
    /// Something failed.
    SSTORE_LOG_ERROR = 4,
}

const _: () = assert!(
    sstore_log_level::SSTORE_LOG_DEBUG as u32 == Level::Debug as u32
        && sstore_log_level::SSTORE_LOG_INFO as u32 == Level::Info as u32
        && sstore_log_level::SSTORE_LOG_WARN as u32 == Level::Warn as u32
        && sstore_log_level::SSTORE_LOG_ERROR as u32 == Level::Error as u32
);

/// One line for a log. It and its texts live until the callback returns.
#[repr(C)]
pub struct sstore_log_line {
    /// sizeof(sstore_log_line) of the library: fields beyond it do not exist.
    pub struct_size: u32,
    /// A number of sstore_log_level.
    pub level: u32,
    /// When it happened, in nanoseconds since 1970.
    pub unix_nanos: u64,
    /// "debug", "info", "warn" or "error".
    pub level_name: *const c_char,
    /// What happened, in one line: without a line end, the time or the level.
    pub text: *const c_char,
}

/// Receives a line. What holds for an sstore_event_callback holds for it too: both run on the same thread of the library, the line
/// before the event.
pub type sstore_log_callback = Option<unsafe extern "C" fn(user_data: *mut c_void, line: *const sstore_log_line)>;

pub(crate) fn level(number: u32) -> Result<Level> {
    let found = Level::ALL.into_iter().find(|level| *level as u32 == number);
    found.ok_or_else(|| Error::invalid(format!("`level` cannot be {number}: a number of sstore_log_level expected")))
}

pub(crate) fn logger(
    function: sstore_log_callback,
    user_data: *mut c_void,
    destroy: Option<unsafe extern "C" fn(*mut c_void)>,
) -> Result<Logger> {
    let function = function.ok_or_else(|| bytes::null("callback"))?;
    let receiver = Receiver { function, user_data, destroy };
    Ok(Arc::new(move |line: &LogLine<'_>| {
        let [level_name, text] = [line.level.name(), line.text].map(|text| c_text(text.as_bytes()));
        let line = sstore_log_line {
            struct_size: size_of::<sstore_log_line>() as u32,
            level: line.level as u32,
            unix_nanos: line.event.unix_nanos,
            level_name: level_name.as_ptr(),
            text: text.as_ptr(),
        };
        let receiver = &receiver;
        // SAFETY: by the contract of sstore_options_set_logger the function may be called with this data until `destroy` was,
        // which waits for this object to be dropped.
        unsafe { (receiver.function)(receiver.user_data, &raw const line) };
    }))
}
