//! Manual pages of section 3, made of the header: `sstore.3` with the conventions and the chapters, and one page for each function.
//! Called by `scripts/install`: `xtask manual <folder>`.

use crate::Outcome;
use crate::c_functions::{Function, functions};
use std::fmt::Write;
use std::path::Path;

/// Writes the pages into `folder`, which is there.
pub fn run(root: &Path, folder: &Path) -> Outcome {
    let failed = |name: &Path, error: std::io::Error| vec![format!("{}: {error}", name.display())];
    let header = root.join("include/sstore.h");
    let text = std::fs::read_to_string(&header).map_err(|error| failed(&header, error))?;
    let functions = functions(&text);
    let write = |name: &str, page: String| {
        let path = folder.join(name);
        std::fs::write(&path, page).map_err(|error| failed(&path, error))
    };
    write("sstore.3", overview(&text, &functions))?;
    for function in &functions {
        write(&format!("{}.3", function.name), page(function))?;
    }
    Ok(format!("{} pages in {}", functions.len() + 1, folder.display()))
}

fn head(name: &str) -> String {
    format!(".TH {name} 3 \"\" \"sstore {}\" \"sstore library\"\n", env!("CARGO_PKG_VERSION"))
}

fn page(function: &Function) -> String {
    let mut page = head(&function.name);
    // The first sentence; what stands in brackets has no end of its own.
    let comment = function.comment.replace('\n', " ");
    let first = comment.split(". ").next().unwrap_or(&comment).trim_end_matches('.');
    let _ = write!(
        page,
        ".SH NAME\n{} \\- {}\n.SH SYNOPSIS\n.nf\n#include <sstore.h>\n\n{}\n.fi\n.SH DESCRIPTION\n{}\n.SH SEE ALSO\n.BR sstore (3)\n",
        function.name,
        text(first),
        text(&function.prototype),
        text(&function.comment),
    );
    page
}

fn overview(header: &str, functions: &[Function]) -> String {
    let mut page = head("sstore");
    page.push_str(".SH NAME\nsstore \\- an embedded LSM storage engine\n.SH SYNOPSIS\n.nf\n#include <sstore.h>\n\n");
    page.push_str(
        "cc $(pkg-config --cflags sstore) program.c $(pkg-config --libs sstore)\n.fi\n.SH CONVENTIONS\n.nf\n",
    );
    // The opening comment of the header, set as it stands there.
    let opening = header.lines().skip_while(|line| !line.contains("CONVENTIONS")).take_while(|line| *line != " */");
    for line in opening {
        let _ = writeln!(page, "{}", text(line.strip_prefix(" *").unwrap_or(line).trim_end()));
    }
    page.push_str(".fi\n");
    let mut chapter = "";
    for function in functions {
        if function.chapter != chapter {
            chapter = &function.chapter;
            let _ = writeln!(page, ".SH {}", text(&chapter.to_uppercase()));
        }
        let _ = writeln!(page, ".BR {} (3)\n.br", function.name);
    }
    page.push_str(".SH SEE ALSO\n.BR sstore (1)\n");
    page
}

/// Text as the formatter takes it: nothing in it is a command.
fn text(plain: &str) -> String {
    let escaped = plain.replace('\\', "\\e").replace('-', "\\-").replace('`', "");
    let lines =
        escaped.lines().map(|line| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_comment_is_a_command() {
        assert_eq!(text(".count and `x`\n'y' a-b \\"), "\\&.count and x\n\\&'y' a\\-b \\e");
    }

    #[test]
    fn a_page_has_its_sections_in_order() {
        let function = Function {
            name: "sstore_sync".to_owned(),
            prototype: "int sstore_sync(void);".to_owned(),
            comment: "Makes it durable. Blocks.".to_owned(),
            chapter: "Writing".to_owned(),
        };
        let page = page(&function);
        let sections: Vec<&str> = page.lines().filter(|line| line.starts_with(".SH")).collect();
        assert_eq!(sections, [".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", ".SH SEE ALSO"]);
        assert!(page.contains("sstore_sync \\- Makes it durable\n"), "{page}");
    }
}
