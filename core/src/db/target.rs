//! Where the files of jobs go and which caches their readers use: what background jobs, recovery and opening share.

use super::collection::Collection;
use super::core::sst_options;
use crate::env::Env;
#[cfg(not(feature = "arrow"))]
use crate::error::Error;
use crate::error::{ErrorKind, Result};
use crate::flush::{JobTarget, RunTarget};
use crate::key::FileNumber;
use crate::sst::{AnySstReader, BlockCache, Expected, SstIdentity, SstReader};
use crate::version::{FileFormat, FileMeta, file_name};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(feature = "arrow")]
use {
    crate::flush::RowRunTarget,
    crate::sst::{RowCache, RowFileExpected, RowFileReader},
};

/// The caches of a database, which together stay within its budget.
#[derive(Clone)]
pub(crate) struct Caches {
    /// Blocks of column families.
    pub blocks: Arc<BlockCache>,
    /// Decoded rows of tables.
    #[cfg(feature = "arrow")]
    pub rows: Arc<RowCache>,
}

impl Caches {
    /// Caches that hold `bytes` in all, by halves.
    pub fn new(bytes: usize) -> Self {
        #[cfg(feature = "arrow")]
        let blocks = bytes / 2;
        #[cfg(not(feature = "arrow"))]
        let blocks = bytes;
        Self {
            blocks: BlockCache::new(blocks),
            #[cfg(feature = "arrow")]
            rows: RowCache::new(bytes - blocks),
        }
    }

    /// Divides what they hold in all as these files are, an eighth or more for each kind.
    #[cfg(feature = "arrow")]
    pub fn divide<'a>(&self, files: impl Iterator<Item = &'a Arc<FileMeta>>) {
        let (mut of_blocks, mut of_rows) = (0u64, 0u64);
        for file in files {
            match file.format {
                FileFormat::Blocks => of_blocks += file.size_bytes,
                FileFormat::Parquet | FileFormat::Ipc => of_rows += file.size_bytes,
            }
        }
        let all = self.blocks.capacity_bytes() + self.rows.capacity_bytes();
        let eighth = all / 8;
        let share = match of_blocks + of_rows {
            0 => all / 2,
            files => (all as u128 * u128::from(of_blocks) / u128::from(files)) as usize,
        };
        let blocks = share.clamp(eighth, all - eighth);
        // Every file changes the shares a little, which is not worth evicting anything.
        if blocks.abs_diff(self.blocks.capacity_bytes()) > all / 32 {
            // What shrinks first, so that both together never hold more.
            if blocks < self.blocks.capacity_bytes() {
                self.blocks.set_capacity_bytes(blocks);
                self.rows.set_capacity_bytes(all - blocks);
            } else {
                self.rows.set_capacity_bytes(all - blocks);
                self.blocks.set_capacity_bytes(blocks);
            }
        }
    }
}

macro_rules! total {
    ($($(#[$doc:meta])* $name:ident -> $total:ty;)*) => {
        impl Caches {
            $($(#[$doc])*
            pub fn $name(&self) -> $total {
                let total = self.blocks.$name();
                #[cfg(feature = "arrow")]
                let total = total + self.rows.$name();
                total
            })*
        }
    };
}

total! {
    /// Bytes held.
    used_bytes -> usize;
    /// Look-ups that found what they wanted.
    hits -> u64;
    /// Look-ups that did not.
    misses -> u64;
}

/// Times that name directories: each greater than all before, whatever the clock does.
#[derive(Default)]
pub(crate) struct Stamps {
    last: AtomicU64,
}

#[cfg_attr(not(feature = "arrow"), expect(dead_code, reason = "only files of tables have such names"))]
impl Stamps {
    /// None at or below this one is given out.
    pub fn raise(&self, stamp: u64) {
        self.last.fetch_max(stamp, Ordering::Relaxed);
    }

    /// The present, or just after the last one.
    pub fn next(&self, env: &Env) -> u64 {
        let now = env.runtime.unix_nanos().max(file_name::STAMP_MIN_NANOS);
        let mut last = self.last.load(Ordering::Relaxed);
        loop {
            let next = now.max(last + 1);
            match self.last.compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return next,
                Err(seen) => last = seen,
            }
        }
    }
}

/// Who makes files for a database.
pub(super) struct FileMaker<'a> {
    pub env: &'a Env,
    pub caches: &'a Caches,
    #[cfg_attr(not(feature = "arrow"), expect(dead_code, reason = "only files of tables have such names"))]
    pub stamps: &'a Stamps,
    pub database_id: u64,
    pub epoch: u64,
}

impl FileMaker<'_> {
    /// Where a job's file goes.
    pub fn target(
        &self,
        collection: &Collection,
        number: FileNumber,
        level: u32,
        inputs: Vec<FileNumber>,
    ) -> JobTarget {
        let identity = SstIdentity {
            database_id: self.database_id,
            epoch: self.epoch,
            number,
            collection: collection.id,
            job: number.0,
            inputs,
            outputs: vec![number],
        };
        #[cfg(feature = "arrow")]
        if let Some(schema) = collection.schemas.current() {
            return JobTarget::Rows(RowRunTarget {
                env: self.env.clone(),
                directory: collection.directory.clone(),
                identity,
                schema,
                options: collection.options.row_file_options(),
                cache: self.caches.rows.clone(),
                level,
                stamp_nanos: self.stamps.next(self.env),
            });
        }
        JobTarget::Blocks(RunTarget {
            env: self.env.clone(),
            path: collection.directory.join(file_name::sst(number)),
            identity,
            options: sst_options(&collection.options),
            cache: self.caches.blocks.clone(),
            level,
        })
    }
}

/// Opens a live file.
pub(super) fn open_file(
    env: &Env,
    database_id: u64,
    collection: &Collection,
    meta: &FileMeta,
    caches: &Caches,
) -> Result<AnySstReader> {
    let path = file_name::file_path(&collection.directory, meta);
    let expected =
        Expected { database_id, number: meta.number, collection: collection.id, size_bytes: Some(meta.size_bytes) };
    let opened = match meta.format {
        FileFormat::Blocks => SstReader::open(env, &path, &expected, caches.blocks.clone()).map(AnySstReader::Bytes),
        #[cfg(feature = "arrow")]
        FileFormat::Parquet | FileFormat::Ipc => {
            let expected = RowFileExpected {
                file: expected,
                checksum: Some(meta.checksum),
                index_offset: Some(meta.footer_offset),
            };
            let schemas = |id| collection.schemas.find(id);
            RowFileReader::open(env, &path, &expected, &schemas, caches.rows.clone()).map(AnySstReader::Rows)
        }
        #[cfg(not(feature = "arrow"))]
        FileFormat::Parquet | FileFormat::Ipc => {
            Err(Error::new(ErrorKind::NotSupported, "this library was built without Arrow").in_file(&path))
        }
    };
    opened.map_err(|error| match error.kind() {
        // The manifest names it, so its absence is damage.
        ErrorKind::NotFound => error.with_kind(ErrorKind::Corruption).context("a live file is missing"),
        _ => error,
    })
}
