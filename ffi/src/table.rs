//! Tables: rows of an Arrow schema, created, looked up, described, changed and dropped. What is in them is in `table_rows`.

use crate::arrow_abi::{self, ArrowSchema, Movable};
use crate::bytes::{self, Out, Sized32, sstore_slice};
use crate::open::{Database, sstore_db};
use crate::options::{self, ListObject, sstore_list, sstore_options};
use crate::status::{sstore_code, sstore_error};
use engine::Error;
use std::ffi::c_char;
#[cfg(feature = "arrow")]
use {
    crate::arrow::{
        export, import,
        objects::{TableObject, table_of},
    },
    crate::boundary::Outcome,
    crate::handle::Handles,
    engine::{KeyOptions, Result, SchemaChange, Table},
};

/// A table of rows. Thread safety: free. Free with sstore_table_free; that neither drops nor changes the table.
pub struct sstore_table {
    _opaque: [u8; 0],
}

/// What the key of a new table may be, and what orders a table without one. Start from SSTORE_TABLE_OPTIONS_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_table_options {
    /// sizeof(sstore_table_options).
    pub struct_size: u32,
    /// Not 0: columns of the key that are declared nullable may be null; nulls come first and equal each other.
    pub nullable_keys: u32,
    /// Not 0: floats may be in the key, in IEEE total order.
    pub float_keys: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The columns that the files of a table without a key are sorted by, `order_by_count` names; NULL and 0: order of arrival.
    pub order_by: *const *const c_char,
    /// How many.
    pub order_by_count: usize,
}

impl Default for sstore_table_options {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            nullable_keys: 0,
            float_keys: 0,
            reserved: 0,
            order_by: std::ptr::null(),
            order_by_count: 0,
        }
    }
}

// SAFETY: `repr(C)`, four u32, a pointer and a size: no padding, any bits are a value.
unsafe impl Sized32 for sstore_table_options {}

#[cfg(feature = "arrow")]
fn key_options(options: *const sstore_table_options) -> Result<KeyOptions> {
    let options = bytes::structure(options, "table_options")?;
    if options.reserved != 0 {
        return Err(Error::invalid("`table_options.reserved` is not 0"));
    }
    Ok(KeyOptions {
        nullable_keys: options.nullable_keys != 0,
        float_keys: options.float_keys != 0,
        order_by: import::names(options.order_by, options.order_by_count, "order_by")?,
    })
}

#[cfg(feature = "arrow")]
fn give(
    handles: &'static Handles,
    db: *const sstore_db,
    out: &Out<*mut sstore_table>,
    find: impl FnOnce(&Database) -> Result<Table>,
) -> Outcome {
    out.required("table")?;
    let database = handles.pin::<Database>(db)?;
    let table = find(&database)?;
    out.set(handles.insert(TableObject { table, token: database.token })?);
    Ok(())
}

/// Creates a table with the columns of `schema`, a struct, which is moved. With `key_count` columns as its key, in that order, a
/// later row replaces the earlier one with the same key, and scans come in key order; with none, rows are only appended. Names
/// are copied. NULL options: every default; `table_format` and the like are among `options`. `*table` is the caller's; free it
/// with sstore_table_free. Blocks: writes and syncs the manifest. Any thread.
/// Errors: INVALID_ARGUMENT (the name is taken or not allowed; a column that cannot be, or not in the key, is named), CLOSED,
/// READ_ONLY, NOT_SUPPORTED, IO, NO_SPACE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_create(
    db: *mut sstore_db,
    name: *const c_char,
    schema: *mut ArrowSchema,
    key: *const *const c_char,
    key_count: usize,
    table_options: *const sstore_table_options,
    options: *const sstore_options,
    table: *mut *mut sstore_table,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let schema = arrow_abi::take(schema);
    let out = Out::new(table, std::ptr::null_mut());
    with_tables!(error, |handles| {
        let name = bytes::text(name, "name")?;
        let schema = import::schema(schema, "schema")?;
        let key = import::names(key, key_count, "key")?;
        let key: Vec<&str> = key.iter().map(String::as_str).collect();
        let key_options = key_options(table_options)?;
        let options = options::copy(handles, options)?;
        give(handles, db, &out, |database| database.db.create_table(name, &schema, &key, &key_options, &options))
    })
}

/// A handle of an existing table. `*table` is the caller's; free it with sstore_table_free. Does not block; any thread.
/// Errors: NOT_FOUND (with an error object: no table has that name), CLOSED, INVALID_ARGUMENT, NOT_SUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_open(
    db: *mut sstore_db,
    name: *const c_char,
    table: *mut *mut sstore_table,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(table, std::ptr::null_mut());
    with_tables!(error, |handles| {
        let name = bytes::text(name, "name")?;
        give(handles, db, &out, |database| database.db.table(name))
    })
}

/// The names of all tables, sorted. `*names` is the caller's; free it with sstore_list_free.
/// Does not block; any thread. Errors: CLOSED, INVALID_ARGUMENT, NOT_SUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_list(
    db: *const sstore_db,
    names: *mut *mut sstore_list,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(names, std::ptr::null_mut());
    with_tables!(error, |handles| {
        out.required("names")?;
        let names = handles.pin::<Database>(db)?.db.tables()?;
        ListObject::give(handles, &out, names)
    })
}

/// Drops a table with all its rows. The handle stays the caller's to free; every use of it, and of other handles of the same
/// table, gives SSTORE_DROPPED. Scans that run go on. Blocks: writes and syncs the manifest. Any thread.
/// Errors: DROPPED, CLOSED, READ_ONLY, IO, INVALID_ARGUMENT, NOT_SUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_drop(
    db: *mut sstore_db,
    table: *mut sstore_table,
    error: *mut *mut sstore_error,
) -> sstore_code {
    with_tables!(error, |handles| {
        let (database, table) = table_of(handles, db, table)?;
        Ok(database.db.drop_table(&table.table)?)
    })
}

/// The name of a table: its bytes live until this handle is freed. Does not block; any thread.
/// Errors: CLOSED (the handle was freed), INVALID_ARGUMENT, NOT_SUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_name(
    table: *const sstore_table,
    name: *mut sstore_slice,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(name, sstore_slice::NONE);
    with_tables!(error, |handles| {
        out.required("name")?;
        // Every lane's copy of the table shares one name.
        out.set(sstore_slice::of(handles.pin::<TableObject>(table)?.table.name().as_bytes()));
        Ok(())
    })
}

/// The columns that are in force: a struct, for the caller to release. Does not block; any thread.
/// Errors: CLOSED (the handle was freed), INVALID_ARGUMENT, NOT_SUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_schema(
    table: *const sstore_table,
    schema: *mut ArrowSchema,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(schema, ArrowSchema::RELEASED);
    with_tables!(error, |handles| {
        out.required("schema")?;
        out.set(export::schema(&handles.pin::<TableObject>(table)?.table.schema())?);
        Ok(())
    })
}

/// The names of the key's columns, in key order; none of a table without a key. `*names` is the caller's; free it with
/// sstore_list_free. Does not block; any thread. Errors: CLOSED (the handle was freed), INVALID_ARGUMENT, NOT_SUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_key(
    table: *const sstore_table,
    names: *mut *mut sstore_list,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(names, std::ptr::null_mut());
    with_tables!(error, |handles| {
        out.required("names")?;
        let names = handles.pin::<TableObject>(table)?.table.key();
        ListObject::give(handles, &out, names)
    })
}

/// The names of the columns that the files of a table without a key are sorted by; none of other tables. Otherwise like
/// sstore_table_key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_order_by(
    table: *const sstore_table,
    names: *mut *mut sstore_list,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(names, std::ptr::null_mut());
    with_tables!(error, |handles| {
        out.required("names")?;
        let names = handles.pin::<TableObject>(table)?.table.order_by();
        ListObject::give(handles, &out, names)
    })
}

/// The options that are in force for a table, as sstore_column_family_get_options gives those of a family.
/// Errors also: NOT_SUPPORTED (a library without tables).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_get_options(
    table: *const sstore_table,
    options: *mut *mut sstore_options,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(options, std::ptr::null_mut());
    with_tables!(error, |handles| {
        out.required("options")?;
        let options = handles.pin::<TableObject>(table)?.table.options();
        options::give(handles, &out, options)
    })
}

#[cfg(feature = "arrow")]
fn alter(handles: &'static Handles, db: *mut sstore_db, table: *const sstore_table, change: &SchemaChange) -> Outcome {
    let (database, table) = table_of(handles, db, table)?;
    Ok(database.db.alter_table(&table.table, change)?)
}

/// Adds a column behind the others: name and type of `field`, which is moved and must be nullable, since rows that are there
/// have nulls in it. Nothing is rewritten; write batches filled before are refused with CONFLICT, and a row builder made before
/// leaves the column null. Blocks: writes and syncs the manifest. Any thread.
/// Errors: INVALID_ARGUMENT (names the column), DROPPED, CLOSED, READ_ONLY, IO, NO_SPACE, NOT_SUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_add_column(
    db: *mut sstore_db,
    table: *const sstore_table,
    field: *mut ArrowSchema,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let field = arrow_abi::take(field);
    with_tables!(error, |handles| {
        let field = import::field(field, "field")?;
        alter(handles, db, table, &SchemaChange::Add { field, position: None })
    })
}

/// Takes a column away, not one of the key. A row builder made before is refused from then on, if the column is set in it.
/// Otherwise like sstore_table_add_column.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_drop_column(
    db: *mut sstore_db,
    table: *const sstore_table,
    name: *const c_char,
    error: *mut *mut sstore_error,
) -> sstore_code {
    with_tables!(error, |handles| {
        let name = bytes::text(name, "name")?.to_owned();
        alter(handles, db, table, &SchemaChange::Drop { name })
    })
}

/// Gives a column another name. Otherwise like sstore_table_drop_column.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_rename_column(
    db: *mut sstore_db,
    table: *const sstore_table,
    name: *const c_char,
    new_name: *const c_char,
    error: *mut *mut sstore_error,
) -> sstore_code {
    with_tables!(error, |handles| {
        let (name, to) = (bytes::text(name, "name")?.to_owned(), bytes::text(new_name, "new_name")?.to_owned());
        alter(handles, db, table, &SchemaChange::Rename { name, to })
    })
}

/// Gives a column, not one of the key, the wider type of `field`, which is moved and whose name does not count: an integer of
/// more bits, float64 for float32, and the like. Otherwise like sstore_table_add_column.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_widen_column(
    db: *mut sstore_db,
    table: *const sstore_table,
    name: *const c_char,
    field: *mut ArrowSchema,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let field = arrow_abi::take(field);
    with_tables!(error, |handles| {
        let name = bytes::text(name, "name")?.to_owned();
        let data_type = import::field(field, "field")?.data_type().clone();
        alter(handles, db, table, &SchemaChange::Widen { name, data_type })
    })
}

/// Frees a handle. NULL and what was freed already do nothing. Does not block, unless it is the last thing that a released
/// database waited for (see sstore_release). Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_table_free(table: *mut sstore_table) {
    value_with_tables!((), |handles| handles.remove::<TableObject>(table));
}
