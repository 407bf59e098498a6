//! Guests: families and tables that come and go, some with a log and some without, some over a reopening; merges and exports now and then.

use crate::Checked;
use crate::values;
use crate::world::{Counts, Opened, Worker, World};
use fastrand::Rng;
use sstore::{ColumnFamily, ErrorKind, IterOptions, KeyOptions, ReadOptions, ScanOptions, WriteOptions};
use std::time::Duration;

/// A family that was left behind by an earlier step, and how many keys it has.
struct LeftBehind {
    name: String,
    entries: usize,
}

/// Makes them, and takes them away.
pub struct Host {
    random: Rng,
    count: u64,
    left_behind: Option<LeftBehind>,
}

impl Host {
    /// One that has had no guest yet.
    pub fn new(seed: u64) -> Self {
        Self { random: Rng::with_seed(seed), count: 0, left_behind: None }
    }

    fn family(&mut self, opened: &Opened) -> Checked<()> {
        self.count += 1;
        let name = format!("guest-{}", self.count);
        let logged = self.random.u32(..4) > 0;
        let options = opened.single.options();
        let options = options
            .with("write_buffer_bytes", if self.random.bool() { "64KiB" } else { "1MiB" })?
            .with("logged", if logged { "true" } else { "false" })?;
        let family = opened.db.create_column_family(&name, &options)?;
        let entries = self.random.usize(1..5_000);
        let mut value = Vec::new();
        for key in 0..entries {
            values::value(key, self.count, &mut value);
            opened.db.put(&family, &values::key(key), &value, &WriteOptions::default())?;
        }
        if self.random.bool() {
            opened.db.flush(&[&family])?.wait(None)?;
        }
        if self.random.u32(..3) == 0 {
            self.left_behind = Some(LeftBehind { name, entries });
            return Ok(());
        }
        self.drop_family(opened, &family, entries)
    }

    /// An iterator outlives its family; writes to it are refused.
    fn drop_family(&mut self, opened: &Opened, family: &ColumnFamily, entries: usize) -> Checked<()> {
        let mut iterator = opened.db.iterator(family, IterOptions::default())?;
        let mut valid = iterator.seek_to_first()?;
        opened.db.drop_column_family(family)?;
        let refused = opened.db.put(family, b"late", b"", &WriteOptions::default());
        if !refused.as_ref().is_err_and(|error| error.kind() == ErrorKind::Dropped) {
            return Err(format!("a write to a dropped family says {refused:?}").into());
        }
        let (mut seen, mut scratch) = (0, Vec::new());
        while valid {
            let key = values::number_of(iterator.key())?;
            values::version_of(key, iterator.value(), &mut scratch)?;
            seen += 1;
            valid = iterator.next()?;
        }
        let name = family.name();
        if seen == entries { Ok(()) } else { Err(format!("{name}: {seen} of {entries} entries").into()) }
    }

    fn table(&mut self, opened: &Opened) -> Checked<()> {
        self.count += 1;
        let host = &opened.tables[self.random.usize(..opened.tables.len())];
        let name = format!("guest-{}", self.count);
        let key = values::TABLE_KEY;
        let table = opened.db.create_table(&name, &values::schema(), &key, &KeyOptions::default(), &host.options())?;
        let keys: Vec<usize> = (0..self.random.usize(1..2_000)).collect();
        opened.db.append(&table, &values::rows(&keys, self.count)?, &WriteOptions::default())?;
        if self.random.bool() {
            opened.db.flush_tables(&[&table])?.wait(None)?;
        }
        let scan = opened.db.scan(&table, &ScanOptions::default(), &ReadOptions::default())?;
        opened.db.drop_table(&table)?;
        let mut seen = 0;
        for batch in scan {
            let batch = batch?;
            values::each_row(&batch, |_, _| Ok(()))?;
            seen += batch.num_rows();
        }
        if seen == keys.len() { Ok(()) } else { Err(format!("{name}: {seen} of {} rows", keys.len()).into()) }
    }

    fn export(&mut self, world: &World, opened: &Opened) -> Checked<()> {
        let dir = world.path().with_file_name("export");
        let family = self.random.bool();
        let export = if family {
            opened.db.export(&opened.pair[0], &dir)?
        } else {
            opened.db.export_table(&opened.tables[0], &dir)?
        };
        let found = std::fs::read_dir(&dir)?.count();
        std::fs::remove_dir_all(&dir)?;
        Counts::add(&world.counts.exports, 1);
        let said = export.files.len();
        if found == said { Ok(()) } else { Err(format!("an export of {said} files left {found}").into()) }
    }
}

impl Worker for Host {
    fn step(&mut self, world: &World, opened: &Opened) -> Checked<Duration> {
        if let Some(LeftBehind { name, entries }) = self.left_behind.take() {
            // Perhaps over a reopening; without a log it was flushed then.
            let family = opened.db.column_family(&name)?;
            self.drop_family(opened, &family, entries)?;
        }
        match self.random.u32(..10) {
            0..6 => self.family(opened)?,
            6..8 => self.table(opened)?,
            8 => opened.db.compact(&opened.pair[self.random.usize(..2)])?,
            _ => self.export(world, opened)?,
        }
        Counts::add(&world.counts.guests, 1);
        Ok(Duration::from_millis(self.random.u64(200..2000)))
    }
}
