//! Memtables flushed, and the files compacted, against an oracle that looks at every snapshot.

use super::*;
use crate::env::posix::posix;
use crate::flush::{self, FlushInput, RunTarget};
use crate::iter::Cursor;
use crate::key::{CollectionId, FileNumber, Kind, MAX_SEQUENCE, MemtableId};
use crate::memtable::{AnyMemtable, ArenaPool, MemtableOptions};
use crate::sst::{BlockCache, SstIdentity, SstOptions};
use std::collections::BTreeMap;
use std::path::Path;

type Version = (Vec<u8>, Sequence, Kind, Vec<u8>);

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % bound
    }
}

fn memtable(id: u64, versions: &[Version]) -> AnyMemtable {
    let options = MemtableOptions { hash_seed: 1, pool: ArenaPool::new(0) };
    let (mut writer, memtable) = crate::memtable::create(MemtableId(id), &options).unwrap();
    for (key, sequence, kind, value) in versions {
        writer.reserve(1, key.len() + value.len()).unwrap();
        writer.insert(*sequence, *kind, key, value);
    }
    drop(writer);
    memtable.freeze();
    AnyMemtable::Bytes(memtable)
}

fn target(dir: &Path, number: u64) -> JobTarget {
    let identity = SstIdentity {
        database_id: 1,
        number: FileNumber(number),
        collection: CollectionId(3),
        ..SstIdentity::default()
    };
    JobTarget::Blocks(RunTarget {
        env: posix(),
        path: dir.join("cf/x").join(format!("{number:06}.sst")),
        identity,
        options: SstOptions::default(),
        cache: BlockCache::new(1 << 20),
        level: 0,
    })
}

fn entries(reader: &AnySstReader) -> Vec<Version> {
    let mut cursor = reader.bytes().unwrap().cursor(Access::Cached);
    let mut found = Vec::new();
    let mut standing = cursor.seek_to_first().unwrap();
    while standing {
        let entry = cursor.entry();
        found.push((entry.key.to_vec(), entry.sequence, entry.kind, entry.value.to_vec()));
        standing = cursor.next().unwrap();
    }
    found
}

/// What a reader at `snapshot` sees.
fn seen(versions: &[Version], snapshot: Sequence) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut newest: BTreeMap<&[u8], &Version> = BTreeMap::new();
    for version in versions.iter().filter(|version| version.1 <= snapshot) {
        let best = newest.entry(&version.0).or_insert(version);
        if version.1 > best.1 {
            *best = version;
        }
    }
    let live = newest.into_values().filter(|version| version.2 == Kind::Put);
    live.map(|version| (version.0.clone(), version.3.clone())).collect()
}

#[test]
fn no_snapshot_sees_a_difference_after_flush_and_compaction() {
    for seed in 0..25 {
        let mut random = Random(seed);
        let dir = tempfile::tempdir().unwrap();
        let mut sequence: Sequence = 0;
        let mut parts: Vec<Vec<Version>> = Vec::new();
        for _ in 0..4 {
            let part = (0..1 + random.below(60)).map(|_| {
                sequence += 1;
                let key = vec![b'a' + random.below(9) as u8];
                match random.below(3) {
                    0 => (key, sequence, Kind::Delete, Vec::new()),
                    _ => (key, sequence, Kind::Put, sequence.to_le_bytes().to_vec()),
                }
            });
            parts.push(part.collect());
        }
        let mut snapshots: Vec<_> = (0..random.below(5)).map(|_| random.below(sequence + 1)).collect();
        snapshots.sort_unstable();
        let all: Vec<_> = parts.concat();
        let memtables: Vec<_> = parts.iter().enumerate().map(|(id, part)| memtable(id as u64, part)).collect();
        let mut flushed = Vec::new();
        for (number, pair) in memtables.chunks(2).enumerate() {
            let input = FlushInput {
                memtables: pair.to_vec(),
                snapshots: snapshots.clone(),
                bottom: false,
                target: target(dir.path(), number as u64 + 1),
                cancel: None,
            };
            let output = flush::run(input).unwrap();
            let (meta, reader) = output.file.expect("a delete stays above the bottom");
            assert_eq!(meta.entries, output.counts.entries_out);
            flushed.insert(0, reader);
        }
        let from_files: Vec<_> = flushed.iter().flat_map(entries).collect();
        let cancel = AtomicBool::new(false);
        let compacted = run(CompactionInput {
            runs: flushed,
            snapshots: snapshots.clone(),
            bottom: true,
            #[cfg(feature = "arrow")]
            horizon: None,
            target: target(dir.path(), 9),
            cancel: &cancel,
        });
        let merged = compacted.unwrap().file.map(|(_, reader)| entries(&reader)).unwrap_or_default();
        for &snapshot in snapshots.iter().chain([&MAX_SEQUENCE]) {
            assert_eq!(seen(&from_files, snapshot), seen(&all, snapshot), "seed {seed} at {snapshot}");
            assert_eq!(seen(&merged, snapshot), seen(&all, snapshot), "seed {seed} at {snapshot}");
        }
        let mut stripes: Vec<_> = merged
            .iter()
            .map(|version| (&version.0, snapshots.partition_point(|&snapshot| snapshot < version.1)))
            .collect();
        let count = stripes.len();
        stripes.dedup();
        assert_eq!(stripes.len(), count, "one version for each key and stripe");
        assert!(
            !merged.iter().any(|version| {
                version.2 == Kind::Delete && snapshots.iter().all(|&snapshot| snapshot >= version.1)
            })
        );
    }
}
