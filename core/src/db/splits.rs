//! Splits of a scan, for other processes, and what keeps their files meanwhile.

use super::get::ReadOptions;
use super::live_files::LiveFiles;
use super::{Db, ScanOptions, Table};
use crate::error::{Error, Result};
use crate::read::split::{Split, plan_splits};

/// The splits of one scan. As long as it is held no file of theirs is deleted; the database may be closed meanwhile.
pub struct Splits {
    /// The splits, in the order of the scan. None if the table has no rows in the range.
    pub splits: Vec<Split>,
    /// The table's files, kept.
    pub files: LiveFiles,
}

impl Db {
    /// Cuts a scan into splits of about `target_bytes` of file each, that share no row and together show what the scan shows now, or
    /// at the snapshot. What is in memory is flushed first; waits for that. InvalidArgument for a scan with a limit, which no part
    /// of it can keep alone, and for what a scan refuses.
    pub fn splits(
        &self,
        table: &Table,
        scan: &ScanOptions,
        options: &ReadOptions<'_>,
        target_bytes: u64,
    ) -> Result<Splits> {
        if scan.limit.is_some() {
            return Err(Error::invalid("a scan with a limit cannot be split"));
        }
        self.check_table(table)?;
        // Taken before the flush: merges from here on keep every version that it sees.
        let now = self.snapshot()?;
        let options = ReadOptions { snapshot: options.snapshot.or(Some(&now)) };
        let core = &self.handle.core;
        if !core.read_only {
            self.flush_tables(&[table])?.wait(None)?;
        }
        let files = self.table_live_files(table, &options)?;
        if files.complete_through < files.sequence {
            return Err(Error::invalid(
                "rows of the log are in memory, and a database open for reading cannot flush them",
            ));
        }
        // The pin is older than this view, so its files are kept too.
        let (view, _) = core.pin_at(table.id(), options.snapshot)?;
        let schema = view.active.rows().map_or_else(|| table.current(), |memtable| memtable.schema().clone());
        let request = self.scan_request(&schema, scan)?;
        let whole = Split {
            database: core.path.clone(),
            database_id: core.database_id,
            table: table.name().to_owned(),
            collection: table.id(),
            sequence: files.sequence,
            schema,
            range: request.range.clone(),
            columns: request.columns.clone(),
            filter: request.filter.clone(),
            reverse: request.reverse,
            batch_rows: request.batch_rows,
            files: Vec::new(),
            estimated_rows: 0,
            estimated_bytes: 0,
        };
        // What a worker would refuse is refused here.
        Split { files: Vec::new(), ..whole.clone() }.run(&core.env, 0)?;
        Ok(Splits { splits: plan_splits(&whole, &view, &request, target_bytes), files })
    }
}
