//! What a file says about itself: who made it, from what, and what is in it.
//!
//! Written once by the writer, read at open and by `repair`. A list of numbered fields, so that later versions add fields
//! without breaking this one; what an old reader must not ignore is a bit of `features_incompatible`.

use crate::coding::{Reader, put_bytes, put_varint};
use crate::key::{CollectionId, FileNumber, MAX_KEY_BYTES, Sequence};

/// What a file says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    /// Features that a reader may ignore.
    pub features_compatible: u64,
    /// Features without which the file cannot be read rightly.
    pub features_incompatible: u64,
    /// The database that it was made for.
    pub database_id: u64,
    /// The writer epoch of that database when it was made.
    pub epoch: u64,
    /// Its number.
    pub number: FileNumber,
    /// The column family whose entries it holds.
    pub collection: CollectionId,
    /// The job that made it.
    pub job: u64,
    /// The files that the job read.
    pub inputs: Vec<FileNumber>,
    /// The files that the job meant to write.
    pub outputs: Vec<FileNumber>,
    /// How many entries it holds: versions, not keys.
    pub entries: u64,
    /// How many of them are tombstones.
    pub tombstones: u64,
    /// Bytes of keys and values in them.
    pub payload_bytes: u64,
    /// The least key.
    pub smallest: Vec<u8>,
    /// The greatest key.
    pub largest: Vec<u8>,
    /// The least sequence.
    pub smallest_sequence: Sequence,
    /// The greatest sequence.
    pub largest_sequence: Sequence,
    /// Whether some key has more than one version.
    pub multi_version: bool,
    /// The version of the hash in filter and tags.
    pub hash_version: u64,
}

/// The hash of filter and tags that this version writes: XXH3, 64 bits, seed 0.
pub const HASH_VERSION: u64 = 1;

impl Properties {
    /// Whether each key has one version, and it is a put.
    pub fn is_plain(&self) -> bool {
        !self.multi_version && self.tombstones == 0
    }

    /// The encoding, as `FORMAT.md` has it.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut field = |id: u64, bytes: &[u8]| {
            put_varint(&mut out, id);
            put_bytes(&mut out, bytes);
        };
        let numbers = [
            (1, self.features_compatible),
            (2, self.features_incompatible),
            (3, self.database_id),
            (4, self.epoch),
            (5, self.number.0),
            (6, u64::from(self.collection.0)),
            (7, self.job),
            (10, self.entries),
            (11, self.tombstones),
            (12, self.payload_bytes),
            (15, self.smallest_sequence),
            (16, self.largest_sequence),
            (17, u64::from(self.multi_version)),
            (18, self.hash_version),
        ];
        for (id, number) in numbers {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, number);
            field(id, &bytes);
        }
        for (id, files) in [(8, &self.inputs), (9, &self.outputs)] {
            let mut bytes = Vec::new();
            files.iter().for_each(|file| put_varint(&mut bytes, file.0));
            field(id, &bytes);
        }
        field(13, &self.smallest);
        field(14, &self.largest);
        out
    }

    /// Decodes properties whose checksum was verified.
    pub fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        const BAD: &str = "properties with a malformed field";
        let mut found = Self::default();
        let mut seen = 0u32;
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            let id = reader.varint().ok_or(BAD)?;
            let content = reader.bytes().ok_or(BAD)?;
            let number = || {
                let mut reader = Reader::new(content);
                reader.varint().filter(|_| reader.is_empty()).ok_or(BAD)
            };
            match id {
                1 => found.features_compatible = number()?,
                2 => found.features_incompatible = number()?,
                3 => found.database_id = number()?,
                4 => found.epoch = number()?,
                5 => found.number = FileNumber(number()?),
                6 => found.collection = CollectionId(u32::try_from(number()?).map_err(|_| BAD)?),
                7 => found.job = number()?,
                8 => found.inputs = files(content).ok_or(BAD)?,
                9 => found.outputs = files(content).ok_or(BAD)?,
                10 => found.entries = number()?,
                11 => found.tombstones = number()?,
                12 => found.payload_bytes = number()?,
                13 => found.smallest = content.to_vec(),
                14 => found.largest = content.to_vec(),
                15 => found.smallest_sequence = number()?,
                16 => found.largest_sequence = number()?,
                17 => found.multi_version = number()? != 0,
                18 => found.hash_version = number()?,
                // A field of a later version; whether it may be ignored is said by the feature bits.
                _ => continue,
            }
            seen |= 1 << id;
        }
        if seen != ALL_FIELDS {
            return Err("properties without a required field");
        }
        if found.smallest.len() > MAX_KEY_BYTES || found.largest.len() > MAX_KEY_BYTES {
            return Err("properties with a key beyond the limit");
        }
        Ok(found)
    }
}

/// A bit for each of the fields 1 to 18.
const ALL_FIELDS: u32 = (1 << 19) - 2;

fn files(bytes: &[u8]) -> Option<Vec<FileNumber>> {
    let mut reader = Reader::new(bytes);
    let mut files = Vec::new();
    while !reader.is_empty() {
        files.push(FileNumber(reader.varint()?));
    }
    Some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_round_trip_and_later_fields_are_skipped() {
        let properties = Properties {
            database_id: u64::MAX,
            number: FileNumber(7),
            inputs: vec![FileNumber(3), FileNumber(300)],
            smallest: b"a".to_vec(),
            multi_version: true,
            ..Properties::default()
        };
        let mut bytes = properties.encode();
        assert_eq!(Properties::decode(&bytes).unwrap(), properties);
        put_varint(&mut bytes, 99);
        put_bytes(&mut bytes, b"later");
        assert_eq!(Properties::decode(&bytes).unwrap(), properties);
        assert!(Properties::decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(Properties::decode(&[]).is_err());
    }
}
