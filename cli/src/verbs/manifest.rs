//! `sstore manifest`: the edits that make the database what it is, and what they add up to.

use super::Done;
use crate::arguments::Manifest as Arguments;
use crate::failure::{Failure, Outcome};
use crate::output::{Output, Record};
use crate::record;
use crate::text::Form;
use serde_json::Value;
use sstore::env::posix::posix;
use sstore::key::{CollectionKind, FileNumber};
use sstore::version::file_name::{self, FileKind};
use sstore::version::{Change, FileMeta, Manifest};
use std::path::PathBuf;

pub fn run(arguments: &Arguments, output: &mut Output) -> Done {
    let (dir, number) = place(arguments)?;
    let form = arguments.keys.form();
    let content = Manifest::inspect::<Failure>(&posix(), &dir, number, &mut |record| {
        for change in &record.edit.changes {
            show(record.edit_number, record.offset, change, form, output)?;
        }
        Ok(())
    })?;
    output.end_table()?;
    let files = content.state.files().count();
    let unfinished = content.file_bytes - content.end;
    if output.is_table() {
        let torn =
            if unfinished > 0 { format!(", then {unfinished} bytes of an unfinished edit") } else { String::new() };
        output.line(&format!(
            "{}: {} edits, {} bytes{torn}; {} collections, {files} files, epoch {}, last sequence {}",
            file_name::manifest(content.number),
            content.records,
            content.end,
            content.state.collections.len(),
            content.state.epoch,
            content.state.last_sequence,
        ))?;
    } else {
        output.object(record! {
            "type": "end",
            "manifest": content.number.0,
            "database_id": format!("{:016x}", content.state.database_id),
            "edits": content.records,
            "bytes": content.end,
            "unfinished_bytes": unfinished,
            "collections": content.state.collections.len(),
            "files": files,
            "epoch": content.state.epoch,
            "last_sequence": content.state.last_sequence,
        })?;
    }
    Ok(Outcome::Fine)
}

/// The directory of the database, and which manifest, if not the one in force.
fn place(arguments: &Arguments) -> Result<(PathBuf, Option<FileNumber>), Failure> {
    let path = &arguments.path;
    if !path.is_file() {
        return Ok((path.clone(), None));
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let Some(FileKind::Manifest(number)) = file_name::parse(&name) else {
        return Err(Failure::Usage(format!("{} is no MANIFEST file", path.display())));
    };
    Ok((path.parent().unwrap_or(path).to_path_buf(), Some(number)))
}

fn show(edit: u64, offset: u64, change: &Change, form: Form, output: &mut Output) -> Result<(), Failure> {
    let (name, details) = describe(change, form);
    let mut shown = record! { "edit": edit, "offset": offset, "change": name };
    if output.is_table() {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let details: Vec<String> = details.iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
        shown.push(("details".to_owned(), details.join(" ").into()));
    } else {
        shown.insert(0, ("type".to_owned(), "change".into()));
        shown.extend(details);
    }
    Ok(output.record(shown)?)
}

/// A change by name, and what it says.
fn describe(change: &Change, form: Form) -> (&'static str, Record) {
    match change {
        Change::Epoch(epoch) => ("epoch", record! { "epoch": *epoch }),
        Change::LastSequence(sequence) => ("last_sequence", record! { "sequence": *sequence }),
        Change::NextFileNumber(number) => ("next_file_number", record! { "number": number.0 }),
        Change::NextCollectionId(id) => ("next_collection_id", record! { "id": id.0 }),
        Change::LogFloor(floor) => ("log_floor", record! { "segment": floor.0 }),
        Change::Cut(None) => ("cut", record! { "segment": Value::Null }),
        Change::Cut(Some(cut)) => {
            ("cut", record! { "segment": cut.segment.0, "offset": cut.offset, "sequence": cut.sequence })
        }
        Change::LogDurable(position) => {
            ("log_durable", record! { "segment": position.segment.0, "offset": position.offset })
        }
        Change::CreateCollection { id, name, kind, logged, options } => {
            let kind = if *kind == CollectionKind::Rows { "table" } else { "family" };
            let options = Form::Text.show(options).replace("\\x0a", " ");
            let created = record! {
                "collection": id.0,
                "name": name.as_str(),
                "kind": kind,
                "logged": *logged,
                "options": options.trim_end(),
            };
            ("create_collection", created)
        }
        Change::AddSchema { collection, schema } => {
            ("add_schema", record! { "collection": collection.0, "schema": schema.id, "bytes": schema.bytes.len() })
        }
        Change::DropCollection(id) => ("drop_collection", record! { "collection": id.0 }),
        Change::FlushedThrough { collection, sequence } => {
            ("flushed_through", record! { "collection": collection.0, "sequence": *sequence })
        }
        Change::IngestedAt { collection, sequence } => {
            ("ingested_at", record! { "collection": collection.0, "sequence": *sequence })
        }
        Change::AddFile(meta) => ("add_file", file(meta, form)),
        Change::RemoveFile { collection, number } => {
            ("remove_file", record! { "collection": collection.0, "number": number.0 })
        }
    }
}

fn file(meta: &FileMeta, form: Form) -> Record {
    // Keys of tables are encoded, and no text.
    let form = if meta.schema_id == 0 { form } else { Form::Hex };
    record! {
        "collection": meta.collection.0,
        "number": meta.number.0,
        "level": meta.level,
        "bytes": meta.size_bytes,
        "checksum": format!("{:08x}", meta.checksum),
        "entries": meta.entries,
        "tombstones": meta.tombstones,
        "smallest": form.show(&meta.smallest),
        "largest": form.show(&meta.largest),
        "smallest_sequence": meta.smallest_sequence,
        "largest_sequence": meta.largest_sequence,
    }
}
