//! The bytes of a split.

use super::*;
use crate::schema::KeyOptions;
use arrow_schema::{DataType, Field, Schema};

/// The split that `FORMAT.md` shows.
fn example() -> Split {
    let columns = vec![Field::new("id", DataType::Int64, false), Field::new("n", DataType::Int64, true)];
    let schema = TableSchema::new(&Schema::new(columns), &["id"], &KeyOptions::default()).unwrap();
    Split {
        database: PathBuf::from("/db"),
        database_id: 77,
        table: "t".to_owned(),
        collection: CollectionId(2),
        sequence: 9,
        schema: Arc::new(schema),
        range: KeyRange { lower: Some(vec![0x80, 0, 0, 0, 0, 0, 0, 3]), upper: None },
        columns: None,
        filter: Some(Filter::IsNull("n".to_owned())),
        reverse: false,
        batch_rows: 8192,
        files: Vec::new(),
        estimated_rows: 0,
        estimated_bytes: 0,
    }
}

#[test]
fn the_example_of_the_format_is_what_is_written() {
    let text = include_str!("FORMAT.md");
    let hex = text.split("```hex\n").nth(1).unwrap().split("```").next().unwrap();
    let digits = hex.lines().flat_map(|line| line.split('#').next().unwrap().split_whitespace());
    let bytes: Vec<u8> = digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect();
    let wanted = example().encode().unwrap();
    let shown: Vec<String> = wanted.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(bytes, wanted, "{}", shown.join(" "));
    assert_eq!(Split::decode(&bytes).unwrap().encode().unwrap(), bytes);
}
