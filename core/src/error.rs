//! The one error type of the engine, and its kinds.
//!
//! Every fallible function of this crate returns [`Result`]. A kind says what the caller can do about it; its number is the
//! C status code and the key of the Python exception, and is never reused. A missing key is not an error but `None`.
//! The message names the culprit; `path`, `offset` and `os_code` say where, for programs.

use std::path::{Path, PathBuf};

/// What the caller can do about an error. Numbers are frozen: the C ABI and the Python exceptions use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The thing asked for does not exist (a column family, a database). Never used for a missing key.
    NotFound = 1,
    /// The call is wrong: fix the argument that the message names.
    InvalidArgument = 2,
    /// Bytes on disk are not what was written. Path and offset say which.
    Corruption = 3,
    /// The operating system refused or failed an operation.
    Io = 4,
    /// The disk, a quota or a file size limit is full. Free space, then resume.
    NoSpace = 5,
    /// Another process, or another handle of this process, has the database open.
    Locked = 6,
    /// Something that belongs to the object is still in use. Finish that first.
    Busy = 7,
    /// The handle, or the database behind it, was closed.
    Closed = 8,
    /// The database was opened before a fork; this process is the child. Open it again here.
    Forked = 9,
    /// The database is open for reading only, or turned read-only after a failure.
    ReadOnly = 10,
    /// The format or the feature is newer than this library, or not offered here.
    NotSupported = 11,
    /// The time given ran out. The operation goes on.
    TimedOut = 12,
    /// The write would have to wait for flushes, and the caller asked not to wait.
    Stalled = 13,
    /// The operation was called off before it took effect.
    Cancelled = 14,
    /// An earlier failure left the outcome of a write unknown. Close and open again.
    Poisoned = 15,
    /// The column family was dropped.
    Dropped = 16,
    /// The caller's buffer is too small; the needed size is reported beside the error.
    TooSmall = 17,
    /// Memory could not be had.
    NoMemory = 18,
    /// The condition of a conditional write did not hold.
    Conflict = 19,
    /// A stretch of history that was asked for is gone.
    Gap = 20,
    /// Another writer took the database over.
    Fenced = 21,
    /// A bug: a panic was caught inside the library.
    Panic = 22,
}

impl ErrorKind {
    /// The frozen number of this kind, as in the C header.
    pub const fn code(self) -> i32 {
        self as i32
    }
}

/// An error: a kind, a message that names the culprit, and where it happened.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", .0.describe())]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    path: Option<PathBuf>,
    offset: Option<u64>,
    os_code: Option<i32>,
}

/// What every fallible function of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Inner {
    fn describe(&self) -> String {
        let mut text = self.message.clone();
        if let Some(path) = &self.path {
            text.push_str(&format!(": {}", path.display()));
            if let Some(offset) = self.offset {
                text.push_str(&format!(" at offset {offset}"));
            }
        }
        if let Some(code) = self.os_code {
            text.push_str(&format!(": {}", std::io::Error::from_raw_os_error(code)));
        }
        text
    }
}

impl Error {
    /// An error of `kind` with a message that names the culprit.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), path: None, offset: None, os_code: None }))
    }

    /// A wrong argument.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    /// Bytes of `path` at `offset` are not what was written.
    pub fn corruption(path: &Path, offset: u64, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corruption, message).at(path, offset)
    }

    /// A failed operating system call on `path`: full disks become [`ErrorKind::NoSpace`], a missing file
    /// [`ErrorKind::NotFound`], everything else [`ErrorKind::Io`].
    pub fn io(operation: &str, path: &Path, cause: &std::io::Error) -> Self {
        let kind = match cause.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded | std::io::ErrorKind::FileTooLarge => {
                ErrorKind::NoSpace
            }
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::OutOfMemory => ErrorKind::NoMemory,
            _ => ErrorKind::Io,
        };
        let message = match cause.raw_os_error() {
            Some(_) => format!("{operation} failed"),
            None => format!("{operation} failed ({cause})"),
        };
        let mut error = Self::new(kind, message).in_file(path);
        error.0.os_code = cause.raw_os_error();
        error
    }

    /// The same error, with the file it concerns.
    pub fn in_file(mut self, path: &Path) -> Self {
        self.0.path = Some(path.to_path_buf());
        self
    }

    /// The same error, with the file and the offset in it.
    pub fn at(mut self, path: &Path, offset: u64) -> Self {
        self.0.path = Some(path.to_path_buf());
        self.0.offset = Some(offset);
        self
    }

    /// The same error under another kind: for a layer that knows better what the caller can do.
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// The same error, its message led by what was being done.
    pub fn context(mut self, doing: &str) -> Self {
        self.0.message = format!("{doing}: {}", self.0.message);
        self
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What happened, without file and system error.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The file it concerns.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The offset in that file.
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }

    /// The operating system's error number (`errno`).
    pub fn os_code(&self) -> Option<i32> {
        self.0.os_code
    }
}
