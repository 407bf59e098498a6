//! Bytes that were damaged and given right checksums again: parsers refuse them or give something, but never panic.

use super::super::block::{Block, CHECKSUM_BYTES};
use super::super::codec::Decoder;
use super::super::footer::{FOOTER_BYTES, Footer};
use super::super::index::Index;
use super::super::properties::Properties;
use super::*;
use crate::filter::Filter;

/// Flips, overwrites with extremes, cuts or extends.
fn mutate(bytes: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=numbers.below(3) {
        // The first bytes are the header, where damage does most.
        let range = if numbers.below(2) == 0 { bytes.len().min(48) } else { bytes.len() };
        let at = numbers.below(range as u64) as usize;
        match numbers.below(6) {
            0 => bytes[at] = 0xff,
            1 => bytes[at] = 0,
            2 => bytes.truncate(at.max(1)),
            3 => bytes.push(7),
            _ => bytes[at] ^= 1 << numbers.below(8),
        }
    }
    bytes
}

fn use_block(block: &Block, keys: &[Vec<u8>]) {
    for index in 0..block.count() {
        let _ = (block.suffix(index), block.value(index), block.sequence(index), block.kind(index));
    }
    for key in keys {
        let _ = block.find(key, super::super::block::tag(key_hash(key)));
        assert!(block.bound(key, false) <= block.count() && block.bound(key, true) <= block.count());
    }
    let _ = block.check();
}

#[test]
fn damaged_parts_with_right_checksums_never_panic() {
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        let place = Place::new();
        let mut model = mixed_model(21, 120);
        put(&mut model, b"wide", 999, &[5; 700]);
        model.insert((b"wider".to_vec(), std::cmp::Reverse(998)), (Kind::Delete, Vec::new()));
        place.write(&model, SstOptions { block_bytes: 1 << 10, compression, bloom_bits_per_key: 10 });
        let bytes = std::fs::read(place.path()).unwrap();
        let footer = Footer::decode(&bytes[bytes.len() - FOOTER_BYTES..], bytes.len() as u64).unwrap();
        let reader = place.open();
        let keys: Vec<Vec<u8>> = model.keys().map(|(key, _)| key.clone()).collect();
        let part = |offset: u64, len: u64| &bytes[offset as usize..(offset + len) as usize];
        let mut numbers = Numbers(31);
        let decoder = Decoder::default();
        let mut parsed = 0;
        for round in 0..6000 {
            let block = reader.index().place(round % reader.index().len());
            let damaged = mutate(part(block.offset, block.len - CHECKSUM_BYTES as u64), &mut numbers);
            if let Ok(block) = Block::parse(damaged, &decoder) {
                parsed += 1;
                use_block(&block, &keys[..10]);
            }
            let damaged = mutate(part(footer.index.offset, footer.index.len), &mut numbers);
            if let Ok(index) = Index::decode(&damaged, footer.data.len) {
                for key in keys.iter().filter(|_| index.len() != 0) {
                    assert!(index.first_block_for(key) < index.len());
                    assert!(index.last_block_for(key).is_none_or(|block| block < index.len()));
                }
            }
            let _ = Properties::decode(&mutate(part(footer.properties.offset, footer.properties.len), &mut numbers));
            let _ = Filter::decode(&mutate(part(footer.filter.offset, footer.filter.len), &mut numbers));
        }
        assert!(parsed > 100, "enough of the damage gets past the parser: {parsed}");
    }
}
