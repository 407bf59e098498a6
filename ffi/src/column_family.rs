//! Column families: separate spaces of keys in one database.

use crate::boundary::{self, Outcome};
use crate::bytes::{self, Out, sstore_slice};
use crate::handle::{Handles, Held, Object, Use};
use crate::open::{Database, sstore_db};
use crate::options::{self, ListObject, sstore_list, sstore_options};
use crate::status::{sstore_code, sstore_error};
use engine::{ColumnFamily, Result};
use std::ffi::c_char;

/// A column family. Where a function takes one, NULL stands for the default family of the database.
/// Thread safety: free. Free with sstore_column_family_free; that neither drops nor changes the family.
pub struct sstore_column_family {
    _opaque: [u8; 0],
}

pub(crate) struct Family {
    pub(crate) family: ColumnFamily,
    pub(crate) token: u64,
}

impl Object for Family {
    type Opaque = sstore_column_family;
    const TYPE: u8 = 5;
    const NAME: &'static str = "column family";
    const USE: Use = Use::Everywhere;
}

/// The family that a call is about.
pub(crate) enum Chosen<'a> {
    Default(&'a ColumnFamily),
    Given(Held<Family>),
}

impl Chosen<'_> {
    #[inline(always)]
    pub(crate) fn get(&self) -> &ColumnFamily {
        match self {
            Self::Default(family) => family,
            Self::Given(given) => &given.family,
        }
    }
}

impl Database {
    /// The family of a handle, checked to be of this database; the default family for NULL.
    #[inline(always)]
    pub(crate) fn family<'a>(
        &'a self,
        handles: &'static Handles,
        family: *const sstore_column_family,
    ) -> Result<Chosen<'a>> {
        if family.is_null() {
            return Ok(Chosen::Default(&self.default));
        }
        let given = handles.pin::<Family>(family)?;
        self.owns(given.token, Family::NAME)?;
        Ok(Chosen::Given(given))
    }
}

fn give(
    handles: &'static Handles,
    db: *const sstore_db,
    out: &Out<*mut sstore_column_family>,
    find: impl FnOnce(&Database) -> Result<ColumnFamily>,
) -> Outcome {
    out.required("family")?;
    let database = handles.pin::<Database>(db)?;
    let family = find(&database)?;
    out.set(handles.insert(Family { family, token: database.token })?);
    Ok(())
}

/// Creates a column family. `name` is NUL-terminated UTF-8, copied; NULL options: every default. `*family` is the caller's;
/// free it with sstore_column_family_free. Blocks: writes and syncs the manifest. Any thread.
/// Errors: INVALID_ARGUMENT (the name is taken or not allowed), CLOSED, READ_ONLY, IO, NO_SPACE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_column_family_create(
    db: *mut sstore_db,
    name: *const c_char,
    options: *const sstore_options,
    family: *mut *mut sstore_column_family,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(family, std::ptr::null_mut());
    boundary::call(error, |handles| {
        let name = bytes::text(name, "name")?;
        let options = options::copy(handles, options)?;
        give(handles, db, &out, |database| database.db.create_column_family(name, &options))
    })
}

/// A handle of an existing column family. `*family` is the caller's; free it with sstore_column_family_free.
/// Does not block; any thread. Errors: NOT_FOUND (with an error object: no family has that name), CLOSED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_column_family_open(
    db: *mut sstore_db,
    name: *const c_char,
    family: *mut *mut sstore_column_family,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(family, std::ptr::null_mut());
    boundary::call(error, |handles| {
        let name = bytes::text(name, "name")?;
        give(handles, db, &out, |database| database.db.column_family(name))
    })
}

/// The names of all column families, sorted. `*names` is the caller's; free it with sstore_list_free.
/// Does not block; any thread. Errors: CLOSED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_column_family_list(
    db: *const sstore_db,
    names: *mut *mut sstore_list,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(names, std::ptr::null_mut());
    boundary::call(error, |handles| {
        out.required("names")?;
        let names = handles.pin::<Database>(db)?.db.column_families()?;
        ListObject::give(handles, &out, names)
    })
}

/// Drops a column family with all its data. The handle stays the caller's to free; every use of it, and of other handles of the
/// same family, gives SSTORE_DROPPED. Iterators that stand in it go on. Blocks: writes and syncs the manifest. Any thread.
/// Errors: INVALID_ARGUMENT (the default family, also as NULL, cannot be dropped), DROPPED, CLOSED, READ_ONLY, IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_column_family_drop(
    db: *mut sstore_db,
    family: *mut sstore_column_family,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        let database = handles.pin::<Database>(db)?;
        let family = database.family(handles, family)?;
        Ok(database.db.drop_column_family(family.get())?)
    })
}

/// The name of a family: its bytes live until this handle is freed. Does not block; any thread.
/// Errors: CLOSED (the handle was freed), INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_column_family_name(
    family: *const sstore_column_family,
    name: *mut sstore_slice,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(name, sstore_slice::NONE);
    boundary::call(error, |handles| {
        out.required("name")?;
        out.set(sstore_slice::of(handles.pin::<Family>(family)?.family.name().as_bytes()));
        Ok(())
    })
}

/// The id of a family: never given to another one of the same database; the default family has 0. UINT32_MAX for what is no
/// family. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_column_family_id(family: *const sstore_column_family) -> u32 {
    boundary::value(u32::MAX, |handles| Ok(handles.pin::<Family>(family)?.family.id().0))
}

/// The options that are in force for a family: those that it was created with, but for those that the database was opened with.
/// Options of the whole database are at their defaults in it. `*options` is the caller's; free it with sstore_options_free.
/// Does not block; any thread. Errors: CLOSED (the handle was freed), INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_column_family_get_options(
    family: *const sstore_column_family,
    options: *mut *mut sstore_options,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(options, std::ptr::null_mut());
    boundary::call(error, |handles| {
        out.required("options")?;
        let options = handles.pin::<Family>(family)?.family.options();
        options::give(handles, &out, options)
    })
}

/// Frees a handle. NULL and what was freed already do nothing. Does not block, unless it is the last thing that a released
/// database waited for (see sstore_release). Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_column_family_free(family: *mut sstore_column_family) {
    boundary::value((), |handles| handles.remove::<Family>(family));
}
