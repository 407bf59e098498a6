//! The merge against a sorted list, under random moves both ways.

use super::*;
use crate::error::ErrorKind;
use crate::key::{Kind, Sequence};
use std::cmp::Reverse;
use std::collections::BTreeMap;

type Entries = BTreeMap<(Vec<u8>, Reverse<Sequence>), Vec<u8>>;

/// A sorted list; fails at the `fuse`th move, if that is set.
struct List {
    entries: Vec<(Vec<u8>, Sequence, Vec<u8>)>,
    at: Option<usize>,
    fuse: Option<usize>,
}

impl List {
    fn new(entries: &Entries) -> Self {
        let entries = entries.iter().map(|((key, sequence), value)| (key.clone(), sequence.0, value.clone())).collect();
        Self { entries, at: None, fuse: None }
    }

    fn stand(&mut self, at: Option<usize>) -> Result<bool> {
        if let Some(fuse) = &mut self.fuse {
            if *fuse == 0 {
                self.at = None;
                return Err(Error::new(ErrorKind::Io, "fuse"));
            }
            *fuse -= 1;
        }
        self.at = at.filter(|&at| at < self.entries.len());
        Ok(self.at.is_some())
    }
}

impl Cursor for List {
    fn seek_to_first(&mut self) -> Result<bool> {
        self.stand(Some(0))
    }
    fn seek_to_last(&mut self) -> Result<bool> {
        self.stand(self.entries.len().checked_sub(1))
    }
    fn seek(&mut self, key: &[u8]) -> Result<bool> {
        self.stand(Some(self.entries.partition_point(|entry| &*entry.0 < key)))
    }
    fn seek_for_prev(&mut self, key: &[u8]) -> Result<bool> {
        self.stand(self.entries.partition_point(|entry| &*entry.0 <= key).checked_sub(1))
    }
    fn next(&mut self) -> Result<bool> {
        self.stand(Some(self.at.unwrap() + 1))
    }
    fn prev(&mut self) -> Result<bool> {
        self.stand(self.at.unwrap().checked_sub(1))
    }
    fn is_valid(&self) -> bool {
        self.at.is_some()
    }
    fn entry(&self) -> Entry<'_> {
        let (key, sequence, value) = &self.entries[self.at.unwrap()];
        Entry { key, sequence: *sequence, kind: Kind::Put, value }
    }
    fn pin_value(&self) -> PinnedBytes {
        PinnedBytes::copied(self.entry().value)
    }
    fn push_to(&self, batch: &mut EntryBatch) {
        batch.push_pinned(self.entry().key, self.entry().sequence, &self.pin_value());
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % bound
    }

    /// Short keys collide; long ones share their heads.
    fn key(&mut self) -> Vec<u8> {
        let prefix: &[u8] = if self.below(2) == 0 { b"" } else { b"same-head" };
        [prefix, &[b'a' + self.below(6) as u8, self.below(3) as u8][..1 + self.below(2) as usize]].concat()
    }
}

#[test]
fn random_walks_agree_with_one_sorted_list() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let sources = random.below(6) as usize;
        let mut lists = vec![Entries::new(); sources];
        let mut all = Entries::new();
        for sequence in 0..random.below(60) * u64::from(sources > 0) {
            let (key, value) = (random.key(), sequence.to_le_bytes().to_vec());
            let source = random.below(sources as u64) as usize;
            lists[source].insert((key.clone(), Reverse(sequence)), value.clone());
            all.insert((key, Reverse(sequence)), value);
        }
        let mut model = List::new(&all);
        let mut merge = Merge::new(lists.iter().map(List::new).collect());
        assert!(!merge.is_valid());
        let mut forward = true;
        for _ in 0..200 {
            let mut key = random.key();
            let standing = model.is_valid();
            forward ^= random.below(6) == 0;
            let (expected, found) = match random.below(16) {
                0 => (model.seek_to_first(), merge.seek_to_first()),
                1 => (model.seek_to_last(), merge.seek_to_last()),
                2 => (model.seek(&key), merge.seek(&key)),
                3 => (model.seek_for_prev(&key), merge.seek_for_prev(&key)),
                _ if !standing => {
                    key.clear();
                    (model.seek(&key), merge.seek(&key))
                }
                _ if forward => (model.next(), merge.next()),
                _ => (model.prev(), merge.prev()),
            };
            assert_eq!(expected.unwrap(), found.unwrap(), "seed {seed}");
            assert_eq!(model.is_valid(), merge.is_valid());
            if model.is_valid() {
                assert_eq!(model.entry(), merge.entry(), "seed {seed}");
                assert_eq!(&*merge.pin_value(), model.entry().value);
            }
        }
    }
}

#[test]
fn an_error_stays_until_a_seek() {
    let entries: Entries = (0..10).map(|n| ((vec![n], Reverse(1)), vec![n])).collect();
    let mut broken = List::new(&entries);
    broken.fuse = Some(3);
    let mut merge = Merge::new(vec![List::new(&entries), broken]);
    assert!(merge.seek_to_first().unwrap());
    let error = loop {
        if let Err(error) = merge.next() {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(!merge.is_valid());
    assert!(merge.next().is_err() && merge.prev().is_err());
    assert!(merge.seek_to_first().is_err(), "the source is still broken");
    merge.sources[1].fuse = None;
    assert!(merge.seek_to_first().unwrap());
}
