//! The decisions of a scan: which files and which of their groups need not be read. Pure: facts in, decisions out.
//!
//! A condition on other columns than the key must not be applied to a version before it is known whether a newer one hides
//! it: the hidden one might meet it while the newer one does not. Therefore such a condition rules out groups only of an append-only
//! table, and of a file that holds one version of each key, all of them visible, with nothing older beside it: what it leaves
//! out there is either refused or hidden anyway. Conditions on the key are the same for all versions and rule out anywhere.
//! The same rule says what of a filter the reader of a file may ask of its rows, to skip pages in which none is selected.

use crate::key::{FileNumber, KeyRange, Sequence};
use crate::memtable::AnyMemtable;
use crate::memtable::rows::RowMemtable;
use crate::read::filter::{BoundFilter, Decision, Zone, ZoneMaps};
use crate::schema::TableSchema;
use crate::sst::{GroupStats, RowFileReader};
use crate::view::CollectionView;
use std::sync::Arc;

/// What is decided about one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FilePlan {
    pub number: FileNumber,
    /// How many groups it has.
    pub groups: usize,
    pub verdict: Verdict,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing of it is needed, and why.
    Skipped(&'static str),
    /// These groups are read.
    Read { groups: Vec<usize>, outside_range: usize, ruled_out: usize, whole_filter: bool },
}

impl FilePlan {
    /// What of the scan's filter may leave out rows of the file before they are merged with others.
    pub fn filter(&self, filter: Option<&BoundFilter>, schema: &TableSchema) -> Option<BoundFilter> {
        match &self.verdict {
            Verdict::Read { whole_filter: true, .. } => filter.cloned(),
            _ => filter?.about_key(schema),
        }
    }
}

pub(super) const TOO_NEW: &str = "newer than the snapshot";
pub(super) const OUTSIDE: &str = "outside of the key range";
pub(super) const RULED_OUT: &str = "ruled out by the filter";

/// The memtables of a table that have anything to show, newest first.
pub(in crate::read) fn memtables(view: &CollectionView, snapshot: Sequence) -> impl Iterator<Item = &Arc<RowMemtable>> {
    let frozen = view.frozen.iter().map(|frozen| &frozen.memtable);
    std::iter::once(&view.active)
        .chain(frozen)
        .filter_map(AnyMemtable::rows)
        .filter(move |memtable| memtable.first_sequence().is_some_and(|first| first <= snapshot))
}

/// What the decision about one file rests on.
pub(super) struct FileFacts<'a> {
    pub number: FileNumber,
    pub smallest: &'a [u8],
    pub largest: &'a [u8],
    pub smallest_sequence: Sequence,
    pub largest_sequence: Sequence,
    pub multi_version: bool,
    pub groups: &'a [GroupStats],
}

/// Decides about every file of a view, newest first.
pub(super) fn files(
    view: &CollectionView,
    schema: &TableSchema,
    snapshot: Sequence,
    range: &KeyRange,
    filter: Option<&BoundFilter>,
) -> Vec<FilePlan> {
    let facts: Vec<_> = view
        .runs
        .iter()
        .filter_map(|run| {
            let reader: &Arc<RowFileReader> = run.reader.rows()?;
            Some(FileFacts {
                number: run.meta.number,
                smallest: &run.meta.smallest,
                largest: &run.meta.largest,
                smallest_sequence: run.meta.smallest_sequence,
                largest_sequence: run.meta.largest_sequence,
                multi_version: run.meta.multi_version,
                groups: reader.groups(),
            })
        })
        .collect();
    decide(&facts, schema, snapshot, range, filter)
}

/// The decisions about files given newest first.
pub(super) fn decide(
    files: &[FileFacts<'_>],
    schema: &TableSchema,
    snapshot: Sequence,
    range: &KeyRange,
    filter: Option<&BoundFilter>,
) -> Vec<FilePlan> {
    let about_key = filter.and_then(|filter| filter.about_key(schema));
    let plan = |(at, file): (usize, &FileFacts<'_>)| {
        let whole_filter = !schema.is_keyed() || {
            let overlaps = |older: &FileFacts<'_>| {
                older.smallest <= file.largest && file.smallest <= older.largest && older.smallest_sequence <= snapshot
            };
            !file.multi_version && file.largest_sequence <= snapshot && !files[at + 1..].iter().any(overlaps)
        };
        let filter = if whole_filter { filter } else { about_key.as_ref() };
        let verdict = decide_file(file, schema, snapshot, range, filter, whole_filter);
        FilePlan { number: file.number, groups: file.groups.len(), verdict }
    };
    files.iter().enumerate().map(plan).collect()
}

fn decide_file(
    file: &FileFacts<'_>,
    schema: &TableSchema,
    snapshot: Sequence,
    range: &KeyRange,
    filter: Option<&BoundFilter>,
    whole_filter: bool,
) -> Verdict {
    let outside = |smallest: &[u8], largest: &[u8]| schema.is_keyed() && !range.touches(smallest, largest);
    if file.smallest_sequence > snapshot {
        return Verdict::Skipped(TOO_NEW);
    }
    if outside(file.smallest, file.largest) {
        return Verdict::Skipped(OUTSIDE);
    }
    let (mut groups, mut outside_range, mut ruled_out) = (Vec::new(), 0, 0);
    for (index, group) in file.groups.iter().enumerate() {
        if outside(&group.first_key, &group.last_key) {
            outside_range += 1;
        } else if filter.is_some_and(|filter| filter.prune(&Group(group)) == Decision::None) {
            ruled_out += 1;
        } else {
            groups.push(index);
        }
    }
    match (groups.is_empty(), ruled_out) {
        (true, 0) => Verdict::Skipped(OUTSIDE),
        (true, _) => Verdict::Skipped(RULED_OUT),
        _ => Verdict::Read { groups, outside_range, ruled_out, whole_filter },
    }
}

/// A group as a filter looks at it. A column that the file does not have yet is null in all its rows.
struct Group<'a>(&'a GroupStats);

impl ZoneMaps for Group<'_> {
    fn zone(&self, column: u32) -> Option<Zone> {
        Some(match self.0.columns.iter().find(|bounds| bounds.id == column) {
            Some(bounds) => {
                Zone { min: bounds.min.clone(), max: bounds.max.clone(), null_count: Some(bounds.null_count) }
            }
            None => Zone { min: None, max: None, null_count: Some(self.rows()) },
        })
    }

    fn rows(&self) -> u64 {
        self.0.rows as u64
    }
}
