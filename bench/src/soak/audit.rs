//! Audits: every key and row of the database at one snapshot, held against the ledgers.
//!
//! Made all the while beside the writers, and after each opening before anybody else comes in.

use crate::Checked;
use crate::ledger::{Known, Ledger};
use crate::values;
use crate::world::{Counts, Opened, Worker, World};
use fastrand::Rng;
use sstore::env::posix::posix;
use sstore::{ColumnFamily, EntryBatch, IterOptions, ReadOptions, ScanOptions, Snapshot, Table};
use std::time::Duration;

/// Reads all of it again and again.
pub struct Auditor {
    random: Rng,
}

impl Auditor {
    /// One that has read nothing yet.
    pub fn new(seed: u64) -> Self {
        Self { random: Rng::with_seed(seed) }
    }

    /// Looks at everything once.
    pub fn audit(&mut self, world: &World, opened: &Opened) -> Checked<()> {
        let pairs = world.pairs.all_known();
        let singles = world.singles.all_known();
        let rows: Vec<Vec<Known>> = world.rows.iter().map(Ledger::all_known).collect();
        let snapshot = opened.db.snapshot()?;
        let [left, right] = &opened.pair;
        let left = self.entries(opened, left, &snapshot, pairs.len())?;
        let right = self.entries(opened, right, &snapshot, pairs.len())?;
        if let Some(key) = (0..pairs.len()).find(|&key| left[key] != right[key]) {
            let (left, right) = (left[key], right[key]);
            return Err(format!("key {key}: half a batch at one snapshot: {left:?} and {right:?}").into());
        }
        compare(&world.pairs, &pairs, &left)?;
        compare(&world.singles, &singles, &self.entries(opened, &opened.single, &snapshot, singles.len())?)?;
        for ((table, ledger), known) in opened.tables.iter().zip(&world.rows).zip(rows) {
            compare(ledger, &known, &self.rows(opened, table, &snapshot, known.len())?)?;
        }
        Counts::add(&world.counts.audits, 1);
        Ok(())
    }

    /// The versions of all keys of a family, by key.
    fn entries(
        &mut self,
        opened: &Opened,
        family: &ColumnFamily,
        snapshot: &Snapshot,
        keys: usize,
    ) -> Checked<Vec<Option<u64>>> {
        let forward = self.random.bool();
        let options =
            IterOptions { snapshot: Some(snapshot.clone()), scan: self.random.bool(), ..IterOptions::default() };
        let mut iterator = opened.db.iterator(family, options)?;
        let (mut batch, mut scratch) = (EntryBatch::new(), Vec::new());
        let mut versions = vec![None; keys];
        let mut last = Vec::new();
        loop {
            let count = if forward {
                iterator.next_batch(&mut batch, 500, 1 << 18)?
            } else {
                iterator.prev_batch(&mut batch, 500, 1 << 18)?
            };
            if count == 0 {
                return Ok(versions);
            }
            for (key, value) in batch.iter() {
                let ordered = last.is_empty() || if forward { &last[..] < key } else { &last[..] > key };
                last.clear();
                last.extend_from_slice(key);
                let key = values::number_of(key)?;
                let version = values::version_of(key, value, &mut scratch)?;
                let place = versions.get_mut(key).filter(|place| ordered && place.is_none());
                *place.ok_or_else(|| format!("{}: key {key} out of order", family.name()))? = Some(version);
            }
        }
    }

    /// The versions of all rows of a table, by key: read in one scan, or in splits as other processes would.
    fn rows(&mut self, opened: &Opened, table: &Table, snapshot: &Snapshot, keys: usize) -> Checked<Vec<Option<u64>>> {
        let mut versions = vec![None; keys];
        let reverse = self.random.bool();
        let scan = ScanOptions { reverse, ..ScanOptions::default() };
        let options = ReadOptions { snapshot: Some(snapshot) };
        let mut last = None;
        let mut take = |key: usize, version: u64| {
            let ordered = last.is_none_or(|last| if reverse { key < last } else { key > last });
            last = Some(key);
            let place = versions.get_mut(key).filter(|_| ordered);
            *place.ok_or_else(|| format!("{}: row {key} out of order", table.name()))? = Some(version);
            Ok(())
        };
        if self.random.u32(..4) == 0 {
            let splits = opened.db.splits(table, &scan, &options, 1 << 20)?;
            for split in &splits.splits {
                for batch in split.run(&posix(), 1 << 20)? {
                    values::each_row(&batch?, &mut take)?;
                }
            }
        } else {
            for batch in opened.db.scan(table, &scan, &options)? {
                values::each_row(&batch?, &mut take)?;
            }
        }
        Ok(versions)
    }
}

fn compare(ledger: &Ledger, known: &[Known], found: &[Option<u64>]) -> Checked<()> {
    known.iter().zip(found).enumerate().try_for_each(|(key, (known, found))| ledger.check(key, *known, *found))
}

impl Worker for Auditor {
    fn step(&mut self, world: &World, opened: &Opened) -> Checked<Duration> {
        self.audit(world, opened)?;
        Ok(Duration::from_millis(self.random.u64(100..2000)))
    }
}
