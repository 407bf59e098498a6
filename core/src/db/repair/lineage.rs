//! Which of the files that were found are taken: never a merge's inputs beside its results, and nothing that a merge dropped. Pure.
//!
//! Each file names the files that its job read and wrote. What a manifest names is live, whatever else lies about. A file
//! that it does not name is taken only where it cannot bring dropped rows back: if everything in it is newer than what the
//! manifest has in files, or if it stands for live files that are damaged.

use crate::key::{CollectionId, FileNumber, Sequence};
use std::collections::{BTreeMap, BTreeSet};

/// What the choice looks at in one file.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub number: FileNumber,
    pub collection: CollectionId,
    pub inputs: Vec<FileNumber>,
    pub outputs: Vec<FileNumber>,
    pub smallest_sequence: Sequence,
    /// Whether it can be read; one that cannot is not taken, but what it says of other files counts.
    pub valid: bool,
}

/// What a manifest says.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub live: BTreeSet<FileNumber>,
    /// Of each live collection the sequence up to which its entries lie in files.
    pub flushed_through: BTreeMap<CollectionId, Sequence>,
    /// Ids from here on are of collections that it does not know yet.
    pub next_collection: CollectionId,
}

/// Why each file that is not taken is not. Files that are not in the answer are taken, if they are valid.
pub(super) fn rejected(candidates: &[Candidate], known: Option<&Known>) -> BTreeMap<FileNumber, String> {
    let by_number: BTreeMap<FileNumber, &Candidate> = candidates.iter().map(|file| (file.number, file)).collect();
    let is_valid = |number: &FileNumber| by_number.get(number).is_some_and(|file| file.valid);
    let mut rejected = BTreeMap::new();
    if let Some(known) = known {
        for file in candidates.iter().filter(|file| !known.live.contains(&file.number)) {
            if let Some(why) = refused_by(known, file, &by_number) {
                rejected.insert(file.number, why);
            }
        }
    }
    // Results before their inputs: numbers rise with time.
    for (number, file) in by_number.iter().rev() {
        if file.inputs.is_empty() || rejected.contains_key(number) || !file.valid {
            continue;
        }
        let missing = file.outputs.iter().find(|output| !is_valid(output));
        match missing {
            // A job that did not finish, with all that it read still there.
            Some(output) if file.inputs.iter().all(is_valid) => {
                rejected
                    .insert(*number, format!("its job also wrote file {output}, which is lost; its inputs are there"));
            }
            _ => reject_inputs(file, &by_number, &mut rejected),
        }
    }
    rejected
}

/// Why a file that the manifest does not name is not taken, if so.
fn refused_by(known: &Known, file: &Candidate, by_number: &BTreeMap<FileNumber, &Candidate>) -> Option<String> {
    let is_lost = |number: &FileNumber| by_number.get(number).is_none_or(|file| !file.valid);
    let stands_for_lost = !file.inputs.is_empty()
        && file.inputs.iter().all(|input| known.live.contains(input))
        && file.inputs.iter().any(is_lost);
    let is_read_by_lost = by_number
        .values()
        .any(|reader| !reader.valid && known.live.contains(&reader.number) && reader.inputs.contains(&file.number));
    match known.flushed_through.get(&file.collection) {
        _ if stands_for_lost || is_read_by_lost => None,
        Some(flushed) if file.smallest_sequence > *flushed => None,
        Some(_) => Some("the manifest does not name it: other files have replaced it".to_owned()),
        None if file.collection < known.next_collection => Some("its family or table was dropped".to_owned()),
        None => None,
    }
}

/// Rejects what a result that is taken stands for, back to the first files.
fn reject_inputs(
    result: &Candidate,
    by_number: &BTreeMap<FileNumber, &Candidate>,
    rejected: &mut BTreeMap<FileNumber, String>,
) {
    let mut left: Vec<FileNumber> = result.inputs.clone();
    let mut seen = BTreeSet::new();
    while let Some(number) = left.pop() {
        // A number above its reader's is nobody's input: a loop would never end.
        if number >= result.number || !seen.insert(number) {
            continue;
        }
        rejected.entry(number).or_insert_with(|| format!("it was merged into file {}", result.number));
        left.extend(by_number.get(&number).into_iter().flat_map(|file| &file.inputs));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(number: u64, inputs: &[u64]) -> Candidate {
        Candidate {
            number: FileNumber(number),
            collection: CollectionId(1),
            inputs: inputs.iter().map(|&input| FileNumber(input)).collect(),
            outputs: vec![FileNumber(number)],
            smallest_sequence: number * 10,
            valid: true,
        }
    }

    fn damaged(number: u64, inputs: &[u64]) -> Candidate {
        Candidate { valid: false, ..file(number, inputs) }
    }

    fn taken(files: &[Candidate], known: Option<&Known>) -> Vec<u64> {
        let rejected = rejected(files, known);
        let taken = files.iter().filter(|file| file.valid && !rejected.contains_key(&file.number));
        taken.map(|file| file.number.0).collect()
    }

    #[test]
    fn inputs_never_stand_beside_their_result_however_far_back() {
        assert_eq!(taken(&[file(1, &[]), file(2, &[]), file(3, &[1, 2]), file(4, &[])], None), [3, 4]);
        assert_eq!(taken(&[file(1, &[]), file(2, &[]), file(3, &[1]), file(5, &[3, 2])], None), [5]);
        assert_eq!(taken(&[file(1, &[]), file(2, &[]), damaged(3, &[1]), file(5, &[3, 2])], None), [5]);
        assert_eq!(taken(&[file(1, &[]), file(2, &[]), damaged(3, &[1, 2])], None), [1, 2], "the result is lost");
        assert_eq!(taken(&[file(1, &[]), damaged(2, &[]), file(3, &[1, 2])], None), [3]);
    }

    #[test]
    fn a_job_with_a_lost_result_gives_way_to_its_inputs_if_they_are_all_there() {
        let mut half = file(3, &[1, 2]);
        half.outputs = vec![FileNumber(3), FileNumber(4)];
        assert_eq!(taken(&[file(1, &[]), file(2, &[]), half.clone()], None), [1, 2]);
        assert_eq!(taken(&[file(1, &[]), half.clone()], None), [3], "what is left of the results is more");
        assert_eq!(
            taken(
                &[
                    file(1, &[]),
                    file(2, &[]),
                    half,
                    Candidate { outputs: vec![FileNumber(3), FileNumber(4)], ..file(4, &[1, 2]) }
                ],
                None
            ),
            [3, 4]
        );
    }

    #[test]
    fn a_manifest_decides_what_is_live() {
        let known = Known {
            live: BTreeSet::from([FileNumber(1), FileNumber(2)]),
            flushed_through: BTreeMap::from([(CollectionId(1), 25)]),
            next_collection: CollectionId(5),
        };
        let known = Some(&known);
        // A merge that was never installed, and a flush that was not.
        assert_eq!(
            taken(
                &[file(1, &[]), file(2, &[]), Candidate { smallest_sequence: 10, ..file(9, &[1, 2]) }, file(4, &[])],
                known
            ),
            [1, 2, 4]
        );
        // The same merge stands in for a live file that is damaged.
        assert_eq!(
            taken(&[file(1, &[]), damaged(2, &[]), Candidate { smallest_sequence: 10, ..file(9, &[1, 2]) }], known),
            [9]
        );
        // What a live file was made of stands in for it.
        let input = Candidate { smallest_sequence: 3, ..file(0, &[]) };
        assert_eq!(taken(&[input.clone(), damaged(1, &[0]), file(2, &[])], known), [0, 2]);
        assert_eq!(taken(&[input, file(1, &[0]), file(2, &[])], known), [1, 2]);
        let dropped = Candidate { collection: CollectionId(4), ..file(7, &[]) };
        let unknown = Candidate { collection: CollectionId(5), ..file(8, &[]) };
        assert_eq!(taken(&[file(1, &[]), dropped, unknown], known), [1, 8]);
    }

    #[test]
    fn files_that_name_each_other_end_nowhere_but_the_choice_does() {
        assert_eq!(taken(&[file(1, &[2]), file(2, &[1])], None), [2]);
        assert_eq!(taken(&[file(3, &[3])], None), [3]);
    }
}
