//! Tables: ingest, flush, scans, look-ups and merges of rows of sensors, and their peers on the same files.
//!
//! Called by `main`, a group for each kind of work. The key of all tables is (time, sensor); nothing is merged unless asked for.

mod data;
mod merge;
mod peers;
mod read;
mod write;

pub use merge::{child, memory_mib, run as merge};
pub use read::run as read;
pub use write::flush;

use crate::measure::Row;
use crate::write::quiet_options;
use crate::{Plan, Result};
use data::{KEY, Shape};
use sstore::{CloseOptions, Db, KeyOptions, Options, Table};

/// A table's file formats, as the option names them, and as the report does.
const FORMATS: [(&str, &str); 2] = [("parquet", "Parquet"), ("arrow", "IPC")];

const TABLE: &str = "readings";

/// Large batches, then small ones and single rows.
pub fn ingest(plan: &Plan) -> Result<Vec<Row>> {
    let mut rows = write::ingest(plan)?;
    rows.extend(write::small(plan)?);
    Ok(rows)
}

fn options(format: &str) -> Result<Options> {
    Ok(quiet_options()?.with("table_format", format)?)
}

/// Makes a database with one table, and removes it after `work`.
fn with_table<T>(
    plan: &Plan,
    options: &Options,
    shape: Shape,
    work: impl FnOnce(&Db, &Table) -> Result<T>,
) -> Result<T> {
    let path = plan.dir.join("tables");
    let db = Db::open(&path, options)?;
    let table = db.create_table(TABLE, &shape.schema(), &KEY, &KeyOptions::default(), options)?;
    let result = work(&db, &table);
    db.close(&CloseOptions { flush: Some(false), force: true, ..CloseOptions::default() })?;
    std::fs::remove_dir_all(&path)?;
    result
}
