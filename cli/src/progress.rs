//! How far a verb is that may take long: shown on standard error, if that is a terminal. Called by the verbs that walk over much.
//!
//! Promises: nothing is shown between the lines of a result, and nothing is left of it when the verb has ended.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::ops::Deref;

/// What is shown; gone with this.
pub struct Progress(ProgressBar);

impl Progress {
    /// Shown as indicatif's `template` says, by a verb that prints nothing before its end.
    pub fn shown(template: &str) -> Self {
        let bar = ProgressBar::no_length();
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// The same of a verb that prints as it goes: on a terminal its lines show that.
    pub fn beside_lines(template: &str) -> Self {
        if std::io::stdout().is_terminal() { Self(ProgressBar::hidden()) } else { Self::shown(template) }
    }
}

impl Deref for Progress {
    type Target = ProgressBar;

    fn deref(&self) -> &ProgressBar {
        &self.0
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// What is shown of things that are counted.
pub const COUNTED: &str = "{spinner} {human_pos} {msg}, {per_sec}, {elapsed}";
