//! Whole files: written, opened, scanned, searched; damaged ones lie in `hostile`, types in `types`.

use super::super::row_file::{
    RowCache, RowFileExpected, RowFileOptions, RowFileScan, RowFileSummary, RowFormat, RowLookup,
};
use super::super::{Access, Compression, Expected, Io, RowFileReader, RowFileWriter, SstIdentity};
use super::{BATCH_ROWS, INDEX_NAME};
use crate::env::mem::MemFileSystem;
use crate::env::{Env, FileSystem, posix};
use crate::error::{ErrorKind, Result};
use crate::iter::{RowChunk, RowSource, Sequences};
use crate::key::{CollectionId, FileNumber, KeyRange, MAX_SEQUENCE};
use crate::schema::{KeyOptions, SchemaId, TableSchema};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{DataType, Field, Schema};
use counting::Counting;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod counting;
mod hostile;
mod types;

/// A row of the sample table: key, sequence, whether it is a delete.
type Row = (i64, i64, bool);

const COMPRESSIONS: [Compression; 3] = [Compression::None, Compression::Lz4, Compression::Zstd];

struct Place {
    env: Env,
    disk: Arc<MemFileSystem>,
    files: Arc<Counting>,
    schema: Arc<TableSchema>,
}

impl Place {
    fn new(schema: Arc<TableSchema>) -> Self {
        let disk = MemFileSystem::new();
        let files = Counting::new(disk.clone());
        files.create_dir(Path::new("/t")).unwrap();
        Self { env: Env { files: files.clone(), runtime: posix::posix().runtime }, disk, files, schema }
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("/t/data.arrow")
    }

    fn index_path(&self) -> PathBuf {
        Path::new("/t").join(INDEX_NAME)
    }

    fn write(&self, chunks: impl IntoIterator<Item = RowChunk>, options: RowFileOptions) -> Result<RowFileSummary> {
        let mut writer = RowFileWriter::create(&self.env, &self.path(), identity(), self.schema.clone(), 1, options)?;
        for chunk in chunks {
            writer.add(&chunk)?;
        }
        writer.finish()
    }

    fn open(&self, cache_bytes: usize) -> Result<Arc<RowFileReader>> {
        self.open_as(&RowFileExpected { file: expected(), ..RowFileExpected::default() }, cache_bytes)
    }

    fn open_as(&self, expected: &RowFileExpected, cache_bytes: usize) -> Result<Arc<RowFileReader>> {
        let schemas = |id| (id == SchemaId(1)).then(|| self.schema.clone());
        RowFileReader::open(&self.env, &self.path(), expected, &schemas, RowCache::new(cache_bytes))
    }
}

fn identity() -> SstIdentity {
    SstIdentity {
        database_id: 77,
        epoch: 3,
        number: FileNumber(5),
        collection: CollectionId(2),
        job: 9,
        inputs: vec![FileNumber(1)],
        outputs: vec![FileNumber(5)],
    }
}

fn expected() -> Expected {
    Expected { database_id: 77, number: FileNumber(5), size_bytes: None, collection: CollectionId(2) }
}

fn options(compression: Compression) -> RowFileOptions {
    RowFileOptions { compression, ..RowFileOptions::new(RowFormat::Ipc) }
}

fn schema(key: &[&str]) -> Arc<TableSchema> {
    let fields = vec![
        Field::new("id", DataType::Int64, false),
        Field::new("name", DataType::Utf8, false),
        Field::new("weight", DataType::Float64, true),
    ];
    Arc::new(TableSchema::new(&Schema::new(fields), key, &KeyOptions::default()).unwrap())
}

fn weight(id: i64, sequence: i64) -> Option<f64> {
    (id % 7 != 0).then_some(id as f64 + sequence as f64 / 1000.0)
}

fn chunk(schema: &TableSchema, rows: &[Row]) -> RowChunk {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
    let names = StringArray::from_iter_values(rows.iter().map(|row| format!("name {}", row.0 % 1000)));
    let weights = Float64Array::from_iter(rows.iter().map(|row| weight(row.0, row.1)));
    let keys = schema.is_keyed().then(|| schema.key_codec().encode(std::slice::from_ref(&ids)).unwrap());
    RowChunk {
        batch: RecordBatch::try_new(schema.user().clone(), vec![ids, Arc::new(names), Arc::new(weights)]).unwrap(),
        keys,
        sequences: Sequences::Each(rows.iter().map(|row| row.1).collect()),
        deletes: rows.iter().any(|row| row.2).then(|| BooleanBuffer::from_iter(rows.iter().map(|row| row.2))),
    }
}

/// Chunks of odd lengths, so that batches are cut elsewhere.
fn chunks<'a>(schema: &'a TableSchema, rows: &'a [Row], len: usize) -> impl Iterator<Item = RowChunk> + 'a {
    rows.chunks(len).map(|rows| chunk(schema, rows))
}

fn key(schema: &TableSchema, id: i64) -> Vec<u8> {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![id]));
    schema.key_codec().encode(&[ids]).unwrap().bytes(0, &mut [0; 8]).to_vec()
}

/// The rows of a scan of the columns `weight` and `id`, checked against what they must hold.
fn rows(mut source: Box<dyn RowSource>, batch_rows: usize) -> Result<Vec<Row>> {
    let mut found = Vec::new();
    while let Some(chunk) = source.next_chunk()? {
        assert!((1..=batch_rows).contains(&chunk.len()));
        let weights = chunk.batch.column(0).as_primitive::<Float64Type>();
        let ids = chunk.batch.column(1).as_primitive::<Int64Type>();
        for row in 0..chunk.len() {
            let (id, sequence) = (ids.value(row), chunk.sequences.get(row) as i64);
            if let Some(keys) = &chunk.keys {
                assert_eq!(keys.bytes(row, &mut [0; 8]), ((id as u64) ^ (1 << 63)).to_be_bytes());
            }
            let wanted = if chunk.is_delete(row) { None } else { weight(id, sequence) };
            assert_eq!(weights.is_valid(row).then(|| weights.value(row)), wanted, "row {id} at {sequence}");
            found.push((id, sequence, chunk.is_delete(row)));
        }
    }
    assert!(source.next_chunk()?.is_none());
    Ok(found)
}

/// Keys of one to four versions, some of them deletes.
fn versions(count: i64) -> Vec<Row> {
    let mut rows = Vec::new();
    for id in 0..count {
        for version in (0..1 + (id * 7 % 11) / 3).rev() {
            rows.push((id * 2, 10 + version * 100 + id % 50, (id + version) % 5 == 0));
        }
    }
    rows
}

#[test]
fn two_hundred_thousand_rows_are_four_batches_and_one_batch_costs_no_more_than_itself() {
    let schema = schema(&["id"]);
    let rows: Vec<Row> = (0..200_000).map(|id| (id, 1 + id % 3, false)).collect();
    for compression in COMPRESSIONS {
        let place = Place::new(schema.clone());
        let summary = place.write(chunks(&schema, &rows, 10_007), options(compression)).unwrap();
        assert_eq!((summary.rows, summary.tombstones, summary.multi_version), (200_000, 0, false));
        let bytes = crate::env::read_file(&*place.env.files, &place.path(), 1 << 30).unwrap();
        assert_eq!(
            summary.size_bytes,
            bytes.len() as u64 + place.env.files.file_len(&place.index_path()).unwrap().unwrap()
        );

        // What any Arrow library sees.
        let foreign = arrow_ipc::reader::FileReader::try_new(std::io::Cursor::new(&bytes), None).unwrap();
        assert_eq!(&foreign.schema(), schema.stored());
        let batches: Vec<RecordBatch> = foreign.map(|batch| batch.unwrap()).collect();
        let sizes: Vec<usize> = batches.iter().map(RecordBatch::num_rows).collect();
        assert_eq!(sizes, [BATCH_ROWS, BATCH_ROWS, BATCH_ROWS, 3392]);
        assert_eq!(batches[2].column(0).as_primitive::<Int64Type>().value(0), 131_072);
        assert_eq!(batches[2].column_by_name("_seq").unwrap().as_primitive::<Int64Type>().value(5), rows[131_077].1);

        place.files.reset();
        let reader = place.open(64 << 20).unwrap();
        let footer_bytes = place.files.read_bytes(&place.path());
        let footer_len = i32::from_le_bytes(bytes[bytes.len() - 10..][..4].try_into().unwrap()) as u64;
        assert!(footer_bytes <= footer_len + 18, "{footer_bytes} bytes for a footer of {footer_len} and 18 around it");
        let footer =
            arrow_ipc::root_as_footer(&bytes[bytes.len() - 10 - footer_len as usize..bytes.len() - 10]).unwrap();
        let block = footer.recordBatches().unwrap().get(2);
        let batch_bytes = block.metaDataLength() as u64 + block.bodyLength() as u64;

        place.files.reset();
        let one = RowFileScan { groups: Some(vec![2]), batch_rows: 1 << 20, ..RowFileScan::of(vec![1, 2, 3]) };
        let chunk = reader.scan(one).unwrap().next_chunk().unwrap().unwrap();
        assert_eq!(chunk.batch.columns(), &batches[2].columns()[..3]);
        let read = place.files.read_bytes(&place.path());
        assert!(read <= batch_bytes, "{read} bytes read of a batch of {batch_bytes}");

        place.files.reset();
        let one = RowFileScan { groups: Some(vec![1]), access: Access::Scan, ..RowFileScan::of(vec![1]) };
        assert!(reader.scan(one).unwrap().next_chunk().unwrap().is_some());
        let read = place.files.read_bytes(&place.path());
        assert!(read < batch_bytes / 2, "one column and the sequences: {read} bytes of {batch_bytes}");
        reader.verify().unwrap();
    }
}

#[test]
fn scans_give_what_was_asked_for() {
    let schema = schema(&["id"]);
    let all = versions(40_000);
    let place = Place::new(schema.clone());
    let summary = place.write(chunks(&schema, &all, 40_001), options(Compression::Lz4)).unwrap();
    assert!(summary.multi_version && summary.tombstones > 0);
    assert_eq!(summary.tombstones, all.iter().filter(|row| row.2).count() as u64);
    let reader = place.open(64 << 20).unwrap();
    assert_eq!((reader.rows(), reader.tombstones()), (all.len() as u64, summary.tombstones));
    assert!(reader.groups().len() > 1);
    let bounds = [None, Some(3), Some(16_384), Some(65_537), Some(200_000)];
    for (index, lower) in bounds.into_iter().enumerate() {
        for upper in bounds {
            let range = KeyRange { lower: lower.map(|id| key(&schema, id)), upper: upper.map(|id| key(&schema, id)) };
            let at_most = [None, Some(20), Some(150), Some(1000), Some(3)][index];
            let access = if index % 2 == 0 { Access::Cached } else { Access::Scan };
            let held_bytes = [usize::MAX, 1 << 20, 64 << 10][index % 3];
            let scan =
                RowFileScan { range, sequences_at_most: at_most, access, held_bytes, ..RowFileScan::of(vec![3, 1]) };
            let wanted = all.iter().copied().filter(|row| {
                lower.is_none_or(|lower| row.0 >= lower)
                    && upper.is_none_or(|upper| row.0 < upper)
                    && at_most.is_none_or(|at_most| row.1 as u64 <= at_most)
            });
            let found = rows(reader.scan(scan).unwrap(), 8192).unwrap();
            assert!(found.iter().copied().eq(wanted), "{lower:?} to {upper:?} at {at_most:?}");
        }
    }
    for wrong in [
        RowFileScan::of(vec![1, 9]),
        RowFileScan::of(vec![1, 1]),
        RowFileScan { groups: Some(vec![1, 0]), ..RowFileScan::of(vec![1]) },
        RowFileScan { groups: Some(vec![99]), ..RowFileScan::of(vec![1]) },
    ] {
        assert_eq!(reader.scan(wrong).err().unwrap().kind(), ErrorKind::InvalidArgument);
    }
    reader.verify().unwrap();
}

#[test]
fn lookups_find_the_newest_version_that_the_snapshot_sees() {
    let schema = schema(&["id"]);
    let all = versions(40_000);
    let place = Place::new(schema.clone());
    place.write(chunks(&schema, &all, 65_536), options(Compression::None)).unwrap();
    let reader = place.open(64 << 20).unwrap();
    let get = |id: i64, snapshot, io| reader.get(&key(&schema, id), snapshot, &[1, 3], io).unwrap();
    assert!(matches!(get(2, MAX_SEQUENCE, Io::CacheOnly), RowLookup::WouldBlock));
    // Around the batch boundary too, where versions of one key lie in two batches.
    let boundary = all[BATCH_ROWS].0;
    for id in (-3..60).chain(boundary - 30..boundary + 30).chain(79_980..80_020) {
        for snapshot in [5, 30, 120, 240, 1000] {
            let wanted = all.iter().find(|row| row.0 == id && row.1 as u64 <= snapshot);
            match (get(id, snapshot, Io::Allowed), wanted) {
                (RowLookup::Absent, None) => {}
                (RowLookup::Found(found), Some(row)) => {
                    assert_eq!((found.len(), found.sequences.get(0) as i64, found.is_delete(0)), (1, row.1, row.2));
                    assert_eq!(found.batch.column(0).as_primitive::<Int64Type>().value(0), id);
                    let weights = found.batch.column(1).as_primitive::<Float64Type>();
                    let wanted = weight(row.0, row.1).filter(|_| !row.2);
                    assert_eq!(weights.is_valid(0).then(|| weights.value(0)), wanted);
                    assert!(found.batch.get_array_memory_size() < 4096, "not the whole batch is pinned");
                }
                (found, wanted) => panic!("{id} at {snapshot}: {found:?}, not {wanted:?}"),
            }
        }
    }
    assert!(matches!(get(2, MAX_SEQUENCE, Io::CacheOnly), RowLookup::Found(_)), "the second time from the cache");
}

#[test]
fn a_scan_without_keys_reads_them_only_where_its_range_begins_and_ends() {
    let schema = schema(&["id"]);
    let all: Vec<Row> = (0..200_000).map(|id| (id, 1 + id % 3, false)).collect();
    let place = Place::new(schema.clone());
    place.write(chunks(&schema, &all, 50_000), options(Compression::None)).unwrap();
    let range = KeyRange { lower: Some(key(&schema, 65_600)), upper: Some(key(&schema, 199_000)) };
    let mut read = Vec::new();
    for (keys, range) in [(true, KeyRange::all()), (false, KeyRange::all()), (true, range.clone()), (false, range)] {
        // Opened anew, so that each reads the batches' metadata.
        let reader = place.open(0).unwrap();
        let scan = RowFileScan { range, keys, access: Access::Scan, ..RowFileScan::of(vec![3]) };
        place.files.reset();
        let mut source = reader.scan(scan).unwrap();
        let (mut found, mut without_keys) = (Vec::new(), 0);
        while let Some(chunk) = source.next_chunk().unwrap() {
            without_keys += if chunk.keys.is_none() { chunk.len() } else { 0 };
            found.extend(chunk.batch.column(0).as_primitive::<Float64Type>().iter());
        }
        let wanted = if found.len() == all.len() { &all[..] } else { &all[65_600..199_000] };
        assert!(found.iter().copied().eq(wanted.iter().map(|row| weight(row.0, row.1))), "keys: {keys}");
        read.push((place.files.read_bytes(&place.path()), without_keys));
    }
    let [(keyed, 0), (plain, 200_000), (keyed_range, 0), (plain_range, BATCH_ROWS)] = read[..] else {
        panic!("{read:?}")
    };
    let column_bytes = 8 * all.len() as u64;
    assert!(keyed > plain + 2 * column_bytes - 1, "keys and sequences: {keyed}, {plain}");
    assert!(plain < column_bytes * 5 / 4, "the column, its validity, metadata: {plain}");
    assert!(keyed_range > plain_range + 2 * 8 * BATCH_ROWS as u64, "{keyed_range}, {plain_range}");
}

#[test]
fn an_append_only_table_keeps_the_order_of_arrival() {
    let schema = schema(&[]);
    let all: Vec<Row> = (0..70_000).map(|n| (n * 7919 % 1000, 1 + n / 100, false)).collect();
    let place = Place::new(schema.clone());
    let summary = place.write(chunks(&schema, &all, 9_999), options(Compression::Zstd)).unwrap();
    assert!(summary.smallest.is_empty() && summary.largest.is_empty() && !summary.multi_version);
    let reader = place.open(1 << 20).unwrap();
    assert_eq!(rows(reader.scan(RowFileScan::of(vec![3, 1])).unwrap(), 8192).unwrap(), all);
    let early = RowFileScan { sequences_at_most: Some(300), ..RowFileScan::of(vec![3, 1]) };
    assert_eq!(rows(reader.scan(early).unwrap(), 8192).unwrap(), all[..30_000]);
    assert_eq!(reader.get(b"", 1, &[1], Io::Allowed).unwrap_err().kind(), ErrorKind::InvalidArgument);
    reader.verify().unwrap();
}

#[test]
fn the_cache_answers_the_second_scan_and_is_left_alone_by_long_ones() {
    let schema = schema(&["id"]);
    let rows: Vec<Row> = (0..100_000).map(|id| (id, 1 + id % 2, false)).collect();
    let place = Place::new(schema.clone());
    place.write(chunks(&schema, &rows, 50_000), options(Compression::Lz4)).unwrap();
    let cache = RowCache::new(64 << 20);
    let schemas = |_| Some(schema.clone());
    let expected = RowFileExpected { file: expected(), ..RowFileExpected::default() };
    let reader = RowFileReader::open(&place.env, &place.path(), &expected, &schemas, cache.clone()).unwrap();
    let scan = |access| {
        place.files.reset();
        let scan = RowFileScan { access, ..RowFileScan::of(vec![1, 2]) };
        let mut source = reader.scan(scan).unwrap();
        while source.next_chunk().unwrap().is_some() {}
        place.files.read_bytes(&place.path())
    };
    assert!(scan(Access::Scan) > 0);
    assert_eq!(cache.used_bytes(), 0);
    assert!(scan(Access::Cached) > 0);
    assert_eq!(scan(Access::Cached), 0);
    assert_eq!(scan(Access::Scan), 0);
    assert!(cache.used_bytes() > 0);
    drop(reader);
    assert_eq!(cache.used_bytes(), 0, "a closed file leaves nothing behind");
}

#[test]
fn plain_columns_are_not_copied_from_the_bytes_that_were_read() {
    let schema = schema(&["id"]);
    let rows: Vec<Row> = (0..65_536).map(|id| (id, 1, false)).collect();
    let place = Place::new(schema.clone());
    place.write(chunks(&schema, &rows, 65_536), options(Compression::None)).unwrap();
    let reader = place.open(64 << 20).unwrap();
    let scan = || RowFileScan { batch_rows: 1 << 20, ..RowFileScan::of(vec![1]) };
    let chunks: Vec<RowChunk> = (0..2).map(|_| reader.scan(scan()).unwrap().next_chunk().unwrap().unwrap()).collect();
    let place_of = |chunk: &RowChunk| chunk.batch.column(0).as_primitive::<Int64Type>().values().as_ptr();
    assert_eq!(place_of(&chunks[0]), place_of(&chunks[1]));
    let held = chunks[0].batch.column(0).get_buffer_memory_size();
    assert!((8 * 65_536..8 * 65_536 + 128).contains(&held), "{held} bytes held");
}

#[test]
fn an_empty_file_and_one_that_is_given_up() {
    let schema = schema(&["id"]);
    let place = Place::new(schema.clone());
    let summary = place.write([], options(Compression::None)).unwrap();
    assert_eq!((summary.rows, summary.smallest_sequence, summary.largest_sequence), (0, 0, 0));
    let reader = place.open(1 << 20).unwrap();
    assert!(reader.scan(RowFileScan::of(vec![1])).unwrap().next_chunk().unwrap().is_none());
    assert!(matches!(reader.get(&key(&schema, 1), 9, &[1], Io::Allowed).unwrap(), RowLookup::Absent));
    reader.verify().unwrap();

    let place = Place::new(schema.clone());
    let wrong = [chunk(&schema, &[(5, 1, false)]), chunk(&schema, &[(4, 1, false)])];
    assert_eq!(place.write(wrong, options(Compression::None)).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert!(place.env.files.list(Path::new("/t")).unwrap().is_empty());
}

#[test]
fn long_rows_make_batches_end_earlier() {
    let schema = schema(&["id"]);
    let rows: Vec<Row> = (0..20_000).map(|id| (id, 1, false)).collect();
    let place = Place::new(schema.clone());
    let options = RowFileOptions { row_group_bytes: 1 << 16, ..options(Compression::None) };
    place.write(chunks(&schema, &rows, 20_000), options).unwrap();
    let reader = place.open(1 << 20).unwrap();
    assert!(
        reader.groups().iter().all(|group| group.payload_bytes < 2 << 16),
        "no batch of more than twice what it may take"
    );
    assert_eq!(self::rows(reader.scan(RowFileScan::of(vec![3, 1])).unwrap(), 8192).unwrap(), rows);
    reader.verify().unwrap();
}
