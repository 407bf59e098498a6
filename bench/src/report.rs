//! The table, for people, for programs, and for RESULTS.md.

use crate::measure::{Goal, Row};
use std::path::Path;
use std::process::Command;

/// What the figures depend on: commit, processor, kernel, file system, date.
pub fn machine(dir: &Path) -> Vec<(&'static str, String)> {
    let output = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
        output.map_or_else(|| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(':').nth(1))
        .unwrap_or("unknown")
        .trim()
        .to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let changed = if output("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty() {
        ""
    } else {
        ", with uncommitted changes"
    };
    vec![
        ("commit", format!("{}{changed}", output("git", &["rev-parse", "--short", "HEAD"]))),
        ("date", output("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("processor", format!("{model}, {cores} cores")),
        ("kernel", output("uname", &["-sr"])),
        ("file system", output("stat", &["-f", "-c", "%T", &dir.to_string_lossy()])),
        ("load at the end", load.split_whitespace().take(3).collect::<Vec<_>>().join(" ")),
    ]
}

/// A table for the terminal.
pub fn text(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let mut text = format!("{:<width$}  {:>12}  {:>25}  goal\n", "", "median", "least to greatest");
    for row in rows {
        let spread = format!("{} to {}", figure(row.least), figure(row.greatest));
        let goal = goal(row);
        text.push_str(&format!(
            "{:<width$}  {:>12}  {spread:>25}  {goal}\n",
            row.name,
            format!("{} {}", figure(row.median), row.unit)
        ));
    }
    text
}

/// One JSON object.
pub fn json(machine: &[(&'static str, String)], rows: &[Row]) -> String {
    let number = |value: f64| if value.is_finite() { format!("{value}") } else { "null".to_owned() };
    let facts: Vec<String> =
        machine.iter().map(|(name, value)| format!("{}:{}", quoted(name), quoted(value))).collect();
    let figures: Vec<String> = rows
        .iter()
        .map(|row| {
            let (limit, reached) = match row.goal {
                Goal::AtMost(limit) | Goal::AtLeast(limit) => (number(limit), row.goal.reached(row.median) == Some(true)),
                Goal::Between(least, most) => {
                    (format!("[{},{}]", number(least), number(most)), row.goal.reached(row.median) == Some(true))
                }
                Goal::None => ("null".to_owned(), true),
            };
            format!(
                "{{\"name\":{},\"unit\":{},\"median\":{},\"least\":{},\"greatest\":{},\"goal\":{limit},\"reached\":{reached}}}",
                quoted(&row.name),
                quoted(row.unit),
                number(row.median),
                number(row.least),
                number(row.greatest)
            )
        })
        .collect();
    format!("{{\"machine\":{{{}}},\"rows\":[{}]}}", facts.join(","), figures.join(","))
}

/// The beginning of RESULTS.md.
const HEAD: &str = "# Results\n\nWritten by `make bench`. Medians of several rounds, with the least and the greatest; the limits were measured in the\nsame run. How each figure comes about: [README.md](README.md).\n\n";

/// RESULTS.md anew. The sections with these titles are kept from the `old` one.
pub fn document(old: &str, kept: &[&str], measured: &str) -> String {
    let kept = kept.iter().filter_map(|title| section(old, title));
    kept.fold(format!("{HEAD}{measured}"), |text, section| format!("{text}\n{}\n", section.trim_end()))
}

/// RESULTS.md with one section new, where the old one stood or else at the end.
pub fn with_section(old: &str, title: &str, measured: &str) -> String {
    let new = format!("## {title}\n\n{measured}");
    match section(old, title) {
        Some(found) => {
            let gap = if old.ends_with(found) { "" } else { "\n" };
            old.replacen(found, &format!("{new}{gap}"), 1)
        }
        None if old.is_empty() => format!("{HEAD}{new}"),
        None => format!("{}\n\n{new}", old.trim_end()),
    }
}

/// A section with its title, as far as the next one.
fn section<'a>(text: &'a str, title: &str) -> Option<&'a str> {
    let title = format!("## {title}\n");
    let start = if text.starts_with(&title) { 0 } else { text.find(&format!("\n{title}"))? + 1 };
    let rest = &text[start..];
    Some(rest.find("\n## ").map_or(rest, |end| &rest[..end + 1]))
}

/// What was measured, and on what machine.
pub fn markdown(machine: &[(&'static str, String)], command: &str, rows: &[Row]) -> String {
    let mut text = String::new();
    for (name, value) in machine {
        text.push_str(&format!("- {name}: {value}\n"));
    }
    text.push_str(&format!(
        "- command: `{command}`\n\n| measurement | median | least to greatest | goal |\n|---|---|---|---|\n"
    ));
    for row in rows {
        text.push_str(&format!(
            "| {} | {} {} | {} to {} | {} |\n",
            row.name,
            figure(row.median),
            row.unit,
            figure(row.least),
            figure(row.greatest),
            goal(row)
        ));
    }
    text
}

fn goal(row: &Row) -> String {
    let reached = |limit: &str| {
        format!("{limit}{}", if row.goal.reached(row.median) == Some(true) { ", reached" } else { ", MISSED" })
    };
    match row.goal {
        Goal::AtMost(limit) => reached(&format!("≤ {}", figure(limit))),
        Goal::AtLeast(limit) => reached(&format!("≥ {}", figure(limit))),
        Goal::Between(least, most) => reached(&format!("{} to {}", figure(least), figure(most))),
        Goal::None => String::new(),
    }
}

/// Three significant digits.
fn figure(value: f64) -> String {
    match value.abs() {
        magnitude if magnitude >= 100.0 => format!("{value:.0}"),
        magnitude if magnitude >= 10.0 => format!("{value:.1}"),
        magnitude if magnitude >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn quoted(text: &str) -> String {
    let escaped: String = text
        .chars()
        .flat_map(|c| match c {
            '"' | '\\' => vec!['\\', c],
            c if c.is_control() => vec![' '],
            c => vec![c],
        })
        .collect();
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_goal_is_said_aloud() {
        let rows = [
            Row::new("a \"b\"", "ns", Goal::AtMost(10.0), vec![20.0]),
            Row::new("c", "x", Goal::AtLeast(1.0), vec![2.0]),
        ];
        assert!(text(&rows).contains("≤ 10.0, MISSED"));
        assert!(markdown(&[], "x", &rows).contains("≥ 1.00, reached"));
        let within = Row::new("d", "x", Goal::Between(0.85, 1.15), vec![1.5]);
        assert_eq!(goal(&within), "0.850 to 1.15, MISSED");
        assert!(json(&[], &[within]).contains("\"goal\":[0.85,1.15],\"reached\":false"));
        assert!(json(&[], &rows).contains("\"a \\\"b\\\"\"") && json(&[], &rows).contains("\"reached\":false"));
    }

    #[test]
    fn one_section_is_written_anew_and_the_others_stay() {
        let first = with_section(&document("", &[], "a\n"), "Load", "one\n");
        assert!(first.starts_with(HEAD) && first.ends_with("a\n\n## Load\n\none\n"), "{first}");
        let more = format!("{first}\n## Size\n\n7\n");
        let second = with_section(&more, "Load", "two\n");
        assert!(second.contains("\n\ntwo\n\n## Size\n\n7\n") && !second.contains("one"), "{second}");
        assert_eq!(with_section(&second, "Load", "two\n"), second);
        let third = document(&second, &["Load", "Threads"], "b\n");
        assert!(third.ends_with("b\n\n## Load\n\ntwo\n"), "{third}");
    }
}
