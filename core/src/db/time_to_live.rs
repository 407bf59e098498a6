//! How long the rows of a table live: which column tells their time, and what may be said and done about it.
//!
//! Called by creation and change of tables, and by merges. The column is named once, at creation, and known by its id from then on.

use super::collection::Collection;
use super::options::Options;
use crate::error::{Error, Result};
use crate::merge::{Horizon, nanos_per_unit};
use crate::schema::{SchemaChange, TableSchema};

/// Refuses options that name no column of times, or a limit without a column.
pub(super) fn check(schema: &TableSchema, options: &Options) -> Result<()> {
    let name = options.ttl_column();
    if name.is_empty() {
        return match options.ttl_seconds() {
            0 => Ok(()),
            seconds => Err(Error::invalid(format!("ttl_seconds is {seconds}, but no ttl_column tells a row's time"))),
        };
    }
    let index = schema.index_of(name);
    let index = index.ok_or_else(|| Error::invalid(format!("ttl_column names {name:?}, which does not exist")))?;
    let data_type = schema.columns()[index].field.data_type();
    if nanos_per_unit(data_type).is_none() {
        let message = format!("ttl_column names {name:?}, which is {data_type}: neither a date nor a timestamp");
        return Err(Error::invalid(message));
    }
    Ok(())
}

/// The id of the column that tells a row's time.
fn column(collection: &Collection) -> Option<u32> {
    let first = collection.schemas.first()?;
    let index = first.index_of(collection.options.ttl_column())?;
    Some(first.columns()[index].id)
}

/// Refuses a change that would take the column away.
pub(super) fn check_change(collection: &Collection, schema: &TableSchema, change: &SchemaChange) -> Result<()> {
    let SchemaChange::Drop { name } = change else { return Ok(()) };
    let dropped = schema.index_of(name).map(|index| schema.columns()[index].id);
    if dropped.is_some() && dropped == column(collection) {
        let message = format!("column {name:?} tells when rows expire (ttl_column) and cannot be dropped");
        return Err(Error::invalid(message));
    }
    Ok(())
}

/// What a merge that begins at `now` (nanoseconds since 1970) lets go; `None` if rows live for ever.
pub(super) fn horizon(collection: &Collection, now: u64) -> Option<Horizon> {
    let seconds = collection.options.ttl_seconds();
    let column = if seconds == 0 { None } else { column(collection) }?;
    Some(Horizon { column, nanos: i128::from(now) - i128::from(seconds) * 1_000_000_000 })
}
