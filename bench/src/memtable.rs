//! The memtable alone: insert, get and sort at freeze, for four shapes of keys.

use crate::data::{Keys, Random, Shape, Values};
use crate::measure::{Goal, Row, timed};
use crate::{Plan, Result};
use sstore::iter::Cursor;
use sstore::key::{Kind, MAX_SEQUENCE, MemtableId};
use sstore::memtable::{ArenaPool, MemtableOptions, create};
use std::hint::black_box;

/// Beside random keys, each shape may cost half as much again.
const SHAPES: [(Shape, f64); 4] =
    [(Shape::Random, 1.0), (Shape::SharedPrefix, 1.5), (Shape::Decimal, 1.5), (Shape::Long, 1.5)];

/// Measures all shapes.
pub fn run(plan: &Plan) -> Result<Vec<Row>> {
    let values = Values::new(1);
    let pool = ArenaPool::new(512 << 20);
    let mut rows = Vec::new();
    for (shape, allowance) in SHAPES {
        let keys = Keys::new(shape, plan.keys, 7);
        let (mut inserts, mut gets, mut sorts) = (Vec::new(), Vec::new(), Vec::new());
        // The first round warms the arena's recycled chunks and does not count.
        for round in 0..=plan.rounds {
            let per_key = 1e9 / keys.len() as f64;
            let (mut writer, memtable) =
                create(MemtableId(round as u64), &MemtableOptions { hash_seed: 0x5EED, pool: pool.clone() })?;
            let (insert_seconds, outcome) = timed(|| -> Result<()> {
                for (index, key) in keys.iter().enumerate() {
                    let value = values.get(index);
                    writer.reserve(1, key.len() + value.len())?;
                    writer.insert(index as u64 + 1, Kind::Put, key, value);
                }
                Ok(())
            });
            outcome?;
            let mut random = Random::new(round as u64);
            let (get_seconds, found) = timed(|| {
                let hits = (0..keys.len()).filter(|_| {
                    let key = keys.get(random.below(keys.len()));
                    black_box(memtable.get(key, MAX_SEQUENCE)).is_some()
                });
                hits.count()
            });
            if found != keys.len() {
                return Err("a key that was inserted is not found".into());
            }
            drop(writer);
            memtable.freeze();
            let (sort_seconds, walked) = timed(|| -> Result<usize> {
                let mut cursor = memtable.flush_cursor();
                let mut count = 0;
                let mut valid = cursor.seek_to_first()?;
                while valid {
                    count += 1;
                    black_box(cursor.entry().key);
                    valid = cursor.next()?;
                }
                Ok(count)
            });
            if walked? != keys.len() {
                return Err("the walk in key order lost keys".into());
            }
            if round > 0 {
                inserts.push(insert_seconds * per_key);
                gets.push(get_seconds * per_key);
                sorts.push(sort_seconds * per_key);
            }
        }
        let name = shape.name();
        rows.push(Row::new(format!("memtable insert, {name}"), "ns", Goal::AtMost(150.0 * allowance), inserts));
        rows.push(Row::new(format!("memtable get, {name}"), "ns", Goal::AtMost(200.0 * allowance), gets));
        rows.push(Row::new(format!("memtable sort and walk at freeze, {name}"), "ns", Goal::AtMost(100.0), sorts));
    }
    Ok(rows)
}
