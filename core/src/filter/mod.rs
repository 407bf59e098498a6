//! Filters: which keys a file certainly does not hold.
//!
//! A split-block Bloom filter over [`key_hash`]. Every probe stays within one 32-byte block, so a query is one cache miss.
//! Called by `sst` when a file is built and before every lookup. Promises: a key that was added is always found again; the
//! bits of a filter, and the hash, mean the same for ever (both are on disk, see the FORMAT of `sst`).

mod builder;

pub use builder::FilterBuilder;

use crate::error::{Error, ErrorKind, Result};
use crate::prefetch;

/// The hash of a key that is stored in files: XXH3, 64 bits, seed 0. Fixed for ever, and therefore not for tables that an
/// attacker could flood.
#[inline]
pub fn key_hash(key: &[u8]) -> u64 {
    twox_hash::XxHash3_64::oneshot(key)
}

/// One odd multiplier per word of a block; each picks one bit of its word.
const SALTS: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// Bytes of one block of the filter.
pub const FILTER_BLOCK_BYTES: usize = 32;

/// The most bits per key that a filter takes; more would not lower its error rate in any way that matters.
pub const MAX_BITS_PER_KEY: u32 = 32;

#[derive(Clone, Copy, Default)]
#[repr(align(32))]
struct FilterBlock([u32; 8]);

/// A split-block Bloom filter. Immutable once built; shared freely between threads.
#[derive(Default)]
pub struct Filter {
    blocks: Vec<FilterBlock>,
}

/// How many blocks a filter of `keys` keys has.
fn blocks_for(keys: u64, bits_per_key: u32) -> usize {
    let bits = keys.saturating_mul(u64::from(bits_per_key.min(MAX_BITS_PER_KEY)));
    bits.div_ceil(FILTER_BLOCK_BYTES as u64 * 8).min(u64::from(u32::MAX)) as usize
}

#[inline]
fn masks(hash: u64) -> [u32; 8] {
    let low = hash as u32;
    SALTS.map(|salt| 1 << (low.wrapping_mul(salt) >> 27))
}

impl Filter {
    /// A filter that holds the keys with these hashes. Zero bits per key, or no key, give the filter that holds everything.
    /// Fails with NoMemory if its bits cannot be had.
    pub fn build(hashes: &[u64], bits_per_key: u32) -> Result<Self> {
        if bits_per_key == 0 || hashes.is_empty() {
            return Ok(Self::default());
        }
        let mut filter = Self::with_blocks(blocks_for(hashes.len() as u64, bits_per_key))?;
        hashes.iter().for_each(|&hash| filter.insert(hash));
        Ok(filter)
    }

    /// Requires: there are blocks.
    #[inline]
    fn insert(&mut self, hash: u64) {
        let index = self.index(hash);
        for (word, mask) in self.blocks[index].0.iter_mut().zip(masks(hash)) {
            *word |= mask;
        }
    }

    /// Makes it half as large, if its number of blocks is even. The block of a hash is the whole part of a fraction of that
    /// number, so two neighbours become one: the result is what half the number of blocks would have given from the start.
    fn fold(&mut self) {
        let half = self.blocks.len() / 2;
        for index in 0..half {
            let (even, odd) = (self.blocks[2 * index].0, self.blocks[2 * index + 1].0);
            self.blocks[index] = FilterBlock(std::array::from_fn(|word| even[word] | odd[word]));
        }
        self.blocks.truncate(half);
    }

    fn with_blocks(count: usize) -> Result<Self> {
        let mut blocks = Vec::new();
        blocks.try_reserve_exact(count).map_err(|_| Error::new(ErrorKind::NoMemory, "no memory for a filter"))?;
        blocks.resize(count, FilterBlock::default());
        Ok(Self { blocks })
    }

    #[inline]
    fn index(&self, hash: u64) -> usize {
        (((hash >> 32) * self.blocks.len() as u64) >> 32) as usize
    }

    /// Asks for the block of a hash.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        prefetch::element(&self.blocks, self.index(hash));
    }

    /// False if no key with this hash was added. True says little: one time in about eighty it is wrong at 10 bits per key.
    #[inline]
    pub fn may_contain(&self, hash: u64) -> bool {
        let Some(block) = self.blocks.get(self.index(hash)) else { return true };
        let mut missing = 0;
        for (word, mask) in block.0.iter().zip(masks(hash)) {
            missing |= !word & mask;
        }
        missing == 0
    }

    /// Appends the filter's bytes: its blocks in order, each as eight little-endian words.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.blocks.len() * FILTER_BLOCK_BYTES);
        for word in self.blocks.iter().flat_map(|block| block.0) {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }

    /// The filter with these bytes; `None` if their number fits no filter. Fails with NoMemory as [`Filter::build`].
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>> {
        let count = bytes.len() / FILTER_BLOCK_BYTES;
        if !bytes.len().is_multiple_of(FILTER_BLOCK_BYTES) || count > u32::MAX as usize {
            return Ok(None);
        }
        let mut filter = Self::with_blocks(count)?;
        let words = filter.blocks.iter_mut().flat_map(|block| block.0.iter_mut());
        for (word, bytes) in words.zip(bytes.chunks_exact(4)) {
            *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        Ok(Some(filter))
    }

    /// Bytes that it holds in memory.
    pub fn resident_bytes(&self) -> usize {
        self.blocks.len() * FILTER_BLOCK_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_that_is_on_disk() {
        assert_eq!(key_hash(b""), 0x2d06_8005_38d3_94c2);
        assert_eq!(key_hash(b"sstore"), key_hash(&b"sstore"[..]));
    }

    #[test]
    fn added_keys_are_found_and_few_others() {
        let hashes: Vec<u64> = (0..20_000u32).map(|n| key_hash(&n.to_be_bytes())).collect();
        let filter = Filter::build(&hashes, 10).unwrap();
        let mut bytes = Vec::new();
        filter.encode(&mut bytes);
        let again = Filter::decode(&bytes).unwrap().unwrap();
        assert!(hashes.iter().all(|&hash| filter.may_contain(hash) && again.may_contain(hash)));
        let wrong = (20_000..60_000u32).filter(|n| again.may_contain(key_hash(&n.to_be_bytes()))).count();
        assert!(wrong < 40_000 * 2 / 100, "{wrong} of 40000 absent keys pass");
    }

    #[test]
    fn no_filter_holds_everything_and_odd_sizes_are_refused() {
        assert!(Filter::build(&[1, 2], 0).unwrap().may_contain(77));
        assert!(Filter::decode(&[]).unwrap().unwrap().may_contain(77));
        assert!(Filter::decode(&[0; 33]).unwrap().is_none());
    }
}
