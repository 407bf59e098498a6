//! How a verb can end, and the exit code that says so.

use sstore::{Error, ErrorKind};
use std::io;

/// Damage was found, or what was asked for is not there.
pub const WRONG: u8 = 1;

/// A wrong call, or anything else that failed.
pub const FAILED: u8 = 2;

/// How a verb ended that did what it was asked for.
pub enum Outcome {
    /// All is well.
    Fine,
    /// Damage was found and told.
    Wrong,
}

/// Why a verb could not do what it was asked for.
pub enum Failure {
    /// The engine says so.
    Engine(Error),
    /// Standard output cannot be written to.
    Output(io::Error),
    /// The call makes no sense.
    Usage(String),
    /// What was asked for is not there.
    Absent(String),
}

impl Failure {
    /// What to say of it; `None`: nothing, because nobody listens any more.
    pub fn message(&self) -> Option<String> {
        match self {
            Self::Engine(error) => Some(error.to_string()),
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            Self::Output(error) => Some(format!("standard output: {error}")),
            Self::Usage(message) | Self::Absent(message) => Some(message.clone()),
        }
    }

    /// What the process ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Engine(error) if matches!(error.kind(), ErrorKind::Corruption | ErrorKind::NotFound) => WRONG,
            Self::Absent(_) => WRONG,
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            _ => FAILED,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
