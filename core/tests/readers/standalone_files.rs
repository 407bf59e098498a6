//! Files written and read without a database: by programs that load in bulk, side by side.
#![cfg(feature = "parquet")]

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use sstore::FileNumber;
use sstore::batch::PreparedRows;
use sstore::env::posix::posix;
use sstore::iter::Cursor;
use sstore::key::{Entry, Kind};
use sstore::schema::{KeyOptions, TableSchema};
use sstore::sst::{
    Access, BlockCache, Expected, RowCache, RowFileExpected, RowFileOptions, RowFileReader, RowFileScan, RowFileWriter,
    RowFormat, SstIdentity, SstOptions, SstReader, SstWriter,
};
use std::sync::Arc;

#[test]
fn a_file_of_bytes_says_itself_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("any name.sst");
    let identity = SstIdentity { number: FileNumber(7), job: 3, inputs: vec![FileNumber(1)], ..SstIdentity::default() };
    let mut writer = SstWriter::create(&posix(), &path, identity, SstOptions::default()).unwrap();
    for key in 0u32..1000 {
        let entry = Entry { key: &key.to_be_bytes(), sequence: 5, kind: Kind::Put, value: b"value" };
        writer.add(entry).unwrap();
    }
    let summary = writer.finish().unwrap();
    let properties = SstReader::peek(&posix(), &path).unwrap();
    assert_eq!(
        (properties.number, properties.entries, &properties.inputs[..]),
        (FileNumber(7), 1000, &[FileNumber(1)][..])
    );
    let expected = Expected { number: properties.number, ..Expected::default() };
    let reader = SstReader::open(&posix(), &path, &expected, BlockCache::new(1 << 20)).unwrap();
    assert_eq!((reader.size_bytes(), reader.checksum()), (summary.size_bytes, summary.checksum));
    let mut cursor = reader.cursor(Access::Scan);
    cursor.seek_to_first().unwrap();
    assert_eq!(cursor.entry().key, [0; 4]);
}

#[test]
fn a_file_of_rows_says_itself_what_it_is_and_which_schema_its_rows_have() {
    let fields = vec![Field::new("id", DataType::Int64, false), Field::new("name", DataType::Utf8, true)];
    let schema = Arc::new(TableSchema::new(&Schema::new(fields), &["id"], &KeyOptions::default()).unwrap());
    for (format, name) in [(RowFormat::Ipc, "data.arrow"), (RowFormat::Parquet, "any name.parquet")] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        let identity = SstIdentity { number: FileNumber(7), database_id: 5, ..SstIdentity::default() };
        let options = RowFileOptions::new(format);
        let mut writer = RowFileWriter::create(&posix(), &path, identity, schema.clone(), 2, options).unwrap();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![3, 1, 2])),
            Arc::new(StringArray::from(vec![Some("c"), None, Some("b")])),
        ];
        let rows = RecordBatch::try_new(schema.user().clone(), columns).unwrap();
        let rows = PreparedRows::prepare(&schema, &rows, Kind::Rows).unwrap();
        writer.add(&rows.to_chunk(9).unwrap()).unwrap();
        assert!(writer.add(&rows.to_chunk(9).unwrap()).is_err(), "{format:?}: out of order");
        drop(writer);
        assert!(!path.exists(), "{format:?}: a writer that is given up leaves nothing");

        let identity = SstIdentity { number: FileNumber(7), database_id: 5, ..SstIdentity::default() };
        let options = RowFileOptions::new(format);
        let mut writer = RowFileWriter::create(&posix(), &path, identity, schema.clone(), 2, options).unwrap();
        writer.add(&rows.to_chunk(9).unwrap()).unwrap();
        assert_eq!(writer.finish().unwrap().rows, 3);

        let peeked = RowFileReader::peek(&posix(), &path).unwrap();
        assert_eq!((peeked.properties.number, peeked.properties.database_id, peeked.level), (FileNumber(7), 5, 2));
        assert_eq!(*peeked.schema, *schema, "{format:?}");
        let file = Expected { number: FileNumber(7), database_id: 5, ..Expected::default() };
        let expected = RowFileExpected { file, ..RowFileExpected::default() };
        let schemas = |id| (id == peeked.schema.id()).then(|| peeked.schema.clone());
        let reader = RowFileReader::open(&posix(), &path, &expected, &schemas, RowCache::new(1 << 20)).unwrap();
        reader.verify().unwrap();
        let mut source = reader.scan(RowFileScan::of(vec![1])).unwrap();
        let chunk = source.next_chunk().unwrap().unwrap();
        assert_eq!(chunk.batch.column(0).as_primitive::<Int64Type>().values()[..], [1, 2, 3]);
        let mut damaged = std::fs::read(&path).unwrap();
        let at = damaged.len() - 40;
        damaged[at] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        let peeked = RowFileReader::peek(&posix(), &path);
        assert_eq!(
            peeked.is_err(),
            format == RowFormat::Parquet,
            "{format:?}: of Parquet the tail tells, and is verified"
        );
    }
}
