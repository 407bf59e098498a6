//! What a database consists of: the edits of its manifest, added up.
//!
//! Source: `db/version_edit.cc` and `VersionSet::Recover` of LevelDB. An edit is a record of fields, each a number and its value: 1 the
//! comparator's name, 2 the oldest log that counts, 3 the next file number, 4 the last sequence, 5 where a level was last compacted, 6 a table that
//! leaves a level, 7 one that joins it (level, number, size, smallest and largest key), 9 an older log that counts as well. Promises: a manifest
//! with damage in it is refused, whatever the options, and one that ends early unless damage is to be skipped; any order of keys but the
//! bytewise one is refused.

use super::damage::Reading;
use super::internal_key::InternalKey;
use super::log_reader::LogReader;
use crate::coding::Reader;
use crate::env::FileSystem;
use crate::error::{Error, ErrorKind, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// The one order that can be read: that of the bytes.
const COMPARATOR: &str = "leveldb.BytewiseComparator";

/// Levels 0 to 6.
const LEVELS: usize = 7;

/// A table as the manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableMeta {
    /// Its number, which is its name.
    pub number: u64,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// The first key in it, with sequence and kind.
    pub smallest: Vec<u8>,
    /// The last one.
    pub largest: Vec<u8>,
}

/// The tables and logs that are the database.
#[derive(Debug, Default)]
pub struct Version {
    /// By level and number.
    levels: [BTreeMap<u64, TableMeta>; LEVELS],
    log: Option<u64>,
    older_log: u64,
    next_file: Option<u64>,
    last_sequence: Option<u64>,
}

impl Version {
    /// Reads the manifest at `path`.
    pub fn read(files: &dyn FileSystem, path: &Path, reading: &Reading<'_>) -> Result<Self> {
        let file = files.open(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::corruption(path, 0, "the manifest that CURRENT names is missing"),
            _ => error,
        })?;
        let mut log = LogReader::new(file)?;
        let mut version = Self::default();
        while let Some((offset, record)) = log.next(reading)? {
            version.apply(record).map_err(|refused| match refused {
                Refused::Damage(why) => Error::corruption(path, offset, why),
                Refused::Comparator(name) => {
                    let message = format!("keys are ordered by \"{name}\": only {COMPARATOR} can be imported");
                    Error::new(ErrorKind::NotSupported, message).at(path, offset)
                }
            })?;
        }
        if let Some((at, bytes)) = log.torn() {
            // LevelDB goes on with what was before; but what it does not name any more may be what counts.
            reading.skip(Error::corruption(path, at, "a manifest that ends early"), bytes)?;
        }
        if version.log.is_none() || version.next_file.is_none() || version.last_sequence.is_none() {
            let why = "a manifest that does not say which log, files and sequences are in use";
            return Err(Error::corruption(path, 0, why));
        }
        Ok(version)
    }

    /// The tables of level 0, which may overlap, newest first.
    pub fn overlapping(&self) -> impl Iterator<Item = &TableMeta> {
        self.levels[0].values().rev()
    }

    /// The tables of each further level that has any, by rising keys.
    pub fn sorted_levels(&self) -> impl Iterator<Item = Vec<TableMeta>> + '_ {
        let levels = self.levels[1..].iter().filter(|level| !level.is_empty());
        levels.map(|level| {
            let mut tables: Vec<TableMeta> = level.values().cloned().collect();
            tables.sort_by(|a, b| InternalKey::of(&a.smallest).cmp(&InternalKey::of(&b.smallest)));
            tables
        })
    }

    /// All tables.
    pub fn tables(&self) -> impl Iterator<Item = &TableMeta> {
        self.levels.iter().flat_map(BTreeMap::values)
    }

    /// Whether the log of this number holds what no table does.
    pub fn needs_log(&self, number: u64) -> bool {
        self.log.is_some_and(|oldest| number >= oldest) || number == self.older_log
    }

    /// The logs that must be there: without them something is lost.
    pub fn required_logs(&self) -> impl Iterator<Item = u64> {
        [self.older_log, self.log.unwrap_or(0)].into_iter().filter(|&number| number != 0)
    }

    fn apply(&mut self, record: &[u8]) -> std::result::Result<(), Refused> {
        let mut reader = Reader::new(record);
        let mut joining = Vec::new();
        while !reader.is_empty() {
            let tag = reader.varint().ok_or(Refused::Damage("an edit that ends early".into()))?;
            let mut field = Field { tag, reader: &mut reader };
            match tag {
                1 => {
                    let name = field.bytes()?;
                    if name != COMPARATOR.as_bytes() {
                        return Err(Refused::Comparator(String::from_utf8_lossy(name).into_owned()));
                    }
                }
                2 => self.log = Some(field.number()?),
                3 => self.next_file = Some(field.number()?),
                4 => self.last_sequence = Some(field.number()?),
                5 => {
                    field.level()?;
                    field.key()?;
                }
                6 => {
                    let (level, number) = (field.level()?, field.number()?);
                    self.levels[level].remove(&number);
                }
                7 => {
                    let level = field.level()?;
                    let (number, size_bytes) = (field.number()?, field.number()?);
                    let (smallest, largest) = (field.key()?, field.key()?);
                    joining.push((level, TableMeta { number, size_bytes, smallest, largest }));
                }
                9 => self.older_log = field.number()?,
                _ => return Err(Refused::Damage(format!("an edit with a field {tag}, which LevelDB does not have"))),
            }
        }
        // A table that moves to another level leaves and joins in one edit.
        for (level, table) in joining {
            self.levels[level].insert(table.number, table);
        }
        Ok(())
    }
}

/// Why an edit is not taken.
enum Refused {
    Damage(String),
    Comparator(String),
}

/// The value of a field.
struct Field<'r, 'a> {
    tag: u64,
    reader: &'r mut Reader<'a>,
}

impl<'a> Field<'_, 'a> {
    fn damage(&self) -> Refused {
        Refused::Damage(format!("an edit whose field {} is not readable", self.tag))
    }

    fn number(&mut self) -> std::result::Result<u64, Refused> {
        self.reader.varint().ok_or_else(|| self.damage())
    }

    fn bytes(&mut self) -> std::result::Result<&'a [u8], Refused> {
        self.reader.bytes().ok_or_else(|| self.damage())
    }

    fn level(&mut self) -> std::result::Result<usize, Refused> {
        let level = self.number()?;
        usize::try_from(level).ok().filter(|&level| level < LEVELS).ok_or_else(|| self.damage())
    }

    fn key(&mut self) -> std::result::Result<Vec<u8>, Refused> {
        let bytes = self.bytes()?;
        InternalKey::of(bytes).map(|_| bytes.to_vec()).ok_or_else(|| self.damage())
    }
}
