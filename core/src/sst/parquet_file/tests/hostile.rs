//! Files that a forger made: every checksum of ours is right, what they cover is not. An error that names the file, in little memory.

use super::super::super::block_file::checksum_at;
use super::super::super::row_file::{StrideBuilder, Strides};
use super::super::tail;
use super::damage::{assert_names, small, tiny_pages, unsealed};
use super::*;
use crate::coding::{Reader, put_bytes, put_varint};
use crate::error::Error;

/// A file and where its parts lie.
struct Forgery {
    place: Place,
    schema: Arc<TableSchema>,
    whole: Vec<u8>,
    index_offset: usize,
    /// Where the footer of Parquet begins.
    footer: usize,
}

impl Forgery {
    fn new(options: RowFileOptions) -> Self {
        let (schema, chunks) = small();
        let place = Place::new();
        let summary = place.write(&schema, &chunks, options);
        let whole = std::fs::read(place.path()).unwrap();
        let len = u32::from_le_bytes(whole[whole.len() - 8..whole.len() - 4].try_into().unwrap()) as usize;
        let footer = whole.len() - 8 - len;
        Self { place, schema, index_offset: summary.index_offset as usize, footer, whole }
    }

    /// Puts this data and this footer under the name, with every checksum right, and reads what there is to read.
    fn read(&self, data: &[u8], footer: &[u8]) -> Result<()> {
        let between = &self.whole[self.index_offset..self.footer];
        let blob_len = u64::from_le_bytes(between[12..20].try_into().unwrap()) as usize;
        let (blob, page_indexes) = between.split_at(blob_len);
        let blob = with_strides_of(blob, data);
        assert_eq!((data.len(), blob.len()), (self.index_offset, blob_len), "a forgery of the same shape");
        let mut tail = [&blob, page_indexes, footer, &(footer.len() as u32).to_le_bytes(), b"PAR1"].concat();
        if !unsealed(&mut tail) || tail::seal(&mut tail).is_err() {
            return Err(Error::corruption(&self.place.path(), 0, "a footer that cannot be sealed"));
        }
        std::fs::write(self.place.path(), [data, &tail].concat()).unwrap();
        let reader = self.place.open_at(&self.place.path(), &self.schema, &expected())?;
        for access in [Access::Scan, Access::Cached] {
            for chunk in scan(&reader, RowFileScan { access, ..RowFileScan::of(ids(&self.schema)) })? {
                for column in chunk.batch.columns() {
                    column.to_data().validate_full().expect("what is handed out is valid");
                }
            }
        }
        reader.verify()
    }

    fn data(&self) -> Vec<u8> {
        self.whole[..self.index_offset].to_vec()
    }

    fn footer(&self) -> Vec<u8> {
        self.whole[self.footer..self.whole.len() - 8].to_vec()
    }
}

/// The same index with the checksums of this data, cut where the old ones were.
fn with_strides_of(blob: &[u8], data: &[u8]) -> Vec<u8> {
    let mut forged = blob[..20].to_vec();
    let mut fields = Reader::new(&blob[20..blob.len() - 4]);
    while let Some(id) = fields.varint() {
        let mut content = fields.bytes().unwrap().to_vec();
        if id == 3 {
            let old = Strides::decode(&content).unwrap();
            let mut strides = StrideBuilder::new(5);
            for stride in (0..old.len()).map(|index| old.place(index)) {
                strides.update(&data[stride.start as usize..stride.end as usize]);
                strides.cut();
            }
            content.clear();
            strides.finish().encode(&mut content);
        }
        put_varint(&mut forged, id);
        put_bytes(&mut forged, &content);
    }
    let len = forged.len() as u64 + 4;
    forged[12..20].copy_from_slice(&len.to_le_bytes());
    let checksum = checksum_at(0, 0, &forged);
    forged.extend(checksum.to_le_bytes());
    forged
}

#[test]
fn a_flipped_bit_in_the_data_under_right_checksums_does_no_harm() {
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        let forgery = Forgery::new(RowFileOptions { compression, ..tiny_pages() });
        let (data, footer) = (forgery.data(), forgery.footer());
        forgery.read(&data, &footer).unwrap();
        let mut refused = 0;
        // Nothing reads Parquet's magic at the front: ours is in the tail.
        let step = if compression == Compression::None { 1 } else { 5 };
        for offset in (4..data.len()).step_by(step) {
            let mut lie = data.clone();
            lie[offset] ^= 1 << (offset % 8);
            if let Err(error) = forgery.read(&lie, &footer) {
                assert_names(&error, &forgery.place);
                refused += 1;
            }
        }
        assert!(refused > data.len() / step / 4, "{refused} of {}", data.len());
    }
}

#[test]
fn a_flipped_bit_in_the_tail_under_right_checksums_does_no_harm() {
    let mut forgery = Forgery::new(tiny_pages());
    let (data, footer) = (forgery.data(), forgery.footer());
    for offset in (0..footer.len()).step_by(3) {
        let mut lie = footer.clone();
        lie[offset] ^= 1 << (offset % 8);
        if let Err(error) = forgery.read(&data, &lie) {
            assert_names(&error, &forgery.place);
        }
    }
    let blob_len = u64::from_le_bytes(forgery.whole[forgery.index_offset + 12..][..8].try_into().unwrap()) as usize;
    for offset in forgery.index_offset + blob_len..forgery.footer {
        forgery.whole[offset] ^= 1 << (offset % 8);
        if let Err(error) = forgery.read(&data, &footer) {
            assert_names(&error, &forgery.place);
        }
        forgery.whole[offset] ^= 1 << (offset % 8);
    }
}

/// A footer that begins with a schema of these elements, encoded.
fn footer_with(count: u64, elements: &[u8], footer: &[u8]) -> Vec<u8> {
    let mut forged = vec![0x15, 2, 0x19, 0xfc];
    put_varint(&mut forged, count);
    forged.extend_from_slice(elements);
    forged.extend_from_slice(footer);
    forged
}

#[test]
fn a_schema_that_is_not_the_tables_is_refused_before_it_is_parsed() {
    let forgery = Forgery::new(tiny_pages());
    let (data, footer) = (forgery.data(), forgery.footer());
    let root = |children: u64| {
        let mut root = vec![0x48, 1, b'r', 0x15];
        put_varint(&mut root, children * 2);
        root.push(0);
        root
    };
    // An optional group with one child, called "g"; an optional INT64, called "c".
    let (group, column): (&[u8], &[u8]) =
        (&[0x35, 2, 0x18, 1, b'g', 0x15, 2, 0], &[0x15, 4, 0x25, 2, 0x18, 1, b'c', 0]);
    // Deeper than any stack, which nobody could catch.
    for depth in [1_000, 300_000] {
        let elements = [root(1), group.repeat(depth), column.to_vec()].concat();
        let error = forgery.read(&data, &footer_with(depth as u64 + 2, &elements, &footer)).unwrap_err();
        assert_names(&error, &forgery.place);
        assert!(error.message().contains("schema is not that of the table"), "{error}");
    }
    let elements = [root(1_000_000), column.repeat(1_000_000)].concat();
    let error = forgery.read(&data, &footer_with(1_000_001, &elements, &footer)).unwrap_err();
    assert!(error.message().contains("schema is not that of the table"), "{error}");
    assert_names(&error, &forgery.place);
    // More than there are bytes for.
    for claim in [u64::MAX, i32::MAX as u64] {
        assert_names(&forgery.read(&data, &footer_with(claim, &root(1), &footer)).unwrap_err(), &forgery.place);
    }
    forgery.read(&data, &footer).unwrap();
}

#[test]
fn an_offset_index_that_claims_to_be_huge_is_refused_before_memory_is_taken() {
    let mut forgery = Forgery::new(tiny_pages());
    let (data, footer) = (forgery.data(), forgery.footer());
    let blob_len = u64::from_le_bytes(forgery.whole[forgery.index_offset + 12..][..8].try_into().unwrap()) as usize;
    let indexes = forgery.index_offset + blob_len..forgery.footer;
    // A list of two structs, one for each page, is what each begins with; it becomes one of 2,147,483,647.
    let starts: Vec<usize> = indexes.filter(|&at| forgery.whole[at..at + 2] == [0x19, 0x2c]).collect();
    assert!(starts.len() >= 6, "{}", starts.len());
    let mut refused = 0;
    for start in starts {
        let old = forgery.whole[start..start + 7].to_vec();
        forgery.whole[start + 1..start + 7].copy_from_slice(&[0xfc, 0xff, 0xff, 0xff, 0xff, 0x07]);
        if let Err(error) = forgery.read(&data, &footer) {
            assert_names(&error, &forgery.place);
            refused += 1;
        }
        forgery.whole[start..start + 7].copy_from_slice(&old);
    }
    assert!(refused >= 6, "{refused}");
}

#[test]
fn a_page_that_would_take_more_than_its_group_is_refused_before_it_is_decompressed() {
    let schema =
        table(vec![Field::new("id", DataType::Int64, false), Field::new("b", DataType::Binary, true)], &["id"]);
    let zeros = vec![0; 32 << 20];
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![1])), Arc::new(arrow_array::BinaryArray::from_iter_values([&zeros[..]]))];
    let place = Place::new();
    place.write(&schema, &[chunk(&schema, columns, Sequences::Same(1), None)], tiny_pages());
    let whole = std::fs::read(place.path()).unwrap();
    assert!(whole.len() < 64 << 10, "{} bytes of file", whole.len());
    let reader = place.open(&schema);
    assert_eq!(scan(&reader, RowFileScan { access: Access::Scan, ..RowFileScan::of(vec![2]) }).unwrap().len(), 1);
    let page = reader.pages_at(0, 1);
    let page = bytes::Bytes::from(whole).slice(page.start as usize..page.end as usize);
    super::super::pages::check_pages(&page, 32 << 20).unwrap();
    let error = super::super::pages::check_pages(&page, 1 << 20).unwrap_err();
    assert!(error.contains("claims more bytes"), "{error}");
}
