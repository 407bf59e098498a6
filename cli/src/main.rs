//! The `sstore` command: what is in a database, in its log, its manifest and its files, and whether all of it is sound.
//!
//! Run by people and by scripts, also beside a program that has the database open for writing. Promises: but for
//! `import`, which writes the database that it is told to, nothing is changed, and no lock is taken; data goes to standard output, messages to standard error; a reader that goes away (`| head`) ends it quietly. Exit
//! codes: 0 fine; 1 damage, or what was asked for is not there; 2 a wrong call, or anything else that failed.

mod arguments;
mod failure;
mod output;
mod progress;
mod rows;
mod text;
mod verbs;

use arguments::Arguments;
use clap::Parser;
use failure::Outcome;
use output::Output;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut output = Output::new(arguments.format);
    let done = verbs::run(&arguments.verb, &mut output);
    let done = done.and_then(|outcome| Ok(output.finish().map(|()| outcome)?));
    match done {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::Wrong) => ExitCode::from(failure::WRONG),
        Err(failure) => {
            // What was found before is told first; if that cannot be, the failure at hand says why.
            let _ = output.finish();
            if let Some(message) = failure.message() {
                eprintln!("sstore: {message}");
            }
            ExitCode::from(failure.exit_code())
        }
    }
}
