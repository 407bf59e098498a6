//! The verbs, one file each, and what several of them need.

mod dump;
mod get;
mod import;
mod levels;
mod manifest;
mod manual;
mod scan;
mod sst;
mod stat;
mod verify;
mod wal;

use crate::arguments::{Database, Verb};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use sstore::{ColumnFamily, Db, Error, ErrorKind, Options, Table};
use std::path::PathBuf;

/// What a verb gives.
type Done = Result<Outcome, Failure>;

/// Does what was asked for.
pub fn run(verb: &Verb, output: &mut Output) -> Done {
    match verb {
        Verb::Stat(database) => stat::run(database, output),
        Verb::Levels(levels) => levels::run(levels, output),
        Verb::Get(get) => get::run(get, output),
        Verb::Scan(scan) => scan::run(scan, output),
        Verb::Count(selection) => scan::count(selection, output),
        Verb::Dump(dump) => dump::run(dump, output),
        Verb::Wal(wal) => wal::run(wal, output),
        Verb::Manifest(manifest) => manifest::run(manifest, output),
        Verb::Sst(file) => sst::run(file, output),
        Verb::Verify(verify) => verify::run(verify, output),
        Verb::Import(import) => import::run(import, output),
        Verb::Completions { shell } => manual::completions(*shell),
        Verb::Man { directory } => manual::pages(directory),
    }
}

/// The options of an opening that changes nothing.
fn options(database: &Database) -> Result<Options, Failure> {
    let mut options = Options::new().with("read_only", "true")?;
    if let Some(dir) = &database.wal_dir {
        let dir = dir.to_str().ok_or_else(|| Failure::Usage("--wal-dir: a path that is text is needed".to_owned()))?;
        options.set("wal_dir", dir)?;
    }
    Ok(options)
}

/// Opens a database for reading.
fn open(database: &Database) -> Result<Db, Failure> {
    Ok(Db::open(&database.path, &options(database)?)?)
}

/// Where the log of a database lies.
fn wal_dir(database: &Database) -> PathBuf {
    database.wal_dir.clone().unwrap_or_else(|| database.path.join(sstore::version::file_name::LOG_DIR))
}

/// A family or a table.
enum Collection {
    Family(ColumnFamily),
    Table(Table),
}

/// The family or table of this name.
fn collection(db: &Db, name: &str) -> Result<Collection, Failure> {
    let absent = |error: &Error| error.kind() == ErrorKind::NotFound;
    match db.column_family(name) {
        Err(error) if absent(&error) => {}
        family => return Ok(Collection::Family(family?)),
    }
    match db.table(name) {
        Err(error) if absent(&error) => {}
        table => return Ok(Collection::Table(table?)),
    }
    let mut names = db.column_families()?;
    names.extend(db.tables()?);
    Err(Failure::Absent(format!("no family or table is called \"{name}\"; there are: {}", names.join(", "))))
}

/// All families and tables, with what each is called by people.
fn collections(db: &Db) -> Result<Vec<(String, Collection)>, Failure> {
    let mut all = Vec::new();
    for name in db.column_families()?.into_iter().chain(db.tables()?) {
        let found = collection(db, &name)?;
        all.push((name, found));
    }
    Ok(all)
}

impl Collection {
    fn kind(&self) -> &'static str {
        match self {
            Self::Family(_) => "family",
            Self::Table(_) => "table",
        }
    }

    fn segments(&self, db: &Db) -> Result<Vec<sstore::Segment>, Failure> {
        Ok(match self {
            Self::Family(family) => db.segments(family)?,
            Self::Table(table) => db.table_segments(table)?,
        })
    }
}
