//! `sstore dump`: one file entry by entry, old versions and deletes included, without its database.

use super::Done;
use crate::arguments::Dump;
use crate::failure::Outcome;
use crate::output::Output;
use crate::progress::{COUNTED, Progress};
use crate::text::Form;
use crate::{record, rows};
use sstore::env::posix::posix;
use sstore::iter::{Cursor, RowChunk};
use sstore::key::Kind;
use sstore::sst::{Access, LoneFile, RowFileReader, RowFileScan, SstReader};
use std::sync::Arc;

pub fn run(dump: &Dump, output: &mut Output) -> Done {
    let limit = dump.limit.unwrap_or(u64::MAX);
    match LoneFile::open(&posix(), &dump.file)? {
        LoneFile::Bytes(reader) => entries(&reader, dump.keys.form(), limit, output),
        LoneFile::Rows(reader) => all_rows(&reader, limit, output),
    }
}

fn entries(reader: &Arc<SstReader>, form: Form, limit: u64, output: &mut Output) -> Done {
    let mut cursor = reader.cursor(Access::Scan);
    let mut shown = 0;
    let bar = Progress::beside_lines(COUNTED);
    bar.set_message("entries");
    let mut more = limit > 0 && cursor.seek_to_first()?;
    while more {
        let entry = cursor.entry();
        output.record(record! {
            "key": form.show(entry.key),
            "sequence": entry.sequence,
            "kind": kind_name(entry.kind),
            "value": form.show(entry.value),
        })?;
        shown += 1;
        bar.inc(1);
        more = shown < limit && cursor.next()?;
    }
    Ok(Outcome::Fine)
}

fn all_rows(reader: &Arc<RowFileReader>, limit: u64, output: &mut Output) -> Done {
    let columns = reader.schema().columns().iter().map(|column| column.id).collect();
    let scan = RowFileScan { access: Access::Scan, ..RowFileScan::of(columns) };
    let mut source = reader.scan(scan)?;
    let mut left = limit;
    let bar = Progress::beside_lines(COUNTED);
    bar.set_message("rows");
    while left > 0
        && let Some(chunk) = source.next_chunk()?
    {
        for row in 0..chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX)) {
            output.record(row_of(&chunk, row))?;
        }
        left -= left.min(chunk.len() as u64);
        bar.inc(chunk.len() as u64);
    }
    Ok(Outcome::Fine)
}

/// A row with what the engine knows of it.
fn row_of(chunk: &RowChunk, row: usize) -> crate::output::Record {
    let kind = if chunk.is_delete(row) { Kind::RowDelete } else { Kind::Rows };
    let mut record = record! { "_seq": chunk.sequences.get(row), "_op": kind_name(kind) };
    record.extend(rows::record(&chunk.batch, row));
    record
}

/// What an operation does, in a word.
pub fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Put | Kind::Rows => "put",
        Kind::Delete | Kind::RowDelete => "delete",
        Kind::RangeDelete => "range_delete",
        Kind::Merge => "merge",
        Kind::ValueRef => "value_ref",
    }
}
