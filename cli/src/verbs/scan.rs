//! `sstore scan` and `sstore count`: entries of a family, or rows of a table, in order.

use super::{Collection, Done, collection, open};
use crate::arguments::{Scan, Selection};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::{COUNTED, Progress};
use crate::{record, rows};
use arrow_array::RecordBatch;
use sstore::{ColumnFamily, Db, EntryBatch, Filter, IterOptions, KeyRange, ReadOptions, ScanOptions, Table};

/// Entries fetched at a time, and their bytes, about.
const BATCH_ENTRIES: usize = 1024;
const BATCH_BYTES: usize = 1 << 20;

pub fn run(scan: &Scan, output: &mut Output) -> Done {
    let selection = &scan.selection;
    let db = open(&selection.database)?;
    match collection(&db, &selection.collection)? {
        Collection::Family(family) => {
            refuse("--columns is for tables", scan.columns.is_some())?;
            let form = selection.keys.form();
            let bar = Progress::beside_lines(COUNTED);
            entries(&db, &family, selection, scan.reverse, &bar, &mut |key, value| {
                output.record(record! { "key": form.show(key), "value": form.show(value) })
            })?;
        }
        Collection::Table(table) => {
            refuse("--reverse is for families", scan.reverse)?;
            let bar = Progress::beside_lines(COUNTED);
            batches(&db, &table, selection, scan.columns.clone(), &bar, &mut |batch| {
                (0..batch.num_rows()).try_for_each(|row| output.record(rows::record(batch, row)))
            })?;
        }
    }
    Ok(Outcome::Fine)
}

pub fn count(selection: &Selection, output: &mut Output) -> Done {
    let db = open(&selection.database)?;
    let mut count = 0;
    let bar = Progress::shown(COUNTED);
    match collection(&db, &selection.collection)? {
        Collection::Family(family) => entries(&db, &family, selection, false, &bar, &mut |_, _| {
            count += 1;
            Ok(())
        })?,
        Collection::Table(table) => batches(&db, &table, selection, Some(Vec::new()), &bar, &mut |batch| {
            count += batch.num_rows() as u64;
            Ok(())
        })?,
    }
    drop(bar);
    if output.is_table() {
        output.line(&count.to_string())?;
    } else {
        output.facts(record! { "collection": selection.collection.as_str(), "count": count })?;
    }
    Ok(Outcome::Fine)
}

fn refuse(why: &str, given: bool) -> Result<(), Failure> {
    if given { Err(Failure::Usage(why.to_owned())) } else { Ok(()) }
}

/// Takes keys with their values.
type EntrySink<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> std::io::Result<()>;

/// Gives the chosen entries of a family to `sink`.
fn entries(
    db: &Db,
    family: &ColumnFamily,
    selection: &Selection,
    reverse: bool,
    bar: &Progress,
    sink: EntrySink<'_>,
) -> Result<(), Failure> {
    refuse("--where is for tables", selection.condition.is_some())?;
    bar.set_message("entries");
    let form = selection.keys.form();
    let read = |key: &Option<String>| key.as_ref().map(|key| form.read(key)).transpose().map_err(Failure::Usage);
    let mut range = KeyRange { lower: read(&selection.from)?, upper: read(&selection.to)? };
    if let Some(prefix) = read(&selection.prefix)? {
        range = range.intersect(KeyRange::prefix(&prefix));
    }
    let mut iterator = db.iterator(family, IterOptions { range, snapshot: None, scan: true })?;
    let mut left = selection.limit.unwrap_or(u64::MAX);
    let mut batch = EntryBatch::default();
    while left > 0 {
        let wanted = BATCH_ENTRIES.min(usize::try_from(left).unwrap_or(usize::MAX));
        let found = match reverse {
            true => iterator.prev_batch(&mut batch, wanted, BATCH_BYTES)?,
            false => iterator.next_batch(&mut batch, wanted, BATCH_BYTES)?,
        };
        if found == 0 {
            break;
        }
        for (key, value) in batch.iter() {
            sink(key, value)?;
        }
        left -= found as u64;
        bar.inc(found as u64);
    }
    Ok(())
}

/// Gives the chosen rows of a table to `sink`, batch by batch.
fn batches(
    db: &Db,
    table: &Table,
    selection: &Selection,
    columns: Option<Vec<String>>,
    bar: &Progress,
    sink: &mut dyn FnMut(&RecordBatch) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let keys = selection.from.is_some() || selection.to.is_some() || selection.prefix.is_some();
    refuse("--from, --to and --prefix are for families: choose the rows of a table with --where", keys)?;
    let scan = ScanOptions {
        columns,
        filter: selection.condition.as_deref().map(Filter::parse).transpose()?,
        limit: selection.limit,
        ..ScanOptions::default()
    };
    bar.set_message("rows");
    for batch in db.scan(table, &scan, &ReadOptions::default())? {
        let batch = batch?;
        sink(&batch)?;
        bar.inc(batch.num_rows() as u64);
    }
    Ok(())
}
