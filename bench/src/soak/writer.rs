//! Writers: batches over two families, single calls, rows of two tables; some keys far more often than others.
//!
//! Each key belongs to one writer, so that its versions are acknowledged in order.

use crate::Checked;
use crate::ledger::Ledger;
use crate::values;
use crate::world::{Counts, Opened, Worker, World};
use fastrand::Rng;
use sstore::{Durability, WriteBatch, WriteOptions};
use std::time::{Duration, Instant};

/// How long one step writes.
const STEP: Duration = Duration::from_millis(50);

/// One of the writers.
pub struct Writer {
    random: Rng,
    place: usize,
    writers: usize,
    version: u64,
    value: Vec<u8>,
}

impl Writer {
    /// The writer at `place` of `writers`.
    pub fn new(seed: u64, place: usize, writers: usize) -> Self {
        Self { random: Rng::with_seed(seed), place, writers, version: 0, value: Vec::new() }
    }

    /// A key of this writer: the first of them most often, as popular things are.
    fn pick(&mut self, ledger: &Ledger) -> usize {
        let own = ledger.len() / self.writers;
        let place = (own as f64 * self.random.f64().powi(4)) as usize;
        place.min(own - 1) * self.writers + self.place
    }

    fn pick_some(&mut self, ledger: &Ledger, count: usize) -> Vec<usize> {
        let mut keys: Vec<usize> = (0..count).map(|_| self.pick(ledger)).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    fn options(&mut self) -> WriteOptions {
        let durability = if self.random.u32(..200) == 0 { Durability::Sync } else { Durability::Buffered };
        WriteOptions { durability: Some(durability), no_stall: false }
    }

    /// Every key once, so that nothing grows later on only because it was never written.
    pub fn fill(&mut self, world: &World, opened: &Opened) -> Checked<()> {
        let own = |ledger: &Ledger| (self.place..ledger.len()).step_by(self.writers).collect::<Vec<_>>();
        let (pairs, singles) = (own(&world.pairs), own(&world.singles));
        let rows: Vec<Vec<usize>> = world.rows.iter().map(own).collect();
        for keys in pairs.chunks(100) {
            self.write_pairs(world, opened, keys, false)?;
        }
        for &key in &singles {
            self.write_single(world, opened, key, false)?;
        }
        for (table, keys) in rows.iter().enumerate() {
            for keys in keys.chunks(500) {
                self.write_rows(world, opened, table, keys, false)?;
            }
        }
        Ok(())
    }

    fn write_pairs(&mut self, world: &World, opened: &Opened, keys: &[usize], deletes: bool) -> Checked<()> {
        self.version += 1;
        let mut batch = WriteBatch::new();
        for &key in keys {
            world.pairs.begin(key, self.version, deletes);
            values::value(key, self.version, &mut self.value);
            for family in &opened.pair {
                if deletes {
                    batch.delete(family.id(), &values::key(key))?;
                } else {
                    batch.put(family.id(), &values::key(key), &self.value)?;
                }
            }
        }
        opened.db.write(&batch, &self.options())?;
        for &key in keys {
            world.pairs.acknowledge(key, self.version, deletes);
        }
        Counts::add(&world.counts.writes, 2 * keys.len() as u64);
        Ok(())
    }

    fn write_single(&mut self, world: &World, opened: &Opened, key: usize, deletes: bool) -> Checked<()> {
        self.version += 1;
        let options = self.options();
        world.singles.begin(key, self.version, deletes);
        if deletes {
            opened.db.delete(&opened.single, &values::key(key), &options)?;
        } else {
            values::value(key, self.version, &mut self.value);
            opened.db.put(&opened.single, &values::key(key), &self.value, &options)?;
        }
        world.singles.acknowledge(key, self.version, deletes);
        Counts::add(&world.counts.writes, 1);
        Ok(())
    }

    fn write_rows(
        &mut self,
        world: &World,
        opened: &Opened,
        table: usize,
        keys: &[usize],
        deletes: bool,
    ) -> Checked<()> {
        self.version += 1;
        let ledger = &world.rows[table];
        keys.iter().for_each(|&key| ledger.begin(key, self.version, deletes));
        let mut batch = WriteBatch::new();
        if deletes {
            opened.tables[table].delete_rows(&mut batch, &values::row_keys(keys)?)?;
        } else {
            opened.tables[table].put_rows(&mut batch, &values::rows(keys, self.version)?)?;
        }
        opened.db.write(&batch, &self.options())?;
        keys.iter().for_each(|&key| ledger.acknowledge(key, self.version, deletes));
        Counts::add(&world.counts.writes, keys.len() as u64);
        Ok(())
    }
}

impl Worker for Writer {
    fn step(&mut self, world: &World, opened: &Opened) -> Checked<Duration> {
        let began = Instant::now();
        while began.elapsed() < STEP {
            let deletes = self.random.u32(..8) == 0;
            match self.random.u32(..100) {
                0..60 => {
                    let count = self.random.usize(1..=20);
                    let keys = self.pick_some(&world.pairs, count);
                    self.write_pairs(world, opened, &keys, deletes)?;
                }
                60..95 => {
                    let key = self.pick(&world.singles);
                    self.write_single(world, opened, key, deletes)?;
                }
                _ => {
                    let (table, count) = (self.random.usize(..opened.tables.len()), self.random.usize(1..=200));
                    let keys = self.pick_some(&world.rows[table], count);
                    self.write_rows(world, opened, table, &keys, deletes)?;
                }
            }
        }
        // Mostly at full speed; now and then long enough for the log to take its rest.
        Ok(Duration::from_millis(match self.random.u32(..100) {
            0 => 1500,
            1..20 => 20,
            _ => 0,
        }))
    }
}
