//! A filter in the making: keys go by one at a time, and nobody knows yet how many there will be.
//!
//! Called by the writers of files. Promises: the same bits as from all hashes at once; where a bound of the keys is known, memory
//! for the filter of that bound and no more, whatever goes by.

use super::{FILTER_BLOCK_BYTES, Filter, blocks_for};
use crate::error::Result;

/// How many keys ahead the block of a key is asked for, where many are added at once.
const PREFETCH_DISTANCE: usize = 16;

/// Blocks of a filter for a bound have no more significant bits than this: the rest are factors of two, to be folded away. It
/// makes them at most a thirty-second too many.
const SIGNIFICANT_BITS: u32 = 6;

/// Gathers the hashes of keys and makes their filter. One thread at a time.
pub struct FilterBuilder {
    bits_per_key: u32,
    keys: u64,
    /// Of all keys, if no bound of their number is known.
    hashes: Vec<u64>,
    /// For the bound; without blocks if there is none.
    filter: Filter,
}

impl FilterBuilder {
    /// A filter without keys yet. With 0 bits per key it holds everything, and nothing is gathered.
    pub fn new(bits_per_key: u32) -> Self {
        Self { bits_per_key, keys: 0, hashes: Vec::new(), filter: Filter::default() }
    }

    /// No more than `keys_max` keys will come; if there are more all the same, the filter only says yes more often. Fails with NoMemory
    /// if the bits of so many cannot be had. Requires: no key has come yet.
    pub fn expect(&mut self, keys_max: u64) -> Result<()> {
        debug_assert_eq!(self.keys, 0, "the first key came before its bound");
        self.filter = Filter::with_blocks(foldable(blocks_for(keys_max, self.bits_per_key)))?;
        Ok(())
    }

    /// Whether keys are of use to it: not if it has no bits.
    pub fn gathers(&self) -> bool {
        self.bits_per_key != 0
    }

    /// Adds a key that was not added before.
    #[inline]
    pub fn add(&mut self, hash: u64) {
        if !self.gathers() {
            return;
        }
        self.keys += 1;
        if self.filter.blocks.is_empty() {
            self.hashes.push(hash);
        } else {
            self.filter.insert(hash);
        }
    }

    /// Adds keys that were not added before.
    pub fn add_all(&mut self, hashes: &[u64]) {
        for (at, &hash) in hashes.iter().enumerate() {
            if let Some(&ahead) = hashes.get(at + PREFETCH_DISTANCE) {
                self.filter.prefetch(ahead);
            }
            self.add(hash);
        }
    }

    /// The filter: of the size that its keys ask for, or of less than twice that if they were fewer than expected. Lets go of all
    /// that was gathered.
    pub fn finish(&mut self) -> Result<Filter> {
        let (hashes, mut filter) = (std::mem::take(&mut self.hashes), std::mem::take(&mut self.filter));
        let keys = std::mem::take(&mut self.keys);
        if filter.blocks.is_empty() || keys == 0 {
            return Filter::build(&hashes, self.bits_per_key);
        }
        let wanted = blocks_for(keys, self.bits_per_key);
        while filter.blocks.len().is_multiple_of(2) && filter.blocks.len() / 2 >= wanted {
            filter.fold();
        }
        filter.blocks.shrink_to_fit();
        Ok(filter)
    }

    /// Bytes that it holds in memory.
    pub fn memory_bytes(&self) -> usize {
        8 * self.hashes.capacity() + FILTER_BLOCK_BYTES * self.filter.blocks.capacity()
    }
}

/// The least number of blocks from `count` on that can be halved until few are left.
fn foldable(count: usize) -> usize {
    let spare_bits = (usize::BITS - count.leading_zeros()).saturating_sub(SIGNIFICANT_BITS);
    count.next_multiple_of(1 << spare_bits)
}

#[cfg(test)]
mod tests {
    use super::super::key_hash;
    use super::*;

    fn hashes(range: std::ops::Range<u64>) -> Vec<u64> {
        range.map(|n| key_hash(&n.to_be_bytes())).collect()
    }

    fn bytes(filter: &Filter) -> Vec<u8> {
        let mut bytes = Vec::new();
        filter.encode(&mut bytes);
        bytes
    }

    fn of_bound(hashes: &[u64], keys_max: u64, bits_per_key: u32) -> Filter {
        let mut builder = FilterBuilder::new(bits_per_key);
        builder.expect(keys_max).unwrap();
        builder.add_all(hashes);
        builder.finish().unwrap()
    }

    #[test]
    fn folded_bits_are_those_of_the_hashes() {
        for (count, keys_max, bits_per_key) in
            [(1, 1, 10), (1000, 1000, 10), (700, 1000, 10), (10_000, 99_999, 10), (3, 1 << 20, 10), (999, 7777, 3)]
        {
            let hashes = hashes(0..count);
            let folded = of_bound(&hashes, keys_max, bits_per_key);
            let mut direct = Filter::with_blocks(folded.blocks.len()).unwrap();
            hashes.iter().for_each(|&hash| direct.insert(hash));
            assert!(bytes(&folded) == bytes(&direct), "{count} of {keys_max} keys, {bits_per_key} bits");
        }
    }

    #[test]
    fn without_a_bound_it_is_the_filter_of_all_hashes() {
        let hashes = hashes(0..5000);
        let mut builder = FilterBuilder::new(10);
        hashes.iter().for_each(|&hash| builder.add(hash));
        assert!(bytes(&builder.finish().unwrap()) == bytes(&Filter::build(&hashes, 10).unwrap()));
    }

    #[test]
    fn every_key_is_found_and_few_others_whatever_was_expected() {
        let present = hashes(0..20_000);
        let absent = hashes(20_000..60_000);
        let passing = |filter: &Filter| absent.iter().filter(|&&hash| filter.may_contain(hash)).count();
        let exact = passing(&Filter::build(&present, 10).unwrap());
        for keys_max in [20_000, 20_001, 30_000, 39_999, 40_000, 80_000, 1_000_000] {
            let filter = of_bound(&present, keys_max, 10);
            assert!(present.iter().all(|&hash| filter.may_contain(hash)), "{keys_max} expected");
            let wrong = passing(&filter);
            assert!(
                wrong <= exact + 40,
                "{keys_max} expected: {wrong} of 40000 absent keys pass, {exact} at the exact size"
            );
            let (wanted, blocks) = (blocks_for(20_000, 10), filter.blocks.len());
            assert!(
                (wanted..2 * wanted + wanted / 16).contains(&blocks),
                "{keys_max} expected: {blocks}, not {wanted}"
            );
        }
        assert!(passing(&of_bound(&present, 1000, 10)) > exact, "more keys than expected make it say yes more often");
    }

    #[test]
    fn its_memory_is_bounded_by_what_was_expected() {
        let mut builder = FilterBuilder::new(10);
        builder.expect(100_000).unwrap();
        let before = builder.memory_bytes();
        hashes(0..100_000).into_iter().for_each(|hash| builder.add(hash));
        assert_eq!(builder.memory_bytes(), before);
        assert!(before <= 100_000 * 10 / 8 * 33 / 32 + FILTER_BLOCK_BYTES, "{before}");
    }

    #[test]
    fn no_bits_or_no_keys_give_the_filter_that_holds_everything() {
        assert!(of_bound(&hashes(0..10), 10, 0).may_contain(77));
        assert!(of_bound(&[], 0, 10).may_contain(77));
        let mut out = Vec::new();
        FilterBuilder::new(10).finish().unwrap().encode(&mut out);
        assert!(out.is_empty());
    }
}
