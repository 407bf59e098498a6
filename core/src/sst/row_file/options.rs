//! How the files of tables are written.

use super::super::Compression;
use crate::iter::RowChunk;
use std::path::Path;
use std::sync::Arc;

/// The format of a table's files. The numbers are on disk and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RowFormat {
    /// Apache Parquet, the index before its footer.
    Parquet = 1,
    /// Apache Arrow IPC ("Feather 2"), the index in a file beside it.
    Ipc = 2,
}

impl RowFormat {
    /// The format that a file of this name has.
    pub fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "parquet" => Some(Self::Parquet),
            "arrow" => Some(Self::Ipc),
            _ => None,
        }
    }

    /// The format with this number.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Parquet),
            2 => Some(Self::Ipc),
            _ => None,
        }
    }
}

/// How one column differs from the others of its file. Arrow IPC compresses whole messages and has no dictionaries of its own, so
/// there these have no effect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnOverride {
    /// How the column is compressed; `None`: as the file.
    pub compression: Option<Compression>,
    /// Whether its values are written as a dictionary first; `None`: as its type suggests.
    pub dictionary: Option<bool>,
}

/// Gathers statistics of a caller's own while one file is written; they are stored in the file's index.
pub trait StatsHook: Send {
    /// Sees rows, in the order of the file.
    fn observe(&mut self, chunk: &RowChunk);

    /// What to store, by name.
    fn finish(&mut self) -> Vec<(String, Vec<u8>)>;
}

/// Makes the hook of one file.
pub type StatsHookFactory = Arc<dyn Fn() -> Box<dyn StatsHook> + Send + Sync>;

/// How a file of rows is written.
#[derive(Clone)]
pub struct RowFileOptions {
    /// The format.
    pub format: RowFormat,
    /// How it is compressed. In Parquet, LZ4 means `LZ4_RAW`.
    pub compression: Compression,
    /// The most rows of a group: a row group in Parquet, a batch in Arrow IPC, where this is 65,536 whatever is asked for.
    pub row_group_rows: usize,
    /// The most bytes of a row group in Parquet, about, in memory.
    pub row_group_bytes: usize,
    /// Rows between two entries of the key index; in Parquet also the most rows of a page.
    pub page_rows: usize,
    /// The most bytes of a page in Parquet, about.
    pub page_bytes: usize,
    /// Whether a keyed table's files have a filter of their keys.
    pub bloom: bool,
    /// How often the filter may be wrong, as a share of the absent keys.
    pub bloom_false_positives: f64,
    /// The most rows that will be added, if that is known: filters are then made for no more. Without it the file's own takes 8 bytes a
    /// key until it is whole. With more than memory has filters for, no file is created: NoMemory.
    pub rows_max: Option<u64>,
    /// What is different for single columns, by name.
    pub column_overrides: Vec<(String, ColumnOverride)>,
    /// Makes a caller's own statistics.
    pub stats_hook: Option<StatsHookFactory>,
}

impl RowFileOptions {
    /// The defaults of a format: Zstd in Parquet, no compression in Arrow IPC, whose point is to be read without decoding.
    pub fn new(format: RowFormat) -> Self {
        let compression = match format {
            RowFormat::Parquet => Compression::Zstd,
            RowFormat::Ipc => Compression::None,
        };
        Self {
            format,
            compression,
            row_group_rows: 65_536,
            row_group_bytes: 128 << 20,
            page_rows: 8192,
            page_bytes: 1 << 20,
            bloom: true,
            bloom_false_positives: 0.01,
            rows_max: None,
            column_overrides: Vec::new(),
            stats_hook: None,
        }
    }

    /// Bits of filter per key that keep the promise of `bloom_false_positives`; 0 without a filter.
    pub fn bloom_bits_per_key(&self) -> u32 {
        if !self.bloom {
            return 0;
        }
        // A plain Bloom filter takes log2(1/p) / ln 2 bits; keeping each key within one block costs about a tenth more.
        let bits = 1.1 * self.bloom_false_positives.clamp(1e-6, 0.5).recip().log2() / std::f64::consts::LN_2;
        (bits.ceil() as u32).clamp(1, crate::filter::MAX_BITS_PER_KEY)
    }
}

impl std::fmt::Debug for RowFileOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowFileOptions")
            .field("format", &self.format)
            .field("compression", &self.compression)
            .field("row_group_rows", &self.row_group_rows)
            .field("page_rows", &self.page_rows)
            .field("bloom", &self.bloom)
            .finish_non_exhaustive()
    }
}
