//! The peers: `tables_peers.py`, run between our own measurements if an interpreter with the peers was named.

use super::data::Shape;
use crate::measure::{Goal, Row};
use crate::{Plan, Result};
use std::path::Path;
use std::process::Command;

/// DuckDB taking the same rows in batches of 100,000, each durable, and a checkpoint at the end.
pub fn append(plan: &Plan, shape: Shape) -> Result<Vec<Row>> {
    let columns = if shape == Shape::Wide { "wide" } else { "narrow" };
    let path = plan.dir.join("peer");
    std::fs::create_dir_all(&path)?;
    let figures = figures(plan, &["append", columns, &plan.rows.to_string()], &path)?;
    std::fs::remove_dir_all(&path)?;
    let row = |(name, figures): (String, Vec<f64>)| {
        Row::new(format!("peer: {name}, batches of 100,000 {}", shape.name()), "M rows/s", Goal::None, figures)
    };
    Ok(figures.into_iter().map(row).collect())
}

/// Readers of the file that we scanned at `ours` M rows/s, and our share of the first of them.
pub fn scan(plan: &Plan, (format, format_name): (&str, &str), path: &Path, ours: &[f64]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, figures) in figures(plan, &["scan", format], path)? {
        if rows.is_empty() {
            let ratios = ours.iter().zip(&figures).map(|(ours, theirs)| ours / theirs).collect();
            let title = format!("scan of one {format_name} file over {name}");
            rows.push(Row::new(title, "x", Goal::AtLeast(0.9), ratios));
        }
        rows.push(Row::new(format!("peer: scan of the {format_name} file, {name}"), "M rows/s", Goal::None, figures));
    }
    Ok(rows)
}

/// How large a Parquet file of ours is beside pyarrow's, and an aggregate over our stream beside one over that file.
pub fn parquet(plan: &Plan, path: &Path, database: &Path) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for ((name, figures), goal) in figures(plan, &["sizes"], path)?.into_iter().zip([1.0, 0.15]) {
        rows.push(Row::new(format!("Parquet file: {name}"), "x", Goal::AtMost(goal), figures));
    }
    let path = path.to_str().ok_or("the path is no text")?;
    for (name, figures) in figures(plan, &["aggregate", path], database)? {
        rows.push(Row::new(format!("{name}, over our stream and over the file"), "x", Goal::AtMost(1.3), figures));
    }
    Ok(rows)
}

/// What the script measured: a name and its figures a line, with a tab between. Nothing without an interpreter.
fn figures(plan: &Plan, words: &[&str], path: &Path) -> Result<Vec<(String, Vec<f64>)>> {
    let Some(python) = &plan.peers else { return Ok(Vec::new()) };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tables_peers.py");
    let mut command = Command::new(python);
    let output = command.arg(script).arg(plan.rounds.to_string()).args(words).arg(path).output()?;
    if !output.status.success() {
        return Err(format!("the peers failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let line = |line: &str| {
        let (name, figures) = line.split_once('\t')?;
        Some((name.to_owned(), figures.split(' ').map(str::parse).collect::<std::result::Result<_, _>>().ok()?))
    };
    text.lines().map(|text| line(text).ok_or_else(|| format!("the peers said {text:?}").into())).collect()
}
