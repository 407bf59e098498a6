/*
 * sstore: an embedded LSM storage engine. SPDX-License-Identifier: Apache-2.0 OR MIT
 *
 * THE LIFE OF A DATABASE, which is the order of the chapters below: options are made, a database is opened with them, column families
 * and tables are created in it or opened; they are written, read and flushed through their handles; whatever was given is freed; the
 * database is closed with sstore_close. A program needs sstore_open, sstore_put, sstore_get, sstore_free and sstore_close to begin with.
 *
 * TERMS
 *   column family   keys and values of bytes, sorted by key bytewise; each database has one, the default family, which NULL stands for
 *   table           rows of typed columns, sorted by a key of some of them, or in order of arrival
 *   sequence        the place of a write in the history of its database: each write has a greater one than those before it
 *   snapshot        a sequence that reads go back to
 *   memtable        what was written lately, in memory; frozen when it is full, and written to a file by a flush, in the background
 *   flush, merge    a flush makes a file of memtables, a merge (or compaction) one of several files
 *   log             where each write goes first, so that it survives; a segment of it goes when all that it tells is in files
 *   split           a part of a scan that another thread or process can execute
 *
 * CONVENTIONS, which hold for every function unless its comment says otherwise:
 *
 *  1. Results. A function that can fail returns an sstore_code. A missing key, and the end of an iteration, are
 *     SSTORE_NOT_FOUND without an error object.
 *  2. Errors. The last parameter `error` may be NULL. Otherwise `*error` becomes NULL on entry and, on a failure, an object
 *     that the caller frees with sstore_error_free. What `*error` held before is not looked at. When there is no memory for one, it is
 *     an object that needs none.
 *  3. Out-parameters are written on every path: with NULL or 0 where there is no result. Where NULL is allowed for one, its
 *     function says so; elsewhere it is SSTORE_INVALID_ARGUMENT.
 *  4. Bytes are a pointer and a length. NULL with length 0 is an empty string of bytes and legal. Inputs are copied, or borrowed
 *     until the call returns: the caller may reuse them afterwards. Texts are NUL-terminated UTF-8; paths any bytes but NUL.
 *     A length that cannot be is SSTORE_INVALID_ARGUMENT, and nothing is looked at: above 64 KiB for keys that are written or looked up,
 *     above 1 GiB for other bytes that are read, above 4,294,967,295 elements of an array, above 2^47 bytes of room.
 *  5. Ownership. What a function named .._create, .._open, .._list or with a pointer to a handle as a result gives is the caller's,
 *     and is freed with the free function of its type; copies of bytes are freed with sstore_free. Free functions accept NULL,
 *     and handles that were freed already, and do nothing then. No other memory changes hands, but for
 *     Arrow: see 14.
 *  6. Handles are not pointers to memory: they are checked on every call and never followed. One that was freed or closed gives
 *     SSTORE_CLOSED, one of another type or any other value SSTORE_INVALID_ARGUMENT.
 *  7. Order of freeing. Any order is safe. Column families, tables, iterators, snapshots, pinned values, scans, row builders and tokens
 *     keep what they need alive; sstore_close says SSTORE_BUSY while iterators or snapshots are open, sstore_release waits for them without blocking.
 *  8. Threads. Each handle type states which threads may use it. `any thread` at a function means: at any time, also at once with
 *     others. An object may always be freed while another thread uses it: it goes when that call ends.
 *  9. Blocking. Each function states whether it may block. None blocks for ever: a close or a failure ends every wait.
 * 10. Fork. After fork() the child gets SSTORE_FORKED for every handle of the parent, and may open databases of its own.
 * 11. Structs begin with struct_size, set by the caller to sizeof: structs grow at their end, and older and newer callers and
 *     libraries fit together. Begin with the .._INIT macros. Reserved fields are 0.
 * 12. Callbacks must return: no exception, longjmp or pthread_exit may leave one.
 * 13. The library installs no signal handlers, writes nothing to stdout or stderr, and stays loaded after dlclose.
 * 14. Tables speak the Arrow C data and stream interfaces. A batch is an array of a struct type, with a child for each column and no
 *     nulls of its own. Every ArrowSchema, ArrowArray and ArrowArrayStream that a function takes is moved: when the call returns,
 *     with whatever code, it has been released, once, by the calling thread, and its `release` is NULL; what the library keeps
 *     is a copy. What it gives is the caller's to release: from any thread, also after everything else was freed and closed.
 *     Where a call gives nothing, `release` is NULL. Types, nesting, counts, offsets, texts, dictionaries and alignment of what is
 *     taken are checked or put right; that buffers are as long as these say is the caller's promise.
 * 15. A library built without tables has their functions too: all answer SSTORE_NOT_SUPPORTED, and release what they are given. So
 *     does sstore_import_leveldb of a library built without it.
 *
 * THREAD SAFETY, per handle:
 *   sstore_db, sstore_column_family, sstore_snapshot, sstore_pinned, sstore_values, sstore_flush_token, sstore_segments,
 *   sstore_metrics, sstore_list, sstore_error, sstore_table, sstore_filter, sstore_splits, sstore_files,
 *   sstore_repair_report
 *                                     free: any number of threads at once
 *   sstore_iterator, sstore_batch, sstore_options, sstore_row_builder, sstore_scan
 *                                     one thread at a time, which may change; a second at once gets SSTORE_BUSY
 */


#ifndef SSTORE_H
#define SSTORE_H

/* Generated from ffi/src: change the doc comments there, not this file. */

#include <stddef.h>
#include <stdint.h>

/** Whether the header is at least this version. */
#define SSTORE_VERSION_AT_LEAST(major, minor, patch) \
    (SSTORE_VERSION_NUMBER >= (major) * 1000000 + (minor) * 1000 + (patch))

#ifdef __cplusplus
extern "C" {
#endif

/* The Arrow C data interface and the Arrow C stream interface, as their specification declares them: whichever header comes
 * first declares them for all. */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

#endif /* ARROW_C_DATA_INTERFACE */

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};

#endif /* ARROW_C_STREAM_INTERFACE */

#ifdef __cplusplus
} /* extern "C" */
#endif


/**
 * The version of the header: major.
 */
#define SSTORE_VERSION_MAJOR 0

/**
 * The version of the header: minor.
 */
#define SSTORE_VERSION_MINOR 1

/**
 * The version of the header: patch.
 */
#define SSTORE_VERSION_PATCH 0

/**
 * The version of the header as one number: major * 1000000 + minor * 1000 + patch. Compare it with sstore_version_number().
 */
#define SSTORE_VERSION_NUMBER 1000

/**
 * What came of a call. The numbers are frozen: none is ever reused or given another meaning. A later version may add
 * codes; treat one that you do not know as a failure.
 */
typedef enum sstore_code {
    /**
     * It succeeded.
     */
    SSTORE_OK = 0,
    /**
     * The thing asked for does not exist. For a missing key and for the end of an iteration there is no error object.
     */
    SSTORE_NOT_FOUND = 1,
    /**
     * The call is wrong: fix the argument that the message names.
     */
    SSTORE_INVALID_ARGUMENT = 2,
    /**
     * Bytes on disk are not what was written. Path and offset of the error say which.
     */
    SSTORE_CORRUPTION = 3,
    /**
     * The operating system refused or failed an operation.
     */
    SSTORE_IO = 4,
    /**
     * The disk, a quota or a file size limit is full. Free space, then call sstore_resume.
     */
    SSTORE_NO_SPACE = 5,
    /**
     * Another process, or another handle of this process, has the database open.
     */
    SSTORE_LOCKED = 6,
    /**
     * Something that belongs to the object is still open, or another thread is using it right now.
     */
    SSTORE_BUSY = 7,
    /**
     * The handle, or the database behind it, was closed or freed.
     */
    SSTORE_CLOSED = 8,
    /**
     * The handle was made before a fork; this process is the child. Open the database again here.
     */
    SSTORE_FORKED = 9,
    /**
     * The database is open for reading only, or turned read-only after a failure.
     */
    SSTORE_READ_ONLY = 10,
    /**
     * The format or the feature is newer than this library, or not offered here.
     */
    SSTORE_NOT_SUPPORTED = 11,
    /**
     * The time given ran out. The operation goes on.
     */
    SSTORE_TIMED_OUT = 12,
    /**
     * The write would have had to wait for flushes, and the caller asked not to wait.
     */
    SSTORE_STALLED = 13,
    /**
     * The operation was called off before it took effect.
     */
    SSTORE_CANCELLED = 14,
    /**
     * An earlier failure left the outcome of a write unknown. Close and open again.
     */
    SSTORE_POISONED = 15,
    /**
     * The column family or table was dropped.
     */
    SSTORE_DROPPED = 16,
    /**
     * The caller's buffer is too small; the size needed was written.
     */
    SSTORE_TOO_SMALL = 17,
    /**
     * Memory, or a handle, could not be had.
     */
    SSTORE_NO_MEMORY = 18,
    /**
     * The condition of a conditional write did not hold.
     */
    SSTORE_CONFLICT = 19,
    /**
     * A stretch of history that was asked for is gone.
     */
    SSTORE_GAP = 20,
    /**
     * Another writer took the database over.
     */
    SSTORE_FENCED = 21,
    /**
     * A bug in the library was caught. Please report the message.
     */
    SSTORE_PANIC = 22,
} sstore_code;

/**
 * What a write waits for. The numbers are frozen.
 */
typedef enum sstore_durability {
    /**
     * As the option durability says.
     */
    SSTORE_DURABILITY_DEFAULT = 0,
    /**
     * The operating system has the write: it survives the death of the process.
     */
    SSTORE_DURABILITY_BUFFERED = 1,
    /**
     * The disk has the write: it survives a power cut.
     */
    SSTORE_DURABILITY_SYNC = 2,
} sstore_durability;

/**
 * What an operation does. The numbers are frozen.
 */
typedef enum sstore_operation_kind {
    /**
     * Sets the value.
     */
    SSTORE_OPERATION_PUT = 1,
    /**
     * Removes the key; the value must be empty.
     */
    SSTORE_OPERATION_DELETE = 2,
} sstore_operation_kind;

/**
 * What an event tells. The numbers are frozen.
 */
typedef enum sstore_event_kind {
    /**
     * A memtable was full, or asked to be flushed, and takes no more writes. `number` is its id, `detail` the reason. Was
     * it log_full, `detail` goes on with the log's oldest segment, which it held, and the length of the log.
     */
    SSTORE_EVENT_MEMTABLE_SEALED = 1,
    /**
     * A flush job began. `number` is the file that it will write.
     */
    SSTORE_EVENT_FLUSH_BEGIN = 2,
    /**
     * A flush job's file is in the manifest and visible. `detail` is the reason.
     */
    SSTORE_EVENT_FLUSH_DONE = 3,
    /**
     * A merge of runs began. `number` is the file that it will write.
     */
    SSTORE_EVENT_COMPACTION_BEGIN = 4,
    /**
     * A merge's file is in the manifest and visible.
     */
    SSTORE_EVENT_COMPACTION_DONE = 5,
    /**
     * A log segment was begun.
     */
    SSTORE_EVENT_LOG_CREATED = 6,
    /**
     * A log segment that nobody needs any more was deleted. If it was, or was to be, in the archive, `detail` is its name
     * there, or why it is not there.
     */
    SSTORE_EVENT_LOG_DELETED = 7,
    /**
     * A file that nobody needs any more was deleted.
     */
    SSTORE_EVENT_FILE_DELETED = 8,
    /**
     * Writers wait. `detail` is the cause: frozen_memtables or memory_budget (they are stopped until a flush made room),
     * flush_debt or merge_debt (single writes are delayed by 50 to 200 microseconds).
     */
    SSTORE_EVENT_STALL_BEGIN = 9,
    /**
     * Writers go on. `micros` is how long they waited, `detail` the cause; log_segment: a write had to make the next segment of
     * the log, which is told only when it is over.
     */
    SSTORE_EVENT_STALL_END = 10,
    /**
     * A background job failed. `detail` is the error.
     */
    SSTORE_EVENT_BACKGROUND_ERROR = 11,
    /**
     * Opening found a log to replay.
     */
    SSTORE_EVENT_RECOVERY_BEGIN = 12,
    /**
     * The log was replayed. `entries` counts its records, `bytes` their size.
     */
    SSTORE_EVENT_RECOVERY_DONE = 13,
    /**
     * A column family was created.
     */
    SSTORE_EVENT_COLUMN_FAMILY_CREATED = 14,
    /**
     * A column family was dropped.
     */
    SSTORE_EVENT_COLUMN_FAMILY_DROPPED = 15,
    /**
     * A new manifest became current.
     */
    SSTORE_EVENT_MANIFEST_CREATED = 16,
    /**
     * A table was created.
     */
    SSTORE_EVENT_TABLE_CREATED = 17,
    /**
     * A table was dropped.
     */
    SSTORE_EVENT_TABLE_DROPPED = 18,
    /**
     * A table's columns changed.
     */
    SSTORE_EVENT_TABLE_ALTERED = 19,
    /**
     * Opening found a live file that is too damaged to open. `number` is the file, `detail` the error, which reads that need the
     * file get.
     */
    SSTORE_EVENT_FILE_BROKEN = 20,
    /**
     * A sync, or a write of 4 KiB or more, took longer than the option slow_disk_millis. `micros` is how long, `bytes` are those of the
     * write, `detail` says what and where. At most one in ten seconds is told; `entries` counts those between that were not.
     */
    SSTORE_EVENT_SLOW_DISK = 21,
    /**
     * A flush or merge has ended, and the disk has less room than the option low_disk_bytes. `bytes` are what is free, `detail` says
     * where. Told again after a minute, or once there was more in between.
     */
    SSTORE_EVENT_LOW_DISK = 22,
    /**
     * Opening with wal_recovery=salvage left out a stretch of the log: what was written there may be missing. `number` is the
     * segment, `bytes` how many, `detail` the file, the offsets from and to, and why.
     */
    SSTORE_EVENT_LOG_SKIPPED = 23,
    /**
     * A log segment that nobody needs any more was moved to the archive. `number` is the segment, `detail` its name there.
     */
    SSTORE_EVENT_LOG_ARCHIVED = 24,
} sstore_event_kind;

/**
 * How much a line matters. The numbers are frozen.
 */
typedef enum sstore_log_level {
    /**
     * Steps of what goes on in the background: jobs that begin, files that come and go.
     */
    SSTORE_LOG_DEBUG = 1,
    /**
     * What was done: flushes, merges, recoveries, families and tables created and dropped; and small delays of writers.
     */
    SSTORE_LOG_INFO = 2,
    /**
     * What somebody should look at before it hurts: writers were stopped, the disk is slow or nearly full.
     */
    SSTORE_LOG_WARN = 3,
    /**
     * Something failed.
     */
    SSTORE_LOG_ERROR = 4,
} sstore_log_level;

/**
 * What a row builder makes. The numbers are frozen.
 */
typedef enum sstore_row_kind {
    /**
     * Rows: all columns of the table, in its order.
     */
    SSTORE_ROW_FULL = 1,
    /**
     * Keys: the columns of the key, in key order. They are given out, to be looked up, deleted or scanned from.
     */
    SSTORE_ROW_KEY = 2,
} sstore_row_kind;

/**
 * How a column's value is compared with a literal. The numbers are frozen.
 */
typedef enum sstore_comparison {
    /**
     * The same.
     */
    SSTORE_COMPARISON_EQUAL = 1,
    /**
     * Another.
     */
    SSTORE_COMPARISON_NOT_EQUAL = 2,
    /**
     * Less than the literal.
     */
    SSTORE_COMPARISON_LESS = 3,
    /**
     * At most the literal.
     */
    SSTORE_COMPARISON_LESS_OR_EQUAL = 4,
    /**
     * More than the literal.
     */
    SSTORE_COMPARISON_GREATER = 5,
    /**
     * At least the literal.
     */
    SSTORE_COMPARISON_GREATER_OR_EQUAL = 6,
} sstore_comparison;

/**
 * How filters are put together. The numbers are frozen.
 */
typedef enum sstore_logic {
    /**
     * All of them hold; of none: every row.
     */
    SSTORE_LOGIC_AND = 1,
    /**
     * At least one of them holds; of none: no row.
     */
    SSTORE_LOGIC_OR = 2,
    /**
     * The only one does not hold. Of a comparison with null nothing is known, nor of its contrary.
     */
    SSTORE_LOGIC_NOT = 3,
} sstore_logic;

/**
 * What a bound of a scan is. The numbers are frozen.
 */
typedef enum sstore_bound {
    /**
     * The first key, or the beginning of it.
     */
    SSTORE_BOUND_START = 1,
    /**
     * Where to end: keys from this one on are left out.
     */
    SSTORE_BOUND_STOP = 2,
    /**
     * Only keys that begin with these values.
     */
    SSTORE_BOUND_PREFIX = 3,
} sstore_bound;

/**
 * How a file is encoded. The numbers are frozen.
 */
typedef enum sstore_file_format {
    /**
     * Blocks of keys and values: the files of column families.
     */
    SSTORE_FILE_FORMAT_BLOCKS = 1,
    /**
     * Parquet.
     */
    SSTORE_FILE_FORMAT_PARQUET = 2,
    /**
     * The Arrow IPC file format.
     */
    SSTORE_FILE_FORMAT_ARROW = 3,
} sstore_file_format;

/**
 * Operations to be applied together. Thread safety: one thread at a time; a second one at once gets SSTORE_BUSY.
 * Free with sstore_batch_free. It may be written any number of times, and filled further.
 */
typedef struct sstore_batch sstore_batch;

/**
 * A column family. Where a function takes one, NULL stands for the default family of the database.
 * Thread safety: free. Free with sstore_column_family_free; that neither drops nor changes the family.
 */
typedef struct sstore_column_family sstore_column_family;

/**
 * An open database. Thread safety: free; any number of threads may use one at once.
 * End it with sstore_close, or with sstore_release.
 */
typedef struct sstore_db sstore_db;

/**
 * Why a call failed. Thread safety: free; any number of threads may read one. Free with sstore_error_free.
 */
typedef struct sstore_error sstore_error;

/**
 * The files of a family or table at one moment: live ones, which keep their names as long as it is there, or exported ones.
 * It does not keep its database open; once that was closed, opening it again for writing deletes what merges replaced. Thread safety: free. Free with sstore_files_free.
 */
typedef struct sstore_files sstore_files;

/**
 * A condition on rows, of no table in particular: columns are looked up by name when a scan is executed. It never changes.
 * Thread safety: free. Free with sstore_filter_free; scans and filters that were made with it keep a copy.
 */
typedef struct sstore_filter sstore_filter;

/**
 * A flush that is under way or done. Thread safety: free. Free with sstore_flush_token_free; the flush goes on.
 */
typedef struct sstore_flush_token sstore_flush_token;

/**
 * A position in the entries of a column family, as they were when it was made. Thread safety: one thread at a time, which may
 * change; a second one at once gets SSTORE_BUSY. Free with sstore_iterator_free.
 */
typedef struct sstore_iterator sstore_iterator;

/**
 * Names or other byte strings, many at once. Thread safety: free. Free with sstore_list_free.
 */
typedef struct sstore_list sstore_list;

/**
 * Named counters and times at one moment. Thread safety: free. Free with sstore_metrics_free.
 */
typedef struct sstore_metrics sstore_metrics;

/**
 * Options of a database and of column families. Thread safety: one thread at a time; a second one at once gets SSTORE_BUSY.
 * Free with sstore_options_free; what was opened with it keeps a copy.
 */
typedef struct sstore_options sstore_options;

/**
 * A value where it lies, in a memtable or a cached block, without a copy. Thread safety: free. Free with sstore_pinned_free.
 */
typedef struct sstore_pinned sstore_pinned;

/**
 * What a repair found and did. Thread safety: free. Free with sstore_repair_report_free.
 */
typedef struct sstore_repair_report sstore_repair_report;

/**
 * Rows that are being put together. Values are set in the columns of a row, in any order, then the row is appended; the rows
 * are written together, or given out as Arrow. Thread safety: one thread at a time; a second one at once gets SSTORE_BUSY.
 * Free with sstore_row_builder_free; rows that were not written are gone then.
 */
typedef struct sstore_row_builder sstore_row_builder;

/**
 * What a scan of a table is to give; it can be executed any number of times. Thread safety: one thread at a time; a second one at
 * once gets SSTORE_BUSY. Free with sstore_scan_free; streams that it was executed into go on. It keeps its database open, and a
 * snapshot that was set in it.
 */
typedef struct sstore_scan sstore_scan;

/**
 * The files of a family or a table at one moment. Thread safety: free. Free with sstore_segments_free.
 */
typedef struct sstore_segments sstore_segments;

/**
 * A moment of a database that reads can go back to. Thread safety: free. Free with sstore_snapshot_free: an old snapshot keeps
 * old versions on disk.
 */
typedef struct sstore_snapshot sstore_snapshot;

/**
 * The splits of a scan. As long as it is there, no file that they read is deleted; it does not keep its database open. Once that was
 * closed, opening it again for writing deletes what merges replaced.
 * Thread safety: free. Free with sstore_splits_free, when the splits were executed.
 */
typedef struct sstore_splits sstore_splits;

/**
 * A table of rows. Thread safety: free. Free with sstore_table_free; that neither drops nor changes the table.
 */
typedef struct sstore_table sstore_table;

/**
 * Many values with one owner. Thread safety: free. Free with sstore_values_free.
 */
typedef struct sstore_values sstore_values;

/**
 * Something that happened in a database. Fields that the kind has no use for are "" or 0.
 * It and its texts live until the callback returns.
 */
typedef struct sstore_event {
    /**
     * sizeof(sstore_event) of the library: fields beyond it do not exist.
     */
    uint32_t struct_size;
    /**
     * What happened: a number of sstore_event_kind. A later version may add some.
     */
    uint32_t kind;
    /**
     * When, in nanoseconds since 1970.
     */
    uint64_t unix_nanos;
    /**
     * The kind's name in lower case, such as "flush_done".
     */
    const char *kind_name;
    /**
     * The column family or table concerned.
     */
    const char *family;
    /**
     * Reason, cause or error.
     */
    const char *detail;
    /**
     * All of it as one line for a log, without a line end.
     */
    const char *text;
    /**
     * The file or memtable concerned.
     */
    uint64_t number;
    /**
     * Entries or records handled.
     */
    uint64_t entries;
    /**
     * Bytes written, read or freed.
     */
    uint64_t bytes;
    /**
     * How long it took, in microseconds.
     */
    uint64_t micros;
} sstore_event;

/**
 * Receives an event. Runs on a thread of the library, which runs no other callback of that database meanwhile; it may take
 * its time (when 1,024 events wait, further ones are dropped and counted), may read and write the database and wait
 * for its flushes, and must not throw, longjmp or otherwise not return. It cannot close the database (INVALID_ARGUMENT); released in it for the last
 * time, the database is closed without further events.
 */
typedef void (*sstore_event_callback)(void *user_data, const struct sstore_event *event);

/**
 * One line for a log. It and its texts live until the callback returns.
 */
typedef struct sstore_log_line {
    /**
     * sizeof(sstore_log_line) of the library: fields beyond it do not exist.
     */
    uint32_t struct_size;
    /**
     * A number of sstore_log_level.
     */
    uint32_t level;
    /**
     * When it happened, in nanoseconds since 1970.
     */
    uint64_t unix_nanos;
    /**
     * "debug", "info", "warn" or "error".
     */
    const char *level_name;
    /**
     * What happened, in one line: without a line end, the time or the level.
     */
    const char *text;
} sstore_log_line;

/**
 * Receives a line. What holds for an sstore_event_callback holds for it too: both run on the same thread of the library, the line
 * before the event.
 */
typedef void (*sstore_log_callback)(void *user_data, const struct sstore_log_line *line);

/**
 * One option, as sstore_options_describe tells it. The texts live for ever.
 */
typedef struct sstore_option_info {
    /**
     * Set by the caller to sizeof(sstore_option_info).
     */
    uint32_t struct_size;
    /**
     * 1 if it belongs to a column family, 0 if to the database.
     */
    uint32_t per_family;
    /**
     * Its name.
     */
    const char *name;
    /**
     * "bool", "count", "bytes", "choice", "path" or "name".
     */
    const char *type_name;
    /**
     * The default as text.
     */
    const char *default_value;
    /**
     * The words that a choice may be, with a comma and a space between; "" for other types.
     */
    const char *choices;
    /**
     * A line of help.
     */
    const char *help;
    /**
     * The least number allowed.
     */
    uint64_t min;
    /**
     * The greatest number allowed.
     */
    uint64_t max;
} sstore_option_info;

/**
 * Bytes that lie somewhere: the pointer and how many. The function that gives one out says until when it is valid.
 */
typedef struct sstore_slice {
    /**
     * The first byte. NULL only where the function says what that means; an empty value has a pointer that is not NULL.
     */
    const void *data;
    /**
     * How many bytes.
     */
    size_t len;
} sstore_slice;

/**
 * How sstore_close closes. Start from SSTORE_CLOSE_OPTIONS_INIT.
 */
typedef struct sstore_close_options {
    /**
     * sizeof(sstore_close_options).
     */
    uint32_t struct_size;
    /**
     * Whether to flush first: 0 as the option flush_on_close says, 1 yes, 2 no.
     */
    uint32_t flush;
    /**
     * Not 0: close even if iterators or snapshots are open. They give SSTORE_CLOSED afterwards.
     */
    uint32_t force;
    /**
     * Must be 0.
     */
    uint32_t reserved;
    /**
     * How long to wait for flushes and merges, in milliseconds; 0: as long as they take.
     */
    uint64_t timeout_millis;
} sstore_close_options;

/**
 * What belongs to a database and is still open.
 */
typedef struct sstore_open_objects {
    /**
     * Set by the caller to sizeof(sstore_open_objects).
     */
    uint32_t struct_size;
    /**
     * Always 0.
     */
    uint32_t reserved;
    /**
     * Iterators.
     */
    uint64_t iterators;
    /**
     * Snapshots.
     */
    uint64_t snapshots;
} sstore_open_objects;

/**
 * How one write is done. Start from SSTORE_WRITE_OPTIONS_INIT.
 */
typedef struct sstore_write_options {
    /**
     * sizeof(sstore_write_options).
     */
    uint32_t struct_size;
    /**
     * What the call waits for: a number of sstore_durability; 0 as the option durability says.
     */
    uint32_t durability;
    /**
     * Not 0: give SSTORE_STALLED instead of waiting for flushes or merges: neither for room in memory, nor the short
     * delays before it is full.
     */
    uint32_t no_stall;
    /**
     * Must be 0.
     */
    uint32_t reserved;
} sstore_write_options;

/**
 * One operation of an array. The array, keys and values are borrowed until the call returns.
 */
typedef struct sstore_operation {
    /**
     * A number of sstore_operation_kind.
     */
    uint32_t kind;
    /**
     * Must be 0.
     */
    uint32_t reserved;
    /**
     * The column family; NULL: the default one.
     */
    const struct sstore_column_family *family;
    /**
     * The key.
     */
    struct sstore_slice key;
    /**
     * The value.
     */
    struct sstore_slice value;
} sstore_operation;

/**
 * How one read is done. Start from SSTORE_READ_OPTIONS_INIT.
 */
typedef struct sstore_read_options {
    /**
     * sizeof(sstore_read_options).
     */
    uint32_t struct_size;
    /**
     * Must be 0.
     */
    uint32_t reserved;
    /**
     * Read at this snapshot; NULL: now.
     */
    const struct sstore_snapshot *snapshot;
} sstore_read_options;

/**
 * What an iterator walks over. Start from SSTORE_ITERATOR_OPTIONS_INIT. Bounds and prefix are copied.
 */
typedef struct sstore_iterator_options {
    /**
     * sizeof(sstore_iterator_options).
     */
    uint32_t struct_size;
    /**
     * Not 0: a long scan; reads ahead and does not fill the cache.
     */
    uint32_t scan;
    /**
     * Walk at this snapshot; NULL: now.
     */
    const struct sstore_snapshot *snapshot;
    /**
     * The least key that belongs to the range; NULL `data`: no such bound.
     */
    struct sstore_slice lower;
    /**
     * The least key beyond the range; NULL `data`: no such bound.
     */
    struct sstore_slice upper;
    /**
     * Only keys that start with this; NULL `data`: all. Combines with the bounds.
     */
    struct sstore_slice prefix;
} sstore_iterator_options;

/**
 * What a flush did.
 */
typedef struct sstore_flush_result {
    /**
     * Set by the caller to sizeof(sstore_flush_result).
     */
    uint32_t struct_size;
    /**
     * Why it was done: 1 write buffer full, 2 asked for, 3 close, 4 recovery, 5 log full, 6 memory budget.
     */
    uint32_t reason;
    /**
     * The numbers of the files written, `file_count` of them; they live until the token is freed. None if there was nothing to write.
     */
    const uint64_t *files;
    /**
     * How many files.
     */
    size_t file_count;
    /**
     * Entries in them.
     */
    uint64_t entries;
    /**
     * Their size in bytes.
     */
    uint64_t bytes;
    /**
     * Every write up to this sequence is durable.
     */
    uint64_t durable_sequence;
} sstore_flush_result;

/**
 * What the key of a new table may be, and what orders a table without one. Start from SSTORE_TABLE_OPTIONS_INIT.
 */
typedef struct sstore_table_options {
    /**
     * sizeof(sstore_table_options).
     */
    uint32_t struct_size;
    /**
     * Not 0: columns of the key that are declared nullable may be null; nulls come first and equal each other.
     */
    uint32_t nullable_keys;
    /**
     * Not 0: floats may be in the key, in IEEE total order.
     */
    uint32_t float_keys;
    /**
     * Must be 0.
     */
    uint32_t reserved;
    /**
     * The columns that the files of a table without a key are sorted by, `order_by_count` names; NULL and 0: order of arrival.
     */
    const char *const *order_by;
    /**
     * How many.
     */
    size_t order_by_count;
} sstore_table_options;

/**
 * One split. Its bytes live until the sstore_splits object is freed.
 */
typedef struct sstore_split {
    /**
     * Set by the caller to sizeof(sstore_split).
     */
    uint32_t struct_size;
    /**
     * Always 0.
     */
    uint32_t reserved;
    /**
     * All that sstore_split_execute needs, to be sent wherever it will run.
     */
    struct sstore_slice bytes;
    /**
     * Rows in the part of the files that it reads, about: versions and deletes, before any filter.
     */
    uint64_t estimated_rows;
    /**
     * Bytes of that part, about.
     */
    uint64_t estimated_bytes;
} sstore_split;

/**
 * One file. Path and keys live until the sstore_segments object is freed.
 */
typedef struct sstore_segment {
    /**
     * Set by the caller to sizeof(sstore_segment).
     */
    uint32_t struct_size;
    /**
     * How often its data was merged: 0 for a file that a flush wrote.
     */
    uint32_t level;
    /**
     * Its number: unique over the whole database.
     */
    uint64_t number;
    /**
     * Its path.
     */
    const char *path;
    /**
     * Its size in bytes.
     */
    uint64_t size_bytes;
    /**
     * How many entries it holds, tombstones included.
     */
    uint64_t entries;
    /**
     * How many of them are tombstones.
     */
    uint64_t tombstones;
    /**
     * Its least key.
     */
    struct sstore_slice smallest_key;
    /**
     * Its greatest key.
     */
    struct sstore_slice largest_key;
    /**
     * The oldest write in it.
     */
    uint64_t smallest_sequence;
    /**
     * The newest write in it.
     */
    uint64_t largest_sequence;
} sstore_segment;

/**
 * Is told how far a call is: bytes that are done, of so many in all; 0 of 0 as long as an export waits for its flush. Ten times a
 * second at most, and once at the end. 0 calls it off: it fails with SSTORE_CANCELLED, and leaves nothing; what is answered at the end
 * does not count. Runs on the thread that called, which waits for it meanwhile; may read and write the database, and begin other calls
 * like this; must not close it, throw or longjmp.
 */
typedef int (*sstore_progress_callback)(void *user_data, uint64_t bytes_done, uint64_t bytes_total);

/**
 * What is told of all files together.
 */
typedef struct sstore_files_info {
    /**
     * Set by the caller to sizeof(sstore_files_info).
     */
    uint32_t struct_size;
    /**
     * Always 0.
     */
    uint32_t reserved;
    /**
     * The moment: later writes are not part of it, though files may hold some.
     */
    uint64_t sequence;
    /**
     * Every write up to this one is in the files. If it is less than `sequence`, the rest was in memory. Of an export both are the same.
     */
    uint64_t complete_through;
    /**
     * How many of the files an export had to copy, because they could not be linked.
     */
    uint64_t copied;
} sstore_files_info;

/**
 * One file. Path and keys live until the sstore_files object is freed.
 */
typedef struct sstore_file {
    /**
     * Set by the caller to sizeof(sstore_file).
     */
    uint32_t struct_size;
    /**
     * How it is encoded: a number of sstore_file_format.
     */
    uint32_t format;
    /**
     * How often its data was merged: 0 for a file that a flush wrote.
     */
    uint32_t level;
    /**
     * The schema of its rows, counted from 1; 0 for a family.
     */
    uint32_t schema_id;
    /**
     * The checksum that the database has of it.
     */
    uint32_t checksum;
    /**
     * 1 if some key has more than one version in it, else 0.
     */
    uint32_t multi_version;
    /**
     * Its number: unique over the whole database.
     */
    uint64_t number;
    /**
     * Where it lies.
     */
    const char *path;
    /**
     * Its size in bytes; of an Arrow file in the database with the index beside it.
     */
    uint64_t size_bytes;
    /**
     * How many rows, or versions of keys, it holds, deletes included.
     */
    uint64_t rows;
    /**
     * How many of them are deletes.
     */
    uint64_t tombstones;
    /**
     * Its least key; of a table encoded so that bytes compare as rows do, and empty without a key.
     */
    struct sstore_slice smallest_key;
    /**
     * Its greatest key.
     */
    struct sstore_slice largest_key;
    /**
     * The oldest write in it.
     */
    uint64_t smallest_sequence;
    /**
     * The newest write in it.
     */
    uint64_t largest_sequence;
} sstore_file;

/**
 * What a database holds, at one moment. Taken without stopping anyone: the numbers may be a few operations apart.
 */
typedef struct sstore_stats {
    /**
     * Set by the caller to sizeof(sstore_stats).
     */
    uint32_t struct_size;
    /**
     * Always 0.
     */
    uint32_t reserved;
    /**
     * The last write that is visible.
     */
    uint64_t sequence;
    /**
     * Every write up to this one is durable.
     */
    uint64_t durable_sequence;
    /**
     * Memory of the memtables that take writes.
     */
    uint64_t memtable_bytes;
    /**
     * Memtables that wait for their flush.
     */
    uint64_t frozen_memtables;
    /**
     * Their memory.
     */
    uint64_t frozen_bytes;
    /**
     * Memory of the block cache.
     */
    uint64_t cache_bytes;
    /**
     * Blocks found in it.
     */
    uint64_t cache_hits;
    /**
     * Blocks not found in it.
     */
    uint64_t cache_misses;
    /**
     * Size of the log.
     */
    uint64_t log_bytes;
    /**
     * Its segments.
     */
    uint64_t log_segments;
    /**
     * Size of the tables.
     */
    uint64_t file_bytes;
    /**
     * How many tables.
     */
    uint64_t files;
    /**
     * Events dropped because the listener was slow.
     */
    uint64_t events_dropped;
    /**
     * Column families.
     */
    uint64_t families;
} sstore_stats;

/**
 * How long one kind of operation took since the database was opened, in nanoseconds; quantiles are at most an eighth too high.
 */
typedef struct sstore_histogram {
    /**
     * Set by the caller to sizeof(sstore_histogram).
     */
    uint32_t struct_size;
    /**
     * One in so many is timed, on average, and the others are in none of these figures; 1: each is.
     */
    uint32_t one_in;
    /**
     * How many were timed.
     */
    uint64_t count;
    /**
     * How long those took together.
     */
    uint64_t sum;
    /**
     * Half of them took at most this.
     */
    uint64_t p50;
    /**
     * 99 % of them took at most this.
     */
    uint64_t p99;
    /**
     * 99.9 % of them took at most this.
     */
    uint64_t p999;
    /**
     * The longest.
     */
    uint64_t max;
} sstore_histogram;

/**
 * What holds memory, in bytes, at one moment. Taken without stopping anyone: the numbers may be a few operations apart.
 */
typedef struct sstore_memory_use {
    /**
     * Set by the caller to sizeof(sstore_memory_use).
     */
    uint32_t struct_size;
    /**
     * Always 0.
     */
    uint32_t reserved;
    /**
     * The option memory_budget_bytes.
     */
    uint64_t budget_bytes;
    /**
     * What memtables and spares may have of it: a half.
     */
    uint64_t memtable_share_bytes;
    /**
     * All that is counted: the sum of the fields below, but for cache_limit_bytes.
     */
    uint64_t total_bytes;
    /**
     * Memtables that take writes: entries, hash tables, order.
     */
    uint64_t active_memtable_bytes;
    /**
     * Memtables that wait for their flush.
     */
    uint64_t frozen_memtable_bytes;
    /**
     * Flushed memtables that iterators or pinned values keep.
     */
    uint64_t pinned_memtable_bytes;
    /**
     * Kept for the next memtables.
     */
    uint64_t spare_bytes;
    /**
     * Cached blocks and rows.
     */
    uint64_t cache_bytes;
    /**
     * What caches may hold now.
     */
    uint64_t cache_limit_bytes;
    /**
     * Indexes, filters and metadata of open files.
     */
    uint64_t file_bytes;
} sstore_memory_use;

/**
 * The oldest record of the log that is needed: what it is about is in no file yet.
 */
typedef struct sstore_log_pin {
    /**
     * Set by the caller to sizeof(sstore_log_pin).
     */
    uint32_t struct_size;
    /**
     * 1 if the memtable that holds it waits for its flush already, else 0.
     */
    uint32_t is_frozen;
    /**
     * Its sequence.
     */
    uint64_t sequence;
    /**
     * The number of the segment that it lies in: the oldest one that is needed.
     */
    uint64_t segment;
} sstore_log_pin;

/**
 * How a repair is done. Start from SSTORE_REPAIR_OPTIONS_INIT.
 */
typedef struct sstore_repair_options {
    /**
     * sizeof(sstore_repair_options).
     */
    uint32_t struct_size;
    /**
     * Not 0: files get a second name instead of being copied, where that can be. Faster, and takes no space; but if their device
     * goes, both databases are gone.
     */
    uint32_t link;
    /**
     * Where the log of the damaged database lies; NULL: in its directory.
     */
    const char *wal_dir;
} sstore_repair_options;

/**
 * What a repair did, in numbers.
 */
typedef struct sstore_repair_summary {
    /**
     * Set by the caller to sizeof(sstore_repair_summary).
     */
    uint32_t struct_size;
    /**
     * Always 0.
     */
    uint32_t reserved;
    /**
     * Why the manifest could not be used; NULL: it was. Lives until the report is freed.
     */
    const char *manifest_error;
    /**
     * Files that were looked at, for sstore_repair_report_file.
     */
    uint64_t files;
    /**
     * How many of them are in the new database.
     */
    uint64_t adopted;
    /**
     * Segments of the log, for sstore_repair_report_segment.
     */
    uint64_t segments;
    /**
     * Operations of the log that are in the new database, beyond those in files.
     */
    uint64_t log_operations;
    /**
     * Operations of the log that were given up: nothing tells which family, table or schema they belong to.
     */
    uint64_t log_operations_lost;
} sstore_repair_summary;

/**
 * What became of one file. The texts live until the report is freed.
 */
typedef struct sstore_repaired_file {
    /**
     * Set by the caller to sizeof(sstore_repaired_file).
     */
    uint32_t struct_size;
    /**
     * Always 0.
     */
    uint32_t reserved;
    /**
     * Where it lies in the damaged database.
     */
    const char *path;
    /**
     * The family or table that it was found in.
     */
    const char *collection;
    /**
     * Why it was left out; NULL: it is in the new database.
     */
    const char *skipped;
    /**
     * Its number; 0 if it cannot be told.
     */
    uint64_t number;
    /**
     * Its rows, or versions of keys; 0 if they cannot be told.
     */
    uint64_t rows;
} sstore_repaired_file;

/**
 * What became of one segment of the log. The texts live until the report is freed.
 */
typedef struct sstore_salvaged_segment {
    /**
     * Set by the caller to sizeof(sstore_salvaged_segment).
     */
    uint32_t struct_size;
    /**
     * Always 0.
     */
    uint32_t reserved;
    /**
     * Where it lies in the damaged database.
     */
    const char *path;
    /**
     * What of it was left out and why, the first place if there are several; NULL: it was read to its end.
     */
    const char *stopped;
    /**
     * Its number.
     */
    uint64_t number;
    /**
     * The records that were read.
     */
    uint64_t records;
} sstore_salvaged_segment;

/**
 * How a database of LevelDB is imported. Start from SSTORE_LEVELDB_OPTIONS_INIT.
 */
typedef struct sstore_leveldb_options {
    /**
     * sizeof(sstore_leveldb_options).
     */
    uint32_t struct_size;
    /**
     * Not 0: damaged blocks of tables, damaged records of logs, and missing files are skipped and counted, instead of refused. What was
     * deleted or overwritten in what is skipped may come back. A damaged manifest is refused in any case.
     */
    uint32_t skip_damaged;
} sstore_leveldb_options;

/**
 * Is told how far an import is: bytes of the source that were read, of so many in all, and entries written. Ten times a second at most,
 * and once at the end. 0 calls the import off; what it answers at the end does not count. Runs on the thread that called; may read and
 * write the database; must not close or merge it, throw or longjmp.
 */
typedef int (*sstore_import_callback)(void *user_data, uint64_t bytes_read, uint64_t bytes_total, uint64_t entries);

/**
 * What an import did.
 */
typedef struct sstore_leveldb_result {
    /**
     * Set by the caller to sizeof(sstore_leveldb_result).
     */
    uint32_t struct_size;
    /**
     * Always 0.
     */
    uint32_t reserved;
    /**
     * Entries that were written.
     */
    uint64_t entries;
    /**
     * Bytes of keys and values that were written.
     */
    uint64_t payload_bytes;
    /**
     * Bytes of the source that were read.
     */
    uint64_t bytes_read;
    /**
     * Damaged places that were skipped; 0 unless `skip_damaged` was set.
     */
    uint64_t skipped;
    /**
     * Their bytes in the files, as far as that can be told.
     */
    uint64_t skipped_bytes;
    /**
     * Bytes at the end of the last log that its writer, killed or cut off from power, did not finish. LevelDB drops them as well.
     */
    uint64_t torn_bytes;
} sstore_leveldb_result;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/** @name Errors, memory and version
 * @{ */

/**
 * The name of a code without its prefix, such as "NOT_FOUND"; "UNKNOWN" for a number that is none. The text lives for ever.
 * Does not block; any thread.
 */
const char *sstore_code_name(int32_t code);

/**
 * The code of an error; SSTORE_OK for NULL, SSTORE_INVALID_ARGUMENT for what is no error or was freed. Does not block; any thread.
 */
sstore_code sstore_error_code(const struct sstore_error *error);

/**
 * What happened, with file and system error, for people. Never parse it. "" for NULL and for what is no error.
 * The text lives until the error is freed. Does not block; any thread.
 */
const char *sstore_error_message(const struct sstore_error *error);

/**
 * The path of the file or directory that the error concerns; NULL if it concerns none.
 * The text lives until the error is freed. Does not block; any thread.
 */
const char *sstore_error_path(const struct sstore_error *error);

/**
 * The offset in that file; UINT64_MAX if there is none. Does not block; any thread.
 */
uint64_t sstore_error_offset(const struct sstore_error *error);

/**
 * The operating system's error number (errno); 0 if the operating system had no part in it. Does not block; any thread.
 */
int32_t sstore_error_errno(const struct sstore_error *error);

/**
 * Frees an error and its texts. NULL and what was freed already do nothing. Does not block; any thread.
 */
void sstore_error_free(struct sstore_error *error);

/**
 * Frees what a function gave as a copy: the values of sstore_get, the texts of sstore_options_get, sstore_metrics_text and
 * sstore_log_pin_get. NULL does nothing.
 * Handles have free functions of their own. Does not block; any thread.
 */
void sstore_free(void *memory);

/**
 * The version of the library that is loaded, such as "0.1.0". The text lives for ever. Does not block; any thread.
 */
const char *sstore_version(void);

/**
 * The same as a number, made like SSTORE_VERSION_NUMBER. Does not block; any thread.
 */
uint32_t sstore_version_number(void);

/** @} */

/** @name Options
 * @{ */

/**
 * Makes options with every one at its default. `*options` is the caller's; free it with sstore_options_free.
 * Does not block; any thread. Errors: NO_MEMORY, INVALID_ARGUMENT.
 */
sstore_code sstore_options_create(struct sstore_options **options, struct sstore_error **error);

/**
 * Sets an option from text: numbers in decimal, bytes also as "64MiB", bools as "true" or "false". `name` and `value` are
 * NUL-terminated and copied. An error changes nothing. Does not block; one thread at a time.
 * Errors: INVALID_ARGUMENT (unknown name: the message suggests the nearest; value of the wrong type or out of range), BUSY.
 */
sstore_code sstore_options_set(struct sstore_options *options,
                               const char *name,
                               const char *value,
                               struct sstore_error **error);

/**
 * Sets a count, a number of bytes, or a bool (0 or 1). Otherwise like sstore_options_set.
 */
sstore_code sstore_options_set_number(struct sstore_options *options,
                                      const char *name,
                                      uint64_t value,
                                      struct sstore_error **error);

/**
 * The value of an option as text that sstore_options_set takes. `*value` is the caller's; free it with sstore_free.
 * Does not block; one thread at a time. Errors: INVALID_ARGUMENT (unknown name), BUSY, NO_MEMORY.
 */
sstore_code sstore_options_get(const struct sstore_options *options,
                               const char *name,
                               char **value,
                               struct sstore_error **error);

/**
 * Gives every event of a database opened with these options to `callback`: one at a time, in order, from one thread of the
 * library. `destroy` (may be NULL) is called once with `user_data` when nothing can call `callback` any more: after these
 * options were freed or given another listener, and every database opened with them was closed. On an error `user_data`
 * stays the caller's. A NULL `callback` is refused. See sstore_event_callback for what a callback may do.
 * Does not block; one thread at a time. Errors: INVALID_ARGUMENT, BUSY.
 */
sstore_code sstore_options_set_listener(struct sstore_options *options,
                                        sstore_event_callback callback,
                                        void *user_data,
                                        void (*destroy)(void *user_data),
                                        struct sstore_error **error);

/**
 * Gives every event of a database opened with these options that is of `level` (a number of sstore_log_level) or above to `callback`,
 * as a line for a log: one at a time, in order, from one thread of the library. Otherwise like sstore_options_set_listener, beside
 * which it may be set. Errors: INVALID_ARGUMENT, BUSY.
 */
sstore_code sstore_options_set_logger(struct sstore_options *options,
                                      uint32_t level,
                                      sstore_log_callback callback,
                                      void *user_data,
                                      void (*destroy)(void *user_data),
                                      struct sstore_error **error);

/**
 * How many options there are. Does not block; any thread.
 */
size_t sstore_options_count(void);

/**
 * Describes the option at `index`, which is below sstore_options_count(). `*info` must have its struct_size set; the texts in
 * it live for ever. Does not block; any thread. Errors: NOT_FOUND (no such index), INVALID_ARGUMENT.
 */
sstore_code sstore_options_describe(size_t index,
                                    struct sstore_option_info *info,
                                    struct sstore_error **error);

/**
 * Frees options. NULL and what was freed already do nothing. Does not block; any thread.
 */
void sstore_options_free(struct sstore_options *options);

/** @} */

/** @name Lists of names
 * @{ */

/**
 * How many items the list has; 0 for NULL and for what is no list. Does not block; any thread.
 */
size_t sstore_list_count(const struct sstore_list *list);

/**
 * The item at `index`: its bytes live until the list is freed, and a NUL that is not counted stands after them.
 * Does not block; any thread. Errors: NOT_FOUND (no such index), INVALID_ARGUMENT, CLOSED.
 */
sstore_code sstore_list_get(const struct sstore_list *list,
                            size_t index,
                            struct sstore_slice *item,
                            struct sstore_error **error);

/**
 * Frees a list and its items. NULL and what was freed already do nothing. Does not block; any thread.
 */
void sstore_list_free(struct sstore_list *list);

/** @} */

/** @name Opening and closing
 * @{ */

/**
 * Opens the database in directory `path` (NUL-terminated bytes, copied), creating it if `options` allow. NULL options: every
 * default. `*db` is the caller's; end it with sstore_close or sstore_release. Blocks: reads files, replays the log. Any thread.
 * Errors: LOCKED, NOT_FOUND (no database and create_if_missing is false), INVALID_ARGUMENT, CORRUPTION, NOT_SUPPORTED, IO, NO_SPACE.
 */
sstore_code sstore_open(const char *path,
                        const struct sstore_options *options,
                        struct sstore_db **db,
                        struct sstore_error **error);

/**
 * Closes a database. NULL options: every default. On SSTORE_OK the handle is gone, and its column families, iterators,
 * snapshots and tokens, which are still to be freed, give SSTORE_CLOSED. On SSTORE_BUSY (something is still open; the message says how
 * many of what), SSTORE_TIMED_OUT and SSTORE_INVALID_ARGUMENT nothing was closed and the database goes on. On any other error, of the
 * last flush or of the disk, it is closed all the same, and what was logged is safe; the handle stays, to be given up with
 * sstore_release. Blocks: flushes, waits for background work and for a callback that runs, syncs. Any thread.
 * Errors: BUSY, CLOSED, TIMED_OUT, IO, NO_SPACE, INVALID_ARGUMENT (also in an event callback of the same database).
 */
sstore_code sstore_close(struct sstore_db *db,
                         const struct sstore_close_options *options,
                         struct sstore_error **error);

/**
 * Gives a handle up without waiting for its children: the database is closed when the last of its column families, tables, iterators,
 * snapshots, pinned values, scans, row builders and tokens is freed, and errors of that late close are lost. For garbage-collected languages.
 * NULL, and what was closed or released already, do nothing. May block like sstore_close if nothing else is open. Any thread.
 */
void sstore_release(struct sstore_db *db);

/**
 * Deletes the database in directory `path`: its files only, and the directory if nothing else is in it.
 * SSTORE_OK also if there is none. Blocks. Any thread. Errors: LOCKED (it is open somewhere), IO, INVALID_ARGUMENT.
 */
sstore_code sstore_destroy(const char *path, struct sstore_error **error);

/**
 * Counts what is still open and would make sstore_close say SSTORE_BUSY. `*objects` must have its struct_size set.
 * Does not block; any thread. Errors: CLOSED, INVALID_ARGUMENT.
 */
sstore_code sstore_open_objects_count(const struct sstore_db *db,
                                      struct sstore_open_objects *objects,
                                      struct sstore_error **error);

/**
 * Brings a database that was opened with `read_only=true` up to what its writer has done by now, be it in this process or another.
 * `*sequence` (may be NULL) becomes the newest sequence that reads see from now on, the same as before if nothing was written; 0 on
 * failure. Reads that begin afterwards see a state that the writer's had at one moment: whatever was acknowledged before the call is in it, and
 * none goes back before what was seen. Iterators, scans, snapshots and pinned values go on as they are, though the writer deletes files.
 * Handles of families and tables show the new state; those of dropped ones answer DROPPED. After an error all is as it was.
 *
 * Writes nothing, and never waits for the writer; reads files, so it may block. Any thread; a second refresh waits for the first.
 * Errors: INVALID_ARGUMENT (also: the database is open for writing and shows everything anyway; another database is in its place), BUSY (the writer moved
 * files faster than they could be opened: try again), GAP (the database was put back to an older state: open it anew), CORRUPTION, IO,
 * NOT_FOUND, NOT_SUPPORTED, NO_MEMORY, CLOSED, FORKED.
 */
sstore_code sstore_refresh(struct sstore_db *db,
                           uint64_t *sequence,
                           struct sstore_error **error);

/** @} */

/** @name Column families
 * @{ */

/**
 * Creates a column family. `name` is NUL-terminated UTF-8, copied; NULL options: every default. `*family` is the caller's;
 * free it with sstore_column_family_free. Blocks: writes and syncs the manifest. Any thread.
 * Errors: INVALID_ARGUMENT (the name is taken or not allowed), CLOSED, READ_ONLY, IO, NO_SPACE.
 */
sstore_code sstore_column_family_create(struct sstore_db *db,
                                        const char *name,
                                        const struct sstore_options *options,
                                        struct sstore_column_family **family,
                                        struct sstore_error **error);

/**
 * A handle of an existing column family. `*family` is the caller's; free it with sstore_column_family_free.
 * Does not block; any thread. Errors: NOT_FOUND (with an error object: no family has that name), CLOSED, INVALID_ARGUMENT.
 */
sstore_code sstore_column_family_open(struct sstore_db *db,
                                      const char *name,
                                      struct sstore_column_family **family,
                                      struct sstore_error **error);

/**
 * The names of all column families, sorted. `*names` is the caller's; free it with sstore_list_free.
 * Does not block; any thread. Errors: CLOSED, INVALID_ARGUMENT.
 */
sstore_code sstore_column_family_list(const struct sstore_db *db,
                                      struct sstore_list **names,
                                      struct sstore_error **error);

/**
 * Drops a column family with all its data. The handle stays the caller's to free; every use of it, and of other handles of the
 * same family, gives SSTORE_DROPPED. Iterators that stand in it go on. Blocks: writes and syncs the manifest. Any thread.
 * Errors: INVALID_ARGUMENT (the default family, also as NULL, cannot be dropped), DROPPED, CLOSED, READ_ONLY; NO_SPACE, IO
 * (it is as before, and can be dropped later); POISONED.
 */
sstore_code sstore_column_family_drop(struct sstore_db *db,
                                      struct sstore_column_family *family,
                                      struct sstore_error **error);

/**
 * The name of a family: its bytes live until this handle is freed. Does not block; any thread.
 * Errors: CLOSED (the handle was freed), INVALID_ARGUMENT.
 */
sstore_code sstore_column_family_name(const struct sstore_column_family *family,
                                      struct sstore_slice *name,
                                      struct sstore_error **error);

/**
 * The id of a family: never given to another one of the same database; the default family has 0. UINT32_MAX for what is no
 * family. Does not block; any thread.
 */
uint32_t sstore_column_family_id(const struct sstore_column_family *family);

/**
 * The options that are in force for a family: those that it was created with, but for those that the database was opened with.
 * Options of the whole database are at their defaults in it. `*options` is the caller's; free it with sstore_options_free.
 * Does not block; any thread. Errors: CLOSED (the handle was freed), INVALID_ARGUMENT.
 */
sstore_code sstore_column_family_get_options(const struct sstore_column_family *family,
                                             struct sstore_options **options,
                                             struct sstore_error **error);

/**
 * Frees a handle. NULL and what was freed already do nothing. Does not block, unless it is the last thing that a released
 * database waited for (see sstore_release). Any thread.
 */
void sstore_column_family_free(struct sstore_column_family *family);

/** @} */

/** @name Writing
 * @{ */

/**
 * Sets `key` to `value` in `family` (NULL: the default one). Key and value are copied; an empty key is a key. NULL options:
 * every default. `*sequence` (may be NULL) becomes the place of the write in the history of the database; 0 on failure.
 * May block: for flushes if memtables are full, for the disk if it is to be durable. Any thread.
 * Errors: INVALID_ARGUMENT (also: too long), DROPPED, CLOSED, READ_ONLY, STALLED, IO, NO_SPACE, POISONED,
 * FENCED (another writer took the database over), NO_MEMORY, FORKED.
 */
sstore_code sstore_put(struct sstore_db *db,
                       const struct sstore_column_family *family,
                       const struct sstore_write_options *options,
                       const void *key,
                       size_t key_len,
                       const void *value,
                       size_t value_len,
                       uint64_t *sequence,
                       struct sstore_error **error);

/**
 * Removes `key` from `family`; removing a key that is not there succeeds. Otherwise like sstore_put.
 */
sstore_code sstore_delete(struct sstore_db *db,
                          const struct sstore_column_family *family,
                          const struct sstore_write_options *options,
                          const void *key,
                          size_t key_len,
                          uint64_t *sequence,
                          struct sstore_error **error);

/**
 * Applies a batch: all of its operations or, on an error, none. `*sequence` (may be NULL) becomes the place of its last
 * operation. The batch is unchanged. Otherwise like sstore_put. Errors also: BUSY (another thread is using the batch).
 */
sstore_code sstore_write(struct sstore_db *db,
                         const struct sstore_write_options *options,
                         const struct sstore_batch *batch,
                         uint64_t *sequence,
                         struct sstore_error **error);

/**
 * Applies an array of operations as one write, without a batch object: all of them or, on an error, none.
 * Otherwise like sstore_write.
 */
sstore_code sstore_write_operations(struct sstore_db *db,
                                    const struct sstore_write_options *options,
                                    const struct sstore_operation *operations,
                                    size_t count,
                                    uint64_t *sequence,
                                    struct sstore_error **error);

/**
 * Applies a batch only if `key` of `family` stands as expected: last written at `expected_sequence` (as sstore_get_pinned and
 * the writes report it), or, for 0, absent. Nothing comes between check and write. Otherwise like sstore_write.
 * Errors also: CONFLICT (it does not stand so; nothing was written).
 */
sstore_code sstore_write_if(struct sstore_db *db,
                            const struct sstore_column_family *family,
                            const struct sstore_write_options *options,
                            const void *key,
                            size_t key_len,
                            uint64_t expected_sequence,
                            const struct sstore_batch *batch,
                            uint64_t *sequence,
                            struct sstore_error **error);

/** @} */

/** @name Batches
 * @{ */

/**
 * Makes an empty batch. `*batch` is the caller's; free it with sstore_batch_free.
 * Does not block; any thread. Errors: NO_MEMORY, INVALID_ARGUMENT.
 */
sstore_code sstore_batch_create(struct sstore_batch **batch, struct sstore_error **error);

/**
 * Adds: set `key` to `value` in `family`. Key and value are copied. An error changes nothing. Does not block; one thread at a
 * time. Errors: INVALID_ARGUMENT (also: key or value too long, batch full, family of another database), BUSY, CLOSED, NO_MEMORY.
 */
sstore_code sstore_batch_put(struct sstore_batch *batch,
                             const struct sstore_column_family *family,
                             const void *key,
                             size_t key_len,
                             const void *value,
                             size_t value_len,
                             struct sstore_error **error);

/**
 * Adds: remove `key` from `family`. Otherwise like sstore_batch_put.
 */
sstore_code sstore_batch_delete(struct sstore_batch *batch,
                                const struct sstore_column_family *family,
                                const void *key,
                                size_t key_len,
                                struct sstore_error **error);

/**
 * Adds: put `rows` into `table`, as sstore_table_append does; they count as one operation. Rows and schema (NULL: the table's) are
 * moved. A batch whose table is altered before it is written is refused then with CONFLICT. Otherwise like sstore_batch_put.
 * Errors also: NOT_SUPPORTED (a library without tables, or a type that has no place in the log).
 */
sstore_code sstore_batch_put_rows(struct sstore_batch *batch,
                                  const struct sstore_table *table,
                                  struct ArrowArray *rows,
                                  struct ArrowSchema *schema,
                                  struct sstore_error **error);

/**
 * Adds: remove the rows with these keys from `table`, as sstore_table_delete does. Otherwise like sstore_batch_put_rows.
 */
sstore_code sstore_batch_delete_rows(struct sstore_batch *batch,
                                     const struct sstore_table *table,
                                     struct ArrowArray *keys,
                                     struct ArrowSchema *schema,
                                     struct sstore_error **error);

/**
 * Adds all operations of `other`, in order, after those of `batch`; `other` is unchanged. The two must not be the same.
 * Does not block; one thread at a time. Errors: INVALID_ARGUMENT, BUSY, CLOSED, NO_MEMORY.
 */
sstore_code sstore_batch_append(struct sstore_batch *batch,
                                const struct sstore_batch *other,
                                struct sstore_error **error);

/**
 * Forgets all operations and keeps the memory for the next ones. Does not block; one thread at a time.
 * Errors: BUSY, CLOSED, INVALID_ARGUMENT.
 */
sstore_code sstore_batch_clear(struct sstore_batch *batch, struct sstore_error **error);

/**
 * How many operations the batch holds; 0 for NULL, for what is no batch, and while another thread uses it.
 * Does not block; any thread.
 */
size_t sstore_batch_count(const struct sstore_batch *batch);

/**
 * The encoded size of the batch in bytes; 0 as for sstore_batch_count. Does not block; any thread.
 */
size_t sstore_batch_size(const struct sstore_batch *batch);

/**
 * Frees a batch. NULL and what was freed already do nothing. Does not block; any thread.
 */
void sstore_batch_free(struct sstore_batch *batch);

/** @} */

/** @name Reading by key
 * @{ */

/**
 * Reads the value of `key` in `family` (NULL: the default one) as a copy. NULL options: every default. `*value` is the caller's;
 * free it with sstore_free; a NUL that is not counted stands after it. Nothing found: SSTORE_NOT_FOUND without an error object,
 * NULL and 0. May block: reads files. Any thread.
 * Errors: NOT_FOUND, INVALID_ARGUMENT, DROPPED, CLOSED, CORRUPTION, IO, NO_MEMORY, FORKED.
 */
sstore_code sstore_get(const struct sstore_db *db,
                       const struct sstore_column_family *family,
                       const struct sstore_read_options *options,
                       const void *key,
                       size_t key_len,
                       void **value,
                       size_t *value_len,
                       struct sstore_error **error);

/**
 * Reads the value of `key` where it lies. `*pinned` is the caller's; free it with sstore_pinned_free; `*value` lives until then,
 * also after the database was closed. `*sequence` (may be NULL) becomes the place of the write that set it.
 * Otherwise like sstore_get.
 */
sstore_code sstore_get_pinned(const struct sstore_db *db,
                              const struct sstore_column_family *family,
                              const struct sstore_read_options *options,
                              const void *key,
                              size_t key_len,
                              struct sstore_pinned **pinned,
                              struct sstore_slice *value,
                              uint64_t *sequence,
                              struct sstore_error **error);

/**
 * Frees a pinned value. NULL and what was freed already do nothing. Does not block, unless it is the last thing that a
 * released database waited for. Any thread.
 */
void sstore_pinned_free(struct sstore_pinned *pinned);

/**
 * Reads the value of `key` into the caller's `buffer` of `capacity` bytes; allocates nothing. `*value_len` becomes its length.
 * If it does not fit: SSTORE_TOO_SMALL without an error object, the length needed in `*value_len`, and the buffer's content is
 * undefined. A NULL buffer with capacity 0 asks for the length. Otherwise like sstore_get.
 */
sstore_code sstore_get_into(const struct sstore_db *db,
                            const struct sstore_column_family *family,
                            const struct sstore_read_options *options,
                            const void *key,
                            size_t key_len,
                            void *buffer,
                            size_t capacity,
                            size_t *value_len,
                            struct sstore_error **error);

/**
 * Tells whether `key` has a value: SSTORE_OK or SSTORE_NOT_FOUND. Otherwise like sstore_get.
 */
sstore_code sstore_contains(const struct sstore_db *db,
                            const struct sstore_column_family *family,
                            const struct sstore_read_options *options,
                            const void *key,
                            size_t key_len,
                            struct sstore_error **error);

/**
 * Reads many keys at one moment. `*values` is the caller's; free it with sstore_values_free. A missing key is no error: its
 * slice has a NULL `data`. The array and the keys are borrowed until the call returns. Otherwise like sstore_get.
 */
sstore_code sstore_multi_get(const struct sstore_db *db,
                             const struct sstore_column_family *family,
                             const struct sstore_read_options *options,
                             const struct sstore_slice *keys,
                             size_t count,
                             struct sstore_values **values,
                             struct sstore_error **error);

/**
 * The values of sstore_multi_get, one slice for each key in the order given; a missing key's has a NULL `data`. `*count` (may be
 * NULL) becomes how many. NULL and 0 for what is no values object. All of it lives until the values are freed.
 * Does not block; any thread.
 */
const struct sstore_slice *sstore_values_slices(const struct sstore_values *values,
                                                size_t *count);

/**
 * Frees values. NULL and what was freed already do nothing. Does not block, as sstore_pinned_free. Any thread.
 */
void sstore_values_free(struct sstore_values *values);

/** @} */

/** @name Snapshots
 * @{ */

/**
 * Takes a snapshot: reads at it see what was written before this call and nothing later. `*snapshot` is the caller's; free it
 * with sstore_snapshot_free. Does not block; any thread. Errors: CLOSED, INVALID_ARGUMENT, NO_MEMORY.
 */
sstore_code sstore_snapshot_create(struct sstore_db *db,
                                   struct sstore_snapshot **snapshot,
                                   struct sstore_error **error);

/**
 * Takes another snapshot of the moment of one that is still open, told by its sequence alone; it stays when the other is freed.
 * Otherwise like sstore_snapshot_create. Errors also: GAP (no open snapshot has exactly this sequence: what it saw may be gone);
 * INVALID_ARGUMENT also for a sequence that is still to come.
 */
sstore_code sstore_snapshot_at(struct sstore_db *db,
                               uint64_t sequence,
                               struct sstore_snapshot **snapshot,
                               struct sstore_error **error);

/**
 * The sequence of the last write that the snapshot sees; 0 for NULL and for what is no snapshot. Does not block; any thread.
 */
uint64_t sstore_snapshot_sequence(const struct sstore_snapshot *snapshot);

/**
 * Frees a snapshot; iterators that were made at it go on. NULL and what was freed already do nothing. Does not block; any thread.
 */
void sstore_snapshot_free(struct sstore_snapshot *snapshot);

/** @} */

/** @name Iterating
 * @{ */

/**
 * Makes an iterator over `family` (NULL: the default one); it stands nowhere yet. NULL options: every default.
 * `*iterator` is the caller's; free it with sstore_iterator_free. It sees the database as it is at this call (or at the
 * snapshot), whatever is written later. May block: reads files. Any thread.
 * Errors: INVALID_ARGUMENT, DROPPED, CLOSED, CORRUPTION, IO, NO_MEMORY.
 */
sstore_code sstore_iterator_create(struct sstore_db *db,
                                   const struct sstore_column_family *family,
                                   const struct sstore_iterator_options *options,
                                   struct sstore_iterator **iterator,
                                   struct sstore_error **error);

/**
 * Moves to the first entry: SSTORE_OK if it stands on one now, SSTORE_NOT_FOUND without an error object if there is none.
 * May block: reads files. One thread at a time. Errors: NOT_FOUND, BUSY, CLOSED, CORRUPTION, IO, INVALID_ARGUMENT.
 */
sstore_code sstore_iterator_seek_to_first(struct sstore_iterator *iterator,
                                          struct sstore_error **error);

/**
 * Moves to the last entry. Otherwise like sstore_iterator_seek_to_first.
 */
sstore_code sstore_iterator_seek_to_last(struct sstore_iterator *iterator, struct sstore_error **error);

/**
 * Moves to the first entry at or after `key`. Otherwise like sstore_iterator_seek_to_first.
 */
sstore_code sstore_iterator_seek(struct sstore_iterator *iterator,
                                 const void *key,
                                 size_t key_len,
                                 struct sstore_error **error);

/**
 * Moves to the last entry at or before `key`. Otherwise like sstore_iterator_seek_to_first.
 */
sstore_code sstore_iterator_seek_for_prev(struct sstore_iterator *iterator,
                                          const void *key,
                                          size_t key_len,
                                          struct sstore_error **error);

/**
 * Moves to the next entry. INVALID_ARGUMENT if it stands on none. Otherwise like sstore_iterator_seek_to_first.
 */
sstore_code sstore_iterator_next(struct sstore_iterator *iterator, struct sstore_error **error);

/**
 * Moves to the entry before. INVALID_ARGUMENT if it stands on none. Otherwise like sstore_iterator_seek_to_first.
 */
sstore_code sstore_iterator_prev(struct sstore_iterator *iterator, struct sstore_error **error);

/**
 * Whether it stands on an entry: 1 or 0; 0 also for what is no iterator, and while another thread uses it.
 * Does not block; any thread.
 */
int32_t sstore_iterator_is_valid(const struct sstore_iterator *iterator);

/**
 * The entry it stands on: key, value, and the place of the write that set it. Each of the three may be NULL. The bytes live
 * until the next call that moves or frees this iterator. SSTORE_NOT_FOUND without an error object if it stands on none.
 * Does not block; one thread at a time. Errors: NOT_FOUND, BUSY, CLOSED, INVALID_ARGUMENT.
 */
sstore_code sstore_iterator_entry(const struct sstore_iterator *iterator,
                                  struct sstore_slice *key,
                                  struct sstore_slice *value,
                                  uint64_t *sequence,
                                  struct sstore_error **error);

/**
 * Pins the value of the entry it stands on: `*value` lives until `*pinned` is freed with sstore_pinned_free, however far the
 * iterator moves. `*pinned` is the caller's. Otherwise like sstore_iterator_entry.
 */
sstore_code sstore_iterator_pin_value(const struct sstore_iterator *iterator,
                                      struct sstore_pinned **pinned,
                                      struct sstore_slice *value,
                                      struct sstore_error **error);

/**
 * Gives up to `capacity` entries, in order, in one call, and moves past them: the next call goes on where this one ended. A new
 * iterator begins with the first entry, one that stands on an entry with that. Ends early when keys and values are
 * `max_bytes` together (0: no limit), but gives at least one. `keys` or `values` may be NULL if they are not wanted. The bytes live
 * until the next call of sstore_iterator_next_batch, _prev_batch or _free on this iterator. At the end: SSTORE_NOT_FOUND without
 * an error object, and `*count` is 0. Otherwise like sstore_iterator_seek_to_first.
 */
sstore_code sstore_iterator_next_batch(struct sstore_iterator *iterator,
                                       struct sstore_slice *keys,
                                       struct sstore_slice *values,
                                       size_t capacity,
                                       size_t max_bytes,
                                       size_t *count,
                                       struct sstore_error **error);

/**
 * The same backward: a new iterator begins with the last entry. Otherwise like sstore_iterator_next_batch.
 */
sstore_code sstore_iterator_prev_batch(struct sstore_iterator *iterator,
                                       struct sstore_slice *keys,
                                       struct sstore_slice *values,
                                       size_t capacity,
                                       size_t max_bytes,
                                       size_t *count,
                                       struct sstore_error **error);

/**
 * Lets the iterator see the present; it stands nowhere afterwards, like a new one. May block; one thread at a time.
 * Errors: BUSY, CLOSED, DROPPED, IO, CORRUPTION, INVALID_ARGUMENT.
 */
sstore_code sstore_iterator_refresh(struct sstore_iterator *iterator, struct sstore_error **error);

/**
 * Frees an iterator and the bytes that it gave. NULL and what was freed already do nothing. Does not block, as
 * sstore_pinned_free. Any thread.
 */
void sstore_iterator_free(struct sstore_iterator *iterator);

/** @} */

/** @name Flushing, merging, and what failed behind
 * @{ */

/**
 * Freezes the memtables of `count` families (0: of all, tables too) and has them written to files, oldest first. `*token` is the caller's,
 * to wait with; free it with sstore_flush_token_free; a NULL `token` wants none. The array is borrowed until the call returns, and
 * a NULL in it stands for the default family. May block for writes that are under way, not for the files. Any thread.
 * Errors: CLOSED, DROPPED, READ_ONLY, POISONED, INVALID_ARGUMENT.
 */
sstore_code sstore_flush(struct sstore_db *db,
                         const struct sstore_column_family *const *families,
                         size_t count,
                         struct sstore_flush_token **token,
                         struct sstore_error **error);

/**
 * Freezes the memtables of `count` tables (0: of all tables and families) and has them written to files. Otherwise like
 * sstore_flush, but that a NULL in the array is refused. Errors also: NOT_SUPPORTED (a library without tables).
 */
sstore_code sstore_table_flush(struct sstore_db *db,
                               const struct sstore_table *const *tables,
                               size_t count,
                               struct sstore_flush_token **token,
                               struct sstore_error **error);

/**
 * Flushes `family_count` families and `table_count` tables (0 and 0: all of both) atomically: what they hold is frozen at one boundary
 * between two writes, and their files come to count all at once. After a crash either each of them holds everything up to that
 * boundary, or none of these files is there: what matters to families and tables without a log. If one file cannot be written none
 * counts, and all are tried again together; what is dropped meanwhile leaves the others to go on. Otherwise like sstore_flush; a NULL
 * among the tables is refused. Does not wait for the files. Any thread.
 * Errors: CLOSED, DROPPED, READ_ONLY, POISONED, INVALID_ARGUMENT, NOT_SUPPORTED (tables, of a library without them).
 */
sstore_code sstore_flush_atomic(struct sstore_db *db,
                                const struct sstore_column_family *const *families,
                                size_t family_count,
                                const struct sstore_table *const *tables,
                                size_t table_count,
                                struct sstore_flush_token **token,
                                struct sstore_error **error);

/**
 * Asks whether the flush has ended: `*done` becomes 1 or 0. If it failed, its error is given, and `*done` is 1.
 * Does not block; any thread. Errors: those of the flush (IO, NO_SPACE, CLOSED, ..), INVALID_ARGUMENT.
 */
sstore_code sstore_flush_token_poll(const struct sstore_flush_token *token,
                                    int32_t *done,
                                    struct sstore_error **error);

/**
 * Waits until the flush has ended, at most `timeout_millis` (0: as long as it takes; a close or a failure ends it too).
 * Blocks. Any thread, but not a callback. Errors: TIMED_OUT (the flush goes on), those of the flush, INVALID_ARGUMENT.
 */
sstore_code sstore_flush_token_wait(const struct sstore_flush_token *token,
                                    uint64_t timeout_millis,
                                    struct sstore_error **error);

/**
 * The result of a flush that has ended. `*result` must have its struct_size set. Does not block; any thread.
 * Errors: BUSY (it has not ended), those of the flush, INVALID_ARGUMENT.
 */
sstore_code sstore_flush_token_result(const struct sstore_flush_token *token,
                                      struct sstore_flush_result *result,
                                      struct sstore_error **error);

/**
 * Frees a token. NULL and what was freed already do nothing. Does not block; any thread.
 */
void sstore_flush_token_free(struct sstore_flush_token *token);

/**
 * The name of a flush reason, such as "manual"; "unknown" for a number that is none. The text lives for ever.
 * Does not block; any thread.
 */
const char *sstore_flush_reason_name(uint32_t reason);

/**
 * Makes every write that was acknowledged before this call durable. Blocks: waits for the disk. Any thread.
 * Errors: IO, NO_SPACE, POISONED, CLOSED, INVALID_ARGUMENT.
 */
sstore_code sstore_sync(struct sstore_db *db, struct sstore_error **error);

/**
 * Merges all files of a family (NULL: the default one) into one and waits for it. Blocks. Any thread, but not a callback.
 * Errors: IO, NO_SPACE, CORRUPTION, DROPPED, CLOSED, READ_ONLY, INVALID_ARGUMENT.
 */
sstore_code sstore_compact(struct sstore_db *db,
                           const struct sstore_column_family *family,
                           struct sstore_error **error);

/**
 * Merges all files of a table into one and waits for it. Blocks. Any thread, but not a callback.
 * Errors: IO, NO_SPACE, CORRUPTION, DROPPED, CLOSED, READ_ONLY, INVALID_ARGUMENT, NOT_SUPPORTED (a library without tables).
 */
sstore_code sstore_table_compact(struct sstore_db *db,
                                 const struct sstore_table *table,
                                 struct sstore_error **error);

/**
 * The failure that stopped background work or turned the database read-only, or else the damage of a file that did not open, as
 * code and error object; SSTORE_OK if there is none. Does not block; any thread. Errors: that failure; CLOSED, INVALID_ARGUMENT.
 */
sstore_code sstore_background_error(const struct sstore_db *db,
                                    struct sstore_error **error);

/**
 * Takes background work up again after its cause was removed, such as a full disk. May block. Any thread.
 * Errors: the failure, if it persists or cannot be recovered from without reopening (POISONED); CLOSED, INVALID_ARGUMENT.
 */
sstore_code sstore_resume(struct sstore_db *db,
                          struct sstore_error **error);

/** @} */

/** @name Tables
 * @{ */

/**
 * Creates a table with the columns of `schema`, a struct, which is moved. With `key_count` columns as its key, in that order, a
 * later row replaces the earlier one with the same key, and scans come in key order; with none, rows are only appended. Names
 * are copied. NULL options: every default; `table_format` and the like are among `options`. `*table` is the caller's; free it
 * with sstore_table_free. Blocks: writes and syncs the manifest. Any thread.
 * Errors: INVALID_ARGUMENT (the name is taken or not allowed; a column that cannot be, or not in the key, is named), CLOSED,
 * READ_ONLY, NOT_SUPPORTED, IO, NO_SPACE.
 */
sstore_code sstore_table_create(struct sstore_db *db,
                                const char *name,
                                struct ArrowSchema *schema,
                                const char *const *key,
                                size_t key_count,
                                const struct sstore_table_options *table_options,
                                const struct sstore_options *options,
                                struct sstore_table **table,
                                struct sstore_error **error);

/**
 * A handle of an existing table. `*table` is the caller's; free it with sstore_table_free. Does not block; any thread.
 * Errors: NOT_FOUND (with an error object: no table has that name), CLOSED, INVALID_ARGUMENT, NOT_SUPPORTED.
 */
sstore_code sstore_table_open(struct sstore_db *db,
                              const char *name,
                              struct sstore_table **table,
                              struct sstore_error **error);

/**
 * The names of all tables, sorted. `*names` is the caller's; free it with sstore_list_free.
 * Does not block; any thread. Errors: CLOSED, INVALID_ARGUMENT, NOT_SUPPORTED.
 */
sstore_code sstore_table_list(const struct sstore_db *db, struct sstore_list **names, struct sstore_error **error);

/**
 * Drops a table with all its rows. The handle stays the caller's to free; every use of it, and of other handles of the same
 * table, gives SSTORE_DROPPED. Scans that run go on. Blocks: writes and syncs the manifest. Any thread.
 * Errors: DROPPED, CLOSED, READ_ONLY, INVALID_ARGUMENT, NOT_SUPPORTED; NO_SPACE, IO (it is as before, and can be dropped
 * later); POISONED.
 */
sstore_code sstore_table_drop(struct sstore_db *db,
                              struct sstore_table *table,
                              struct sstore_error **error);

/**
 * The name of a table: its bytes live until this handle is freed. Does not block; any thread.
 * Errors: CLOSED (the handle was freed), INVALID_ARGUMENT, NOT_SUPPORTED.
 */
sstore_code sstore_table_name(const struct sstore_table *table,
                              struct sstore_slice *name,
                              struct sstore_error **error);

/**
 * The columns that are in force: a struct, for the caller to release. Does not block; any thread.
 * Errors: CLOSED (the handle was freed), INVALID_ARGUMENT, NOT_SUPPORTED.
 */
sstore_code sstore_table_schema(const struct sstore_table *table,
                                struct ArrowSchema *schema,
                                struct sstore_error **error);

/**
 * The names of the key's columns, in key order; none of a table without a key. `*names` is the caller's; free it with
 * sstore_list_free. Does not block; any thread. Errors: CLOSED (the handle was freed), INVALID_ARGUMENT, NOT_SUPPORTED.
 */
sstore_code sstore_table_key(const struct sstore_table *table,
                             struct sstore_list **names,
                             struct sstore_error **error);

/**
 * The names of the columns that the files of a table without a key are sorted by; none of other tables. Otherwise like
 * sstore_table_key.
 */
sstore_code sstore_table_order_by(const struct sstore_table *table,
                                  struct sstore_list **names,
                                  struct sstore_error **error);

/**
 * The options that are in force for a table, as sstore_column_family_get_options gives those of a family.
 * Errors also: NOT_SUPPORTED (a library without tables).
 */
sstore_code sstore_table_get_options(const struct sstore_table *table,
                                     struct sstore_options **options,
                                     struct sstore_error **error);

/**
 * Adds a column behind the others: name and type of `field`, which is moved and must be nullable, since rows that are there
 * have nulls in it. Nothing is rewritten; write batches filled before are refused with CONFLICT, and a row builder made before
 * leaves the column null. Blocks: writes and syncs the manifest. Any thread.
 * Errors: INVALID_ARGUMENT (names the column), DROPPED, CLOSED, READ_ONLY, IO, NO_SPACE, NOT_SUPPORTED.
 */
sstore_code sstore_table_add_column(struct sstore_db *db,
                                    const struct sstore_table *table,
                                    struct ArrowSchema *field,
                                    struct sstore_error **error);

/**
 * Takes a column away, not one of the key. A row builder made before is refused from then on, if the column is set in it.
 * Otherwise like sstore_table_add_column.
 */
sstore_code sstore_table_drop_column(struct sstore_db *db,
                                     const struct sstore_table *table,
                                     const char *name,
                                     struct sstore_error **error);

/**
 * Gives a column another name. Otherwise like sstore_table_drop_column.
 */
sstore_code sstore_table_rename_column(struct sstore_db *db,
                                       const struct sstore_table *table,
                                       const char *name,
                                       const char *new_name,
                                       struct sstore_error **error);

/**
 * Gives a column, not one of the key, the wider type of `field`, which is moved and whose name does not count: an integer of
 * more bits, float64 for float32, and the like. Otherwise like sstore_table_add_column.
 */
sstore_code sstore_table_widen_column(struct sstore_db *db,
                                      const struct sstore_table *table,
                                      const char *name,
                                      struct ArrowSchema *field,
                                      struct sstore_error **error);

/**
 * Frees a handle. NULL and what was freed already do nothing. Does not block, unless it is the last thing that a released
 * database waited for (see sstore_release). Any thread.
 */
void sstore_table_free(struct sstore_table *table);

/** @} */

/** @name Rows of tables
 * @{ */

/**
 * Puts the rows of a batch, a struct array, into a table: visible at once and together, each in place of the row with its key,
 * of rows with the same key the last. Columns are found by name, in any order; nullable ones may be missing, and large, view and
 * dictionary forms of a type are taken. `rows` and `schema` are moved; a NULL schema stands for the table's columns in their
 * order. NULL options: every default. `*sequence` (may be NULL) becomes the place of the write in the history of the database;
 * 0 on failure. May block: for flushes if memtables are full, for the disk if it is to be durable. Any thread.
 * Errors: INVALID_ARGUMENT (names the column, and the row that has a null where there may be none), DROPPED, CLOSED, READ_ONLY,
 * STALLED, CONFLICT (the table is altered again and again), IO, NO_SPACE, POISONED, NO_MEMORY, FORKED, NOT_SUPPORTED.
 */
sstore_code sstore_table_append(struct sstore_db *db,
                                const struct sstore_table *table,
                                const struct sstore_write_options *options,
                                struct ArrowArray *rows,
                                struct ArrowSchema *schema,
                                uint64_t *sequence,
                                struct sstore_error **error);

/**
 * Puts every batch of a stream into a table, each as one sstore_table_append does. The stream is moved, and read to its end
 * or to the first failure; batches before it stay written. `*row_count` (may be NULL) becomes how many rows were written, and
 * `*sequence` (may be NULL) the place of the last write, also on failure. Calls back into the stream, and waits for it.
 * Otherwise like sstore_table_append. Errors also: IO (the stream failed; the message is its own).
 */
sstore_code sstore_table_append_stream(struct sstore_db *db,
                                       const struct sstore_table *table,
                                       const struct sstore_write_options *options,
                                       struct ArrowArrayStream *stream,
                                       uint64_t *row_count,
                                       uint64_t *sequence,
                                       struct sstore_error **error);

/**
 * Removes the rows with these keys, given as a struct array of the key's columns, whether they exist or not. `keys` and
 * `schema` are moved; a NULL schema stands for the key's columns in key order. Otherwise like sstore_table_append.
 * INVALID_ARGUMENT also for a table without a key.
 */
sstore_code sstore_table_delete(struct sstore_db *db,
                                const struct sstore_table *table,
                                const struct sstore_write_options *options,
                                struct ArrowArray *keys,
                                struct ArrowSchema *schema,
                                uint64_t *sequence,
                                struct sstore_error **error);

/**
 * Looks up the row with one key, given as a struct array of one row. `key` and `key_schema` are moved; a NULL schema stands for
 * the key's columns in key order. Only the `column_count` columns named are given, in that order; 0: all. `*row` becomes a
 * struct array of one row, and `*row_schema` (may be NULL) its columns, for the caller to release. NULL options: every default.
 * Nothing found: SSTORE_NOT_FOUND without an error object, and both are marked as released. May block: reads files. Any thread.
 * Errors: NOT_FOUND, INVALID_ARGUMENT, DROPPED, CLOSED, CORRUPTION, IO, NO_MEMORY, FORKED, NOT_SUPPORTED.
 */
sstore_code sstore_table_get(const struct sstore_db *db,
                             const struct sstore_table *table,
                             const struct sstore_read_options *options,
                             const char *const *columns,
                             size_t column_count,
                             struct ArrowArray *key,
                             struct ArrowSchema *key_schema,
                             struct ArrowArray *row,
                             struct ArrowSchema *row_schema,
                             struct sstore_error **error);

/**
 * Looks up many keys at one moment. `*rows` becomes a struct array of the rows found, in the order of their keys, and, unless
 * `found` is NULL, the byte at each key's index in it becomes 1 or 0: whether there is a row; `found_count` is the number of
 * bytes there and must be that of the keys. Finding none is no error: `*rows` has no rows then. Otherwise like sstore_table_get.
 */
sstore_code sstore_table_get_many(const struct sstore_db *db,
                                  const struct sstore_table *table,
                                  const struct sstore_read_options *options,
                                  const char *const *columns,
                                  size_t column_count,
                                  struct ArrowArray *keys,
                                  struct ArrowSchema *keys_schema,
                                  uint8_t *found,
                                  size_t found_count,
                                  struct ArrowArray *rows,
                                  struct ArrowSchema *rows_schema,
                                  struct sstore_error **error);

/** @} */

/** @name Rows value by value
 * @{ */

/**
 * Makes a builder for rows of a table, or, by `kind` (a number of sstore_row_kind), for keys of it. It knows the columns that the
 * table has at this call. `*builder` is the caller's; free it with sstore_row_builder_free. Does not block; any thread.
 * Errors: INVALID_ARGUMENT (also: keys of a table that has none), CLOSED, NO_MEMORY, NOT_SUPPORTED (a library without tables).
 */
sstore_code sstore_row_builder_create(struct sstore_db *db,
                                      const struct sstore_table *table,
                                      uint32_t kind,
                                      struct sstore_row_builder **builder,
                                      struct sstore_error **error);

/**
 * Sets a value of the row that is being put together to null: what was set before in this row is taken back. A row in which all was
 * taken back is as if it had not been begun. `column` counts from 0. Does not block; one thread at a time.
 * Errors: INVALID_ARGUMENT (no such column), BUSY, CLOSED, NOT_SUPPORTED (a library without tables).
 */
sstore_code sstore_row_builder_set_null(struct sstore_row_builder *builder,
                                        size_t column,
                                        struct sstore_error **error);

/**
 * Sets a value of type bool: 0 is false, anything else true. Otherwise like sstore_row_builder_set_i64.
 */
sstore_code sstore_row_builder_set_bool(struct sstore_row_builder *builder,
                                        size_t column,
                                        int32_t value,
                                        struct sstore_error **error);

/**
 * Sets a whole number in a column of integers of any width; of dates, times, timestamps or durations, in the column's unit since
 * 1970 or midnight; or of decimals, without the point: 1234 in a decimal(10, 2) is 12.34. A value set again replaces the first.
 * An error changes nothing. Does not block; one thread at a time.
 * Errors: INVALID_ARGUMENT (no such column, of another type, or it cannot hold the value), BUSY, CLOSED, NO_MEMORY, NOT_SUPPORTED.
 */
sstore_code sstore_row_builder_set_i64(struct sstore_row_builder *builder,
                                       size_t column,
                                       int64_t value,
                                       struct sstore_error **error);

/**
 * Like sstore_row_builder_set_i64, for numbers from 2^63 on.
 */
sstore_code sstore_row_builder_set_u64(struct sstore_row_builder *builder,
                                       size_t column,
                                       uint64_t value,
                                       struct sstore_error **error);

/**
 * Sets a float64, or a float32, which takes the nearest value that it has. Otherwise like sstore_row_builder_set_i64.
 */
sstore_code sstore_row_builder_set_f64(struct sstore_row_builder *builder,
                                       size_t column,
                                       double value,
                                       struct sstore_error **error);

/**
 * Sets a text, which must be UTF-8 and needs no NUL, or a binary, of just the width if that is fixed. It is copied. Otherwise like
 * sstore_row_builder_set_i64. INVALID_ARGUMENT also when the column has 2 GiB already: write the rows first.
 */
sstore_code sstore_row_builder_set_bytes(struct sstore_row_builder *builder,
                                         size_t column,
                                         const void *value,
                                         size_t value_len,
                                         struct sstore_error **error);

/**
 * Ends the row: what was not set is null. On an error the row stays as it was begun. Does not block; one thread at a time.
 * Errors: INVALID_ARGUMENT (a column that may not be null was not set: it is named), BUSY, CLOSED, NOT_SUPPORTED.
 */
sstore_code sstore_row_builder_append(struct sstore_row_builder *builder,
                                      struct sstore_error **error);

/**
 * How many rows were appended and not yet written; 0 for NULL, for what is no builder, and while another thread uses it.
 * Does not block; any thread.
 */
size_t sstore_row_builder_count(const struct sstore_row_builder *builder);

/**
 * Forgets all rows, also the one that was begun, and keeps the memory for the next ones. Does not block; one thread at a time.
 * Errors: BUSY, CLOSED, INVALID_ARGUMENT, NOT_SUPPORTED.
 */
sstore_code sstore_row_builder_clear(struct sstore_row_builder *builder,
                                     struct sstore_error **error);

/**
 * Puts the rows into the table, together, as sstore_table_append does, and empties the builder. On an error the rows stay.
 * A row that was begun must be appended first. May block, and has the errors of sstore_table_append, BUSY, and INVALID_ARGUMENT
 * for a builder of keys. One thread at a time.
 */
sstore_code sstore_row_builder_write(struct sstore_row_builder *builder,
                                     const struct sstore_write_options *options,
                                     uint64_t *sequence,
                                     struct sstore_error **error);

/**
 * Adds the rows to a write batch, as sstore_batch_put_rows does, and empties the builder. On an error neither changes.
 * Does not block; one thread at a time, for both. Errors: those of sstore_batch_put_rows.
 */
sstore_code sstore_row_builder_add_to_batch(struct sstore_row_builder *builder,
                                            struct sstore_batch *batch,
                                            struct sstore_error **error);

/**
 * Gives the rows out as a struct array with its columns (`schema` may be NULL), both for the caller to release, and empties the
 * builder: keys to look up or delete, or the bounds of a scan. On an error the rows stay. Does not block; one thread at a time.
 * Errors: INVALID_ARGUMENT (also: a row was begun and not appended), BUSY, CLOSED, NOT_SUPPORTED.
 */
sstore_code sstore_row_builder_finish(struct sstore_row_builder *builder,
                                      struct ArrowArray *rows,
                                      struct ArrowSchema *schema,
                                      struct sstore_error **error);

/**
 * Frees a builder. NULL and what was freed already do nothing. Does not block; any thread.
 */
void sstore_row_builder_free(struct sstore_row_builder *builder);

/** @} */

/** @name Conditions on rows
 * @{ */

/**
 * Reads a filter from text, as SQL writes conditions: "a > 3 AND (b LIKE 'x%' OR c IS NULL)". `text` is NUL-terminated UTF-8. Words:
 * AND, OR, NOT, IN, BETWEEN, LIKE with a beginning, IS NULL, TRUE, FALSE, DATE '..' and TIMESTAMP '..'; names that are none of them
 * stand bare, others in double quotes. `*filter` is the caller's; free it with sstore_filter_free. Does not block; any thread.
 * Errors: INVALID_ARGUMENT (says where the text cannot be understood), NO_MEMORY, NOT_SUPPORTED (a library without tables).
 */
sstore_code sstore_filter_parse(const char *text,
                                struct sstore_filter **filter,
                                struct sstore_error **error);

/**
 * Makes the filter `column comparison literal`, where `comparison` is a number of sstore_comparison and the literal an array of
 * one row with its type, both moved. It need not be the column's type, as long as the two can be compared exactly. Otherwise like
 * sstore_filter_parse; whether column and literal fit is seen when a scan is executed.
 */
sstore_code sstore_filter_compare(const char *column,
                                  uint32_t comparison,
                                  struct ArrowArray *literal,
                                  struct ArrowSchema *schema,
                                  struct sstore_filter **filter,
                                  struct sstore_error **error);

/**
 * Makes the filter that `column` is one of the literals: an array of any number of rows with its type, both moved. Otherwise like
 * sstore_filter_compare.
 */
sstore_code sstore_filter_in(const char *column,
                             struct ArrowArray *literals,
                             struct ArrowSchema *schema,
                             struct sstore_filter **filter,
                             struct sstore_error **error);

/**
 * Makes the filter that `column` is null. Otherwise like sstore_filter_parse.
 */
sstore_code sstore_filter_is_null(const char *column, struct sstore_filter **filter, struct sstore_error **error);

/**
 * Makes the filter that the text or binary in `column` begins with these bytes, which are copied. Otherwise like
 * sstore_filter_parse.
 */
sstore_code sstore_filter_starts_with(const char *column,
                                      const void *prefix,
                                      size_t prefix_len,
                                      struct sstore_filter **filter,
                                      struct sstore_error **error);

/**
 * Puts `count` filters together; `logic` is a number of sstore_logic. The array is borrowed until the call returns, and the
 * filters stay the caller's. Otherwise like sstore_filter_parse. INVALID_ARGUMENT also for a NOT of another number than one.
 */
sstore_code sstore_filter_combine(uint32_t logic,
                                  const struct sstore_filter *const *filters,
                                  size_t count,
                                  struct sstore_filter **filter,
                                  struct sstore_error **error);

/**
 * Frees a filter. NULL and what was freed already do nothing. Does not block; any thread.
 */
void sstore_filter_free(struct sstore_filter *filter);

/** @} */

/** @name Scans of tables
 * @{ */

/**
 * Makes a scan of all columns and rows of a table, to be narrowed down. `*scan` is the caller's; free it with sstore_scan_free.
 * Does not block; any thread. Errors: INVALID_ARGUMENT, CLOSED, NO_MEMORY, NOT_SUPPORTED (a library without tables).
 */
sstore_code sstore_scan_create(struct sstore_db *db,
                               const struct sstore_table *table,
                               struct sstore_scan **scan,
                               struct sstore_error **error);

/**
 * Only these columns, in this order; NULL and 0: all. Names are copied, and looked up when the scan is executed. An error
 * changes nothing. Does not block; one thread at a time. Errors: INVALID_ARGUMENT, BUSY, CLOSED, NOT_SUPPORTED.
 */
sstore_code sstore_scan_set_columns(struct sstore_scan *scan,
                                    const char *const *columns,
                                    size_t count,
                                    struct sstore_error **error);

/**
 * Only a range of keys: `kind` is a number of sstore_bound, and the bound one row of the key's leading columns, in key order and of
 * their types. Both are moved; a NULL schema stands for as many of the key's columns as `bound` has. The three kinds combine; one
 * that is set again replaces the first. Otherwise like sstore_scan_set_columns.
 */
sstore_code sstore_scan_set_bound(struct sstore_scan *scan,
                                  uint32_t kind,
                                  struct ArrowArray *bound,
                                  struct ArrowSchema *schema,
                                  struct sstore_error **error);

/**
 * Only rows for which this filter is true; NULL: all. The filter stays the caller's. Otherwise like sstore_scan_set_columns.
 */
sstore_code sstore_scan_set_filter(struct sstore_scan *scan,
                                   const struct sstore_filter *filter,
                                   struct sstore_error **error);

/**
 * At most so many rows; UINT64_MAX: all. Otherwise like sstore_scan_set_columns.
 */
sstore_code sstore_scan_set_limit(struct sstore_scan *scan, uint64_t limit, struct sstore_error **error);

/**
 * Not 0: from the end, by descending key, or in a table without a key what arrived last first; with a limit the last rows, without
 * reading those before them. Bounds mean the same. 0 is the default. A table with `order_by` has no order to be reversed: then executing,
 * explaining and cutting into splits give INVALID_ARGUMENT. Otherwise like sstore_scan_set_columns.
 */
sstore_code sstore_scan_set_reverse(struct sstore_scan *scan,
                                    uint32_t reverse,
                                    struct sstore_error **error);

/**
 * At most so many rows in one array of the stream; 0: 8192. Otherwise like sstore_scan_set_columns.
 */
sstore_code sstore_scan_set_batch_rows(struct sstore_scan *scan, size_t rows, struct sstore_error **error);

/**
 * Not 0: keep what is read in the cache, for small scans that come again; 0, which is the default: leave the cache to others.
 * Otherwise like sstore_scan_set_columns.
 */
sstore_code sstore_scan_set_cached(struct sstore_scan *scan,
                                   uint32_t cached,
                                   struct sstore_error **error);

/**
 * The table as it was at a snapshot of its database, of which no other is taken; NULL: as it is when the scan is executed. The scan
 * keeps the snapshot open.
 * Otherwise like sstore_scan_set_columns.
 */
sstore_code sstore_scan_set_snapshot(struct sstore_scan *scan,
                                     const struct sstore_snapshot *snapshot,
                                     struct sstore_error **error);

/**
 * Executes the scan into a stream of the caller's: `*stream`, which is not looked at, becomes one that he releases. Its arrays are
 * struct arrays, in key order, or in order of arrival of a table without a key; or from the end (see sstore_scan_set_reverse). It
 * shows the table as it is at this call (or at the snapshot), whatever happens later, also a drop. It needs no handle any more, and does not keep sstore_close from closing: its
 * get_next gives ECANCELED from then on, with a text. After an error every further get_next gives the same one. One thread at a
 * time may use the stream, any may release it, and its arrays. May block: reads files. One thread at a time.
 * Errors: INVALID_ARGUMENT (a column or literal that does not fit is named), DROPPED, BUSY, CLOSED, CORRUPTION, IO, NO_MEMORY,
 * FORKED, NOT_SUPPORTED.
 */
sstore_code sstore_scan_execute(const struct sstore_scan *scan,
                                struct ArrowArrayStream *stream,
                                struct sstore_error **error);

/**
 * Tells, for people to read, which files and parts of files the scan would read, and which it would leave out and why. `*text` is
 * the caller's; free it with sstore_free. May block: reads files. One thread at a time. Errors: those of sstore_scan_execute.
 */
sstore_code sstore_scan_explain(const struct sstore_scan *scan,
                                char **text,
                                struct sstore_error **error);

/**
 * Frees a scan; streams that it was executed into go on. NULL and what was freed already do nothing. Does not block, unless it is
 * the last thing that a released database waited for (see sstore_release). Any thread.
 */
void sstore_scan_free(struct sstore_scan *scan);

/** @} */

/** @name Scans in pieces
 * @{ */

/**
 * Cuts a scan into splits of about `target_bytes` of file each: no two share a row, together they show what the scan shows at
 * this call (or at its snapshot), and in order they have its order. What the table has in memory is flushed first. There are none if
 * nothing is in the range. `*splits` is the caller's; free it with sstore_splits_free. Blocks: waits for the flush. One thread at a time.
 * Errors: INVALID_ARGUMENT (also a scan with a limit), and otherwise those of sstore_scan_execute and of the flush.
 */
sstore_code sstore_scan_splits(const struct sstore_scan *scan,
                               uint64_t target_bytes,
                               struct sstore_splits **splits,
                               struct sstore_error **error);

/**
 * How many splits; 0 for NULL and for what is no splits object. Does not block; any thread.
 */
size_t sstore_splits_count(const struct sstore_splits *splits);

/**
 * The last write that the splits show; 0 for NULL and for what is no splits object. Does not block; any thread.
 */
uint64_t sstore_splits_sequence(const struct sstore_splits *splits);

/**
 * The split at `index`. `*split` must have its struct_size set. Does not block; any thread.
 * Errors: NOT_FOUND (no such index), INVALID_ARGUMENT, CLOSED, NOT_SUPPORTED (a library without tables).
 */
sstore_code sstore_splits_get(const struct sstore_splits *splits,
                              size_t index,
                              struct sstore_split *split,
                              struct sstore_error **error);

/**
 * Frees the splits, and lets go of their files. NULL and what was freed already do nothing. May block: deletes files that waited.
 * Any thread.
 */
void sstore_splits_free(struct sstore_splits *splits);

/**
 * Executes the split that these bytes are into a stream of the caller's, as sstore_scan_execute does a scan: in any process, without
 * a database handle, beside a writer or without one; only the table's files are read. They are looked for in the database directory
 * `database`; NULL: where the database was opened, a relative path seen from this process. Somebody must keep the files until the call returns: the sstore_splits
 * object, an export, a copy. Bytes of strangers are checked, but name files to be read. May block: reads files. Any thread.
 * Errors: CORRUPTION (no split, or a file of it is gone or not to the byte the one it was), NOT_SUPPORTED, IO,
 * INVALID_ARGUMENT, NO_MEMORY.
 */
sstore_code sstore_split_execute(const void *split,
                                 size_t split_len,
                                 const char *database,
                                 struct ArrowArrayStream *stream,
                                 struct sstore_error **error);

/** @} */

/** @name Files: looked at
 * @{ */

/**
 * Lists the files of a family (NULL: the default one), newest last. They may be merged and deleted at any time: open what you
 * want to keep. `*segments` is the caller's; free it with sstore_segments_free. Does not block; any thread.
 * Errors: CLOSED, DROPPED, INVALID_ARGUMENT.
 */
sstore_code sstore_segments_list(const struct sstore_db *db,
                                 const struct sstore_column_family *family,
                                 struct sstore_segments **segments,
                                 struct sstore_error **error);

/**
 * Lists the files of a table. Keys are as the files have them: encoded so that bytes compare as rows do. Otherwise like
 * sstore_segments_list. Errors also: NOT_SUPPORTED (a library without tables).
 */
sstore_code sstore_table_segments(const struct sstore_db *db,
                                  const struct sstore_table *table,
                                  struct sstore_segments **segments,
                                  struct sstore_error **error);

/**
 * How many files; 0 for NULL and for what is no segments object. Does not block; any thread.
 */
size_t sstore_segments_count(const struct sstore_segments *segments);

/**
 * Describes the file at `index`. `*segment` must have its struct_size set. Does not block; any thread.
 * Errors: NOT_FOUND (no such index), INVALID_ARGUMENT, CLOSED.
 */
sstore_code sstore_segments_get(const struct sstore_segments *segments,
                                size_t index,
                                struct sstore_segment *segment,
                                struct sstore_error **error);

/**
 * Frees the list. NULL and what was freed already do nothing. Does not block; any thread.
 */
void sstore_segments_free(struct sstore_segments *segments);

/** @} */

/** @name Files: kept and exported
 * @{ */

/**
 * The files that a family (NULL: the default one) consists of, oldest first: of two versions of a key the one in the later file is the
 * newer one. As of now, or of the snapshot in `options`; NULL options: now. None of them is deleted before `*files`, which is the
 * caller's, is freed with sstore_files_free. Does not block; any thread. Errors: CLOSED, DROPPED, INVALID_ARGUMENT.
 */
sstore_code sstore_live_files(const struct sstore_db *db,
                              const struct sstore_column_family *family,
                              const struct sstore_read_options *options,
                              struct sstore_files **files,
                              struct sstore_error **error);

/**
 * The files that a table consists of. With its schema and `sequence` other programs read exactly what a scan shows: of each key the
 * row with the greatest `_seq` at or below it, unless its `_op` is 1. Otherwise like sstore_live_files.
 * Errors also: NOT_SUPPORTED (a library without tables).
 */
sstore_code sstore_table_live_files(const struct sstore_db *db,
                                    const struct sstore_table *table,
                                    const struct sstore_read_options *options,
                                    struct sstore_files **files,
                                    struct sstore_error **error);

/**
 * Flushes a family (NULL: the default one) and puts hard links to its files into `directory`, which must not exist yet; copies, where
 * links cannot be. Their names sort oldest first. The directory appears whole and durable, or not at all; the database goes on
 * meanwhile. `*files` tells what is in it; it is the caller's, to be freed with sstore_files_free; a NULL `files` wants none.
 * Blocks: waits for the flush, writes, syncs. Any thread, but not a callback.
 * Errors: INVALID_ARGUMENT (also if `directory` exists), NOT_FOUND (its parent does not), CLOSED, DROPPED, READ_ONLY, IO, NO_SPACE.
 */
sstore_code sstore_export(struct sstore_db *db,
                          const struct sstore_column_family *family,
                          const char *directory,
                          struct sstore_files **files,
                          struct sstore_error **error);

/**
 * The same, which tells `progress` (NULL: nobody) how far it is, with `user_data`, and can be called off by it: then there is no
 * directory; the flush goes on. Otherwise like sstore_export. Errors also: CANCELLED.
 */
sstore_code sstore_export_with_progress(struct sstore_db *db,
                                        const struct sstore_column_family *family,
                                        const char *directory,
                                        sstore_progress_callback progress,
                                        void *user_data,
                                        struct sstore_files **files,
                                        struct sstore_error **error);

/**
 * Exports a table: files that any program opens that reads the format, without our index of Arrow files. Otherwise like
 * sstore_export. Errors also: NOT_SUPPORTED (a library without tables).
 */
sstore_code sstore_table_export(struct sstore_db *db,
                                const struct sstore_table *table,
                                const char *directory,
                                struct sstore_files **files,
                                struct sstore_error **error);

/**
 * Exports a table as sstore_table_export does, and tells how far it is. Otherwise like sstore_export_with_progress.
 */
sstore_code sstore_table_export_with_progress(struct sstore_db *db,
                                              const struct sstore_table *table,
                                              const char *directory,
                                              sstore_progress_callback progress,
                                              void *user_data,
                                              struct sstore_files **files,
                                              struct sstore_error **error);

/**
 * How many files; 0 for NULL and for what is no files object. Does not block; any thread.
 */
size_t sstore_files_count(const struct sstore_files *files);

/**
 * What is told of all files together. `*info` must have its struct_size set. Does not block; any thread.
 * Errors: INVALID_ARGUMENT, CLOSED.
 */
sstore_code sstore_files_describe(const struct sstore_files *files,
                                  struct sstore_files_info *info,
                                  struct sstore_error **error);

/**
 * Describes the file at `index`. `*file` must have its struct_size set. Does not block; any thread.
 * Errors: NOT_FOUND (no such index), INVALID_ARGUMENT, CLOSED.
 */
sstore_code sstore_files_get(const struct sstore_files *files,
                             size_t index,
                             struct sstore_file *file,
                             struct sstore_error **error);

/**
 * Frees the files object; live files may go from then on, exported ones stay. NULL and what was freed already do nothing.
 * May block: deletes files that waited. Any thread.
 */
void sstore_files_free(struct sstore_files *files);

/** @} */

/** @name Figures: counters and times
 * @{ */

/**
 * Fills `*stats`, which must have its struct_size set. Does not block; any thread. Errors: CLOSED, INVALID_ARGUMENT.
 */
sstore_code sstore_stats_get(const struct sstore_db *db, struct sstore_stats *stats, struct sstore_error **error);

/**
 * Fills `*histogram`, which must have its struct_size set, with the times of one operation: "write" (single writes, and batches as a
 * whole), "get" (single look-ups of families), "seek" (of iterators over families), "sync" (waits for the log to be durable), "fsync" (syncs of single files
 * and directories), "flush", "merge", "stall" (stops of writers), "delay" (their short waits). Of the first three one in 128 is
 * timed. Does not block; any thread. Errors: INVALID_ARGUMENT (unknown name), CLOSED.
 */
sstore_code sstore_histogram_get(const struct sstore_db *db,
                                 const char *name,
                                 struct sstore_histogram *histogram,
                                 struct sstore_error **error);

/**
 * Takes every counter since the database was opened, and of every histogram (see sstore_histogram_get) the parts
 * `<name>.count`, `.sum`, `.p50`, `.p99`, `.p999` and `.max` in nanoseconds, and `.one_in`. `*metrics` is the caller's; free it with sstore_metrics_free. Does not block; any thread.
 * Errors: CLOSED, INVALID_ARGUMENT.
 */
sstore_code sstore_metrics_create(const struct sstore_db *db,
                                  struct sstore_metrics **metrics,
                                  struct sstore_error **error);

/**
 * Counters, times, memory by owner, amplification and the size of each family and table, in the text format of Prometheus
 * (version 0.0.4): to be served as it is, as `text/plain; version=0.0.4`. All names begin with `sstore_`. `*text` is the caller's, with a
 * NUL at its end; free it with sstore_free. `*length`, which may be NULL, is its length without that. Does not block; any thread.
 * Errors: CLOSED, FORKED, INVALID_ARGUMENT, NO_MEMORY.
 */
sstore_code sstore_metrics_text(const struct sstore_db *db,
                                char **text,
                                size_t *length,
                                struct sstore_error **error);

/**
 * How many there are; 0 for NULL and for what is no metrics object. Does not block; any thread.
 */
size_t sstore_metrics_count(const struct sstore_metrics *metrics);

/**
 * Name and value at `index`; each may be NULL. The name lives until the metrics are freed. Does not block; any thread.
 * Errors: NOT_FOUND (no such index), INVALID_ARGUMENT, CLOSED.
 */
sstore_code sstore_metrics_get(const struct sstore_metrics *metrics,
                               size_t index,
                               const char **name,
                               uint64_t *value,
                               struct sstore_error **error);

/**
 * Frees metrics. NULL and what was freed already do nothing. Does not block; any thread.
 */
void sstore_metrics_free(struct sstore_metrics *metrics);

/** @} */

/** @name Figures: memory
 * @{ */

/**
 * Fills `*memory`, which must have its struct_size set, with what each owner holds. Does not block; any thread.
 * Errors: CLOSED, INVALID_ARGUMENT.
 */
sstore_code sstore_memory_use_get(const struct sstore_db *db,
                                  struct sstore_memory_use *memory,
                                  struct sstore_error **error);

/** @} */

/** @name Figures: the log
 * @{ */

/**
 * Tells who needs the oldest record of the log, and so its oldest segment: flushing that family shortens the log. Fills `*pin`, which
 * must have its struct_size set. `*family` becomes the name of the column family or table, the caller's, with a NUL at its end; free it
 * with sstore_free. Does not block for long; any thread. Errors: NOT_FOUND (all that was logged is in files), CLOSED, INVALID_ARGUMENT,
 * NO_MEMORY.
 */
sstore_code sstore_log_pin_get(const struct sstore_db *db,
                               char **family,
                               struct sstore_log_pin *pin,
                               struct sstore_error **error);

/** @} */

/** @name Repair
 * @{ */

/**
 * Makes a database in the directory `new_path`, which must not exist or be empty, from what can be read in `path`, where no database
 * may be open. The damaged one is only read. `options` are those of the new one, and of families and tables whose own are
 * lost; NULL: every default, as for `repair_options`. `*report` is the caller's, to be freed with sstore_repair_report_free; a NULL
 * `report` wants none. After an error there is no new database. Blocks: reads every file to its end, writes, syncs. Any thread.
 * Errors: NOT_FOUND (with an error object: no directory `path`), LOCKED, INVALID_ARGUMENT (`new_path` is not empty), NOT_SUPPORTED,
 * IO, NO_SPACE.
 */
sstore_code sstore_repair(const char *path,
                          const char *new_path,
                          const struct sstore_repair_options *repair_options,
                          const struct sstore_options *options,
                          struct sstore_repair_report **report,
                          struct sstore_error **error);

/**
 * The same, which tells `progress` (NULL: nobody) how far it is, with `user_data`, and can be called off by it. What is told are bytes
 * read and written of files and log: twice what the damaged database has. Otherwise like sstore_repair. Errors also: CANCELLED.
 */
sstore_code sstore_repair_with_progress(const char *path,
                                        const char *new_path,
                                        const struct sstore_repair_options *repair_options,
                                        const struct sstore_options *options,
                                        sstore_progress_callback progress,
                                        void *user_data,
                                        struct sstore_repair_report **report,
                                        struct sstore_error **error);

/**
 * The numbers of a report. `*summary` must have its struct_size set. Does not block; any thread. Errors: INVALID_ARGUMENT, CLOSED.
 */
sstore_code sstore_repair_report_summary(const struct sstore_repair_report *report,
                                         struct sstore_repair_summary *summary,
                                         struct sstore_error **error);

/**
 * What became of the file at `index`. `*file` must have its struct_size set. Does not block; any thread.
 * Errors: NOT_FOUND (no such index), INVALID_ARGUMENT, CLOSED.
 */
sstore_code sstore_repair_report_file(const struct sstore_repair_report *report,
                                      size_t index,
                                      struct sstore_repaired_file *file,
                                      struct sstore_error **error);

/**
 * What became of the segment at `index`. `*segment` must have its struct_size set. Otherwise like sstore_repair_report_file.
 */
sstore_code sstore_repair_report_segment(const struct sstore_repair_report *report,
                                         size_t index,
                                         struct sstore_salvaged_segment *segment,
                                         struct sstore_error **error);

/**
 * The names of the families and tables of the new database. `*names` is the caller's; free it with sstore_list_free.
 * Does not block; any thread. Errors: INVALID_ARGUMENT, CLOSED.
 */
sstore_code sstore_repair_report_collections(const struct sstore_repair_report *report,
                                             struct sstore_list **names,
                                             struct sstore_error **error);

/**
 * Frees a report and its texts. NULL and what was freed already do nothing. Does not block; any thread.
 */
void sstore_repair_report_free(struct sstore_repair_report *report);

/** @} */

/** @name Databases of other engines
 * @{ */

/**
 * Writes everything that LevelDB would show of its database in the directory `path` to a family (NULL: the default one), as one file: all of
 * it comes to be seen at the end, in one step, and is durable when the call returns. After an error, a cancel or a crash nothing of it is there.
 * Keys that were there before get LevelDB's value; others stay, and so do keys that are written while the call runs. Merges of the family
 * wait for it. The source is only read, and every checksum in it verified; a process must not have it open. `options` may be NULL: every default; so may `progress`. `*result` must have its struct_size set; NULL wants none.
 * Blocks: flushes the family, reads the source to its end, writes. Any thread, but not a callback of the database's.
 * Errors: NOT_FOUND (with an error object: no database of LevelDB in `path`), LOCKED (a process has it open, or opened it meanwhile),
 * CORRUPTION (with file and offset), NOT_SUPPORTED (its keys have another order than that of their bytes; a library without the import),
 * INVALID_ARGUMENT (also for a key of more than 64 KiB), CANCELLED, CLOSED, DROPPED, READ_ONLY, POISONED, IO, NO_SPACE, NO_MEMORY.
 */
sstore_code sstore_import_leveldb(struct sstore_db *db,
                                  const struct sstore_column_family *family,
                                  const char *path,
                                  const struct sstore_leveldb_options *options,
                                  sstore_import_callback progress,
                                  void *user_data,
                                  struct sstore_leveldb_result *result,
                                  struct sstore_error **error);

/** @} */

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus


/** A slice of nothing. */
#define SSTORE_SLICE_INIT { NULL, 0 }
/** Every default: of sstore_close_options. */
#define SSTORE_CLOSE_OPTIONS_INIT { sizeof(sstore_close_options), 0, 0, 0, 0 }
/** Every default: of sstore_read_options. */
#define SSTORE_READ_OPTIONS_INIT { sizeof(sstore_read_options), 0, NULL }
/** Every default: of sstore_write_options. */
#define SSTORE_WRITE_OPTIONS_INIT { sizeof(sstore_write_options), 0, 0, 0 }
/** Every default: of sstore_iterator_options. */
#define SSTORE_ITERATOR_OPTIONS_INIT \
    { sizeof(sstore_iterator_options), 0, NULL, SSTORE_SLICE_INIT, SSTORE_SLICE_INIT, SSTORE_SLICE_INIT }
/** Every default: of sstore_table_options. */
#define SSTORE_TABLE_OPTIONS_INIT { sizeof(sstore_table_options), 0, 0, 0, NULL, 0 }
/** To be filled: sstore_open_objects. */
#define SSTORE_OPEN_OBJECTS_INIT { sizeof(sstore_open_objects), 0, 0, 0 }
/** To be filled: sstore_flush_result. */
#define SSTORE_FLUSH_RESULT_INIT { sizeof(sstore_flush_result), 0, NULL, 0, 0, 0, 0 }
/** To be filled: sstore_option_info. */
#define SSTORE_OPTION_INFO_INIT \
    { sizeof(sstore_option_info), 0, NULL, NULL, NULL, NULL, NULL, 0, 0 }
/** To be filled: sstore_segment. */
#define SSTORE_SEGMENT_INIT \
    { sizeof(sstore_segment), 0, 0, NULL, 0, 0, 0, SSTORE_SLICE_INIT, SSTORE_SLICE_INIT, 0, 0 }
/** Every default: of sstore_repair_options. */
#define SSTORE_REPAIR_OPTIONS_INIT { sizeof(sstore_repair_options), 0, NULL }
/** Every default: of sstore_leveldb_options. */
#define SSTORE_LEVELDB_OPTIONS_INIT { sizeof(sstore_leveldb_options), 0 }
/** To be filled: sstore_leveldb_result. */
#define SSTORE_LEVELDB_RESULT_INIT { sizeof(sstore_leveldb_result), 0, 0, 0, 0, 0, 0, 0 }
/** To be filled: sstore_file. */
#define SSTORE_FILE_INIT \
    { sizeof(sstore_file), 0, 0, 0, 0, 0, 0, NULL, 0, 0, 0, SSTORE_SLICE_INIT, SSTORE_SLICE_INIT, 0, 0 }
/** To be filled: sstore_files_info. */
#define SSTORE_FILES_INFO_INIT { sizeof(sstore_files_info), 0, 0, 0, 0 }
/** To be filled: sstore_repair_summary. */
#define SSTORE_REPAIR_SUMMARY_INIT { sizeof(sstore_repair_summary), 0, NULL, 0, 0, 0, 0, 0 }
/** To be filled: sstore_repaired_file. */
#define SSTORE_REPAIRED_FILE_INIT { sizeof(sstore_repaired_file), 0, NULL, NULL, NULL, 0, 0 }
/** To be filled: sstore_salvaged_segment. */
#define SSTORE_SALVAGED_SEGMENT_INIT { sizeof(sstore_salvaged_segment), 0, NULL, NULL, 0, 0 }
/** To be filled: sstore_split. */
#define SSTORE_SPLIT_INIT { sizeof(sstore_split), 0, SSTORE_SLICE_INIT, 0, 0 }
/** To be filled: sstore_histogram. */
#define SSTORE_HISTOGRAM_INIT { sizeof(sstore_histogram), 0, 0, 0, 0, 0, 0, 0 }
/** To be filled: sstore_memory_use. */
#define SSTORE_MEMORY_USE_INIT { sizeof(sstore_memory_use), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
/** To be filled: sstore_log_pin. */
#define SSTORE_LOG_PIN_INIT { sizeof(sstore_log_pin), 0, 0, 0 }
/** To be filled: sstore_stats. */
#define SSTORE_STATS_INIT \
    { sizeof(sstore_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

#endif  /* SSTORE_H */
