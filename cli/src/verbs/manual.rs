//! Completions for shells, and manual pages: made of the same declarations as the help. Called when the command is installed.

use super::Done;
use crate::arguments::Arguments;
use crate::failure::{Failure, Outcome};
use clap::CommandFactory;
use clap_complete::Shell;
use std::path::Path;

/// Prints what `shell` loads to complete verbs and options.
pub fn completions(shell: Shell) -> Done {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "sstore", &mut text);
    std::io::Write::write_all(&mut std::io::stdout(), &text)?;
    Ok(Outcome::Fine)
}

/// Writes `sstore.1`, and `sstore-VERB.1` for each verb.
pub fn pages(directory: &Path) -> Done {
    clap_mangen::generate_to(Arguments::command(), directory)
        .map_err(|error| Failure::Usage(format!("{}: {error}", directory.display())))?;
    Ok(Outcome::Fine)
}
