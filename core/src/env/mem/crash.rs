//! What a power cut leaves: a choice decides the fate of every change that no sync covered.
//!
//! Fates are asked in the order in which the changes were made, first all of the files' bytes and lengths, then all of the
//! names; so a choice is a pure function of that list and of its own seed.

use super::image::{DataChange, DataChangeKind, EntryChange, Image, Inode, Node};
use crate::env::executor::mix;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An unsynced write, or store through a mapping.
#[derive(Debug, Clone, Copy)]
pub struct UnsyncedWrite<'a> {
    /// A name of the file; empty if it has none any more.
    pub path: &'a Path,
    /// Which file, also when names changed.
    pub inode: u64,
    /// Its place among all unsynced writes and length changes, oldest first.
    pub index: usize,
    /// How many of those there are.
    pub count: usize,
    /// Its place among those of its file.
    pub index_in_file: usize,
    /// How many of those its file has.
    pub count_in_file: usize,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes; for a change of length 0.
    pub len: usize,
    /// Whether it went through a mapping.
    pub mapped: bool,
}

/// What becomes of an unsynced write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteFate {
    /// As if it never happened.
    Lost,
    /// All of it is there.
    Kept,
    /// Only the length is: bytes past the old end read as zeros.
    Zeroed,
    /// Only the first bytes are, so many.
    Torn(usize),
    /// Only some blocks of the file, of that many bytes, are: a flag for each block that the write touches, in order. A lost
    /// block past the old end reads as zeros if a later one is kept.
    Blocks(u64, Vec<bool>),
}

/// An unsynced change to names.
#[derive(Debug, Clone, Copy)]
pub struct UnsyncedEntry<'a> {
    /// Its place among all unsynced changes to names, oldest first.
    pub index: usize,
    /// How many there are.
    pub count: usize,
    /// Whether it is a rename.
    pub is_rename: bool,
    /// The name that was added, removed or renamed to.
    pub name: &'a str,
}

/// What becomes of an unsynced change to names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryFate {
    /// As if it never happened.
    Lost,
    /// It is durable.
    Kept,
    /// For a rename: both names are there. For all else the same as kept.
    Both,
}

/// Decides what a power cut leaves. See the ready ones in this module.
pub trait CrashChoice {
    /// The fate of a write.
    fn write(&mut self, write: &UnsyncedWrite<'_>) -> WriteFate;

    /// Whether a change of the file's length is kept. (`offset` is the new length.)
    fn length(&mut self, change: &UnsyncedWrite<'_>) -> bool {
        self.write(change) != WriteFate::Lost
    }

    /// The fate of a change to names.
    fn entry(&mut self, entry: &UnsyncedEntry<'_>) -> EntryFate;
}

/// Nothing unsynced is left.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllLost;

impl CrashChoice for AllLost {
    fn write(&mut self, _: &UnsyncedWrite<'_>) -> WriteFate {
        WriteFate::Lost
    }

    fn entry(&mut self, _: &UnsyncedEntry<'_>) -> EntryFate {
        EntryFate::Lost
    }
}

/// Everything is left, as after the death of the process alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllKept;

impl CrashChoice for AllKept {
    fn write(&mut self, _: &UnsyncedWrite<'_>) -> WriteFate {
        WriteFate::Kept
    }

    fn entry(&mut self, _: &UnsyncedEntry<'_>) -> EntryFate {
        EntryFate::Kept
    }
}

/// Names and lengths are left, but unsynced bytes are not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Zeroed;

impl CrashChoice for Zeroed {
    fn write(&mut self, _: &UnsyncedWrite<'_>) -> WriteFate {
        WriteFate::Zeroed
    }

    fn entry(&mut self, _: &UnsyncedEntry<'_>) -> EntryFate {
        EntryFate::Kept
    }
}

/// In each file one write, chosen by the seed, is cut at some byte; what came before it is kept, what came after lost.
#[derive(Debug, Clone, Copy)]
pub struct Torn(
    /// The seed.
    pub u64,
);

impl CrashChoice for Torn {
    fn write(&mut self, write: &UnsyncedWrite<'_>) -> WriteFate {
        let choice = mix(self.0 ^ mix(write.inode));
        let cut = (choice % write.count_in_file as u64) as usize;
        match write.index_in_file.cmp(&cut) {
            std::cmp::Ordering::Less => WriteFate::Kept,
            std::cmp::Ordering::Equal => WriteFate::Torn((mix(choice) % (write.len as u64 + 1)) as usize),
            std::cmp::Ordering::Greater => WriteFate::Lost,
        }
    }

    fn length(&mut self, _: &UnsyncedWrite<'_>) -> bool {
        true
    }

    fn entry(&mut self, _: &UnsyncedEntry<'_>) -> EntryFate {
        EntryFate::Kept
    }
}

/// The newest unsynced write is cut after so many bytes; all else is kept.
#[derive(Debug, Clone, Copy)]
pub struct TornLast(
    /// How many bytes of it are left.
    pub usize,
);

impl CrashChoice for TornLast {
    fn write(&mut self, write: &UnsyncedWrite<'_>) -> WriteFate {
        if write.index + 1 == write.count { WriteFate::Torn(self.0.min(write.len)) } else { WriteFate::Kept }
    }

    fn length(&mut self, _: &UnsyncedWrite<'_>) -> bool {
        true
    }

    fn entry(&mut self, _: &UnsyncedEntry<'_>) -> EntryFate {
        EntryFate::Kept
    }
}

/// One unsynced write or length change, by its index, is lost; all else is kept.
#[derive(Debug, Clone, Copy)]
pub struct LoseOne(
    /// Which.
    pub usize,
);

impl CrashChoice for LoseOne {
    fn write(&mut self, write: &UnsyncedWrite<'_>) -> WriteFate {
        if write.index == self.0 { WriteFate::Lost } else { WriteFate::Kept }
    }

    fn entry(&mut self, _: &UnsyncedEntry<'_>) -> EntryFate {
        EntryFate::Kept
    }
}

/// One unsynced write or length change, by its index, is kept; every other is lost. Names are kept.
#[derive(Debug, Clone, Copy)]
pub struct KeepOne(
    /// Which.
    pub usize,
);

impl CrashChoice for KeepOne {
    fn write(&mut self, write: &UnsyncedWrite<'_>) -> WriteFate {
        if write.index == self.0 { WriteFate::Kept } else { WriteFate::Lost }
    }

    fn entry(&mut self, _: &UnsyncedEntry<'_>) -> EntryFate {
        EntryFate::Kept
    }
}

/// Each 512-byte sector of each file is as it was at some moment since the last sync; each change to names is lost, kept or,
/// for a rename, half done, at random. What a disk that reorders sectors leaves.
#[derive(Debug, Clone, Copy)]
pub struct RandomSectors(
    /// The seed.
    pub u64,
);

/// As [`RandomSectors`], in pages of 4 KiB: what write-back of a mapping leaves.
#[derive(Debug, Clone, Copy)]
pub struct RandomPages(
    /// The seed.
    pub u64,
);

fn random_blocks(seed: u64, block_bytes: u64, write: &UnsyncedWrite<'_>) -> WriteFate {
    let first = write.offset / block_bytes;
    let last = (write.offset + (write.len as u64).max(1) - 1) / block_bytes;
    // A block written back after k changes holds exactly the first k of them.
    let kept = |block: u64| {
        let moment = mix(seed ^ mix(write.inode ^ mix(block))) % (write.count_in_file as u64 + 1);
        (write.index_in_file as u64) < moment
    };
    WriteFate::Blocks(block_bytes, (first..=last).map(kept).collect())
}

fn random_entry(seed: u64, entry: &UnsyncedEntry<'_>) -> EntryFate {
    match mix(seed ^ mix(entry.index as u64 ^ 0x6e61_6d65)) % 4 {
        0 | 1 => EntryFate::Kept,
        2 => EntryFate::Lost,
        _ => EntryFate::Both,
    }
}

fn random_length(seed: u64, change: &UnsyncedWrite<'_>) -> bool {
    // Lengths are journalled in order: up to some moment kept, after it lost.
    let moment = mix(seed ^ mix(change.inode ^ 0x6c65_6e67)) % (change.count_in_file as u64 + 1);
    (change.index_in_file as u64) < moment
}

impl CrashChoice for RandomSectors {
    fn write(&mut self, write: &UnsyncedWrite<'_>) -> WriteFate {
        random_blocks(self.0, 512, write)
    }

    fn length(&mut self, change: &UnsyncedWrite<'_>) -> bool {
        random_length(self.0, change)
    }

    fn entry(&mut self, entry: &UnsyncedEntry<'_>) -> EntryFate {
        random_entry(self.0, entry)
    }
}

impl CrashChoice for RandomPages {
    fn write(&mut self, write: &UnsyncedWrite<'_>) -> WriteFate {
        random_blocks(self.0, 4096, write)
    }

    fn length(&mut self, change: &UnsyncedWrite<'_>) -> bool {
        random_length(self.0, change)
    }

    fn entry(&mut self, entry: &UnsyncedEntry<'_>) -> EntryFate {
        random_entry(self.0, entry)
    }
}

/// Of the changes to names those are kept whose bit is set (from the 64th on: all); bytes are kept.
#[derive(Debug, Clone, Copy)]
pub struct DirSubset {
    /// One bit a change, the oldest lowest.
    pub bits: u64,
    /// Whether a kept rename leaves both names.
    pub both: bool,
}

impl CrashChoice for DirSubset {
    fn write(&mut self, _: &UnsyncedWrite<'_>) -> WriteFate {
        WriteFate::Kept
    }

    fn entry(&mut self, entry: &UnsyncedEntry<'_>) -> EntryFate {
        if entry.index < 64 && self.bits >> entry.index & 1 == 0 {
            EntryFate::Lost
        } else if self.both {
            EntryFate::Both
        } else {
            EntryFate::Kept
        }
    }
}

/// Bytes and lengths by one choice, names by another.
#[derive(Debug, Clone, Copy)]
pub struct Combined<D, E> {
    /// Decides on bytes and lengths.
    pub data: D,
    /// Decides on names.
    pub entries: E,
}

impl<D: CrashChoice, E: CrashChoice> CrashChoice for Combined<D, E> {
    fn write(&mut self, write: &UnsyncedWrite<'_>) -> WriteFate {
        self.data.write(write)
    }

    fn length(&mut self, change: &UnsyncedWrite<'_>) -> bool {
        self.data.length(change)
    }

    fn entry(&mut self, entry: &UnsyncedEntry<'_>) -> EntryFate {
        self.entries.entry(entry)
    }
}

/// The image that is left when the power goes and `choice` decides.
pub(super) fn crash(image: &Image, choice: &mut dyn CrashChoice) -> Image {
    let mut left = image.clone();
    crash_data(image, &mut left, choice);
    let pending = std::mem::take(&mut left.pending);
    for (index, change) in pending.iter().enumerate() {
        let (is_rename, name) = match change {
            EntryChange::Add { name, .. } | EntryChange::Remove { name, .. } => (false, name),
            EntryChange::Rename { to, .. } => (true, to),
        };
        match choice.entry(&UnsyncedEntry { index, count: pending.len(), is_rename, name }) {
            EntryFate::Lost => {}
            EntryFate::Kept => left.apply(change, |dir| &mut dir.durable, true),
            // A directory never has two names.
            EntryFate::Both => {
                let moves_dir = matches!(change, EntryChange::Rename { inode, .. } if left.dir(*inode).is_some());
                left.apply(change, |dir| &mut dir.durable, moves_dir);
            }
        }
    }
    let dirs: Vec<Inode> =
        left.nodes.iter().filter(|(_, node)| matches!(***node, Node::Dir(_))).map(|n| *n.0).collect();
    for inode in dirs {
        if let Some(dir) = left.dir_mut(inode) {
            dir.live = dir.durable.clone();
        }
    }
    let reachable: std::collections::BTreeSet<Inode> = left.walk().into_iter().map(|(_, inode)| inode).collect();
    left.nodes.retain(|inode, _| reachable.contains(inode));
    left
}

/// Gives every file what is left of its bytes.
fn crash_data(image: &Image, left: &mut Image, choice: &mut dyn CrashChoice) {
    let paths: BTreeMap<Inode, String> = image.walk().into_iter().map(|(path, inode)| (inode, path)).collect();
    let mut changes: Vec<(Inode, usize, usize, DataChange)> = Vec::new();
    for (inode, node) in &image.nodes {
        if let Node::File(file) = &**node {
            let count = file.unsynced.len();
            changes.extend(file.unsynced.iter().enumerate().map(|(at, change)| (*inode, at, count, change.clone())));
        }
    }
    changes.sort_by_key(|(_, _, _, change)| change.at);
    for (inode, ..) in &changes {
        if let Some(file) = left.file_mut(*inode) {
            file.live = file.durable.clone();
            file.unsynced.clear();
        }
    }
    let count = changes.len();
    for (index, (inode, index_in_file, count_in_file, change)) in changes.into_iter().enumerate() {
        let path = PathBuf::from(paths.get(&inode).cloned().unwrap_or_default());
        let Some(file) = left.file_mut(inode) else { continue };
        let mut described = UnsyncedWrite {
            path: &path,
            inode,
            index,
            count,
            index_in_file,
            count_in_file,
            offset: 0,
            len: 0,
            mapped: false,
        };
        match change.kind {
            DataChangeKind::SetLen { len } => {
                described.offset = len;
                if choice.length(&described) {
                    file.live.set_len(len);
                }
            }
            DataChangeKind::Write { offset, bytes, mapped } => {
                (described.offset, described.len, described.mapped) = (offset, bytes.len(), mapped);
                let fate = choice.write(&described);
                write_what_is_left(&mut file.live, offset, &bytes, mapped, &fate);
            }
        }
        file.durable = file.live.clone();
    }
}

fn write_what_is_left(
    content: &mut super::content::Content,
    offset: u64,
    bytes: &Arc<[u8]>,
    mapped: bool,
    fate: &WriteFate,
) {
    // A store never makes a file longer: where the file lost its length, the store is lost with it.
    let room = if mapped { content.len().saturating_sub(offset).min(bytes.len() as u64) as usize } else { bytes.len() };
    let bytes = &bytes[..room];
    match fate {
        WriteFate::Lost => {}
        WriteFate::Kept => content.write(bytes, offset),
        WriteFate::Zeroed => content.set_len(content.len().max(offset + room as u64)),
        WriteFate::Torn(count) => content.write(&bytes[..(*count).min(room)], offset),
        WriteFate::Blocks(block_bytes, kept) => {
            let mut at = 0;
            for kept in kept {
                let within = (offset + at as u64) % block_bytes;
                let end = room.min(at + (block_bytes - within) as usize);
                if *kept {
                    content.write(&bytes[at..end], offset + at as u64);
                }
                at = end;
            }
        }
    }
}
