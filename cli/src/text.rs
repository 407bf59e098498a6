//! Bytes as text that can be read, printed anywhere, and given back on the command line.

/// How keys and values are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As text; what is none as `\xNN`, a backslash doubled.
    Text,
    /// As hexadecimal digits.
    Hex,
}

impl Form {
    /// Bytes in this form. No control character is left in it, and no two values look alike.
    pub fn show(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => hex(bytes),
            Self::Text => bytes.utf8_chunks().fold(String::with_capacity(bytes.len()), |mut text, chunk| {
                for character in chunk.valid().chars() {
                    match character {
                        '\\' => text.push_str("\\\\"),
                        // Each of its bytes: a control character may have more than one.
                        c if c.is_control() => escape(&mut text, c.encode_utf8(&mut [0; 4]).as_bytes()),
                        c => text.push(c),
                    }
                }
                escape(&mut text, chunk.invalid());
                text
            }),
        }
    }

    /// The bytes that `text` writes in this form, or what is wrong with it.
    pub fn read(self, text: &str) -> Result<Vec<u8>, String> {
        match self {
            Self::Hex => {
                from_hex(text).ok_or_else(|| format!("\"{text}\" is not an even number of hexadecimal digits"))
            }
            Self::Text => unescape(text.as_bytes())
                .ok_or_else(|| format!("\"{text}\": a backslash is followed by xNN, or by another one")),
        }
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn escape(text: &mut String, bytes: &[u8]) {
    bytes.iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks_exact(2).map(two_digits).collect()
}

fn two_digits(pair: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)
}

fn unescape(mut text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    while let Some((&first, rest)) = text.split_first() {
        text = match (first, rest.first()) {
            (b'\\', Some(b'\\')) => {
                bytes.push(b'\\');
                &rest[1..]
            }
            (b'\\', Some(b'x')) => {
                bytes.push(two_digits(rest.get(1..3)?)?);
                &rest[3..]
            }
            (b'\\', _) => return None,
            _ => {
                bytes.push(first);
                rest
            }
        };
    }
    Some(bytes)
}

/// A number of bytes as people say it; `None` if the plain number says it as well.
pub fn human_bytes(bytes: u64) -> Option<String> {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return None;
    }
    let (mut size, mut unit) = (bytes as f64 / 1024.0, 0);
    while size >= 1023.95 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    Some(format!("{size:.1} {}", UNITS[unit]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_shown_without_control_characters_and_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        for bytes in [&all[..], b"", b"cat", "Käse \u{85}".as_bytes(), b"a\\x00", b"\xf0\x9f"] {
            for form in [Form::Text, Form::Hex] {
                let shown = form.show(bytes);
                assert!(!shown.chars().any(char::is_control), "{shown}");
                assert_eq!(form.read(&shown).unwrap(), bytes, "{shown}");
            }
        }
        assert_eq!(Form::Text.show(b"Tom\n\xff\\"), "Tom\\x0a\\xff\\\\");
        for wrong in ["\\", "\\n", "\\x1", "\\xzz", "\\x\u{e4}"] {
            assert!(Form::Text.read(wrong).is_err(), "{wrong}");
        }
        assert!(Form::Hex.read("abc").is_err() && Form::Hex.read("zz").is_err());
    }

    #[test]
    fn sizes_are_said_in_the_unit_that_fits() {
        assert_eq!(human_bytes(1023), None);
        assert_eq!(human_bytes(1536).unwrap(), "1.5 KiB");
        assert_eq!(human_bytes(64 << 20).unwrap(), "64.0 MiB");
        assert_eq!(human_bytes(u64::MAX).unwrap(), "16384.0 PiB");
    }
}
