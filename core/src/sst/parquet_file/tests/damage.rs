//! Damage of every kind: the answer is an error that names the file, or right data; `verify` always reports it.

use super::super::tail;
use super::*;
use crate::error::{Error, ErrorKind};
use arrow_array::BooleanArray;

/// A little file with several groups and pages, versions, a delete and a nested column.
pub fn small() -> (Arc<TableSchema>, Vec<RowChunk>) {
    let list = DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
    let schema = table(vec![Field::new("id", DataType::Int64, false), Field::new("tags", list, true)], &["id"]);
    let tags = super::values::array(&schema.columns()[1].field, 40, &mut super::values::Numbers(4));
    let ids = Int64Array::from_iter_values((0..40).map(|row| row / 2));
    let sequences = Sequences::Each((0..40).map(|row| 100 - row).collect());
    let deletes: BooleanBuffer = (0..40).map(|row| row == 9).collect();
    // Deletes hold nothing but their key, so that what is read is what was written.
    let tags = arrow_select::nullif::nullif(&tags, &BooleanArray::new(deletes.clone(), None)).unwrap();
    let rows = chunk(&schema, vec![Arc::new(ids), tags], sequences, Some(deletes));
    (schema, vec![rows])
}

pub fn tiny_pages() -> RowFileOptions {
    RowFileOptions { row_group_rows: 20, page_rows: 10, ..RowFileOptions::new(RowFormat::Parquet) }
}

/// What reading everything gives: the right data, or an error.
fn read_all(place: &Place, schema: &Arc<TableSchema>, wanted: &[ArrayRef], expected: &RowFileExpected) -> Result<()> {
    let reader = place.open_at(&place.path(), schema, expected)?;
    let request = RowFileScan { access: Access::Scan, ..RowFileScan::of(ids(schema)) };
    let found = scan(&reader, request)?;
    assert_eq!(joined(&found), wanted);
    for row in [0, 9, 31] {
        let keys = found.iter().find_map(|chunk| chunk.keys.clone()).unwrap();
        let key = keys.bytes(row % keys.len(), &mut [0; 8]).to_vec();
        assert!(matches!(reader.get(&key, MAX_SEQUENCE, &[2], Io::Allowed)?, RowLookup::Found(_)));
    }
    reader.verify()
}

pub fn assert_names(error: &Error, place: &Place) {
    assert!(matches!(error.kind(), ErrorKind::Corruption | ErrorKind::NotSupported), "{error}");
    assert_eq!(error.path(), Some(place.path().as_path()), "{error}");
    assert!(error.offset().is_some());
}

#[test]
fn every_flipped_byte_is_found() {
    let (schema, chunks) = small();
    let place = Place::new();
    let summary = place.write(&schema, &chunks, tiny_pages());
    let wanted = joined(&chunks);
    let whole = std::fs::read(place.path()).unwrap();
    for (expected, step) in [(expected_of(&summary), 1), (expected(), 3)] {
        read_all(&place, &schema, &wanted, &expected).unwrap();
        for offset in (0..whole.len()).step_by(step) {
            let mut damaged = whole.clone();
            damaged[offset] ^= 1 << (offset % 8);
            std::fs::write(place.path(), &damaged).unwrap();
            let error = read_all(&place, &schema, &wanted, &expected).expect_err("nobody noticed");
            assert_names(&error, &place);
        }
        std::fs::write(place.path(), &whole).unwrap();
    }
}

#[test]
fn a_file_cut_short_or_grown_is_found() {
    let (schema, chunks) = small();
    let place = Place::new();
    let summary = place.write(&schema, &chunks, tiny_pages());
    let wanted = joined(&chunks);
    let whole = std::fs::read(place.path()).unwrap();
    for expected in
        [expected_of(&summary), expected(), RowFileExpected { file: expected().file, ..expected_of(&summary) }]
    {
        for len in (0..whole.len()).step_by(7) {
            std::fs::write(place.path(), &whole[..len]).unwrap();
            assert_names(&read_all(&place, &schema, &wanted, &expected).expect_err("nobody noticed"), &place);
        }
        std::fs::write(place.path(), [&whole[..], &[0; 9]].concat()).unwrap();
        assert_names(&read_all(&place, &schema, &wanted, &expected).expect_err("nobody noticed"), &place);
    }
}

#[test]
fn another_file_or_another_schema_is_not_taken_for_this_one() {
    let (schema, chunks) = small();
    let place = Place::new();
    let summary = place.write(&schema, &chunks, tiny_pages());
    for change in [
        |file: &mut Expected| file.number = FileNumber(6),
        |file: &mut Expected| file.database_id = 78,
        |file: &mut Expected| file.collection = CollectionId(3),
    ] {
        let mut wrong = expected_of(&summary);
        change(&mut wrong.file);
        assert_names(&place.open_at(&place.path(), &schema, &wrong).err().unwrap(), &place);
    }
    let other =
        table(vec![Field::new("id", DataType::Int64, false), Field::new("tags", DataType::Utf8, true)], &["id"]);
    assert_names(&place.open_at(&place.path(), &other, &expected()).err().unwrap(), &place);
    let none = ParquetReader::open(&place.env, &place.path(), &expected(), &|_| None, place.cache.clone());
    assert_names(&none.err().unwrap(), &place);
}

#[test]
fn impossible_lengths_are_refused_before_anything_is_allocated() {
    let (schema, chunks) = small();
    let place = Place::new();
    let summary = place.write(&schema, &chunks, tiny_pages());
    let whole = std::fs::read(place.path()).unwrap();
    // A footer longer than the file, where the manifest is lost.
    let mut damaged = whole.clone();
    let len = damaged.len();
    damaged[len - 8..len - 4].copy_from_slice(&u32::MAX.to_le_bytes());
    std::fs::write(place.path(), &damaged).unwrap();
    assert_names(&place.open_at(&place.path(), &schema, &expected()).err().unwrap(), &place);
    // A tail that begins behind the file.
    std::fs::write(place.path(), &whole).unwrap();
    let wrong = RowFileExpected { index_offset: Some(u64::MAX), ..expected_of(&summary) };
    assert_names(&place.open_at(&place.path(), &schema, &wrong).err().unwrap(), &place);
}

/// Nobody but a forger gets past the checksums. Even so nothing panics.
#[test]
fn a_forged_footer_gives_errors_or_data_but_never_a_panic() {
    let (schema, chunks) = small();
    let place = Place::new();
    let summary = place.write(&schema, &chunks, tiny_pages());
    let whole = std::fs::read(place.path()).unwrap();
    let start = summary.index_offset as usize;
    let footer_len = u32::from_le_bytes(whole[whole.len() - 8..whole.len() - 4].try_into().unwrap()) as usize;
    let footer = whole.len() - 8 - footer_len;
    for offset in (footer - 200..whole.len()).step_by(5) {
        let mut forged = whole.clone();
        forged[offset] ^= 1 << (offset % 8);
        if !unsealed(&mut forged[start..]) || tail::seal(&mut forged[start..]).is_err() {
            continue;
        }
        std::fs::write(place.path(), &forged).unwrap();
        let opened = place.open_at(&place.path(), &schema, &expected());
        let Ok(reader) = opened else { continue };
        let _ = scan(&reader, RowFileScan { access: Access::Scan, ..RowFileScan::of(ids(&schema)) });
        let _ = scan(&reader, RowFileScan::of(ids(&schema)));
        let _ = reader.verify();
    }
}

/// Puts zeros where the checksum stands, if it still stands there.
pub fn unsealed(tail: &mut [u8]) -> bool {
    let mark = b"sstore.tail\x18\x18";
    let Some(entry) = tail.windows(mark.len()).rposition(|window| window == mark) else { return false };
    tail[entry + mark.len() + 16..entry + mark.len() + 24].fill(b'0');
    true
}

#[test]
fn the_example_of_the_format_is_true() {
    let text: String = include_str!("../FORMAT.md").lines().filter(|line| line.starts_with("For example `")).collect();
    let hexadecimal = text.split('`').nth(1).unwrap();
    let bytes: Vec<u8> =
        (0..hexadecimal.len()).step_by(2).map(|at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).unwrap()).collect();
    assert_eq!(String::from_utf8(bytes).unwrap(), tail::unsealed(42));
    let mut bytes = [b"footer sstore.tail\x18\x18", tail::unsealed(42).as_bytes(), b" and more"].concat();
    let checksum = crc32fast::hash(&bytes);
    tail::seal(&mut bytes).unwrap();
    assert!(String::from_utf8(bytes).unwrap().contains(&format!("{:016x}{checksum:08x} and more", 42)));
    assert!(tail::seal(&mut [0; 100]).is_err());
}
