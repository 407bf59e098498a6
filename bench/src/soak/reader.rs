//! Readers: gets, many gets, short walks of iterators both ways, rows by key; snapshots and iterators that are held and looked at again.

use crate::Checked;
use crate::ledger::{Known, Ledger};
use crate::values;
use crate::world::{Counts, Opened, Worker, World};
use fastrand::Rng;
use sstore::{ColumnFamily, DbIterator, ErrorKind, IterOptions, ReadOptions, Snapshot};
use std::time::{Duration, Instant};

const STEP: Duration = Duration::from_millis(30);

/// Keys that a held snapshot is asked for again and again.
const HELD_KEYS: usize = 200;

/// What is kept over several steps.
struct Held {
    generation: u64,
    until: Instant,
    snapshot: Snapshot,
    /// Of the pairs: what the snapshot showed when it was new.
    shown: Vec<(usize, Option<u64>)>,
    iterator: DbIterator,
    /// Where the iterator stands.
    last: Option<Vec<u8>>,
}

/// One of the readers.
pub struct Reader {
    random: Rng,
    held: Vec<Held>,
    scratch: Vec<u8>,
}

impl Reader {
    /// A reader that holds nothing yet.
    pub fn new(seed: u64) -> Self {
        Self { random: Rng::with_seed(seed), held: Vec::new(), scratch: Vec::new() }
    }

    fn pick(&mut self, ledger: &Ledger) -> usize {
        // The popular ones as often as any.
        let power = if self.random.bool() { 4 } else { 1 };
        ((ledger.len() as f64 * self.random.f64().powi(power)) as usize).min(ledger.len() - 1)
    }

    fn version(
        &mut self,
        opened: &Opened,
        family: &ColumnFamily,
        key: usize,
        snapshot: Option<&Snapshot>,
    ) -> Checked<Option<u64>> {
        let found = opened.db.get(family, &values::key(key), &ReadOptions { snapshot })?;
        found.map(|value| values::version_of(key, &value, &mut self.scratch)).transpose()
    }

    fn get(&mut self, world: &World, opened: &Opened) -> Checked<()> {
        let key = self.pick(&world.singles);
        let known = world.singles.known(key);
        let found = self.version(opened, &opened.single, key, None)?;
        world.singles.check(key, known, found)
    }

    /// Both families of the pair show the same at a snapshot.
    fn get_pairs(&mut self, world: &World, opened: &Opened) -> Checked<()> {
        let keys: Vec<usize> = (0..16).map(|_| self.pick(&world.pairs)).collect();
        let known: Vec<Known> = keys.iter().map(|&key| world.pairs.known(key)).collect();
        let snapshot = opened.db.snapshot()?;
        for (&key, known) in keys.iter().zip(known) {
            let [left, right] = &opened.pair;
            let left = self.version(opened, left, key, Some(&snapshot))?;
            let right = self.version(opened, right, key, Some(&snapshot))?;
            if left != right {
                return Err(format!("key {key}: half a batch at one snapshot: {left:?} and {right:?}").into());
            }
            world.pairs.check(key, known, left)?;
        }
        Ok(())
    }

    fn multi_get(&mut self, world: &World, opened: &Opened) -> Checked<()> {
        let keys: Vec<usize> = (0..30).map(|_| self.pick(&world.pairs)).collect();
        let known: Vec<Known> = keys.iter().map(|&key| world.pairs.known(key)).collect();
        let bytes: Vec<_> = keys.iter().map(|&key| values::key(key)).collect();
        let bytes: Vec<&[u8]> = bytes.iter().map(|key| &key[..]).collect();
        let found = opened.db.multi_get(&opened.pair[1], &bytes, &ReadOptions::default())?;
        for ((&key, known), found) in keys.iter().zip(known).zip(found) {
            let found = found.map(|value| values::version_of(key, &value, &mut self.scratch)).transpose()?;
            world.pairs.check(key, known, found)?;
        }
        Ok(())
    }

    fn rows(&mut self, world: &World, opened: &Opened) -> Checked<()> {
        let table = self.random.usize(..opened.tables.len());
        let ledger = &world.rows[table];
        let keys: Vec<usize> = (0..5).map(|_| self.pick(ledger)).collect();
        let known: Vec<Known> = keys.iter().map(|&key| ledger.known(key)).collect();
        let found =
            opened.db.get_rows(&opened.tables[table], &values::row_keys(&keys)?, None, &ReadOptions::default())?;
        for ((&key, known), found) in keys.iter().zip(known).zip(found) {
            let mut version = None;
            if let Some(row) = found {
                values::each_row(&row, |found, of| {
                    version = Some(of);
                    if found == key { Ok(()) } else { Err(format!("row {found} instead of {key}").into()) }
                })?;
            }
            ledger.check(key, known, version)?;
        }
        Ok(())
    }

    /// A short walk from a random key on.
    fn walk(&mut self, world: &World, opened: &Opened) -> Checked<()> {
        let family = &opened.pair[self.random.usize(..2)];
        let start = self.pick(&world.pairs);
        let known = world.pairs.known(start);
        let mut iterator = opened.db.iterator(family, IterOptions::default())?;
        let forward = self.random.bool();
        let wanted = values::key(start);
        let mut valid = if forward { iterator.seek(&wanted)? } else { iterator.seek_for_prev(&wanted)? };
        if !valid || iterator.key() != wanted {
            world.pairs.check(start, known, None)?;
        }
        let mut last: Option<Vec<u8>> = None;
        for _ in 0..50 {
            if !valid {
                break;
            }
            self.check_entry(&iterator, &mut last, forward)?;
            valid = if forward { iterator.next()? } else { iterator.prev()? };
        }
        Ok(())
    }

    fn check_entry(&mut self, iterator: &DbIterator, last: &mut Option<Vec<u8>>, forward: bool) -> Checked<()> {
        let key = values::number_of(iterator.key())?;
        values::version_of(key, iterator.value(), &mut self.scratch)?;
        if last.as_deref().is_some_and(|last| if forward { last >= iterator.key() } else { last <= iterator.key() }) {
            return Err(format!("key {key}: an iterator gave it out of order").into());
        }
        *last = Some(iterator.key().to_vec());
        Ok(())
    }

    /// Takes a snapshot and an iterator, to be looked at for up to a minute.
    fn hold(&mut self, world: &World, opened: &Opened) -> Checked<()> {
        let snapshot = opened.db.snapshot()?;
        let mut shown = Vec::new();
        for _ in 0..HELD_KEYS {
            let key = self.pick(&world.pairs);
            shown.push((key, self.version(opened, &opened.pair[0], key, Some(&snapshot))?));
        }
        let mut iterator = opened.db.iterator(&opened.single, IterOptions::default())?;
        iterator.seek_to_first()?;
        let until = Instant::now() + Duration::from_secs(self.random.u64(1..60));
        self.held.push(Held { generation: opened.generation, until, snapshot, shown, iterator, last: None });
        Ok(())
    }

    /// What is held shows what it showed.
    fn look_again(&mut self, opened: &Opened) -> Checked<()> {
        let mut held = std::mem::take(&mut self.held);
        for held in &mut held {
            if held.generation != opened.generation {
                let answer = held.iterator.seek_to_first();
                if !answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Closed) {
                    return Err(format!("an iterator outlived a forced closing and says {answer:?}").into());
                }
                continue;
            }
            for _ in 0..20 {
                let (key, shown) = held.shown[self.random.usize(..HELD_KEYS)];
                let family = &opened.pair[self.random.usize(..2)];
                let found = self.version(opened, family, key, Some(&held.snapshot))?;
                if found != shown {
                    return Err(format!("key {key}: a held snapshot shows {found:?}, it showed {shown:?}").into());
                }
            }
            for _ in 0..20 {
                if held.iterator.is_valid() {
                    self.check_entry(&held.iterator, &mut held.last, true)?;
                    held.iterator.next()?;
                }
            }
        }
        let now = Instant::now();
        held.retain(|held| held.generation == opened.generation && held.until > now);
        self.held = held;
        Ok(())
    }
}

impl Worker for Reader {
    fn step(&mut self, world: &World, opened: &Opened) -> Checked<Duration> {
        self.look_again(opened)?;
        if self.held.len() < 3 && !world.is_letting_go() && self.random.u32(..20) == 0 {
            self.hold(world, opened)?;
        }
        let began = Instant::now();
        while began.elapsed() < STEP {
            let reads = match self.random.u32(..100) {
                0..60 => self.get(world, opened).map(|()| 1),
                60..75 => self.get_pairs(world, opened).map(|()| 32),
                75..85 => self.multi_get(world, opened).map(|()| 30),
                85..92 => self.walk(world, opened).map(|()| 50),
                _ => self.rows(world, opened).map(|()| 5),
            };
            Counts::add(&world.counts.reads, reads?);
        }
        Ok(Duration::from_millis(if self.random.u32(..10) == 0 { 10 } else { 0 }))
    }

    fn let_go(&mut self) {
        self.held.clear();
    }
}
