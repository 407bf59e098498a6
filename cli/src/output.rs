//! Standard output: records and facts, as aligned columns for people or as JSON, one object a line.
//!
//! Called by every verb, which names its fields once; both formats are made of the same values. A record is printed as soon as the widths
//! of its columns are known, so that a long result begins at once and takes no memory.

use crate::arguments::Format;
use crate::text::human_bytes;
use serde_json::Value;
use std::io::{self, BufWriter, StdoutLock, Write};

/// How many records decide on the widths of the columns; later ones that are wider stick out.
const RECORDS_AHEAD: usize = 500;

/// Wider columns than this are not made for the sake of one value.
const WIDTH_MAX: usize = 60;

/// A record: named values in the order to be shown.
pub type Record = Vec<(String, Value)>;

/// Makes a [`Record`] of `name: value` pairs.
#[macro_export]
macro_rules! record {
    ($($name:literal: $value:expr),* $(,)?) => {
        vec![$(($name.to_owned(), serde_json::Value::from($value)),)*]
    };
}

/// Where results go.
pub struct Output {
    to: BufWriter<StdoutLock<'static>>,
    pub format: Format,
    /// Records of the table at hand that are not printed yet.
    ahead: Vec<Record>,
    /// The widths of the columns, once they are fixed.
    widths: Vec<usize>,
}

impl Output {
    /// Standard output in this format.
    pub fn new(format: Format) -> Self {
        let to = BufWriter::with_capacity(64 << 10, io::stdout().lock());
        Self { to, format, ahead: Vec::new(), widths: Vec::new() }
    }

    /// Whether people read it.
    pub fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    /// A record of a table; all of one table have the same names. `end_table` ends it.
    pub fn record(&mut self, record: Record) -> io::Result<()> {
        if !self.is_table() {
            return self.object(record);
        }
        if !self.widths.is_empty() {
            return self.row(&record);
        }
        self.ahead.push(record);
        if self.ahead.len() >= RECORDS_AHEAD { self.fix_widths() } else { Ok(()) }
    }

    /// Ends a table; the next record begins another one.
    pub fn end_table(&mut self) -> io::Result<()> {
        self.fix_widths()?;
        self.widths.clear();
        Ok(())
    }

    fn fix_widths(&mut self) -> io::Result<()> {
        let ahead = std::mem::take(&mut self.ahead);
        let Some(first) = ahead.first() else { return Ok(()) };
        let mut widths: Vec<usize> = first.iter().map(|(name, _)| width(name)).collect();
        for record in &ahead {
            for (widest, (_, value)) in widths.iter_mut().zip(record) {
                *widest = (*widest).max(width(&shown(value)).min(WIDTH_MAX));
            }
        }
        let names = first.iter().zip(&widths).map(|((name, value), &width)| {
            // Numbers stand at the right of their column, and so does its name.
            let name = if value.is_number() { format!("{name:>width$}") } else { name.clone() };
            (String::new(), Value::from(name))
        });
        let names: Record = names.collect();
        self.widths = widths;
        self.row(&names)?;
        ahead.iter().try_for_each(|record| self.row(record))
    }

    fn row(&mut self, record: &[(String, Value)]) -> io::Result<()> {
        let mut line = String::new();
        for (at, (_, value)) in record.iter().enumerate() {
            let cell = shown(value);
            let padding = self.widths.get(at).copied().unwrap_or(0).saturating_sub(width(&cell));
            let is_last = at + 1 == record.len();
            match value {
                Value::Number(_) => {
                    line.extend(std::iter::repeat_n(' ', padding));
                    line.push_str(&cell);
                }
                _ => {
                    line.push_str(&cell);
                    line.extend(std::iter::repeat_n(' ', if is_last { 0 } else { padding }));
                }
            }
            if !is_last {
                line.push_str("  ");
            }
        }
        writeln!(self.to, "{}", line.trim_end())
    }

    /// Facts about one thing: a line each for people.
    pub fn facts(&mut self, facts: Record) -> io::Result<()> {
        if !self.is_table() {
            return self.object(facts);
        }
        let widest = facts.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
        for (name, value) in &facts {
            let size = value.as_u64().filter(|_| name.ends_with("bytes")).and_then(human_bytes);
            let size = size.map(|size| format!(" ({size})")).unwrap_or_default();
            writeln!(self.to, "{}", format!("{name:<widest$}  {}{size}", shown(value)).trim_end())?;
        }
        Ok(())
    }

    /// A line for people.
    pub fn line(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.to, "{line}")
    }

    /// A line of JSON, the names in the order of the record.
    pub fn object(&mut self, record: Record) -> io::Result<()> {
        self.to.write_all(b"{")?;
        for (at, (name, value)) in record.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(self.to, "{comma}{}:{value}", Value::from(name.as_str()))?;
        }
        self.to.write_all(b"}\n")
    }

    /// Everything is out when this returns.
    pub fn finish(&mut self) -> io::Result<()> {
        self.end_table()?;
        self.to.flush()
    }
}

/// How wide a text is, about: characters.
fn width(text: &str) -> usize {
    text.chars().count()
}

/// A value for people: text as it is, without line breaks; null as nothing; lists and objects as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.contains(char::is_control) => value.to_string(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
