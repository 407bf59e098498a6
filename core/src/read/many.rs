//! Many keys, as many answers, all at one moment.
//!
//! Called by `db`. Keys are looked up in groups, each step for all keys of a group before the next, so that they wait for memory together
//! (`crate::prefetch`). Where files are read the keys are visited in ascending order, as neighbours share index entries and blocks. Promises:
//! the answers are those of [`get`](super::get), in the order in which the keys were given.

use crate::error::Result;
use crate::filter::key_hash;
use crate::iter::PinnedBytes;
use crate::key::{Kind, Sequence};
use crate::memtable::Memtable;
use crate::observe::{Counter, Counters};
use crate::sst::{GROUP_KEYS, Lookup, Sought};
use crate::view::{CollectionView, Run};
use std::sync::Arc;

/// Looks `keys` up at `snapshot`. The first error ends the call.
pub fn get_many(
    view: &CollectionView,
    keys: &[&[u8]],
    snapshot: Sequence,
    counters: &Counters,
) -> Result<Vec<Option<PinnedBytes>>> {
    let mut group = Group { values: vec![None; keys.len()], open: Vec::with_capacity(GROUP_KEYS), runs_visited: 0 };
    for indexes in visit_order(keys, !view.runs.is_empty()).chunks(GROUP_KEYS) {
        group.open.clear();
        group.open.extend(indexes.iter().map(|&index| Open {
            index: index as usize,
            key: keys[index as usize],
            hash: 0,
        }));
        for memtable in view.memtables().filter(|memtable| !memtable.is_empty()) {
            group.look_into(memtable, snapshot);
        }
        if !group.open.is_empty() && !view.runs.is_empty() {
            group.open.iter_mut().for_each(|open| open.hash = key_hash(open.key));
            for (before, run) in view.runs.iter().enumerate() {
                group.look_into_run(run, before as u64, snapshot)?;
            }
            group.runs_visited += (view.runs.len() * group.open.len()) as u64;
        }
    }
    counters.add(Counter::GetRunsVisited, group.runs_visited);
    Ok(group.values)
}

/// A key without an answer so far.
struct Open<'k> {
    index: usize,
    key: &'k [u8],
    /// Of the source that is looked into.
    hash: u64,
}

struct Group<'k> {
    /// Of all keys of the call.
    values: Vec<Option<PinnedBytes>>,
    /// Of this group.
    open: Vec<Open<'k>>,
    runs_visited: u64,
}

impl Group<'_> {
    fn look_into(&mut self, memtable: &Arc<Memtable>, snapshot: Sequence) {
        for open in &mut self.open {
            open.hash = memtable.ask(open.key);
        }
        for open in &self.open {
            memtable.ask_node(open.hash);
        }
        let values = &mut self.values;
        self.open.retain(|open| {
            let mut kind = Kind::Delete;
            let found = PinnedBytes::find(memtable, |memtable| {
                let found = memtable.get_hashed(open.key, open.hash, snapshot)?;
                kind = found.kind;
                Some(found.value)
            });
            let answered = found.is_some();
            values[open.index] = found.filter(|_| kind == Kind::Put);
            !answered
        });
    }

    /// Looks into a run before which `before` others were looked into.
    fn look_into_run(&mut self, run: &Run, before: u64, snapshot: Sequence) -> Result<()> {
        if run.meta.smallest_sequence > snapshot {
            return Ok(());
        }
        let mut sought = [Sought { key: &[], hash: 0 }; GROUP_KEYS];
        let mut places = [0; GROUP_KEYS];
        let mut count = 0;
        for (place, open) in self.open.iter().enumerate() {
            if *open.key >= *run.meta.smallest && *open.key <= *run.meta.largest {
                sought[count] = Sought { key: open.key, hash: open.hash };
                places[count] = place;
                count += 1;
            }
        }
        if count == 0 {
            return Ok(());
        }
        let mut answered = [false; GROUP_KEYS];
        run.reader.bytes()?.get_group(&sought[..count], snapshot, |at, lookup| {
            if let Lookup::Found { kind, value, .. } = lookup {
                answered[places[at]] = true;
                self.values[self.open[places[at]].index] = (kind == Kind::Put).then_some(value);
            }
        })?;
        let mut answers = answered.iter();
        self.open.retain(|_| answers.next() != Some(&true));
        self.runs_visited += (before + 1) * answered.iter().filter(|answered| **answered).count() as u64;
        Ok(())
    }
}

/// The order in which keys are looked up: theirs, or ascending.
fn visit_order(keys: &[&[u8]], ascending: bool) -> Vec<u32> {
    let mut order: Vec<u32> = (0..keys.len() as u32).collect();
    if ascending {
        // Most keys are told apart by what they begin with, without going where they lie.
        let beginning = |key: &[u8]| {
            let mut bytes = [0; 8];
            let len = key.len().min(8);
            bytes[..len].copy_from_slice(&key[..len]);
            u64::from_be_bytes(bytes)
        };
        let mut beginnings: Vec<(u64, u32)> =
            order.iter().map(|&index| (beginning(keys[index as usize]), index)).collect();
        beginnings.sort_unstable_by(|one, other| {
            one.0.cmp(&other.0).then_with(|| keys[one.1 as usize].cmp(keys[other.1 as usize]))
        });
        order = beginnings.into_iter().map(|(_, index)| index).collect();
    }
    order
}

#[cfg(test)]
mod tests {
    use super::visit_order;

    #[test]
    fn every_key_is_visited_once_and_ascending_where_files_are_read() {
        let keys: [&[u8]; 7] = [
            b"b",
            b"",
            b"longer than eight",
            b"longer than eigh",
            b"b\0",
            b"b",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ];
        assert_eq!(visit_order(&keys, false), [0, 1, 2, 3, 4, 5, 6]);
        let mut ascending = visit_order(&keys, true);
        assert!(ascending.windows(2).all(|pair| keys[pair[0] as usize] <= keys[pair[1] as usize]), "{ascending:?}");
        ascending.sort_unstable();
        assert_eq!(ascending, [0, 1, 2, 3, 4, 5, 6]);
        assert!(visit_order(&[], true).is_empty());
    }
}
