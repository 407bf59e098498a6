//! The block cache: decoded, verified blocks of files, bounded by their bytes.
//!
//! One per database, shared by the readers of all its files; knows nothing of what a block is. Called by `sst`. Promises: the
//! weights of what it holds never exceed its capacity, a block handed out stays alive however soon it is evicted, and no call
//! waits for anything but a short lock.

use crate::key::FileNumber;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What can be cached: something that knows how many bytes of memory it holds.
pub trait Weigh: Send + Sync {
    /// Bytes of memory that it holds, itself included.
    fn weight_bytes(&self) -> usize;
}

/// Blocks by file number and offset. All methods may be called from any thread.
pub struct BlockCache<B: Weigh> {
    blocks: quick_cache::sync::Cache<BlockKey, Arc<B>, ByBytes, KeyHashing>,
    capacity_bytes: AtomicUsize,
    counters: [Counters; STRIPES],
}

/// Counters are striped, so that readers on several cores do not pass one cache line around.
const STRIPES: usize = 16;

#[derive(Default)]
#[repr(align(128))]
struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
}

/// Bytes that the cache itself spends on an entry, about: key, slot, queue links, the block's reference counts.
const ENTRY_OVERHEAD_BYTES: usize = 96;

/// Under this capacity per shard a large block would not fit, so a small cache has fewer shards.
const SHARD_BYTES_MIN: usize = 4 << 20;

/// More shards than this do not help the cores that the engine is made for.
const SHARDS_MAX: usize = 16;

type BlockKey = (u64, u64);

#[derive(Clone)]
struct ByBytes;

impl<B: Weigh> quick_cache::Weighter<BlockKey, Arc<B>> for ByBytes {
    fn weight(&self, _key: &BlockKey, block: &Arc<B>) -> u64 {
        (block.weight_bytes() + ENTRY_OVERHEAD_BYTES) as u64
    }
}

/// Mixes the two numbers of a key by multiplication: they come from the engine, so nobody can aim them at a bucket.
#[derive(Clone, Default)]
struct KeyHashing;

#[derive(Default)]
struct KeyHasher(u64);

impl BuildHasher for KeyHashing {
    type Hasher = KeyHasher;

    fn build_hasher(&self) -> KeyHasher {
        KeyHasher(0)
    }
}

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        let product = u128::from(self.0 ^ value ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

impl<B: Weigh> BlockCache<B> {
    /// A cache of at most `capacity_bytes`; zero keeps nothing.
    pub fn new(capacity_bytes: usize) -> Arc<Self> {
        let shards = 1 << (capacity_bytes / SHARD_BYTES_MIN).clamp(1, SHARDS_MAX).ilog2();
        let blocks_expected = (capacity_bytes / (8 << 10)).max(16);
        let mut options = quick_cache::OptionsBuilder::new();
        options.shards(shards).estimated_items_capacity(blocks_expected).weight_capacity(capacity_bytes as u64);
        let options = options.build().expect("every option that the cache requires was set just above");
        let blocks = quick_cache::sync::Cache::with_options(options, ByBytes, KeyHashing, Default::default());
        Arc::new(Self { blocks, capacity_bytes: AtomicUsize::new(capacity_bytes), counters: Default::default() })
    }

    /// The block of `file` at `offset`, if it is here.
    #[inline]
    pub fn get(&self, file: FileNumber, offset: u64) -> Option<Arc<B>> {
        let found = self.blocks.get(&(file.0, offset));
        let counters = &self.counters[(offset >> 12) as usize % STRIPES];
        if found.is_some() {
            counters.hits.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    /// Keeps a block, evicting others for it. A block too large for the cache is not kept.
    pub fn insert(&self, file: FileNumber, offset: u64, block: Arc<B>) {
        self.counters[(offset >> 12) as usize % STRIPES].misses.fetch_add(1, Ordering::Relaxed);
        self.blocks.insert((file.0, offset), block);
    }

    /// Forgets the blocks of `file` at these offsets: the file goes.
    pub fn remove_file(&self, file: FileNumber, offsets: impl Iterator<Item = u64>) {
        if self.blocks.is_empty() {
            return;
        }
        for offset in offsets {
            self.blocks.remove(&(file.0, offset));
        }
    }

    /// Bytes that its blocks hold; never more than its capacity.
    pub fn used_bytes(&self) -> usize {
        self.blocks.weight() as usize
    }

    /// The most bytes that it keeps.
    pub fn capacity_bytes(&self) -> usize {
        self.capacity_bytes.load(Ordering::Relaxed)
    }

    /// Changes the most bytes that it keeps; evicts what is too much.
    pub fn set_capacity_bytes(&self, capacity_bytes: usize) {
        self.capacity_bytes.store(capacity_bytes, Ordering::Relaxed);
        self.blocks.set_capacity(capacity_bytes as u64);
    }

    /// How many blocks were found here.
    pub fn hits(&self) -> u64 {
        self.counters.iter().map(|counters| counters.hits.load(Ordering::Relaxed)).sum()
    }

    /// How many blocks had to be read and were put here.
    pub fn misses(&self) -> u64 {
        self.counters.iter().map(|counters| counters.misses.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Heavy(usize);

    impl Weigh for Heavy {
        fn weight_bytes(&self) -> usize {
            self.0
        }
    }

    #[test]
    fn the_bound_holds_while_blocks_come_and_go() {
        let cache = BlockCache::new(1 << 20);
        for offset in 0..1000u64 {
            cache.insert(
                FileNumber(1 + offset % 3),
                offset << 13,
                Arc::new(Heavy(1 + (offset as usize * 37) % 20_000)),
            );
            assert!(cache.used_bytes() <= 1 << 20);
        }
        assert!(cache.used_bytes() > 1 << 19, "a full cache is used");
        cache.insert(FileNumber(9), 0, Arc::new(Heavy(2 << 20)));
        assert!(cache.used_bytes() <= 1 << 20, "what is larger than the cache is not kept");
        for file in 1..=3 {
            cache.remove_file(FileNumber(file), (0..1000).map(|offset| offset << 13));
        }
        assert_eq!(cache.used_bytes(), 0);
    }

    #[test]
    fn hits_and_misses_are_counted() {
        let cache = BlockCache::new(1 << 20);
        assert!(cache.get(FileNumber(1), 0).is_none());
        cache.insert(FileNumber(1), 0, Arc::new(Heavy(10)));
        assert!(cache.get(FileNumber(1), 0).is_some());
        assert!(cache.get(FileNumber(2), 0).is_none());
        assert_eq!((cache.hits(), cache.misses()), (1, 1));
    }
}
