//! Many keys, as many answers, all at one moment.
//!
//! Called by `db`. Keys are looked up in groups, each step for all keys of a group before the next, so that they wait for memory together
//! (`crate::prefetch`). Where files are read the keys are visited in ascending order, as neighbours share index entries and blocks. Promises:
//! the answers are those of [`get`](super::get), in the order in which the keys were given.

use crate::error::Result;
use crate::filter::key_hash;
use crate::iter::PinnedBytes;
use crate::key::{Kind, Sequence, common_prefix_len, head};
use crate::memtable::Memtable;
use crate::observe::{Counter, Counters};
use crate::prefetch;
use crate::sst::{GROUP_KEYS, Lookup, Sought};
use crate::view::{CollectionView, Run};
use std::sync::Arc;

/// Of a longer value the processor sees the rest coming.
const VALUE_BYTES_ASKED: usize = 256;

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
            values[open.index] = found.filter(|_| kind == Kind::Put).inspect(|value| ask_for(value));
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
                ask_for(&value);
                self.values[self.open[places[at]].index] = (kind == Kind::Put).then_some(value);
            }
        })?;
        let mut answers = answered.iter();
        self.open.retain(|_| answers.next() != Some(&true));
        self.runs_visited += (before + 1) * answered.iter().filter(|answered| **answered).count() as u64;
        Ok(())
    }
}

/// Asks for a value that was found: who wanted it copies it soon, one after another, and would wait for each.
#[inline]
fn ask_for(value: &[u8]) {
    prefetch::bytes(&value[..value.len().min(VALUE_BYTES_ASKED)]);
}

/// The order in which keys are looked up: theirs, or ascending.
fn visit_order(keys: &[&[u8]], ascending: bool) -> Vec<u32> {
    let count = keys.len() as u32;
    if !ascending || count < 2 {
        return (0..count).collect();
    }
    let shared = keys[1..].iter().fold(keys[0].len(), |shared, key| common_prefix_len(&keys[0][..shared], key));
    // Most keys are told apart by a word behind what all share, without going where they lie. In its last bits stands where they are:
    // plain numbers are sorted several times as fast as pairs.
    let bits = u32::BITS - (count - 1).leading_zeros();
    let at = |number: u64| (number & ((1 << bits) - 1)) as usize;
    let mut order: Vec<u64> = (0..).zip(keys).map(|(index, key)| head(key, shared) >> bits << bits | index).collect();
    order.sort_unstable();
    for ties in order.chunk_by_mut(|one, other| one >> bits == other >> bits).filter(|ties| ties.len() > 1) {
        ties.sort_unstable_by(|one, other| keys[at(*one)].cmp(keys[at(*other)]));
    }
    order.into_iter().map(|number| at(number) as u32).collect()
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
        assert_eq!(visit_order(&[b"x"], true), [0]);
        let numbered: Vec<String> =
            (0..1000u32).map(|index| format!("a-long-prefix-{:04}", index * 7919 % 1000)).collect();
        let keys: Vec<&[u8]> = numbered.iter().map(String::as_bytes).collect();
        let ascending = visit_order(&keys, true);
        assert!(ascending.windows(2).all(|pair| keys[pair[0] as usize] < keys[pair[1] as usize]), "told apart late");
    }
}
