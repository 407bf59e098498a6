//! Where a scan is cut. Pure: a view in, splits out.
//!
//! A keyed table is cut by key, at the first keys of groups: so a file that is as wide as the table is read by many splits, each
//! its part. An append-only one has no keys and is cut between groups, in the order of arrival.

use super::{Split, SplitFile};
use crate::key::KeyRange;
use crate::read::scan::ScanRequest;
use crate::sst::RowFileReader;
use crate::view::{CollectionView, Run};
use std::ops::Range;
use std::sync::Arc;

/// Cuts a scan of the runs of `view` into splits of about `target_bytes` of file each. `whole` is the scan as one split, without
/// files; `request` what it was made from. Requires: no row at or below its sequence is in memory alone.
pub fn plan_splits(whole: &Split, view: &CollectionView, request: &ScanRequest, target_bytes: u64) -> Vec<Split> {
    let runs: Vec<(&Run, &Arc<RowFileReader>)> = view
        .runs
        .iter()
        .filter(|run| run.meta.oldest_sequence() <= whole.sequence)
        .filter_map(|run| Some((run, run.reader.rows()?)))
        .collect();
    let target_bytes = target_bytes.max(1);
    if whole.schema.is_keyed() {
        by_key(whole, &runs, &request.range, target_bytes)
    } else {
        by_group(whole, &runs, target_bytes)
    }
}

/// Bytes of the file that hold these rows of it, about.
fn file_bytes(run: &Run, rows: u64) -> u64 {
    let share = u128::from(run.meta.size_bytes) * u128::from(rows) / u128::from(run.meta.entries.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

fn by_key(whole: &Split, runs: &[(&Run, &Arc<RowFileReader>)], range: &KeyRange, target_bytes: u64) -> Vec<Split> {
    // Each group in the range: its first key, its rows and their bytes.
    let mut groups: Vec<(&[u8], u64, u64)> = Vec::new();
    for (run, reader) in runs {
        for group in reader.groups().iter().filter(|group| range.touches(&group.first_key, &group.last_key)) {
            groups.push((&group.first_key, group.rows as u64, file_bytes(run, group.rows as u64)));
        }
    }
    groups.sort_unstable();
    let mut splits = Vec::new();
    let (mut lower, mut rows, mut bytes) = (range.lower.clone(), 0, 0);
    let mut end = |lower: &mut Option<Vec<u8>>, upper: Option<Vec<u8>>, rows: u64, bytes: u64| {
        let range = KeyRange { lower: lower.take(), upper: upper.clone() };
        *lower = upper;
        let in_range = runs.iter().filter(|(run, _)| range.touches(&run.meta.smallest, &run.meta.largest));
        let files = in_range.map(|(run, _)| SplitFile { meta: (*run.meta).clone(), groups: None }).collect();
        splits.push(Split { range, files, estimated_rows: rows, estimated_bytes: bytes, ..whole.clone() });
    };
    for (first, group_rows, group_bytes) in groups {
        // At a key that is not the first: versions of one key stay together, and no split is without keys.
        if bytes >= target_bytes && lower.as_deref().is_none_or(|lower| first > lower) {
            end(&mut lower, Some(first.to_vec()), rows, bytes);
            (rows, bytes) = (0, 0);
        }
        (rows, bytes) = (rows + group_rows, bytes.saturating_add(group_bytes));
    }
    if rows > 0 {
        end(&mut lower, range.upper.clone(), rows, bytes);
    }
    splits
}

fn by_group(whole: &Split, runs: &[(&Run, &Arc<RowFileReader>)], target_bytes: u64) -> Vec<Split> {
    let mut splits: Vec<Split> = Vec::new();
    let mut open: Option<Split> = None;
    for (run, reader) in runs.iter().rev() {
        let groups = reader.groups();
        let mut start = 0;
        while start < groups.len() {
            let split = open.get_or_insert_with(|| whole.clone());
            let mut place: Range<usize> = start..start;
            while place.end < groups.len() && (split.estimated_bytes < target_bytes || place.is_empty()) {
                let rows = groups[place.end].rows as u64;
                split.estimated_rows += rows;
                split.estimated_bytes = split.estimated_bytes.saturating_add(file_bytes(run, rows));
                place.end += 1;
            }
            start = place.end;
            // Newest first, as in a view.
            split.files.insert(0, SplitFile { meta: (*run.meta).clone(), groups: Some(place) });
            if split.estimated_bytes >= target_bytes {
                splits.extend(open.take());
            }
        }
    }
    splits.extend(open);
    splits
}
