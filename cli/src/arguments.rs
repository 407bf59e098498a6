//! The command line: verbs, their arguments, and the help that is made of both.

use crate::text::Form;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Looks into an sstore database without changing a byte, also while a program writes to it; `import` alone writes one.
#[derive(Parser)]
#[command(
    name = "sstore",
    version,
    after_help = "Exit codes: 0 fine; 1 damage, or not there; 2 a wrong call, or anything else that failed.\n\
                  Keys and values are shown as text; bytes that are none as \\xNN, a backslash as \\\\. \
                  Keys are given in the same way."
)]
pub struct Arguments {
    /// How results are shown: as a table for people, or as JSON, one object a line.
    #[arg(long, global = true, value_enum, default_value = "table")]
    pub format: Format,

    #[command(subcommand)]
    pub verb: Verb,
}

/// How results are shown.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// One JSON object a line.
    Json,
}

/// What to do.
#[derive(Subcommand)]
pub enum Verb {
    /// The database in numbers: families, tables, files, log, memory.
    Stat(Database),
    /// The sorted files of each family and table, level by level.
    Levels(Levels),
    /// The value of a key, or the row with a key.
    Get(Get),
    /// The entries of a family, or the rows of a table, in order.
    Scan(Scan),
    /// How many entries or rows a scan would show.
    Count(Selection),
    /// Every entry of one .sst, .parquet or .arrow file, old versions and deletes included.
    Dump(Dump),
    /// The records of the log: of a database, of a folder of segments, or of one segment.
    Wal(Wal),
    /// The edits of the manifest: of the one in force in a database, or of a MANIFEST file.
    Manifest(Manifest),
    /// What one .sst, .parquet or .arrow file says of itself: properties, index, filter.
    Sst(SstFile),
    /// Reads every byte of every live file, of the manifest, of the log and its archive, and names every damaged file.
    Verify(Verify),
    /// Writes what another engine's database holds into a new or an existing one.
    Import(Import),
    /// Prints the completions of a shell, for it to load.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Writes the manual pages of the command and of its verbs into a folder.
    #[command(hide = true)]
    Man {
        /// The folder, which is there.
        directory: PathBuf,
    },
}

/// Which database.
#[derive(Args)]
pub struct Database {
    /// The directory of the database.
    pub path: PathBuf,

    /// Where its log lies, if the option wal_dir put it elsewhere.
    #[arg(long, value_name = "DIR")]
    pub wal_dir: Option<PathBuf>,
}

/// How keys are written on the command line and shown.
#[derive(Args)]
pub struct Keys {
    /// Keys and values in hexadecimal digits, given and shown.
    #[arg(long)]
    pub hex: bool,
}

impl Keys {
    /// The form that was chosen.
    pub fn form(&self) -> Form {
        if self.hex { Form::Hex } else { Form::Text }
    }
}

/// What `levels` shows.
#[derive(Args)]
pub struct Levels {
    #[command(flatten)]
    pub database: Database,

    #[command(flatten)]
    pub keys: Keys,

    /// Only this family or table.
    #[arg(short, long, value_name = "NAME")]
    pub collection: Option<String>,
}

/// What `get` looks up.
#[derive(Args)]
pub struct Get {
    #[command(flatten)]
    pub database: Database,

    /// The key; of a table the values of its key's columns, one after the other.
    #[arg(required = true)]
    pub key: Vec<String>,

    #[command(flatten)]
    pub keys: Keys,

    /// The family or table to look in.
    #[arg(short, long, value_name = "NAME", default_value = sstore::DEFAULT_FAMILY)]
    pub collection: String,

    /// Only these columns of the row, separated by commas.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub columns: Option<Vec<String>>,
}

/// Which entries or rows.
#[derive(Args)]
pub struct Selection {
    #[command(flatten)]
    pub database: Database,

    #[command(flatten)]
    pub keys: Keys,

    /// The family or table to look in.
    #[arg(short, long, value_name = "NAME", default_value = sstore::DEFAULT_FAMILY)]
    pub collection: String,

    /// The first key of a family to show.
    #[arg(long, value_name = "KEY")]
    pub from: Option<String>,

    /// The first key of a family to show no more.
    #[arg(long, value_name = "KEY")]
    pub to: Option<String>,

    /// Only keys of a family that begin so.
    #[arg(long, value_name = "KEY")]
    pub prefix: Option<String>,

    /// Only rows of a table for which this holds, as in SQL: "age < 5 and name like 'T%'".
    #[arg(long = "where", value_name = "CONDITION")]
    pub condition: Option<String>,

    /// The most entries or rows.
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<u64>,
}

/// What `scan` shows.
#[derive(Args)]
pub struct Scan {
    #[command(flatten)]
    pub selection: Selection,

    /// Only these columns of a table, in this order, separated by commas.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub columns: Option<Vec<String>>,

    /// From the last key of a family to the first.
    #[arg(long)]
    pub reverse: bool,
}

/// What `dump` shows.
#[derive(Args)]
pub struct Dump {
    /// The file; of an Arrow IPC file the data.arrow.
    pub file: PathBuf,

    #[command(flatten)]
    pub keys: Keys,

    /// The most entries or rows.
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<u64>,
}

/// Which log.
#[derive(Args)]
pub struct Wal {
    /// A database, a folder of segments, or one segment.
    pub path: PathBuf,

    /// Where the log of the database lies, if the option wal_dir put it elsewhere.
    #[arg(long, value_name = "DIR")]
    pub wal_dir: Option<PathBuf>,

    /// Also the segments in the archive, before the others.
    #[arg(long)]
    pub archive: bool,
}

/// Which manifest.
#[derive(Args)]
pub struct Manifest {
    /// A database, or one MANIFEST file.
    pub path: PathBuf,

    #[command(flatten)]
    pub keys: Keys,
}

/// Which file.
#[derive(Args)]
pub struct SstFile {
    /// The file; of an Arrow IPC file the data.arrow.
    pub file: PathBuf,

    #[command(flatten)]
    pub keys: Keys,
}

/// What `verify` reads.
#[derive(Args)]
pub struct Verify {
    #[command(flatten)]
    pub database: Database,

    /// Take also a torn end of the log, as a power cut leaves it, for damage.
    #[arg(long)]
    pub absolute: bool,
}

/// From where `import` takes.
#[derive(Args)]
pub struct Import {
    #[command(subcommand)]
    pub from: ImportFrom,
}

/// The engines that `import` reads.
#[derive(Subcommand)]
pub enum ImportFrom {
    /// A database of LevelDB: exactly what LevelDB would show. It is only read, every checksum is verified, and no process may have it open.
    Leveldb(ImportLeveldb),
}

/// What is taken of LevelDB, and where to.
#[derive(Args)]
pub struct ImportLeveldb {
    /// The directory of the LevelDB database.
    pub source: PathBuf,

    /// The database to write. One that is not there yet appears when it is whole, and not at all after a failure; in one that is there,
    /// keys get the imported values, and others stay.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,

    /// The column family to write to. One that is not there is made, and dropped again after a failure.
    #[arg(short, long, value_name = "NAME", default_value = sstore::DEFAULT_FAMILY)]
    pub collection: String,

    /// Skip damaged blocks, records and files, and tell them, instead of giving up; exit code 1 if there were any. What was deleted or
    /// overwritten in what is skipped may come back.
    #[arg(long)]
    pub skip_damaged: bool,

    /// An option of the database, as in docs/options.md; may be given several times.
    #[arg(long = "option", value_name = "NAME=VALUE")]
    pub options: Vec<String>,
}
