//! `sstore stat`: the database in numbers.

use super::{Done, collections, open, wal_dir};
use crate::arguments::Database;
use crate::failure::{Failure, Outcome};
use crate::output::{Output, Record};
use crate::record;
use serde_json::{Value, json};
use sstore::env::posix::posix;

pub fn run(database: &Database, output: &mut Output) -> Done {
    let db = open(database)?;
    let stats = db.stats();
    let (segments, log_bytes) = log(database)?;
    let mut of_collections = Vec::new();
    for (name, collection) in collections(&db)? {
        let runs = collection.segments(&db)?;
        let sum = |of: fn(&sstore::Segment) -> u64| runs.iter().map(of).sum::<u64>();
        of_collections.push(record! {
            "collection": name,
            "kind": collection.kind(),
            "runs": runs.len(),
            "levels": runs.iter().map(|run| run.level + 1).max().unwrap_or(0),
            "entries": sum(|run| run.entries),
            "tombstones": sum(|run| run.tombstones),
            "file_bytes": sum(|run| run.size_bytes),
        });
    }
    let mut facts = record! {
        "path": database.path.to_string_lossy(),
        "sequence": stats.sequence,
        "collections": of_collections.len(),
        "files": stats.files,
        "file_bytes": stats.file_bytes,
        "log_segments": segments,
        "log_file_bytes": log_bytes,
        "memtable_bytes": stats.memtable_bytes + stats.frozen_bytes,
        "index_and_filter_bytes": stats.resident_bytes,
    };
    if output.is_table() {
        output.facts(facts)?;
        output.line("")?;
        of_collections.into_iter().try_for_each(|record| output.record(record))?;
    } else {
        let objects: Vec<Value> = of_collections.into_iter().map(object).collect();
        for (name, value) in &mut facts {
            if name == "collections" {
                *value = json!(objects);
            }
        }
        output.facts(facts)?;
    }
    Ok(Outcome::Fine)
}

fn object(record: Record) -> Value {
    Value::Object(record.into_iter().collect())
}

/// How many segments the log has, and how long they are.
fn log(database: &Database) -> Result<(u64, u64), Failure> {
    let (files, dir) = (posix().files, wal_dir(database));
    let (mut segments, mut bytes) = (0, 0);
    // A database that was never written to may have no folder for its log.
    for name in files.list(&dir).unwrap_or_default() {
        if sstore::wal::segment_number(&name).is_some() {
            segments += 1;
            bytes += files.file_len(&dir.join(name))?.unwrap_or(0);
        }
    }
    Ok((segments, bytes))
}
