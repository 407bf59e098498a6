//! EVENTS.jsonl: the events of a database, a line of JSON each, in its directory.
//!
//! Written by the task that hands events on, read by people and their tools. Promises: never more than the bytes it was given, in two
//! files; a line is whole or, after a crash or on a full disk, missing or the last one; nothing that goes wrong here is an error for
//! anybody. Nothing of it is ever synced: what a power cut takes is gone.

use super::Event;
use crate::env::{Env, File, read_file};
use crate::error::Result;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file that lines are added to.
pub const EVENTS: &str = "EVENTS.jsonl";

/// What it is called once it is half of what both may be.
pub const OLD_EVENTS: &str = "EVENTS.jsonl.1";

/// What it is called while an opening makes its own from that of the one before.
pub const UNFINISHED_EVENTS: &str = "EVENTS.jsonl.tmp";

/// Writes the lines. Opens nothing before the first event.
pub struct Journal {
    env: Env,
    dir: PathBuf,
    limit_bytes: u64,
    file: Option<Arc<dyn File>>,
    /// Behind the last whole line.
    end: u64,
    lost: u64,
}

impl Journal {
    /// A journal in `dir` of at most `limit_bytes`, both files together.
    pub fn new(env: Env, dir: &Path, limit_bytes: u64) -> Self {
        Self { env, dir: dir.to_path_buf(), limit_bytes, file: None, end: 0, lost: 0 }
    }

    /// Adds a line. What cannot be written is left out, and counted in the next line that can be.
    pub fn write(&mut self, event: &Event) {
        let mut line = event.to_json();
        if self.lost > 0 {
            line.truncate(line.len() - 1);
            line.push_str(&format!(",\"lines_lost\":{}}}", self.lost));
        }
        line.push('\n');
        match self.append(line.as_bytes()) {
            Ok(()) => self.lost = 0,
            Err(_) => self.lost += 1,
        }
    }

    fn append(&mut self, line: &[u8]) -> Result<()> {
        let half = self.limit_bytes / 2;
        if self.end > 0 && self.end + line.len() as u64 > half {
            // From here on there is no file until one is made: an error leaves nothing that could grow.
            (self.file, self.end) = (None, 0);
            self.env.files.rename(&self.dir.join(EVENTS), &self.dir.join(OLD_EVENTS))?;
        }
        if line.len() as u64 > half {
            return Err(crate::error::Error::invalid("the line is longer than the journal may be"));
        }
        let file = match &self.file {
            Some(file) => file.clone(),
            None => self.begin(half)?,
        };
        // After an error the next line takes the place of what came of this one.
        file.write_at(line, self.end)?;
        self.end += line.len() as u64;
        Ok(())
    }

    /// Makes a file that goes on where the one of an earlier opening ended.
    fn begin(&mut self, half: u64) -> Result<Arc<dyn File>> {
        let files = &*self.env.files;
        let (path, unfinished) = (self.dir.join(EVENTS), self.dir.join(UNFINISHED_EVENTS));
        let mut lines = match files.file_len(&path)? {
            Some(len) if len <= half => read_file(files, &path, half)?,
            // Of an opening that could have more, or nobody's.
            Some(_) => {
                files.rename(&path, &self.dir.join(OLD_EVENTS))?;
                Vec::new()
            }
            None => Vec::new(),
        };
        // A line that was cut short, or that a power cut left blank, ends there.
        let whole = lines.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        lines.truncate(whole);
        if files.file_len(&unfinished)?.is_some() {
            files.remove(&unfinished)?;
        }
        let file = files.create(&unfinished)?;
        file.write_at(&lines, 0)?;
        files.rename(&unfinished, &path)?;
        (self.file, self.end) = (Some(file.clone()), lines.len() as u64);
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::mem::MemFileSystem;
    use crate::observe::EventKind;

    fn journal(files: &Arc<MemFileSystem>, limit: u64) -> Journal {
        let _ = crate::env::FileSystem::create_dir(&**files, Path::new("/db"));
        Journal::new(Env { files: files.clone(), runtime: crate::env::posix::posix().runtime }, Path::new("/db"), limit)
    }

    fn event(number: u64) -> Event {
        Event { number, unix_nanos: 1_700_000_000_123_456_789, ..Event::new(EventKind::FlushDone) }
    }

    fn text(files: &Arc<MemFileSystem>, name: &str) -> String {
        String::from_utf8(read_file(&**files, &Path::new("/db").join(name), 1 << 20).unwrap()).unwrap()
    }

    #[test]
    fn lines_go_on_where_an_earlier_opening_ended() {
        let files = MemFileSystem::new();
        journal(&files, 4096).write(&event(1));
        let mut journal = journal(&files, 4096);
        journal.write(&event(2));
        journal.write(&event(3));
        let line = |number| {
            format!(
                "{{\"time\":\"2023-11-14T22:13:20.123456Z\",\"unix_nanos\":1700000000123456789,\"event\":\"flush_done\",\"number\":{number}}}\n"
            )
        };
        assert_eq!(text(&files, EVENTS), [line(1), line(2), line(3)].concat());
    }

    #[test]
    fn both_files_together_stay_within_the_limit() {
        let files = MemFileSystem::new();
        for round in 0..3 {
            let mut journal = journal(&files, 1000);
            for number in 0..20 {
                journal.write(&event(round * 100 + number));
                let old = crate::env::FileSystem::file_len(&*files, Path::new("/db/EVENTS.jsonl.1")).unwrap();
                assert!(text(&files, EVENTS).len() as u64 + old.unwrap_or(0) <= 1000);
            }
        }
        let newest = text(&files, OLD_EVENTS) + &text(&files, EVENTS);
        assert!(newest.ends_with("\"number\":219}\n") && newest.contains("\"number\":215}"), "{newest}");
        assert!(newest.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{newest}");
    }

    #[test]
    fn a_line_that_was_cut_short_is_left_out() {
        let files = MemFileSystem::new();
        journal(&files, 4096).write(&event(1));
        let whole = text(&files, EVENTS);
        let cut = whole.clone() + "{\"time\":\"20";
        crate::env::FileSystem::remove(&*files, Path::new("/db/EVENTS.jsonl")).unwrap();
        let file = crate::env::FileSystem::create(&*files, Path::new("/db/EVENTS.jsonl")).unwrap();
        file.write_at(cut.as_bytes(), 0).unwrap();
        journal(&files, 4096).write(&event(2));
        assert_eq!(text(&files, EVENTS), whole.clone() + &whole.replace("\"number\":1", "\"number\":2"));
    }
}
