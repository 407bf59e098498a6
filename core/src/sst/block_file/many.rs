//! Looks up several keys in one file at a time.
//!
//! Called by `read` for the keys of a group. Each step is made for all keys before the next, and asks for the memory that the next one looks
//! at: so the keys wait for memory together, where one lookup after the other would wait as often as there are keys. Promises: the answers
//! are those of [`SstReader::get`]; keys that lie in one block, one after the other, ask the cache once.

use super::super::{Io, Lookup};
use super::block::{Block, tag};
use super::reader::SstReader;
use crate::error::Result;
use crate::key::Sequence;
use std::sync::Arc;

/// How many keys are looked up together, at most: the processor waits for a dozen lines or so at once.
pub const GROUP_KEYS: usize = 16;

/// A key to be looked up, by its hash too.
#[derive(Clone, Copy)]
pub struct Sought<'k> {
    /// The key.
    pub key: &'k [u8],
    /// Its [`key_hash`](crate::filter::key_hash).
    pub hash: u64,
}

impl SstReader {
    /// Finds the newest version of each key at or below `snapshot`; `found` is told of each, by its index. The first error ends it.
    /// Requires: at most [`GROUP_KEYS`] keys.
    pub fn get_group(
        &self,
        keys: &[Sought<'_>],
        snapshot: Sequence,
        mut found: impl FnMut(usize, Lookup),
    ) -> Result<()> {
        for sought in keys {
            self.filter().prefetch(sought.hash);
            if let Some(near) = self.index().prefetch(sought.key) {
                self.whereabouts().prefetch_address(near);
            }
        }
        let mut places = [None; GROUP_KEYS];
        for (place, sought) in places.iter_mut().zip(keys) {
            *place = self.locate(sought.key, sought.hash);
        }
        for place in places.iter().flatten() {
            self.whereabouts().prefetch(*place);
        }
        let mut blocks: [Option<(usize, Arc<Block>)>; GROUP_KEYS] = [const { None }; GROUP_KEYS];
        for (at, place) in places.into_iter().enumerate() {
            let Some(place) = place else { continue };
            let neighbour = at.checked_sub(1).and_then(|before| blocks[before].as_ref());
            blocks[at] = match neighbour {
                Some((same, block)) if *same == place => Some((place, block.clone())),
                _ => self.block(place, Io::Allowed)?.map(|block| (place, block)),
            };
        }
        for (sought, block) in keys.iter().zip(&blocks) {
            if let Some((_, block)) = block {
                block.prefetch_entry(tag(sought.hash));
            }
        }
        for (at, (sought, block)) in keys.iter().zip(blocks).enumerate() {
            found(
                at,
                match block {
                    None => Lookup::Absent,
                    Some((place, block)) => self.find(place, block, sought.key, sought.hash, snapshot, Io::Allowed)?,
                },
            );
        }
        Ok(())
    }
}
