//! `docs/options.md` is the table of options in `core/src/db/options.rs`, as a document.

use crate::{Mode, Outcome, write_or_verify};
use sstore::{OptionInfo, OptionScope, OptionType};
use std::path::Path;

/// Writes or compares the document.
pub fn run(root: &Path, mode: Mode) -> Outcome {
    write_or_verify(root, "docs/options.md", &document(OptionInfo::ALL), mode, "option-docs")
}

fn document(options: &[OptionInfo]) -> String {
    let mut text = String::from(
        "# Options\n\n\
         <!-- Made by `cargo xtask option-docs` from the table in core/src/db/options.rs. -->\n\n\
         Options are set by name: `sstore_options_set(options, \"write_buffer_bytes\", \"64MiB\", &error)` in C,\n\
         `sstore.open(path, write_buffer_bytes=\"64MiB\")` in Python, `Options::new().with(\"write_buffer_bytes\", \"64MiB\")?` in\n\
         Rust. An unknown name is an error that suggests the nearest one. Bytes take `KiB`, `MiB`, `GiB`.\n",
    );
    for (scope, title, lead) in [
        (OptionScope::Database, "Of the database", "Given at opening; they hold for as long as it is open."),
        (
            OptionScope::Collection,
            "Of a column family",
            "Given when the family is created and stored with it; given at opening, they override for as long as it is open.",
        ),
    ] {
        text.push_str(&format!(
            "\n## {title}\n\n{lead}\n\n| name | type | default | range | what it does |\n|---|---|---|---|---|\n"
        ));
        for option in options.iter().filter(|option| option.scope == scope) {
            let default =
                if option.default.is_empty() { "(empty)".to_owned() } else { format!("`{}`", option.default) };
            text.push_str(&format!(
                "| `{}` | {} | {default} | {} | {} |\n",
                option.name,
                option.kind.name(),
                range(option),
                option.help
            ));
        }
    }
    text
}

fn range(option: &OptionInfo) -> String {
    match option.kind {
        OptionType::Bool => "`true`, `false`".to_owned(),
        OptionType::Path | OptionType::Name => "any".to_owned(),
        OptionType::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        OptionType::Count | OptionType::Bytes if option.min == 0 && option.max == u64::MAX => "any".to_owned(),
        OptionType::Count => format!("{} to {}", option.min, option.max),
        OptionType::Bytes => format!("{} to {}", bytes(option.min), bytes(option.max)),
    }
}

/// A number of bytes in the largest unit that divides it.
fn bytes(number: u64) -> String {
    let units = [(1u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.iter().find(|(size, _)| number != 0 && number.is_multiple_of(*size));
    unit.map_or_else(|| number.to_string(), |(size, name)| format!("{} {name}", number / size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_has_one_row() {
        let text = document(OptionInfo::ALL);
        for option in OptionInfo::ALL {
            assert_eq!(text.matches(&format!("| `{}` |", option.name)).count(), 1, "{}", option.name);
        }
    }

    #[test]
    fn bytes_use_the_largest_exact_unit() {
        assert_eq!(bytes(4096), "4 KiB");
        assert_eq!(bytes(1 << 50), "1024 TiB");
        assert_eq!(bytes(1000), "1000");
        assert_eq!(bytes(0), "0");
    }
}
