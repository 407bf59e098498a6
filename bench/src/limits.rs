//! What the machine itself can do, measured in the same run: the yardsticks.

use crate::measure::{Latencies, timed};
use crate::{Plan, Result};
use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::FileExt;

/// Seconds for a warm copy of `bytes` in memory, and then for writing and syncing them as one file.
pub fn copy_write_sync(plan: &Plan, bytes: usize) -> Result<f64> {
    let path = plan.dir.join("yardstick");
    let source = vec![0xA5u8; bytes];
    let mut copy = vec![0u8; bytes];
    copy.copy_from_slice(&source);
    let (seconds, outcome) = timed(|| -> Result<()> {
        copy.copy_from_slice(black_box(&source));
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        for piece in copy.chunks(1 << 20) {
            file.write_all(piece)?;
        }
        Ok(file.sync_data()?)
    });
    outcome?;
    std::fs::remove_file(&path)?;
    Ok(seconds)
}

/// A way to make a short record durable.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SyncPath {
    /// Each record makes the file longer.
    Append,
    /// Each record goes into a part that was written and synced before.
    Overwrite,
}

impl SyncPath {
    /// The name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Append => "pwrite at the end + fdatasync",
            Self::Overwrite => "pwrite over written bytes + fdatasync",
        }
    }
}

/// Latencies of `count` short records, each made durable before the next.
pub fn sync_latencies(plan: &Plan, path: SyncPath, count: usize, record_bytes: usize) -> Result<Latencies> {
    let name = plan.dir.join("sync-yardstick");
    let file: File = OpenOptions::new().write(true).create_new(true).open(&name)?;
    if path == SyncPath::Overwrite {
        file.write_all_at(&vec![1; count * record_bytes], 0)?;
        file.sync_all()?;
    }
    let record = vec![2u8; record_bytes];
    let mut latencies = Latencies::new()?;
    for index in 0..count {
        latencies.time(|| -> Result<()> {
            file.write_all_at(&record, (index * record_bytes) as u64)?;
            Ok(file.sync_data()?)
        })?;
    }
    std::fs::remove_file(&name)?;
    Ok(latencies)
}
