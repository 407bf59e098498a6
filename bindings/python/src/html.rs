//! Databases, families, tables and snapshots in a notebook: a picture of their levels, their files and columns.
//!
//! Called by each `_repr_html_`. Promises: what was stored cannot become markup; it stays small however many files there are.

use sstore::Segment;
use sstore::schema::TableSchema;

/// Files that the list names; the picture shows as many of a family or table.
const FILES_MAX: usize = 200;
const WIDTH: u32 = 640;
const BAR_HEIGHT: u32 = 14;

/// What stands above all else.
pub(crate) fn title(text: &str) -> String {
    format!("<p><code>{}</code></p>", escape(text))
}

/// The columns of a table.
pub(crate) fn columns(schema: &TableSchema) -> String {
    let mut html = "<table><tr><th>column<th>type<th>key</tr>".to_owned();
    for (place, column) in schema.columns().iter().enumerate() {
        let key = schema.key().iter().position(|key| *key == place).map_or_else(String::new, |at| (at + 1).to_string());
        let null = if column.field.is_nullable() { "" } else { ", never null" };
        let (name, kind) = (escape(column.field.name()), escape(&column.field.data_type().to_string()));
        html.push_str(&format!("<tr><td>{name}<td>{kind}{null}<td>{key}</tr>"));
    }
    html + "</table>"
}

/// The files of families and tables.
pub(crate) fn files(collections: &[(String, Vec<Segment>)]) -> String {
    let mut html = String::new();
    let files: usize = collections.iter().map(|(_, segments)| segments.len()).sum();
    if files == 0 {
        return html;
    }
    for (name, segments) in collections.iter().filter(|(_, segments)| !segments.is_empty()) {
        html.push_str(&levels(name, segments));
    }
    html.push_str("<table><tr><th>family or table<th>file<th>level<th>size<th>entries<th>smallest<th>largest</tr>");
    let rows = collections.iter().flat_map(|(name, segments)| segments.iter().map(move |segment| (name, segment)));
    for (name, segment) in rows.take(FILES_MAX) {
        html.push_str(&format!(
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td><code>{}</code><td><code>{}</code></tr>",
            escape(name),
            segment.number,
            segment.level,
            human_bytes(segment.size_bytes),
            segment.entries,
            escape(&short(&segment.smallest)),
            escape(&short(&segment.largest)),
        ));
    }
    html.push_str("</table>");
    if files > FILES_MAX {
        html.push_str(&format!("<p>and {} more files</p>", files - FILES_MAX));
    }
    html
}

/// A bar for each file, newest on top: as long as its share of the bytes, as dark as its level is deep.
fn levels(name: &str, segments: &[Segment]) -> String {
    let mut shown: Vec<&Segment> = segments.iter().collect();
    shown.sort_by_key(|segment| (segment.level, std::cmp::Reverse(segment.largest_sequence)));
    let (all, rest) = (shown.len(), shown.len().saturating_sub(FILES_MAX));
    shown.truncate(FILES_MAX);
    let total: u64 = segments.iter().map(|segment| segment.size_bytes).sum();
    let largest = segments.iter().map(|segment| segment.size_bytes).max().unwrap_or(0).max(1);
    let height = BAR_HEIGHT * (shown.len() as u32 + 1) + 6;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"10\" fill=\"currentColor\" role=\"img\"><text x=\"0\" y=\"11\">{}: {all} files, {}{}</text>",
        escape(name),
        human_bytes(total),
        if rest > 0 { format!(", {rest} of them not shown") } else { String::new() },
    );
    for (row, segment) in shown.iter().enumerate() {
        let y = BAR_HEIGHT * (row as u32 + 1) + 4;
        let room = f64::from(WIDTH - 60);
        let width = (room * segment.size_bytes as f64 / largest as f64).max(1.0);
        let lightness = 70_u32.saturating_sub(segment.level * 12).max(22);
        svg.push_str(&format!(
            "<text x=\"0\" y=\"{}\">level {}</text><rect x=\"50\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\" \
             fill=\"hsl(210,60%,{lightness}%)\"><title>file {}: {}, {} entries, {} to {}</title></rect>",
            y + BAR_HEIGHT - 5,
            segment.level,
            BAR_HEIGHT - 3,
            segment.number,
            human_bytes(segment.size_bytes),
            segment.entries,
            escape(&short(&segment.smallest)),
            escape(&short(&segment.largest)),
        ));
    }
    svg.push_str("</svg><br>");
    svg
}

/// A size with a binary unit.
pub(crate) fn human_bytes(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let step = (bytes.max(1).ilog2() / 10).min(units.len() as u32 - 1);
    if step == 0 {
        return format!("{bytes} B");
    }
    format!("{:.1} {}", bytes as f64 / (1u64 << (10 * step)) as f64, units[step as usize])
}

/// The beginning of a key, readable.
fn short(key: &[u8]) -> String {
    let text = key[..key.len().min(24)].escape_ascii().to_string();
    if key.len() > 24 { text + "…" } else { text }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
