//! Filters as text: the condition of an SQL `WHERE`, as far as a [`Filter`] can say it.
//!
//! ```text
//! or      := and (OR and)*
//! and     := not (AND not)*
//! not     := NOT not | '(' or ')' | test
//! test    := column ( op literal | [NOT] IN '(' literal, … ')' | [NOT] BETWEEN literal AND literal
//!                   | IS [NOT] NULL | [NOT] LIKE 'text%' )
//! op      := = | == | <> | != | < | <= | > | >=
//! literal := 12 | -1.5 | 1e3 | 'text' | X'00ff' | TRUE | FALSE | NULL | DATE '2026-01-31'
//!          | TIMESTAMP '2026-01-31 12:00:00.5' (a Z at its end: with a zone)
//! column  := name | "any name"
//! ```
//!
//! Words are read in either case. A quote within a text is doubled.

use super::{Comparison, Filter};
use crate::error::{Error, Result};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array, NullArray, StringArray,
    TimestampNanosecondArray, UInt64Array,
};
use std::sync::Arc;

impl Filter {
    /// Reads a filter from text, as SQL writes conditions. InvalidArgument says where it cannot be understood.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parser = Parser { text, at: 0, depth: 0 };
        let filter = parser.or()?;
        parser.skip_space();
        if parser.at < text.len() {
            return Err(parser.expected("AND, OR or the end"));
        }
        Ok(filter)
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

const DEPTH_MAX: usize = 100;

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn expected(&self, what: &str) -> Error {
        let rest: String = self.rest().chars().take(20).collect();
        let found = if rest.is_empty() { "its end".to_owned() } else { format!("\"{rest}\"") };
        Error::invalid(format!(
            "the filter cannot be understood at character {}: {what} expected, {found} found",
            self.at
        ))
    }

    /// Goes beyond a word, if it comes next.
    fn word(&mut self, word: &str) -> bool {
        self.skip_space();
        let rest = self.rest();
        let matches = rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        let ends = rest.get(word.len()..).is_some_and(|after| !after.starts_with(is_name_character));
        if matches && ends {
            self.at += word.len();
        }
        matches && ends
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(symbol);
        if found {
            self.at += symbol.len();
        }
        found
    }

    fn or(&mut self) -> Result<Filter> {
        let mut filters = vec![self.and()?];
        while self.word("or") {
            filters.push(self.and()?);
        }
        Ok(if filters.len() == 1 { filters.remove(0) } else { Filter::Or(filters) })
    }

    fn and(&mut self) -> Result<Filter> {
        let mut filters = vec![self.not()?];
        while self.word("and") {
            filters.push(self.not()?);
        }
        Ok(if filters.len() == 1 { filters.remove(0) } else { Filter::And(filters) })
    }

    fn not(&mut self) -> Result<Filter> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Error::invalid(format!("the filter is nested more than {DEPTH_MAX} deep")));
        }
        let filter = if self.word("not") {
            Filter::Not(Box::new(self.not()?))
        } else if self.symbol("(") {
            let filter = self.or()?;
            if !self.symbol(")") {
                return Err(self.expected("a closing parenthesis"));
            }
            filter
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn test(&mut self) -> Result<Filter> {
        let column = self.column()?;
        if self.word("is") {
            let negated = self.word("not");
            if !self.word("null") {
                return Err(self.expected("NULL"));
            }
            return Ok(negate(Filter::IsNull(column), negated));
        }
        let negated = self.word("not");
        if self.word("in") {
            let equal = |literal| Filter::compare(column.clone(), Comparison::Equal, literal);
            return Ok(negate(Filter::Or(self.list()?.into_iter().map(equal).collect()), negated));
        }
        if self.word("between") {
            let low = self.literal()?;
            if !self.word("and") {
                return Err(self.expected("AND"));
            }
            return Ok(negate(Filter::between(column, low, self.literal()?), negated));
        }
        if self.word("like") {
            return Ok(negate(Filter::StartsWith { column, prefix: self.pattern()? }, negated));
        }
        if negated {
            return Err(self.expected("IN, BETWEEN or LIKE"));
        }
        let operators = [
            ("<>", Comparison::NotEqual),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("==", Comparison::Equal),
            ("=", Comparison::Equal),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        for (symbol, comparison) in operators {
            if self.symbol(symbol) {
                return Ok(Filter::compare(column, comparison, self.literal()?));
            }
        }
        Err(self.expected("a comparison"))
    }

    fn column(&mut self) -> Result<String> {
        self.skip_space();
        if self.rest().starts_with('"') {
            return self.quoted('"');
        }
        let len = self.rest().find(|c| !is_name_character(c)).unwrap_or(self.rest().len());
        let name = &self.rest()[..len];
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.expected("a column"));
        }
        self.at += len;
        Ok(name.to_owned())
    }

    /// What stands between two quotes; a doubled one stands for itself.
    fn quoted(&mut self, quote: char) -> Result<String> {
        let mut found = String::new();
        let mut characters = self.rest().char_indices().skip(1).peekable();
        while let Some((at, character)) = characters.next() {
            if character != quote {
                found.push(character);
            } else if characters.next_if(|&(_, next)| next == quote).is_some() {
                found.push(quote);
            } else {
                self.at += at + 1;
                return Ok(found);
            }
        }
        Err(self.expected("a text with a quote at its end"))
    }

    fn text_literal(&mut self) -> Result<String> {
        self.skip_space();
        if self.rest().starts_with('\'') { self.quoted('\'') } else { Err(self.expected("a text in quotes")) }
    }

    fn pattern(&mut self) -> Result<Vec<u8>> {
        let start = self.at;
        let pattern = self.text_literal()?;
        match pattern.strip_suffix('%') {
            Some(prefix) if !prefix.contains(['%', '_']) => Ok(prefix.as_bytes().to_vec()),
            _ => {
                self.at = start;
                Err(self.expected("a pattern with one % at its end and no _"))
            }
        }
    }

    fn list(&mut self) -> Result<Vec<ArrayRef>> {
        if !self.symbol("(") {
            return Err(self.expected("an opening parenthesis"));
        }
        let mut literals = vec![self.literal()?];
        while self.symbol(",") {
            literals.push(self.literal()?);
        }
        if !self.symbol(")") {
            return Err(self.expected("a comma or a closing parenthesis"));
        }
        Ok(literals)
    }

    fn literal(&mut self) -> Result<ArrayRef> {
        if self.word("null") {
            return Ok(Arc::new(NullArray::new(1)));
        }
        if self.word("true") {
            return Ok(Arc::new(BooleanArray::from(vec![true])));
        }
        if self.word("false") {
            return Ok(Arc::new(BooleanArray::from(vec![false])));
        }
        if self.word("date") {
            let start = self.at;
            return match parse_date(&self.text_literal()?) {
                Some(days) => Ok(Arc::new(Date32Array::from(vec![days]))),
                None => self.again(start, "a date such as '2026-01-31'"),
            };
        }
        if self.word("timestamp") {
            let start = self.at;
            return match parse_timestamp(&self.text_literal()?) {
                Some((nanos, false)) => Ok(Arc::new(TimestampNanosecondArray::from(vec![nanos]))),
                Some((nanos, true)) => Ok(Arc::new(TimestampNanosecondArray::from(vec![nanos]).with_timezone("UTC"))),
                None => self.again(start, "a time such as '2026-01-31 12:00:00.5', in the years 1678 to 2261"),
            };
        }
        self.skip_space();
        let rest = self.rest();
        if rest.starts_with("X'") || rest.starts_with("x'") {
            let start = self.at;
            self.at += 1;
            return match parse_hex(&self.text_literal()?) {
                Some(bytes) => Ok(Arc::new(BinaryArray::from(vec![&bytes[..]]))),
                None => self.again(start, "pairs of hexadecimal digits"),
            };
        }
        if rest.starts_with('\'') {
            return Ok(Arc::new(StringArray::from(vec![self.quoted('\'')?])));
        }
        self.number()
    }

    fn number(&mut self) -> Result<ArrayRef> {
        let rest = self.rest();
        let mut len = 0;
        for (at, character) in rest.char_indices() {
            let sign = matches!(character, '+' | '-') && (at == 0 || rest[..at].ends_with(['e', 'E']));
            if !(sign || character.is_ascii_alphanumeric() || character == '.') {
                break;
            }
            len = at + character.len_utf8();
        }
        let number = &rest[..len];
        let array: ArrayRef = if let Ok(value) = number.parse::<i64>() {
            Arc::new(Int64Array::from(vec![value]))
        } else if let Ok(value) = number.parse::<u64>() {
            Arc::new(UInt64Array::from(vec![value]))
        } else if number.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
            && let Ok(value) = number.parse::<f64>()
        {
            Arc::new(Float64Array::from(vec![value]))
        } else {
            return Err(self.expected("a literal"));
        };
        self.at += len;
        Ok(array)
    }

    fn again<T>(&mut self, start: usize, what: &str) -> Result<T> {
        self.at = start;
        Err(self.expected(what))
    }
}

fn is_name_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn negate(filter: Filter, negated: bool) -> Filter {
    if negated { Filter::Not(Box::new(filter)) } else { filter }
}

fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// Days since 1970-01-01 of a date in the Gregorian calendar.
fn parse_date(text: &str) -> Option<i32> {
    let mut parts = text.split('-');
    let mut part = |digits: usize| {
        let part = parts.next()?;
        (part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse::<i64>().ok())?
    };
    let (year, month, day) = (part(4)?, part(2)?, part(2)?);
    if parts.next().is_some() || !(1..=12).contains(&month) {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    if !(1..=lengths[month as usize - 1]).contains(&day) {
        return None;
    }
    let before = |year: i64| year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let months: i64 = lengths[..month as usize - 1].iter().sum();
    // Day 0 is 1970-01-01; `before` counts the leap days up to the end of a year.
    i32::try_from(before(year - 1) - before(1969) + months + day - 1).ok()
}

/// Nanoseconds since 1970, and whether a zone was given.
fn parse_timestamp(text: &str) -> Option<(i64, bool)> {
    let (text, zoned) = match text.strip_suffix(['Z', 'z']) {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (date, time) = text.split_once([' ', 'T', 't']).unwrap_or((text, "00:00:00"));
    let days = i64::from(parse_date(date)?);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos = fraction.parse::<i64>().ok()? * 10i64.pow(9 - fraction.len() as u32);
    let mut seconds = 0;
    let mut parts = time.split(':');
    for (limit, required) in [(24, true), (60, true), (60, false)] {
        let value = match parts.next() {
            Some(part) if part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()) => {
                part.parse::<i64>().ok()?
            }
            None if !required => 0,
            _ => return None,
        };
        if value >= limit {
            return None;
        }
        seconds = seconds * 60 + value;
    }
    if parts.next().is_some() {
        return None;
    }
    let nanos = (days * 86_400 + seconds).checked_mul(1_000_000_000)?.checked_add(nanos)?;
    Some((nanos, zoned))
}
