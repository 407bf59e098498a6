//! Statistics: what the database holds and has done, as a struct and as named numbers.

use crate::boundary::{self, Stop};
use crate::bytes::{self, Out, Sized32};
use crate::handle::Object;
use crate::open::{Database, sstore_db};
use crate::status::{c_text, sstore_code, sstore_error};
use engine::HistogramSummary;
use std::ffi::{CString, c_char};

/// What a database holds, at one moment. Taken without stopping anyone: the numbers may be a few operations apart.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_stats {
    /// Set by the caller to sizeof(sstore_stats).
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// The last write that is visible.
    pub sequence: u64,
    /// Every write up to this one is durable.
    pub durable_sequence: u64,
    /// Memory of the memtables that take writes.
    pub memtable_bytes: u64,
    /// Memtables that wait for their flush.
    pub frozen_memtables: u64,
    /// Their memory.
    pub frozen_bytes: u64,
    /// Memory of the block cache.
    pub cache_bytes: u64,
    /// Blocks found in it.
    pub cache_hits: u64,
    /// Blocks not found in it.
    pub cache_misses: u64,
    /// Size of the log.
    pub log_bytes: u64,
    /// Its segments.
    pub log_segments: u64,
    /// Size of the tables.
    pub file_bytes: u64,
    /// How many tables.
    pub files: u64,
    /// Events dropped because the listener was slow.
    pub events_dropped: u64,
    /// Column families.
    pub families: u64,
}

macro_rules! stats {
    ($($field:ident)*) => {
        impl Default for sstore_stats {
            fn default() -> Self {
                Self { struct_size: size_of::<Self>() as u32, reserved: 0, $($field: 0,)* }
            }
        }

        impl From<&engine::Stats> for sstore_stats {
            fn from(stats: &engine::Stats) -> Self {
                Self { $($field: stats.$field as u64,)* ..Self::default() }
            }
        }
    };
}

stats! {
    sequence durable_sequence memtable_bytes frozen_memtables frozen_bytes cache_bytes cache_hits
    cache_misses log_bytes log_segments file_bytes files events_dropped families
}

// SAFETY: `repr(C)`, two u32, then u64: no padding, any bits are a value.
unsafe impl Sized32 for sstore_stats {}

/// Fills `*stats`, which must have its struct_size set. Does not block; any thread. Errors: CLOSED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_stats_get(
    db: *const sstore_db,
    stats: *mut sstore_stats,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        bytes::fill(stats, sstore_stats::default(), "stats")?;
        let database = handles.pin::<Database>(db)?;
        Ok(bytes::fill(stats, sstore_stats::from(&database.db.stats()), "stats")?)
    })
}

/// How long one kind of operation took since the database was opened, in nanoseconds; quantiles are at most an eighth too high.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_histogram {
    /// Set by the caller to sizeof(sstore_histogram).
    pub struct_size: u32,
    /// One in so many is timed, on average, and the others are in none of these figures; 1: each is.
    pub one_in: u32,
    /// How many were timed.
    pub count: u64,
    /// How long those took together.
    pub sum: u64,
    /// Half of them took at most this.
    pub p50: u64,
    /// 99 % of them took at most this.
    pub p99: u64,
    /// 99.9 % of them took at most this.
    pub p999: u64,
    /// The longest.
    pub max: u64,
}

impl Default for sstore_histogram {
    fn default() -> Self {
        Self::from(&HistogramSummary::default())
    }
}

impl From<&HistogramSummary> for sstore_histogram {
    fn from(summary: &HistogramSummary) -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            one_in: summary.one_in as u32,
            count: summary.count,
            sum: summary.sum,
            p50: summary.p50,
            p99: summary.p99,
            p999: summary.p999,
            max: summary.max,
        }
    }
}

// SAFETY: `repr(C)`, two u32, then u64: no padding, any bits are a value.
unsafe impl Sized32 for sstore_histogram {}

/// Fills `*histogram`, which must have its struct_size set, with the times of one operation: "write" (single writes, and batches as a
/// whole), "get" (single look-ups of families), "seek" (of iterators over families), "sync" (waits for the log to be durable), "fsync" (syncs of single files
/// and directories), "flush", "merge", "stall" (stops of writers), "delay" (their short waits). Of the first three one in 128 is
/// timed. Does not block; any thread. Errors: INVALID_ARGUMENT (unknown name), CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_histogram_get(
    db: *const sstore_db,
    name: *const c_char,
    histogram: *mut sstore_histogram,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        bytes::fill(histogram, sstore_histogram::default(), "histogram")?;
        let name = bytes::text(name, "name")?;
        let summary = handles.pin::<Database>(db)?.db.histogram(name)?;
        Ok(bytes::fill(histogram, sstore_histogram::from(&summary), "histogram")?)
    })
}

/// Named counters and times at one moment. Thread safety: free. Free with sstore_metrics_free.
pub struct sstore_metrics {
    _opaque: [u8; 0],
}

struct MetricsObject(Vec<(CString, u64)>);

impl Object for MetricsObject {
    type Opaque = sstore_metrics;
    const TYPE: u8 = 13;
    const NAME: &'static str = "metrics object";
}

/// Takes every counter since the database was opened, and of every histogram (see sstore_histogram_get) the parts
/// `<name>.count`, `.sum`, `.p50`, `.p99`, `.p999` and `.max` in nanoseconds, and `.one_in`. `*metrics` is the caller's; free it with sstore_metrics_free. Does not block; any thread.
/// Errors: CLOSED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_metrics_create(
    db: *const sstore_db,
    metrics: *mut *mut sstore_metrics,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(metrics, std::ptr::null_mut());
    boundary::call(error, |handles| {
        out.required("metrics")?;
        let stats = handles.pin::<Database>(db)?.db.stats();
        let mut named: Vec<_> = stats.counters.iter().map(|(name, value)| (c_text(name.as_bytes()), *value)).collect();
        for (name, summary) in &stats.histograms {
            let parts = [
                ("count", summary.count),
                ("sum", summary.sum),
                ("p50", summary.p50),
                ("p99", summary.p99),
                ("p999", summary.p999),
                ("max", summary.max),
                ("one_in", summary.one_in),
            ];
            named.extend(parts.map(|(part, value)| (c_text(format!("{name}.{part}").as_bytes()), value)));
        }
        out.set(handles.insert(MetricsObject(named))?);
        Ok(())
    })
}

/// Counters, times, memory by owner, amplification and the size of each family and table, in the text format of Prometheus
/// (version 0.0.4): to be served as it is, as `text/plain; version=0.0.4`. All names begin with `sstore_`. `*text` is the caller's, with a
/// NUL at its end; free it with sstore_free. `*length`, which may be NULL, is its length without that. Does not block; any thread.
/// Errors: CLOSED, FORKED, INVALID_ARGUMENT, NO_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_metrics_text(
    db: *const sstore_db,
    text: *mut *mut c_char,
    length: *mut usize,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let (out, out_length) = (Out::new(text, std::ptr::null_mut()), Out::new(length, 0));
    boundary::call(error, |handles| {
        out.required("text")?;
        let text = handles.pin::<Database>(db)?.db.metrics_text()?;
        out.set(bytes::owned(text.as_bytes())?.cast());
        out_length.set(text.len());
        Ok(())
    })
}

/// How many there are; 0 for NULL and for what is no metrics object. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_metrics_count(metrics: *const sstore_metrics) -> usize {
    boundary::value(0, |handles| Ok(handles.pin::<MetricsObject>(metrics)?.0.len()))
}

/// Name and value at `index`; each may be NULL. The name lives until the metrics are freed. Does not block; any thread.
/// Errors: NOT_FOUND (no such index), INVALID_ARGUMENT, CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_metrics_get(
    metrics: *const sstore_metrics,
    index: usize,
    name: *mut *const c_char,
    value: *mut u64,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let (out_name, out_value) = (Out::new(name, std::ptr::null()), Out::new(value, 0));
    boundary::call(error, |handles| {
        let metrics = handles.pin::<MetricsObject>(metrics)?;
        let (name, value) = metrics.0.get(index).ok_or(Stop::Missing)?;
        out_name.set(name.as_ptr());
        out_value.set(*value);
        Ok(())
    })
}

/// Frees metrics. NULL and what was freed already do nothing. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_metrics_free(metrics: *mut sstore_metrics) {
    boundary::value((), |handles| handles.remove::<MetricsObject>(metrics));
}
