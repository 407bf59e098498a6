//! The Python face of sstore: the extension module `sstore._sstore`, inside the package `sstore`.
//!
//! A translation of the Rust interface, not of the C one. Promises: no panic reaches Python (it becomes `PanicError`);
//! the interpreter lock is held for what stays in memory and released for what may block or is bulk; every object may be
//! used from several threads, after close, and in a forked child, and then raises.

mod array;
mod arrow;
mod batch;
mod bytes;
mod columns;
mod condition;
mod db;
mod error;
mod events;
mod family;
mod files;
mod flush;
mod html;
mod import;
mod interpreter;
mod iterate;
mod kept;
mod long_call;
mod options;
mod pinned;
mod record_batch;
mod rows;
mod scan;
mod schema;
mod segments;
mod shared;
mod snapshot;
mod splits;
mod table;
mod ticker;

#[pyo3::pymodule(gil_used = true)]
mod _sstore {
    #[pymodule_export]
    use super::array::Array;
    #[pymodule_export]
    use super::batch::WriteBatch;
    #[pymodule_export]
    use super::condition::schema_metadata;
    #[pymodule_export]
    use super::db::{DB, ReadOnlyDB, close_all, destroy, open};
    #[pymodule_export]
    use super::family::ColumnFamily;
    #[pymodule_export]
    use super::files::{LiveFiles, repair};
    #[pymodule_export]
    use super::flush::FlushToken;
    #[pymodule_export]
    use super::iterate::{Cursor, Iterator};
    #[pymodule_export]
    use super::options::options;
    #[pymodule_export]
    use super::record_batch::RecordBatch;
    #[pymodule_export]
    use super::scan::Scan;
    #[pymodule_export]
    use super::schema::Schema;
    #[pymodule_export]
    use super::snapshot::Snapshot;
    #[pymodule_export]
    use super::splits::{Split, Splits};
    #[pymodule_export]
    use super::table::Table;

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::interpreter::check(module.py())?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("MAX_KEY_BYTES", sstore::key::MAX_KEY_BYTES)?;
        module.add("MAX_VALUE_BYTES", sstore::key::MAX_VALUE_BYTES)
    }
}
