//! Does each promise have a test that fails when the promise is broken? Faults are planted one at a time, and the tests must see them.
//!
//! `cargo xtask mutants` plants every fault of `core/tests/mutants.toml` in a copy of the tree below `target/planted`, builds
//! the test binary that the fault names, and runs exactly the tests that must fail. It takes minutes. `cargo xtask all` only
//! runs [`check`]: the table still fits the code. Never touches the tree it is run on.

mod copy;
mod run;
mod table;

use crate::Outcome;
use run::Verdict;
use std::path::Path;
use std::time::Instant;
use table::Fault;

/// The cheap part: each fault's text stands once in its file, its tests exist, and no acceptance test or model is without a fault.
pub fn check(root: &Path) -> Outcome {
    let faults = table::read(root)?;
    let wrong = table::check(root, &faults);
    if wrong.is_empty() { Ok(format!("{} faults fit the code", faults.len())) } else { Err(wrong) }
}

/// Plants the faults with these names, or all, and prints what became of each.
pub fn run(root: &Path, names: &[&str]) -> Outcome {
    check(root)?;
    let mut faults = table::read(root)?;
    if let Some(unknown) = names.iter().find(|name| faults.iter().all(|fault| fault.name != **name)) {
        return Err(vec![format!("{}: no fault is called {unknown}", table::PATH)]);
    }
    faults.retain(|fault| names.is_empty() || names.contains(&fault.name.as_str()));
    let began = Instant::now();
    let workbench = run::Workbench::new(root).map_err(|why| vec![why])?;
    // A test that fails anyway would prove nothing.
    workbench.check_sound(&faults)?;
    let mut missed = Vec::new();
    for fault in &faults {
        let planted = Instant::now();
        let verdict = workbench.plant(fault);
        print_line(fault, &verdict, planted.elapsed().as_secs_f64());
        if !matches!(verdict, Verdict::Caught { .. }) {
            missed.push(format!("{} ({})", fault.name, verdict.word()));
        }
    }
    let caught = faults.len() - missed.len();
    let sum = format!("{} faults, {caught} caught, in {} s", faults.len(), began.elapsed().as_secs());
    if missed.is_empty() { Ok(sum) } else { Err(vec![format!("{sum}; not caught: {}", missed.join(", "))]) }
}

fn print_line(fault: &Fault, verdict: &Verdict, seconds: f64) {
    println!("{:<9} {seconds:>5.1} s  {:<44} {}", verdict.word(), fault.name, verdict.text());
}
