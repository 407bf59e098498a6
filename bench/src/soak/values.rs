//! Keys, values and rows that prove themselves: each holds the number of its key and its version, and all the rest follows from them.
//!
//! Used by those who write and those who read. A value that was torn, mixed up, or belongs to another key is found by looking at it alone.

use crate::Checked;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use std::fmt::Write;
use std::sync::Arc;

/// Bytes of a key.
pub const KEY_BYTES: usize = 12;

const HEADER_BYTES: usize = 12;

/// The finalizer of a hash function: neighbours come to lie far apart.
fn scatter(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ number >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ number >> 31
}

/// The key with a number.
pub fn key(number: usize) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..8].copy_from_slice(&scatter(number as u64 + 1).to_be_bytes());
    key[8..].copy_from_slice(&(number as u32).to_be_bytes());
    key
}

/// The number of a key that was found.
pub fn number_of(found: &[u8]) -> Checked<usize> {
    let number = found.last_chunk().map(|bytes| u32::from_be_bytes(*bytes) as usize);
    match number {
        Some(number) if key(number) == found => Ok(number),
        _ => Err(format!("a key that nobody wrote: {found:02x?}").into()),
    }
}

/// Writes the value of a key and version to `out`: some 20 to 500 bytes, one of a hundred up to 20 KiB, of which a half repeats.
pub fn value(key: usize, version: u64, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&(key as u32).to_be_bytes());
    out.extend_from_slice(&version.to_be_bytes());
    let mut state = scatter(version ^ scatter(key as u64 + 1));
    let body = if state.is_multiple_of(100) { state >> 32 & 0x3FFF } else { state >> 32 & 0x1FF } as usize;
    while out.len() < HEADER_BYTES + body {
        state = scatter(state.wrapping_add(1));
        out.extend_from_slice(&state.to_be_bytes());
        out.extend_from_slice(b"the same");
    }
}

/// The version of a value that was found under a key. `scratch` may hold anything.
pub fn version_of(key: usize, found: &[u8], scratch: &mut Vec<u8>) -> Checked<u64> {
    let version =
        found.get(4..HEADER_BYTES).and_then(|bytes| bytes.first_chunk()).map(|bytes| u64::from_be_bytes(*bytes));
    let Some(version) = version else {
        return Err(format!("key {key}: a value of {} bytes, shorter than any", found.len()).into());
    };
    value(key, version, scratch);
    if scratch == found {
        return Ok(version);
    }
    let at = scratch.iter().zip(found).position(|(expected, found)| expected != found);
    let (expected, found) = (scratch.len(), found.len());
    Err(format!(
        "key {key}: what says version {version} is not its value, from byte {at:?} on; {found} bytes of {expected}"
    )
    .into())
}

/// The columns of the tables; the first is the key.
pub fn schema() -> Schema {
    Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("version", DataType::Int64, false),
        Field::new("text", DataType::Utf8, true),
    ])
}

/// The key of the tables.
pub const TABLE_KEY: [&str; 1] = ["id"];

/// The text of a row: one of seven has none.
fn text(key: i64, version: i64, out: &mut String) -> bool {
    out.clear();
    let mut state = scatter(version as u64 ^ (key as u64) << 40);
    if state.is_multiple_of(7) {
        return false;
    }
    for _ in 0..=state % 5 {
        state = scatter(state);
        let _ = write!(out, "{state:x} and ");
    }
    true
}

/// The rows of these keys, all of one version.
pub fn rows(keys: &[usize], version: u64) -> Checked<RecordBatch> {
    let version = version as i64;
    let ids = Int64Array::from_iter_values(keys.iter().map(|&key| key as i64));
    let texts = keys.iter().map(|&key| {
        let mut out = String::new();
        text(key as i64, version, &mut out).then_some(out)
    });
    let texts = StringArray::from_iter(texts);
    let versions = Int64Array::from_value(version, keys.len());
    Ok(RecordBatch::try_new(Arc::new(schema()), vec![Arc::new(ids), Arc::new(versions), Arc::new(texts)])?)
}

/// The keys of rows, to delete or look up.
pub fn row_keys(keys: &[usize]) -> Checked<RecordBatch> {
    let ids = Int64Array::from_iter_values(keys.iter().map(|&key| key as i64));
    Ok(RecordBatch::try_new(Arc::new(schema().project(&[0])?), vec![Arc::new(ids)])?)
}

/// Hands each row's key and version to `each`, once the row has proved itself.
pub fn each_row(batch: &RecordBatch, mut each: impl FnMut(usize, u64) -> Checked<()>) -> Checked<()> {
    let column = |name| batch.column_by_name(name).ok_or_else(|| format!("rows without the column {name}"));
    let (ids, versions) = (column("id")?.as_primitive::<Int64Type>(), column("version")?.as_primitive::<Int64Type>());
    let texts = column("text")?.as_string::<i32>();
    let mut expected = String::new();
    for row in 0..batch.num_rows() {
        let (id, version) = (ids.value(row), versions.value(row));
        let expected = text(id, version, &mut expected).then_some(expected.as_str());
        let found = texts.is_valid(row).then(|| texts.value(row));
        if found != expected {
            return Err(format!("row {id}, version {version}: the text is {found:?}, not {expected:?}").into());
        }
        each(id as usize, version as u64)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flipped_byte_of_a_key_or_value_is_found() {
        let mut bytes = Vec::new();
        let mut scratch = Vec::new();
        value(7, 300, &mut bytes);
        assert_eq!(version_of(7, &bytes, &mut scratch).unwrap(), 300);
        assert!(version_of(8, &bytes, &mut scratch).is_err());
        assert!(version_of(7, &bytes[..bytes.len() - 1], &mut scratch).is_err());
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            assert!(version_of(7, &bytes, &mut scratch).is_err(), "byte {at}");
            bytes[at] ^= 1;
        }
        let mut found = key(7);
        assert_eq!(number_of(&found).unwrap(), 7);
        for at in 0..KEY_BYTES {
            found[at] ^= 1;
            assert!(number_of(&found).is_err(), "byte {at}");
            found[at] ^= 1;
        }
    }

    #[test]
    fn a_row_of_another_version_does_not_prove_itself() {
        let batch = rows(&[1, 2, 3, 4, 5, 6, 7, 8], 9).unwrap();
        let mut seen = Vec::new();
        each_row(&batch, |key, version| {
            seen.push((key, version));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen.len(), 8);
        assert_eq!(seen[2], (3, 9));
        let other = rows(&[1, 2, 3, 4, 5, 6, 7, 8], 10).unwrap();
        let columns = vec![batch.column(0).clone(), other.column(1).clone(), batch.column(2).clone()];
        let mixed = RecordBatch::try_new(batch.schema(), columns).unwrap();
        assert!(each_row(&mixed, |_, _| Ok(())).is_err());
    }
}
