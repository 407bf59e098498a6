//! What a failing call means for the database: the one table of it, by the kind of file, of call and of fault.
//!
//! Asked by `wal` and `db` wherever a call to a file has failed and something must be decided; walked by `core/tests/failures/fault_table.rs`, which
//! makes every call fail and compares what becomes of the database. Promises: pure; a call that stands in no line is [`Consequence::Poisoned`],
//! as nothing is known of it.
//!
//! What a word asks for is done elsewhere: `db/health` refuses writes, and jobs in the background try again what failed.

use crate::env::Call;
use crate::error::{Error, ErrorKind};

/// What a file is for. Its directory counts as it: the call tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// Segments of the log.
    Log,
    /// Manifests.
    Manifest,
    /// CURRENT, and what is made ready to replace it.
    Current,
    /// Files of column families.
    Family,
    /// Files of tables.
    Table,
    /// The directory of the database: the names of CURRENT and of manifests.
    Directory,
    /// EVENTS.jsonl.
    Events,
}

/// What becomes of the database. The greater, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consequence {
    /// Nobody need know: it was done in another way, again, or will be at the next opening.
    Ok,
    /// A call failed, or a job in the background: the error says so, and it goes on once the cause is gone, without being opened again.
    Resumable,
    /// The outcome of something is unknown: only reads go on until the database is opened again.
    Poisoned,
}

/// How a call failed, as far as one can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It did nothing.
    Failed,
    /// It did nothing, or a part, for want of space.
    NoSpace,
    /// It may have done its work, and what goes on meanwhile could be lost by it.
    Unknown,
    /// As [`Failed`](Self::Failed), and so did what is done instead.
    FailedAgain,
    /// As [`NoSpace`](Self::NoSpace), and what is done instead found none either.
    NoSpaceAgain,
}

impl Fault {
    /// All of them, in the order of the columns of [`TABLE`].
    pub const ALL: [Self; 5] = [Self::Failed, Self::NoSpace, Self::Unknown, Self::FailedAgain, Self::NoSpaceAgain];

    /// The fault of which `error` tells.
    pub fn of(error: &Error) -> Self {
        if error.kind() == ErrorKind::NoSpace { Self::NoSpace } else { Self::Failed }
    }

    /// The fault of which these tell, the last of them of what was done instead of, or after, the others.
    pub fn of_all<'e>(errors: impl IntoIterator<Item = &'e Error>) -> Self {
        let all_for_space = errors.into_iter().all(|error| Self::of(error) == Self::NoSpace);
        if all_for_space { Self::NoSpaceAgain } else { Self::FailedAgain }
    }
}

/// Kind of file, call, and what it comes to at worst, in the order of [`Fault::ALL`].
pub type Line = (FileKind, Call, [Consequence; Fault::ALL.len()]);

use Consequence::{Ok as Fine, Poisoned, Resumable};
use FileKind::{Current, Directory, Events, Family, Log, Manifest, Table};

/// Every call that an open database makes and that can fail.
#[rustfmt::skip] // A line each.
pub const TABLE: &[Line] = &[
    // The log: A write that failed is not there, and is told so; segments are made in another way or later. A sync that failed leaves it open what is durable.
    (Log, Call::Create, [Fine, Fine, Fine, Resumable, Resumable]),
    (Log, Call::Remove, [Fine, Fine, Fine, Fine, Fine]),
    (Log, Call::SyncDir, [Fine, Fine, Fine, Resumable, Resumable]),
    (Log, Call::Write, [Resumable, Resumable, Resumable, Resumable, Resumable]),
    // What a failed write left is cut off: if that fails too, it may be found after a crash.
    (Log, Call::SetLen, [Poisoned, Poisoned, Poisoned, Poisoned, Poisoned]),
    (Log, Call::Len, [Poisoned, Poisoned, Poisoned, Poisoned, Poisoned]),
    (Log, Call::Allocate, [Fine, Fine, Fine, Resumable, Resumable]),
    (Log, Call::SyncData, [Poisoned, Poisoned, Poisoned, Poisoned, Poisoned]),
    (Log, Call::Map, [Fine, Fine, Fine, Resumable, Resumable]),
    (Log, Call::Populate, [Fine, Fine, Fine, Fine, Fine]),
    // The manifest: Whether an edit counts is unknown, and a new manifest is written. For good without one, but on a full disk.
    (Manifest, Call::Create, [Resumable, Resumable, Resumable, Resumable, Resumable]),
    (Manifest, Call::Remove, [Fine, Fine, Fine, Fine, Fine]),
    (Manifest, Call::Write, [Resumable, Resumable, Resumable, Poisoned, Resumable]),
    (Manifest, Call::SyncData, [Resumable, Resumable, Resumable, Poisoned, Resumable]),
    // CURRENT: Replaced when a new manifest takes the place of the old one. If that fails it is read: only if that fails too, or shows the new one, is it unknown which counts.
    // It is read before each edit too, to see whether another writer took over: what cannot be read then tells nothing.
    (Current, Call::Open, [Resumable, Resumable, Resumable, Poisoned, Poisoned]),
    (Current, Call::Create, [Resumable, Resumable, Resumable, Resumable, Resumable]),
    (Current, Call::Len, [Resumable, Resumable, Resumable, Poisoned, Resumable]),
    (Current, Call::Rename, [Resumable, Resumable, Poisoned, Resumable, Resumable]),
    (Current, Call::Read, [Resumable, Resumable, Resumable, Poisoned, Poisoned]),
    (Current, Call::Write, [Resumable, Resumable, Resumable, Resumable, Resumable]),
    (Current, Call::SyncData, [Resumable, Resumable, Resumable, Resumable, Resumable]),
    // Files of families: A file that was not finished is made again; one that cannot be removed goes at the next opening.
    (Family, Call::Open, [Resumable, Resumable, Resumable, Resumable, Resumable]),
    (Family, Call::Create, [Resumable, Resumable, Resumable, Resumable, Resumable]),
    (Family, Call::Len, [Resumable, Resumable, Resumable, Resumable, Resumable]),
    (Family, Call::CreateDir, [Resumable, Resumable, Resumable, Resumable, Resumable]),
    (Family, Call::List, [Fine, Fine, Fine, Fine, Fine]),
    (Family, Call::Remove, [Fine, Fine, Fine, Fine, Fine]),
    (Family, Call::RemoveDir, [Fine, Fine, Fine, Fine, Fine]),
    (Family, Call::SyncDir, [Resumable, Resumable, Resumable, Resumable, Resumable]),
    (Family, Call::Read, [Resumable, Resumable, Resumable, Resumable, Resumable]),
    (Family, Call::Write, [Resumable, Resumable, Resumable, Resumable, Resumable]),
    (Family, Call::SyncData, [Resumable, Resumable, Resumable, Resumable, Resumable]),
    // Files of tables: The same.
    (Table, Call::Open, [Resumable, Resumable, Resumable, Resumable, Resumable]),
    (Table, Call::Create, [Resumable, Resumable, Resumable, Resumable, Resumable]),
    (Table, Call::Len, [Resumable, Resumable, Resumable, Resumable, Resumable]),
    (Table, Call::CreateDir, [Resumable, Resumable, Resumable, Resumable, Resumable]),
    (Table, Call::List, [Fine, Fine, Fine, Fine, Fine]),
    (Table, Call::Rename, [Resumable, Resumable, Resumable, Resumable, Resumable]),
    (Table, Call::Remove, [Fine, Fine, Fine, Fine, Fine]),
    (Table, Call::RemoveDir, [Fine, Fine, Fine, Fine, Fine]),
    (Table, Call::SyncDir, [Resumable, Resumable, Resumable, Resumable, Resumable]),
    (Table, Call::Read, [Resumable, Resumable, Resumable, Resumable, Resumable]),
    (Table, Call::Write, [Resumable, Resumable, Resumable, Resumable, Resumable]),
    (Table, Call::SyncData, [Resumable, Resumable, Resumable, Resumable, Resumable]),
    // The directory of the database: The names of CURRENT and of manifests.
    (Directory, Call::SyncDir, [Poisoned, Poisoned, Poisoned, Poisoned, Resumable]),
    // EVENTS.jsonl: Lines that are lost.
    (Events, Call::Create, [Fine, Fine, Fine, Fine, Fine]),
    (Events, Call::Len, [Fine, Fine, Fine, Fine, Fine]),
    (Events, Call::Rename, [Fine, Fine, Fine, Fine, Fine]),
    (Events, Call::Write, [Fine, Fine, Fine, Fine, Fine]),
];

/// What it means that `call` to a file of this kind failed.
pub fn consequence(file: FileKind, call: Call, fault: Fault) -> Consequence {
    let column = Fault::ALL.iter().position(|known| *known == fault);
    let line = TABLE.iter().find(|line| (line.0, line.1) == (file, call));
    line.zip(column).map_or(Poisoned, |(line, column)| line.2[column])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_no_line_is_the_worst() {
        assert_eq!(consequence(Events, Call::Lock, Fault::Failed), Poisoned);
        assert_eq!(consequence(Events, Call::Write, Fault::Failed), Fine);
        let lines: std::collections::BTreeSet<_> = TABLE.iter().map(|line| (line.0, line.1)).collect();
        assert_eq!(lines.len(), TABLE.len(), "a line stands twice");
    }

    #[test]
    fn a_disk_is_full_only_if_every_error_says_so() {
        let full = Error::new(ErrorKind::NoSpace, "");
        let other = Error::new(ErrorKind::Io, "");
        assert_eq!(Fault::of(&full), Fault::NoSpace);
        assert_eq!(Fault::of_all([&full, &full]), Fault::NoSpaceAgain);
        assert_eq!(Fault::of_all([&full, &other]), Fault::FailedAgain);
    }
}
