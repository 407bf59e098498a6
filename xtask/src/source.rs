//! Source text with comments, strings and character literals blanked, and the pieces that the checks look for in it.
//!
//! Used by the checks that search code for names. Works on Rust and C alike; offsets and line numbers stay those of the
//! file. It is a scanner, not a parser: enough for names, and indifferent to macros.

/// `text` with every comment, string and character literal replaced by spaces of the same length.
pub fn scrub(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => line_end(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => block_comment_end(bytes, at),
            b'r' if !follows_word(bytes, at) => raw_string_end(bytes, at).unwrap_or(at),
            b'"' => string_end(bytes, at),
            b'\'' => character_end(bytes, at).unwrap_or(at),
            _ => at,
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `code` (scrubbed) with the bodies of `#[cfg(test)] mod … { … }` blanked too.
pub fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    let mut from = 0;
    while let Some(found) = out[from..].find("#[cfg(test)]") {
        let start = from + found;
        let after = &out[start + "#[cfg(test)]".len()..];
        let stop = after.find([';', '{']).map_or(out.len(), |at| start + "#[cfg(test)]".len() + at);
        let end = if out[stop..].starts_with('{') { closing_brace(&out, stop) } else { stop };
        let blank: String = out[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(start..end, &blank);
        from = end.min(out.len());
    }
    out
}

/// The offset just past the brace that closes the one at `open`.
pub fn closing_brace(code: &str, open: usize) -> usize {
    let mut depth = 0usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// Identifiers and single punctuation marks, with their offsets; `::` is one token.
pub fn tokens(code: &str) -> Vec<(usize, &str)> {
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        if is_word(bytes[at]) {
            while at < bytes.len() && is_word(bytes[at]) {
                at += 1;
            }
        } else if bytes[at..].starts_with(b"::") {
            at += 2;
        } else if bytes[at].is_ascii() && !bytes[at].is_ascii_whitespace() {
            at += 1;
        } else {
            at += 1;
            continue;
        }
        found.push((start, &code[start..at]));
    }
    found
}

/// The line number of an offset, from 1.
pub fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn follows_word(bytes: &[u8], at: usize) -> bool {
    // `br"…"` is a raw string as well, so a lone b before the r does not count.
    match at.checked_sub(1).map(|before| bytes[before]) {
        Some(b'b') => at >= 2 && is_word(bytes[at - 2]),
        Some(byte) => is_word(byte),
        None => false,
    }
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |len| at + len)
}

fn block_comment_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0usize;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], mut at: usize) -> usize {
    at += 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn raw_string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    let quote = at + 1 + hashes;
    if bytes.get(quote) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(hashes + 1, b'#');
    let body = quote + 1;
    let len = bytes[body..].windows(close.len()).position(|window| window == close)?;
    Some(body + len + close.len())
}

/// Tells `'a'` and `'\n'` from the lifetime `'a`.
fn character_end(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at + 1) == Some(&b'\\') {
        let from = at + 3;
        return bytes.get(from..)?.iter().take(10).position(|byte| *byte == b'\'').map(|len| from + len + 1);
    }
    let reach = &bytes[at + 1..bytes.len().min(at + 6)];
    let width = reach.iter().skip(1).take_while(|byte| **byte & 0xC0 == 0x80).count() + 1;
    (bytes.get(at + 1 + width) == Some(&b'\'')).then_some(at + 2 + width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_vanish_and_lines_stay() {
        let text = "a /* x /* y */ */ b // crate::db\n\"crate::\\\"db\" c r#\"crate::\"db\"# 'd' '\\'' 'life e";
        let clean = scrub(text);
        assert_eq!(clean.len(), text.len());
        let words: Vec<&str> = clean.split_whitespace().collect();
        assert_eq!(words, ["a", "b", "c", "'life", "e"]);
        assert_eq!(line_of(&clean, clean.find('c').unwrap_or(0)), 2);
    }

    #[test]
    fn test_modules_vanish() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { } }\nfn c() {}\n#[cfg(test)]\nmod more;\nfn d() {}";
        let rest = without_tests(code);
        assert!(rest.contains("fn a") && rest.contains("fn c") && rest.contains("fn d"));
        assert!(!rest.contains("fn b") && !rest.contains("more"));
    }

    #[test]
    fn tokens_keep_paths_together() {
        let words: Vec<&str> = tokens("use crate::{a, b::c};").into_iter().map(|(_, word)| word).collect();
        assert_eq!(words, ["use", "crate", "::", "{", "a", ",", "b", "::", "c", "}", ";"]);
    }
}
