//! Files that are damaged, cut short, swapped, or lie under right checksums: an error that names the file, or the right rows.

use super::super::super::block_file::checksum_at;
use super::super::super::row_file::{StrideBuilder, Strides};
use super::*;
use crate::coding::{Reader, put_bytes, put_varint};
use crate::env::Call;
use crate::env::fault::{Effect, FaultFileSystem, Rule};

fn sample(compression: Compression) -> (Place, Vec<Row>) {
    let schema = schema(&["id"]);
    let all = versions(30);
    let place = Place::new(schema.clone());
    place.write(chunks(&schema, &all, 20), options(compression)).unwrap();
    (place, all)
}

fn bytes_of(place: &Place, path: &Path) -> Vec<u8> {
    crate::env::read_file(&*place.env.files, path, 1 << 30).unwrap()
}

/// Puts other bytes under a name.
fn replace(place: &Place, path: &Path, bytes: &[u8]) {
    place.env.files.remove(path).unwrap();
    place.env.files.create(path).unwrap().write_at(bytes, 0).unwrap();
}

/// Reads everything there is to read; what is found must be right.
fn read_all(place: &Place, all: &[Row]) -> Result<()> {
    let reader = place.open(1 << 20)?;
    assert_eq!(rows(reader.scan(RowFileScan::of(vec![3, 1]))?, 8192)?, all);
    for id in [-1, 0, 6, 7, 40] {
        let wanted = all.iter().find(|row| row.0 == id);
        match reader.get(&key(&place.schema, id), MAX_SEQUENCE, &[1], Io::Allowed)? {
            RowLookup::Found(found) => assert_eq!(Some(found.sequences.get(0) as i64), wanted.map(|row| row.1)),
            _ => assert!(wanted.is_none()),
        }
    }
    reader.verify()
}

#[test]
fn every_flipped_byte_is_found() {
    for compression in COMPRESSIONS {
        let (place, all) = sample(compression);
        read_all(&place, &all).unwrap();
        for path in [place.path(), place.index_path()] {
            let bytes = bytes_of(&place, &path);
            // The files of the codecs differ in little: every byte of one of them, and a part of the others'.
            let step = if compression == Compression::Lz4 { 1 } else { 11 };
            for (offset, &byte) in bytes.iter().enumerate().step_by(step) {
                place.disk.damage(&path, offset as u64, &[byte ^ (1 << (offset % 8))]).unwrap();
                let error = read_all(&place, &all).unwrap_err();
                assert_eq!((error.kind(), error.path()), (ErrorKind::Corruption, Some(&*path)), "byte {offset}");
                place.disk.damage(&path, offset as u64, &[byte]).unwrap();
            }
        }
        read_all(&place, &all).unwrap();
    }
}

#[test]
fn a_file_of_any_other_length_is_refused() {
    let (place, all) = sample(Compression::Lz4);
    for path in [place.path(), place.index_path()] {
        let bytes = bytes_of(&place, &path);
        for len in 0..bytes.len() {
            replace(&place, &path, &bytes[..len]);
            let error = read_all(&place, &all).unwrap_err();
            assert_eq!((error.kind(), error.path()), (ErrorKind::Corruption, Some(&*path)), "{len} bytes");
        }
        replace(&place, &path, &[&bytes[..], &[0]].concat());
        assert_eq!(read_all(&place, &all).unwrap_err().kind(), ErrorKind::Corruption);
        replace(&place, &path, &bytes);
        read_all(&place, &all).unwrap();
        place.env.files.remove(&path).unwrap();
        let error = read_all(&place, &all).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::NotFound, Some(&*path)));
        place.env.files.create(&path).unwrap().write_at(&bytes, 0).unwrap();
    }
}

#[test]
fn another_file_under_the_name_is_refused() {
    let (place, _) = sample(Compression::None);
    let opened = |wanted: RowFileExpected| place.open_as(&wanted, 0).err().map(|error| error.kind());
    let right = RowFileExpected { file: expected(), ..RowFileExpected::default() };
    assert_eq!(opened(right.clone()), None);
    let reader = place.open(0).unwrap();
    let known = Expected { size_bytes: Some(reader.size_bytes()), ..expected() };
    let exact = RowFileExpected { file: known.clone(), checksum: Some(reader.checksum()), index_offset: Some(0) };
    assert_eq!(opened(exact), None);
    for wrong in [
        RowFileExpected { checksum: Some(reader.checksum() ^ 1), ..right.clone() },
        RowFileExpected { file: Expected { size_bytes: Some(reader.size_bytes() + 1), ..expected() }, ..right.clone() },
        RowFileExpected { file: Expected { number: FileNumber(6), ..expected() }, ..right.clone() },
        RowFileExpected { file: Expected { database_id: 78, ..expected() }, ..right.clone() },
        RowFileExpected { file: Expected { collection: CollectionId(9), ..expected() }, ..right.clone() },
    ] {
        assert_eq!(opened(wrong), Some(ErrorKind::Corruption));
    }
    let unknown = RowFileReader::open(&place.env, &place.path(), &right, &|_| None, RowCache::new(0));
    assert_eq!(unknown.err().unwrap().kind(), ErrorKind::Corruption, "a schema that nobody knows");
    let other = Some(schema(&[]));
    let other = RowFileReader::open(&place.env, &place.path(), &right, &|_| other.clone(), RowCache::new(0));
    assert_eq!(other.err().unwrap().kind(), ErrorKind::Corruption, "another schema of that number");

    // The data of another file of the same rows and length: its strides were seeded with another number.
    let (stranger, all) = sample(Compression::None);
    let mut strides = StrideBuilder::new(6);
    let bytes = bytes_of(&stranger, &stranger.path());
    strides.update(&bytes);
    forge(&stranger, &bytes, &strides.finish());
    assert_eq!(read_all(&stranger, &all).unwrap_err().kind(), ErrorKind::Corruption);
}

/// Replaces the data, and the strides in the index, so that every checksum is right.
fn forge(place: &Place, data: &[u8], strides: &Strides) {
    let index = bytes_of(place, &place.index_path());
    let mut forged = index[..20].to_vec();
    let mut fields = Reader::new(&index[20..index.len() - 4]);
    while let Some(id) = fields.varint() {
        let mut content = fields.bytes().unwrap().to_vec();
        if id == 3 {
            content.clear();
            strides.encode(&mut content);
        }
        put_varint(&mut forged, id);
        put_bytes(&mut forged, &content);
    }
    let len = forged.len() as u64 + 4;
    forged[12..20].copy_from_slice(&len.to_le_bytes());
    let checksum = checksum_at(0, 0, &forged);
    forged.extend(checksum.to_le_bytes());
    replace(place, &place.index_path(), &forged);
    replace(place, &place.path(), data);
}

fn forge_data(place: &Place, data: &[u8]) {
    let mut strides = StrideBuilder::new(5);
    strides.update(data);
    forge(place, data, &strides.finish());
}

/// Reads all columns, whatever they may hold now.
fn read_anything(place: &Place) -> Result<()> {
    let reader = place.open(0)?;
    let ids = place.schema.columns().iter().map(|column| column.id).collect();
    let mut source = reader.scan(RowFileScan { access: Access::Scan, ..RowFileScan::of(ids) })?;
    while let Some(chunk) = source.next_chunk()? {
        for column in chunk.batch.columns() {
            column.to_data().validate_full().expect("what is handed out is valid");
        }
    }
    Ok(())
}

#[test]
fn a_lie_in_the_data_under_right_checksums_does_no_harm() {
    for (seed, compression) in COMPRESSIONS.into_iter().enumerate() {
        let (schema, whole) = types::table(13);
        let place = Place::new(schema);
        place.write([whole], options(compression)).unwrap();
        let data = bytes_of(&place, &place.path());
        forge_data(&place, &data);
        read_anything(&place).unwrap();
        let mut refused = 0;
        for offset in (seed..data.len()).step_by(37) {
            let mut lie = data.clone();
            lie[offset] = [0, 0xff, data[offset] ^ 0x10, data[offset] ^ 1][offset % 4];
            forge_data(&place, &lie);
            if let Err(error) = read_anything(&place) {
                assert!(error.path().is_some(), "{error}");
                refused += 1;
            }
        }
        assert!(refused > 20, "{refused}");
    }
}

#[test]
fn a_buffer_that_claims_to_be_huge_is_refused_before_memory_is_taken() {
    let (place, _) = sample(Compression::Zstd);
    let data = bytes_of(&place, &place.path());
    // Frames of Zstd begin with this, and lie behind their length.
    let frames: Vec<usize> = (8..data.len() - 4).filter(|&at| data[at..at + 4] == [0x28, 0xb5, 0x2f, 0xfd]).collect();
    assert!(frames.len() > 2);
    for frame in frames {
        for claim in [i64::MAX, 1 << 40, i64::MIN, -2, 0, 1 << 20] {
            let mut lie = data.clone();
            lie[frame - 8..frame].copy_from_slice(&claim.to_le_bytes());
            forge_data(&place, &lie);
            let error = read_anything(&place).unwrap_err();
            assert_eq!((error.kind(), error.path()), (ErrorKind::Corruption, Some(&*place.path())), "{claim}");
        }
    }
}

#[test]
fn an_index_that_is_not_true_of_the_rows_is_found_by_verify() {
    let (place, all) = sample(Compression::None);
    let data = bytes_of(&place, &place.path());
    // One weight is another one: only the bounds of its column may know. The greatest one is 58-something.
    let largest = all.iter().filter(|row| !row.2).filter_map(|row| weight(row.0, row.1)).fold(0.0, f64::max);
    let at = data.windows(8).position(|window| window == largest.to_le_bytes()).unwrap();
    let mut lie = data.clone();
    lie[at..at + 8].copy_from_slice(&(largest * 2.0).to_le_bytes());
    forge_data(&place, &lie);
    assert_eq!(place.open(0).unwrap().verify().unwrap_err().kind(), ErrorKind::Corruption);
    forge_data(&place, &data);
    place.open(0).unwrap().verify().unwrap();
}

#[test]
fn impossible_operations_and_sequences_are_refused() {
    let (place, all) = sample(Compression::None);
    let data = bytes_of(&place, &place.path());
    let operations: Vec<u8> = all.iter().map(|row| u8::from(row.2)).collect();
    let operations = data.windows(operations.len()).position(|window| window == operations).unwrap();
    let sequences: Vec<u8> = all.iter().flat_map(|row| row.1.to_le_bytes()).collect();
    let sequences = data.windows(sequences.len()).position(|window| window == sequences).unwrap();
    for (offset, value) in [(operations, 2), (operations + 3, 0xff), (sequences + 7, 0x80), (sequences + 15, 1)] {
        let mut lie = data.clone();
        lie[offset] = value;
        forge_data(&place, &lie);
        assert_eq!(read_all(&place, &all).unwrap_err().kind(), ErrorKind::Corruption);
        let reader = place.open(1 << 20).unwrap();
        let found = reader.get(&key(&place.schema, 6), MAX_SEQUENCE, &[1], Io::Allowed);
        assert_eq!(found.unwrap_err().kind(), ErrorKind::Corruption);
    }
}

#[test]
fn a_write_that_fails_leaves_no_file() {
    let schema = schema(&["id"]);
    for (call, part) in [
        (Call::Create, "data.arrow"),
        (Call::Write, "data.arrow"),
        (Call::SyncData, "data.arrow"),
        (Call::Create, INDEX_NAME),
        (Call::Write, INDEX_NAME),
        (Call::SyncData, INDEX_NAME),
    ] {
        let mut place = Place::new(schema.clone());
        let faults =
            FaultFileSystem::new(place.disk.clone(), vec![Rule::once(call, Effect::Error(libc::EIO)).on(part)]);
        place.env.files = faults.clone();
        let error = place.write(chunks(&schema, &versions(100), 1000), options(Compression::None)).unwrap_err();
        assert_eq!((error.kind(), faults.hits()), (ErrorKind::Io, 1), "{call:?} of {part}");
        assert!(place.disk.list(Path::new("/t")).unwrap().is_empty(), "{call:?} of {part}");
    }
}

#[test]
fn a_file_with_another_schema_however_deep_or_wide_is_refused() {
    let (place, _) = sample(Compression::None);
    let original = bytes_of(&place, &place.path());
    // The encoder needs more stack for such a schema than a test has.
    let encoded = || {
        let leaf = || Arc::new(Field::new("leaf", DataType::Int64, true));
        let nest = |inner, _| Arc::new(Field::new("g", DataType::Struct(vec![inner].into()), true));
        let wide =
            (0..50_000).map(|column| Field::new(format!("c{column}"), DataType::Int64, true)).collect::<Vec<_>>();
        let schemas = [Schema::new(vec![(0..1_000).fold(leaf(), nest)]), Schema::new(wide), Schema::new(vec![leaf()])];
        schemas.map(|schema| {
            let mut data = Vec::new();
            arrow_ipc::writer::FileWriter::try_new(&mut data, &schema).unwrap().finish().unwrap();
            data
        })
    };
    for data in std::thread::Builder::new().stack_size(64 << 20).spawn(encoded).unwrap().join().unwrap() {
        forge_data(&place, &data);
        let error = read_anything(&place).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::Corruption, Some(&*place.path())), "{error}");
    }
    forge_data(&place, &original);
    read_anything(&place).unwrap();
}
