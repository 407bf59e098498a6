//! The kinds of calls to a file system, as the worlds made for tests count, record and fail them, and as `timed` tells them.

/// One kind of call to a [`FileSystem`](super::FileSystem), a [`File`](super::File) or a [`Mapping`](super::Mapping).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// Opening an existing file.
    Open,
    /// Creating a file.
    Create,
    /// Asking for a length, by name or by handle.
    Len,
    /// Creating one directory.
    CreateDir,
    /// Listing a directory.
    List,
    /// Renaming a file.
    Rename,
    /// Giving a file a second name.
    Link,
    /// Removing a file's name.
    Remove,
    /// Removing a directory.
    RemoveDir,
    /// Making the names of a directory durable.
    SyncDir,
    /// Taking a lock.
    Lock,
    /// Reading from a file.
    Read,
    /// Writing to a file.
    Write,
    /// Cutting or extending a file.
    SetLen,
    /// Reserving space.
    Allocate,
    /// Making a file's bytes durable.
    SyncData,
    /// Mapping a file.
    Map,
    /// Storing through a mapping.
    Store,
    /// Populating pages of a mapping.
    Populate,
}

impl Call {
    /// How many kinds there are.
    pub const COUNT: usize = Self::Populate as usize + 1;

    /// Whether such a call changes what is on disk or what of it is durable.
    pub fn is_mutating(self) -> bool {
        !matches!(self, Self::Open | Self::Len | Self::List | Self::Lock | Self::Read | Self::Map | Self::Populate)
    }
}
