//! Where the files of jobs go and which caches their readers use: what background jobs, recovery and opening share.

use super::collection::Collection;
use super::core::sst_options;
use crate::env::Env;
#[cfg(not(feature = "arrow"))]
use crate::error::Error;
use crate::error::{ErrorKind, Result};
use crate::flush::{JobTarget, RunTarget};
use crate::key::FileNumber;
use crate::lock::UnmodelledMutex;
use crate::sst::{AnySstReader, BlockCache, BrokenFile, Expected, SstIdentity, SstReader};
use crate::version::{FileFormat, FileMeta, file_name};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(feature = "arrow")]
use {
    crate::flush::RowRunTarget,
    crate::sst::{Compression, RowCache, RowFileExpected, RowFileOptions, RowFileReader, RowFormat},
};

/// A small budget makes groups of rows no smaller than this.
#[cfg(feature = "arrow")]
const GROUP_BYTES_MIN: usize = 512 << 10;

/// Arrow's encoder takes 12 MiB while it makes an LZ4 frame of more than 256 KiB. A job that has less than this shall not need them.
#[cfg(feature = "arrow")]
const LZ4_JOB_BYTES_MIN: usize = 16 << 20;

/// Groups of this many bytes never have such frames: those that are gathered take at most twice as much.
#[cfg(feature = "arrow")]
const LZ4_GROUP_BYTES: usize = 128 << 10;

/// What an open file holds, about, beside ten bits a key for its filter: index and metadata.
const OPEN_FILE_BYTES: u64 = 12 << 10;

/// The caches of a database, which together stay within its budget, and what it leaves to others.
#[derive(Clone)]
pub(crate) struct Caches {
    /// Blocks of column families.
    pub blocks: Arc<BlockCache>,
    /// Decoded rows of tables.
    #[cfg(feature = "arrow")]
    pub rows: Arc<RowCache>,
    budget: usize,
    /// What memtables are left at least.
    least_granted: usize,
    division: Arc<UnmodelledMutex<Division>>,
}

/// What the shares of the caches follow from.
#[derive(Default)]
struct Division {
    /// What is left to memtables.
    granted: usize,
    /// What open files hold, about.
    open_bytes: u64,
    /// Bytes of files of blocks, and of rows.
    files: (u64, u64),
}

impl Caches {
    /// Caches within `budget` bytes, of which memtables take `memtables`, for a database of these files.
    pub fn new<'a>(budget: usize, memtables: usize, files: impl Iterator<Item = &'a Arc<FileMeta>>) -> Self {
        let left = budget.saturating_sub(memtables).max(budget / 8);
        let caches = Self {
            blocks: BlockCache::new(left),
            #[cfg(feature = "arrow")]
            rows: RowCache::new(left),
            budget,
            least_granted: memtables,
            division: Arc::new(UnmodelledMutex::new(Division { granted: memtables, ..Division::default() })),
        };
        caches.divide(files);
        caches
    }

    /// What they leave to memtables at least.
    pub fn least_granted_bytes(&self) -> usize {
        self.least_granted
    }

    /// What they leave to memtables now.
    pub fn granted_bytes(&self) -> usize {
        self.division.lock().granted
    }

    /// Leaves so much to memtables from now on.
    pub fn grant(&self, bytes: usize) {
        let mut division = self.division.lock();
        division.granted = bytes;
        self.set_capacities(&division, true);
    }

    /// Memory that one scan, one flush or one merge of a table may hold, about.
    #[cfg(feature = "arrow")]
    pub fn job_bytes(&self) -> usize {
        self.budget / 4
    }

    /// Divides the bytes that memtables leave as these files are, an eighth or more for each kind; set apart are what open files hold
    /// and, once there are tables, what one job of a table may. In all the caches have at least an eighth of the budget.
    pub fn divide<'a>(&self, files: impl Iterator<Item = &'a Arc<FileMeta>>) {
        let mut division = self.division.lock();
        (division.open_bytes, division.files) = (0, (0, 0));
        for file in files {
            division.open_bytes += OPEN_FILE_BYTES + file.entries * 5 / 4;
            match file.format {
                FileFormat::Blocks => division.files.0 += file.size_bytes,
                FileFormat::Parquet | FileFormat::Ipc => division.files.1 += file.size_bytes,
            }
        }
        self.set_capacities(&division, false);
    }

    /// Every file changes the shares a little, which is not worth evicting anything, unless it is `wanted`.
    #[cfg(feature = "arrow")]
    fn set_capacities(&self, division: &Division, wanted: bool) {
        let (of_blocks, of_rows) = division.files;
        let all = self.left(division, if of_rows > 0 { self.job_bytes() } else { 0 });
        let share = match of_blocks + of_rows {
            0 => all / 2,
            files => (all as u128 * u128::from(of_blocks) / u128::from(files)) as usize,
        };
        let blocks = share.clamp(all / 8, all - all / 8);
        let rows = all - blocks;
        if !wanted
            && blocks.abs_diff(self.blocks.capacity_bytes()) <= all / 32
            && rows.abs_diff(self.rows.capacity_bytes()) <= all / 32
        {
            return;
        }
        // What shrinks first, so that both together never hold more.
        if blocks < self.blocks.capacity_bytes() {
            self.blocks.set_capacity_bytes(blocks);
            self.rows.set_capacity_bytes(rows);
        } else {
            self.rows.set_capacity_bytes(rows);
            self.blocks.set_capacity_bytes(blocks);
        }
    }

    /// With one cache there is nothing to divide.
    #[cfg(not(feature = "arrow"))]
    fn set_capacities(&self, division: &Division, wanted: bool) {
        let all = self.left(division, 0);
        if wanted || all.abs_diff(self.blocks.capacity_bytes()) > all / 32 {
            self.blocks.set_capacity_bytes(all);
        }
    }

    fn left(&self, division: &Division, job_bytes: usize) -> usize {
        let taken = division.granted.saturating_add(job_bytes).saturating_add(division.open_bytes as usize);
        self.budget.saturating_sub(taken).max(self.budget / 8)
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
    /// Bytes that may be held.
    capacity_bytes -> usize;
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
                options: self.row_file_options(collection),
                cache: self.caches.rows.clone(),
                memory_bytes: self.caches.job_bytes(),
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

#[cfg(feature = "arrow")]
impl FileMaker<'_> {
    /// How a table's files are written. Groups are whole in memory while they are, beside their encoding.
    fn row_file_options(&self, collection: &Collection) -> RowFileOptions {
        let options = collection.options.row_file_options();
        let job_bytes = self.caches.job_bytes();
        let has_lz4_frames = options.format == RowFormat::Ipc && options.compression == Compression::Lz4;
        let group_bytes = match has_lz4_frames && job_bytes < LZ4_JOB_BYTES_MIN {
            true => LZ4_GROUP_BYTES,
            false => (job_bytes / 4).max(GROUP_BYTES_MIN),
        };
        RowFileOptions { row_group_bytes: options.row_group_bytes.min(group_bytes), ..options }
    }
}

/// Opens a live file. A damaged one is no error here but a reader that has one for everybody who needs it; a missing one is an error.
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
    opened.or_else(|error| match error.kind() {
        ErrorKind::Corruption => Ok(AnySstReader::Broken(Arc::new(BrokenFile { path, error }))),
        // It is more likely elsewhere than gone: a folder not copied, an old manifest. To go on would make two histories of one.
        ErrorKind::NotFound => Err(error.with_kind(ErrorKind::Corruption).context("a live file is missing")),
        _ => Err(error),
    })
}
