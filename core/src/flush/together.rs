//! Which frozen memtables one flush job takes: those of one collection, or of all that were frozen to be flushed together.
//!
//! A pure function, called by `db` when a collection's turn has come. Promises: memtables that were frozen together are in one job; from
//! each collection a job takes the oldest ones without a gap; what was frozen together earlier is in no later job.

use crate::key::{CollectionId, Sequence};

/// The frozen memtables of one collection, oldest first: for each the boundary at which it was frozen together with others', 0 if it
/// stands alone. Boundaries rise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Whose they are.
    pub collection: CollectionId,
    /// The boundaries.
    pub together: Vec<Sequence>,
}

impl Waiting {
    fn first_boundary(&self) -> Option<Sequence> {
        self.together.iter().copied().find(|boundary| *boundary != 0)
    }
}

/// What the job takes that comes next for `collection`: collections, ascending as in `waiting`, and how many of their oldest memtables.
/// Need not have a part of `collection` itself, if others have to go first. Nothing if it has no frozen memtable.
pub fn pick_together(waiting: &[Waiting], collection: CollectionId) -> Vec<(CollectionId, usize)> {
    let Some(own) = waiting.iter().find(|waiting| waiting.collection == collection) else { return Vec::new() };
    let Some(mut boundary) = own.first_boundary() else {
        return Vec::from_iter((!own.together.is_empty()).then_some((collection, own.together.len())));
    };
    loop {
        let last_of = |waiting: &Waiting| waiting.together.iter().rposition(|at| *at == boundary);
        let members: Vec<_> = waiting.iter().filter_map(|waiting| Some((waiting, last_of(waiting)? + 1))).collect();
        // Boundaries rise in each collection, so this one is lower than the last, and the loop ends.
        match members.iter().filter_map(|(waiting, _)| waiting.first_boundary()).min() {
            Some(earlier) if earlier < boundary => boundary = earlier,
            _ => return members.into_iter().map(|(waiting, count)| (waiting.collection, count)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(collections: &[&[Sequence]]) -> Vec<Waiting> {
        let of = |(at, together): (usize, &&[Sequence])| Waiting {
            collection: CollectionId(at as u32),
            together: together.to_vec(),
        };
        collections.iter().enumerate().map(of).collect()
    }

    fn picked(collections: &[&[Sequence]], id: u32) -> Vec<(u32, usize)> {
        let picked = pick_together(&waiting(collections), CollectionId(id));
        picked.into_iter().map(|(collection, count)| (collection.0, count)).collect()
    }

    #[test]
    fn what_stands_alone_is_taken_whole_and_alone() {
        assert_eq!(picked(&[&[0, 0, 0], &[0]], 0), [(0, 3)]);
        assert_eq!(picked(&[&[], &[0]], 0), []);
        assert_eq!(picked(&[&[0]], 7), []);
    }

    #[test]
    fn what_was_frozen_together_goes_together_with_what_is_older_and_without_what_is_newer() {
        let frozen: [&[Sequence]; 4] = [&[0, 9, 0], &[9], &[0, 0], &[]];
        assert_eq!(picked(&frozen, 0), [(0, 2), (1, 1)]);
        assert_eq!(picked(&frozen, 1), [(0, 2), (1, 1)]);
        assert_eq!(picked(&frozen, 2), [(2, 2)], "others are not waited for");
    }

    #[test]
    fn an_earlier_boundary_goes_first_whoever_asks() {
        // The third shares a boundary with the second, which shares an earlier one with the first.
        let frozen: [&[Sequence]; 3] = [&[5], &[5, 9], &[9, 0]];
        assert_eq!(picked(&frozen, 2), [(0, 1), (1, 1)]);
        assert_eq!(picked(&[&[], &[9], &[9, 0]], 2), [(1, 1), (2, 1)]);
    }

    #[test]
    fn two_memtables_of_one_boundary_are_not_torn_apart() {
        assert_eq!(picked(&[&[0, 5, 5, 8], &[5]], 1), [(0, 3), (1, 1)]);
    }
}
