//! `sstore wal`: the log record by record, and how each segment ends.

use super::Done;
use super::dump::kind_name;
use crate::arguments::Wal;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::record;
use serde_json::{Value, json};
use sstore::batch::{Operations, RowsHeader};
use sstore::env::posix::posix;
use sstore::record::RecordKind;
use sstore::version::file_name;
use sstore::wal::{
    ARCHIVE_DIR, InspectedEnd, InspectedRecord, InspectedSegment, archived_stamp, inspect_segment, segment_number,
};
use std::path::{Path, PathBuf};

pub fn run(wal: &Wal, output: &mut Output) -> Done {
    let mut outcome = Outcome::Fine;
    let mut ends = Vec::new();
    for path in segments(wal)? {
        let walked = inspect_segment::<Failure>(&posix(), &path, &mut |segment, record| show(segment, &record, output));
        match walked {
            Ok(end) => ends.push((path, Ok(end))),
            // The header of one segment says nothing about the others.
            Err(Failure::Engine(error)) => {
                outcome = Outcome::Wrong;
                ends.push((path, Err(error)));
            }
            Err(failure) => return Err(failure),
        }
    }
    output.end_table()?;
    for (path, end) in ends {
        match end {
            Ok((segment, end)) => show_end(&segment, end, output)?,
            Err(error) if output.is_table() => output.line(&format!("{}: {error}", path.display()))?,
            Err(error) => {
                let name = path.file_name().map(|name| name.to_string_lossy());
                let number = name.and_then(|name| segment_number(&name)).map(|number| number.0);
                output.object(record! { "type": "end", "segment": number, "error": error.to_string() })?;
            }
        }
    }
    Ok(outcome)
}

/// The segments that are meant, in the order of the log: those of the archive came first.
fn segments(wal: &Wal) -> Result<Vec<PathBuf>, Failure> {
    if wal.path.is_file() {
        return Ok(vec![wal.path.clone()]);
    }
    let in_database = wal.path.join(file_name::LOG_DIR);
    let dir = match &wal.wal_dir {
        Some(dir) => dir.clone(),
        None if in_database.is_dir() => in_database,
        None => wal.path.clone(),
    };
    let mut found = Vec::new();
    if wal.archive {
        let archive = dir.join(ARCHIVE_DIR);
        if archive.is_dir() {
            found = archived(&archive)?;
        }
    }
    let names = posix().files.list(&dir)?;
    let mut numbers: Vec<_> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort();
    found.extend(numbers.into_iter().map(|number| dir.join(sstore::wal::segment_name(number))));
    if found.is_empty() {
        // Perhaps the archive itself.
        found = archived(&dir)?;
    }
    if found.is_empty() {
        return Err(Failure::Absent(format!("no segment of a log lies in {}", dir.display())));
    }
    Ok(found)
}

/// The archived segments in a folder, oldest first.
fn archived(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let names = posix().files.list(dir)?;
    Ok(names.iter().filter(|name| archived_stamp(name).is_some()).map(|name| dir.join(name)).collect())
}

fn show(segment: &InspectedSegment, record: &InspectedRecord<'_>, output: &mut Output) -> Result<(), Failure> {
    let kind = match record.kind {
        RecordKind::Begin => "begin",
        RecordKind::Data => "data",
        RecordKind::End => "end",
        RecordKind::Mark => "mark",
    };
    let mut sections = if record.kind == RecordKind::Data { sections(record.payload) } else { Vec::new() };
    if let Some((number, end, sequence)) = record.follows {
        sections.push(json!({ "follows": number.0, "end": end, "sequence": sequence }));
    }
    let sections = if output.is_table() { brief(&sections).into() } else { Value::from(sections) };
    let mut shown = record! {
        "segment": segment.number.0,
        "offset": record.offset,
        "bytes": record.bytes,
        "kind": kind,
        "sequence": record.sequence,
        "operations": record.count,
        "durable": record.durable,
        "sections": sections,
    };
    if !output.is_table() {
        shown.insert(0, ("type".to_owned(), "record".into()));
    }
    Ok(output.record(shown)?)
}

/// What a batch holds: stretches of operations of one kind on one collection.
fn sections(payload: &[u8]) -> Vec<Value> {
    struct Section {
        collection: u32,
        kind: &'static str,
        operations: u64,
        rows: Option<u64>,
        bytes: u64,
    }
    let mut sections: Vec<Section> = Vec::new();
    let mut damage = None;
    for operation in Operations::new(payload) {
        let operation = match operation {
            Ok(operation) => operation,
            Err(why) => {
                damage = Some(json!({ "damage": why }));
                break;
            }
        };
        let rows = operation.kind.is_rows().then(|| {
            let header = RowsHeader::decode(operation.key);
            header.map_or(0, |header| u64::from(header.rows))
        });
        let (collection, kind) = (operation.collection.0, kind_name(operation.kind));
        let bytes = (operation.key.len() + operation.value.len()) as u64;
        match sections.last_mut() {
            Some(last) if (last.collection, last.kind, last.rows.is_some()) == (collection, kind, rows.is_some()) => {
                last.operations += 1;
                last.rows = last.rows.zip(rows).map(|(before, more)| before + more);
                last.bytes += bytes;
            }
            _ => sections.push(Section { collection, kind, operations: 1, rows, bytes }),
        }
    }
    let object = |section: Section| {
        let Section { collection, kind, operations, rows, bytes } = section;
        json!({ "collection": collection, "kind": kind, "operations": operations, "rows": rows, "bytes": bytes })
    };
    sections.into_iter().map(object).chain(damage).collect()
}

/// The same for people: `0: 3 put; 2: put of 100 rows`.
fn brief(sections: &[Value]) -> String {
    let parts = sections.iter().map(|section| {
        let (collection, kind) = (&section["collection"], section["kind"].as_str().unwrap_or(""));
        match (&section["damage"], &section["follows"], &section["rows"]) {
            (Value::String(why), ..) => format!("damaged: {why}"),
            (_, Value::Number(number), _) if number.as_u64() == Some(0) => "first of its epoch".to_owned(),
            (_, Value::Number(number), _) => format!("follows {number}, which ends at {}", section["end"]),
            (_, _, Value::Number(rows)) => format!("{collection}: {kind} of {rows} rows"),
            _ => format!("{collection}: {} {kind}", section["operations"]),
        }
    });
    parts.collect::<Vec<_>>().join("; ")
}

fn show_end(segment: &InspectedSegment, end: InspectedEnd, output: &mut Output) -> Result<(), Failure> {
    if output.is_table() {
        let damage = end.damage.map(|why| format!(", then: {why}")).unwrap_or_default();
        let InspectedSegment { number, epoch, file_bytes, .. } = segment;
        let (records, offset) = (end.records, end.offset);
        let line = format!(
            "segment {:06}, epoch {epoch}: {records} records up to offset {offset} of {file_bytes}{damage}",
            number.0
        );
        return Ok(output.line(&line)?);
    }
    output.object(record! {
        "type": "end",
        "segment": segment.number.0,
        "epoch": segment.epoch,
        "database_id": format!("{:016x}", segment.database_id),
        "file_bytes": segment.file_bytes,
        "records": end.records,
        "offset": end.offset,
        "damage": end.damage,
    })?;
    Ok(())
}
