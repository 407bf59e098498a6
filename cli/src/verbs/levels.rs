//! `sstore levels`: a picture of the sorted files, level by level.

use super::{Collection, Done, collection, collections, open};
use crate::arguments::Levels;
use crate::failure::Outcome;
use crate::output::Output;
use crate::record;
use crate::text::{Form, human_bytes};
use sstore::Segment;
use std::collections::BTreeMap;

/// The length of the longest bar.
const BAR_WIDTH: u64 = 40;

/// Longer keys are cut in the picture.
const KEY_WIDTH: usize = 24;

pub fn run(levels: &Levels, output: &mut Output) -> Done {
    let db = open(&levels.database)?;
    let chosen = match &levels.collection {
        Some(name) => vec![(name.clone(), collection(&db, name)?)],
        None => collections(&db)?,
    };
    for (name, collection) in chosen {
        let runs = collection.segments(&db)?;
        // Keys of tables are encoded, and no text.
        let form = if matches!(collection, Collection::Table(_)) { Form::Hex } else { levels.keys.form() };
        if output.is_table() {
            picture(&name, collection.kind(), &runs, form, output)?;
            continue;
        }
        for run in &runs {
            output.record(record! {
                "collection": name.as_str(),
                "kind": collection.kind(),
                "level": run.level,
                "number": run.number.0,
                "path": run.path.to_string_lossy(),
                "bytes": run.size_bytes,
                "entries": run.entries,
                "tombstones": run.tombstones,
                "smallest": form.show(&run.smallest),
                "largest": form.show(&run.largest),
                "smallest_sequence": run.smallest_sequence,
                "largest_sequence": run.largest_sequence,
            })?;
        }
    }
    Ok(Outcome::Fine)
}

fn picture(name: &str, kind: &str, runs: &[Segment], form: Form, output: &mut Output) -> std::io::Result<()> {
    let all: u64 = runs.iter().map(|run| run.size_bytes).sum();
    output.line(&format!("{name}  {kind}  {}  {}", counted(runs.len()), size(all)))?;
    let mut by_level: BTreeMap<u32, Vec<&Segment>> = BTreeMap::new();
    // Given oldest first; shown newest first, as a read visits them.
    runs.iter().rev().for_each(|run| by_level.entry(run.level).or_default().push(run));
    let of = |level: &[&Segment]| level.iter().map(|run| run.size_bytes).sum::<u64>();
    let largest = by_level.values().map(|level| of(level)).max().unwrap_or(0).max(1);
    for (level, runs) in &by_level {
        let bytes = of(runs);
        // In 128 bits: the product may be beyond 64.
        let length = (u128::from(bytes) * u128::from(BAR_WIDTH)).div_ceil(u128::from(largest)) as usize;
        output.line(&format!(
            "  level {level}  {:<8}  {:>10}  {}",
            counted(runs.len()),
            size(bytes),
            "#".repeat(length)
        ))?;
        for run in runs {
            output.line(&format!(
                "    {:06}  {:>10}  {} entries, {} deletes  {} .. {}  sequences {} to {}",
                run.number.0,
                size(run.size_bytes),
                run.entries,
                run.tombstones,
                cut(&form.show(&run.smallest)),
                cut(&form.show(&run.largest)),
                run.smallest_sequence,
                run.largest_sequence,
            ))?;
        }
    }
    Ok(())
}

fn counted(runs: usize) -> String {
    if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") }
}

fn size(bytes: u64) -> String {
    human_bytes(bytes).unwrap_or_else(|| format!("{bytes} B"))
}

/// The beginning of a key, with dots where it goes on; two quotes if it is empty.
fn cut(key: &str) -> String {
    if key.is_empty() {
        return "\"\"".to_owned();
    }
    match key.char_indices().nth(KEY_WIDTH) {
        Some((end, _)) => format!("{}...", &key[..end]),
        None => key.to_owned(),
    }
}
