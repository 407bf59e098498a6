//! Scans in reverse within little memory.

use super::backward::Backward;
use super::*;
use crate::batch::PreparedRows;
use crate::key::{CollectionId, Kind, MemtableId};
use crate::memtable::rows::create;
use crate::memtable::{AnyMemtable, ArenaPool, MemtableOptions};
use crate::schema::KeyOptions;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field};

const ROWS: i64 = 5_000;

/// A table with its rows in memory, in batches of these sizes again and again; every row is written, with a key once more.
fn view(keyed: bool, batches: &[i64]) -> (Arc<CollectionView>, Arc<TableSchema>) {
    let columns = Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("text", DataType::Utf8, true)]);
    let key: &[&str] = if keyed { &["id"] } else { &[] };
    let schema = Arc::new(TableSchema::new(&columns, key, &KeyOptions::default()).unwrap());
    let options = MemtableOptions { hash_seed: 0, pool: ArenaPool::new(0) };
    let (mut writer, memtable) = create(MemtableId(1), schema.clone(), &options).unwrap();
    let mut sequence = 0;
    for round in 0..if keyed { 2 } else { 1 } {
        let (mut from, mut sizes) = (0, batches.iter().cycle());
        while from < ROWS {
            let to = ROWS.min(from + sizes.next().unwrap());
            let ids = Int64Array::from_iter_values(from..to);
            let texts: StringArray = (from..to).map(|id| Some(format!("{round}/{id}"))).collect();
            let batch = RecordBatch::try_new(Arc::new(columns.clone()), vec![Arc::new(ids), Arc::new(texts)]).unwrap();
            let rows = Arc::new(PreparedRows::prepare(&schema, &batch, Kind::Rows).unwrap());
            writer.reserve([&*rows]).unwrap();
            sequence += 1;
            writer.insert(sequence, rows);
            from = to;
        }
    }
    let active = AnyMemtable::Rows(memtable);
    let view = CollectionView { collection: CollectionId(1), active, frozen: Vec::new(), runs: Vec::new() };
    (Arc::new(view), schema)
}

fn plan(of: &(Arc<CollectionView>, Arc<TableSchema>), request: ScanRequest) -> ScanPlan {
    ScanPlan::new(of.0.clone(), of.1.clone(), u64::MAX >> 8, request).unwrap()
}

fn rows(plan: ScanPlan) -> Vec<(i64, String)> {
    let batches: Vec<RecordBatch> = plan.run().unwrap().map(Result::unwrap).collect();
    let of = |batch: &RecordBatch| -> Vec<(i64, String)> {
        let ids = batch.column(0).as_primitive::<Int64Type>().values().to_vec();
        let texts = batch.column(1).as_string::<i32>().iter().map(|text| text.unwrap().to_owned());
        ids.into_iter().zip(texts).collect()
    };
    batches.iter().flat_map(of).collect()
}

#[test]
fn in_reverse_a_scan_within_little_memory_finds_the_same_rows() {
    for keyed in [true, false] {
        for batches in [&[ROWS][..], &[1], &[3000, 5], &[100]] {
            let of = view(keyed, batches);
            let mut forward = rows(plan(&of, ScanRequest::default()));
            assert_eq!(forward.len() as i64, ROWS);
            forward.reverse();
            for memory_bytes in [1, 64 << 10, 1 << 20] {
                let request = ScanRequest { reverse: true, memory_bytes, ..ScanRequest::default() };
                let found = rows(plan(&of, request));
                assert!(found == forward, "{keyed} {batches:?} {memory_bytes}: {:?}", &found[..found.len().min(3)]);
            }
        }
    }
}

#[test]
fn in_reverse_no_stretch_holds_more_than_its_share_of_the_memory() {
    // One batch, written twice: only its rows tell where they can be cut.
    let of = view(true, &[ROWS]);
    let memory_bytes = 64 << 10;
    let plan = plan(&of, ScanRequest { reverse: true, memory_bytes, batch_rows: 64, ..ScanRequest::default() });
    let mut walk = Backward::new(&plan);
    let (mut found, mut most, mut stretches) = (0, 0, 0);
    while let Some(batches) = walk.next_stretch(&plan).unwrap() {
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        (found, most, stretches) = (found + rows, most.max(rows), stretches + 1);
    }
    assert_eq!(found as i64, ROWS);
    // A row has 8 bytes of id, 4 of offset and 7 of text, or less.
    assert!(most * 12 <= memory_bytes / 4, "{most} rows at once");
    assert!(stretches < 200, "{stretches}");
}

#[test]
fn in_reverse_a_few_rows_are_found_without_a_look_at_the_others() {
    for (keyed, batches) in [(true, &[ROWS][..]), (true, &[1]), (true, &[500]), (false, &[ROWS]), (false, &[1])] {
        let of = view(keyed, batches);
        let plan = plan(&of, ScanRequest { reverse: true, limit: Some(10), ..ScanRequest::default() });
        let batches = Backward::new(&plan).next_stretch(&plan).unwrap().unwrap();
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert!((10..=128).contains(&rows), "keyed {keyed}: {rows} rows for 10");
    }
}
