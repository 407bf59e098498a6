//! `sstore import`: a new database, or a family of an existing one, from what another engine wrote. The one verb that writes.
//!
//! Promises: a database that was not there before is there whole and durable, or not at all: it is made under the name `<NEW>.unfinished-import` and gets
//! its own at the end. What an import that was killed left under that name is removed by the next one.

use super::Done;
use super::verify::damage;
use crate::arguments::{Import, ImportFrom, ImportLeveldb};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::Progress;
use crate::record;
use sstore::{CloseOptions, ColumnFamily, Db, Error, ErrorKind, LevelDbImport, LevelDbImported, Options};
use std::fs;
use std::path::{Path, PathBuf};

pub fn run(import: &Import, output: &mut Output) -> Done {
    match &import.from {
        ImportFrom::Leveldb(leveldb) => run_leveldb(leveldb, output),
    }
}

fn run_leveldb(import: &ImportLeveldb, output: &mut Output) -> Done {
    let options = options(import)?;
    // An empty directory is as good as none.
    let is_new = fs::read_dir(&import.to).map_or(true, |mut entries| entries.next().is_none());
    let done = if is_new { into_new(import, &options)? } else { into_existing(import, &import.to, &options)? };
    for error in &done.damage {
        match output.is_table() {
            true => output.line(&format!("DAMAGED  {error}"))?,
            false => output.object(record! { "type": "skipped", "damage": damage(error) })?,
        }
    }
    let mut facts = record! {
        "entries": done.progress.entries,
        "payload_bytes": done.payload_bytes,
        "bytes_read": done.progress.bytes_read,
        "skipped": done.skipped,
        "skipped_bytes": done.skipped_bytes,
        "torn_bytes": done.torn_bytes,
    };
    if !output.is_table() {
        facts.insert(0, ("type".to_owned(), "sum".into()));
    }
    output.facts(facts)?;
    Ok(if done.skipped == 0 { Outcome::Fine } else { Outcome::Wrong })
}

/// The options of the database.
fn options(import: &ImportLeveldb) -> Result<Options, Failure> {
    let mut options = Options::new();
    for given in &import.options {
        let (name, value) =
            given.split_once('=').ok_or_else(|| Failure::Usage(format!("--option {given}: NAME=VALUE is needed")))?;
        options.set(name.trim(), value.trim())?;
    }
    Ok(options)
}

/// Makes the database under another name, and gives it its own once it is whole.
fn into_new(import: &ImportLeveldb, options: &Options) -> Result<LevelDbImported, Failure> {
    let mut place = import.to.as_os_str().to_owned();
    place.push(".unfinished-import");
    let place = PathBuf::from(place);
    let remove = || -> Result<(), Failure> {
        Db::destroy(&place)?;
        match fs::remove_dir(&place) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("remove directory", &place, &cause).into())
            }
            _ => Ok(()),
        }
    };
    remove()?;
    let done = into_existing(import, &place, options).and_then(|done| {
        fs::rename(&place, &import.to).map_err(|cause| Error::io("rename", &place, &cause))?;
        let parent = parent(&import.to);
        let synced = fs::File::open(&parent).and_then(|dir| dir.sync_all());
        synced.map_err(|cause| Error::io("sync directory", &parent, &cause))?;
        Ok(done)
    });
    if done.is_err() {
        // Best effort: the name tells that it is not whole, and the next import removes it.
        let _ = remove();
    }
    done
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

fn into_existing(import: &ImportLeveldb, path: &Path, options: &Options) -> Result<LevelDbImported, Failure> {
    let db = Db::open(path, options)?;
    let (family, is_new) = match db.column_family(&import.collection) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            (db.create_column_family(&import.collection, options)?, true)
        }
        family => (family?, false),
    };
    let done = read(import, &db, &family);
    if done.is_err() && is_new {
        // Best effort: why it failed is what is to be told.
        let _ = db.drop_column_family(&family);
    }
    drop(family);
    let closed = db.close(&CloseOptions::default());
    let done = done?;
    closed?;
    Ok(done)
}

/// Shows how far it is, if standard error is a terminal.
fn read(import: &ImportLeveldb, db: &Db, family: &ColumnFamily) -> Result<LevelDbImported, Error> {
    let bar = Progress::shown("{wide_bar} {bytes} of {total_bytes}, {msg} entries, {binary_bytes_per_sec}, {eta} left");
    let how = LevelDbImport { skip_damaged: import.skip_damaged };
    db.import_leveldb(family, &import.source, &how, &mut |now| {
        bar.set_length(now.bytes_total);
        bar.set_position(now.bytes_read);
        bar.set_message(now.entries.to_string());
        true
    })
}
