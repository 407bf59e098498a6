//! Prints what a file of table rows costs: writing, opening, scanning all and few columns, single lookups, by format and codec.
//!
//! Run with `cargo run --release -p sstore --example row_file_speed [rows [directory]]`; a minute for the million rows that are the
//! default. Files are left in the directory if one is named, for other readers to look at. Wall time, the best of three rounds.

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use sstore::env::{Env, posix};
use sstore::error::Result;
use sstore::iter::{RowChunk, Sequences};
use sstore::key::{CollectionId, FileNumber, MAX_SEQUENCE};
use sstore::schema::{KeyOptions, TableSchema};
use sstore::sst::{
    Access, Compression, Expected, Io, RowCache, RowFileExpected, RowFileOptions, RowFileReader, RowFileScan,
    RowFileWriter, RowFormat, RowLookup, SstIdentity,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn table() -> Result<Arc<TableSchema>> {
    let fields = vec![
        Field::new("id", DataType::Int64, false),
        Field::new("name", DataType::Utf8, true),
        Field::new("city", DataType::Utf8, true),
        Field::new("price", DataType::Float64, true),
        Field::new("amount", DataType::Int64, true),
        Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, None), true),
    ];
    TableSchema::new(&Schema::new(fields), &["id"], &KeyOptions::default()).map(Arc::new)
}

/// Rows by rising id, 8192 a chunk; one in a hundred has a sequence of its own.
fn rows(schema: &TableSchema, count: usize) -> Result<Vec<RowChunk>> {
    let mut state = 88_172_645_463_325_252;
    let mut id = 0i64;
    let mut chunks = Vec::new();
    for start in (0..count).step_by(8192) {
        let len = (count - start).min(8192);
        let mut numbers = |limit: u64| (random(&mut state) >> 20) % limit;
        let ids = Int64Array::from_iter_values((0..len).map(|_| {
            id += 1 + numbers(8) as i64;
            id
        }));
        let names = StringArray::from_iter_values((0..len).map(|_| format!("customer {}", numbers(200_000))));
        let cities =
            StringArray::from_iter_values((0..len).map(|_| ["Berlin", "Rome", "Oslo", "Lima"][numbers(4) as usize]));
        let prices = Float64Array::from_iter_values((0..len).map(|_| numbers(100_000) as f64 / 100.0));
        let amounts = Int64Array::from_iter((0..len).map(|_| (numbers(10) != 0).then(|| numbers(1000) as i64)));
        let times = TimestampMicrosecondArray::from_iter_values(
            (0..len).map(|row| 1_763_000_000_000_000 + (start + row) as i64 * 1000 + numbers(1000) as i64),
        );
        let sequences = Sequences::Each((0..len).map(|_| 1 + numbers(100) as i64).collect());
        let keys = schema.key_codec().encode(&[Arc::new(ids.clone()) as ArrayRef])?;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(ids),
            Arc::new(names),
            Arc::new(cities),
            Arc::new(prices),
            Arc::new(amounts),
            Arc::new(times),
        ];
        let batch = RecordBatch::try_new(schema.user().clone(), columns).expect("columns of the schema's types");
        chunks.push(RowChunk { batch, keys: Some(keys), sequences, deletes: None });
    }
    Ok(chunks)
}

/// Seconds of the fastest of three runs.
fn best(mut run: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let began = Instant::now();
        run()?;
        best = best.min(began.elapsed().as_secs_f64());
    }
    Ok(best)
}

fn path(directory: &Path, format: RowFormat, compression: Compression) -> PathBuf {
    let name = format!("{format:?}-{compression:?}");
    match format {
        RowFormat::Parquet => directory.join(name).with_extension("parquet"),
        RowFormat::Ipc => directory.join(name).join("data.arrow"),
    }
}

fn measure(
    env: &Env,
    directory: &Path,
    format: RowFormat,
    compression: Compression,
    chunks: &[RowChunk],
) -> Result<()> {
    let schema = table()?;
    let path = path(directory, format, compression);
    let identity =
        || SstIdentity { database_id: 1, number: FileNumber(5), collection: CollectionId(2), ..Default::default() };
    let mut written = None;
    let writing = best(|| {
        let _ = std::fs::remove_file(&path);
        if format == RowFormat::Ipc {
            let parent = path.parent().expect("a file lies in a directory");
            let _ = std::fs::remove_dir_all(parent);
            std::fs::create_dir_all(parent).expect("the directory can be written");
        }
        let options = RowFileOptions { compression, ..RowFileOptions::new(format) };
        let mut writer = RowFileWriter::create(env, &path, identity(), schema.clone(), 0, options)?;
        for chunk in chunks {
            writer.add(chunk)?;
        }
        written = Some(writer.finish()?);
        Ok(())
    })?;
    let summary = written.expect("it was just written");
    let expected = RowFileExpected {
        file: Expected {
            database_id: 1,
            number: FileNumber(5),
            collection: CollectionId(2),
            size_bytes: Some(summary.size_bytes),
        },
        checksum: Some(summary.checksum),
        index_offset: Some(summary.index_offset),
    };
    let open = || {
        let cache = RowCache::new(256 << 20);
        RowFileReader::open(env, &path, &expected, &|_| Some(schema.clone()), cache)
    };
    let opening = best(|| open().map(drop))?;
    let reader = open()?;
    let scan = |columns: &[u32]| {
        best(|| {
            let request = RowFileScan { access: Access::Scan, ..RowFileScan::of(columns.to_vec()) };
            let mut source = reader.scan(request)?;
            let mut rows = 0;
            while let Some(chunk) = source.next_chunk()? {
                rows += chunk.len() as u64;
            }
            assert_eq!(rows, summary.rows);
            Ok(())
        })
    };
    let (all, one) = (scan(&[1, 2, 3, 4, 5, 6])?, scan(&[4])?);
    let lookups = |reader: &RowFileReader, count: usize| -> Result<f64> {
        let mut state = 7;
        let began = Instant::now();
        for _ in 0..count {
            let chunk = &chunks[(random(&mut state) >> 20) as usize % chunks.len()];
            let row = (random(&mut state) >> 20) as usize % chunk.len();
            let mut scratch = [0; 8];
            let key = chunk.keys.as_ref().expect("a keyed table").bytes(row, &mut scratch);
            let found = reader.get(key, MAX_SEQUENCE, &[1, 2, 3, 4, 5, 6], Io::Allowed)?;
            assert!(matches!(found, RowLookup::Found(_)));
        }
        Ok(began.elapsed().as_secs_f64() / count as f64)
    };
    let cold = lookups(&*open()?, 30)?;
    lookups(&reader, 3000)?;
    let warm = lookups(&reader, 20_000)?;
    let rows = summary.rows as f64;
    println!(
        "{format:?} {compression:?}: {:.1} MB, write {:.0} ns/row, open {:.0} us, scan all {:.1} ns/row, scan one column {:.1} ns/row, get cold {:.0} us, warm {:.2} us, open file holds {} KB",
        summary.size_bytes as f64 / 1e6,
        writing / rows * 1e9,
        opening * 1e6,
        all / rows * 1e9,
        one / rows * 1e9,
        cold * 1e6,
        warm * 1e6,
        reader.resident_bytes() >> 10,
    );
    Ok(())
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let count = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let own = std::env::temp_dir().join(format!("row_file_speed-{}", std::process::id()));
    let named = arguments.next().map(PathBuf::from);
    let directory = named.clone().unwrap_or_else(|| own.clone());
    std::fs::create_dir_all(&directory).expect("the directory can be written");
    let env = posix::posix();
    let chunks = rows(&*table()?, count)?;
    for format in [RowFormat::Parquet, RowFormat::Ipc] {
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            measure(&env, &directory, format, compression, &chunks)?;
        }
    }
    if named.is_none() {
        let _ = std::fs::remove_dir_all(&own);
    }
    Ok(())
}
