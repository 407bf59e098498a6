//! Options by name: one object that configures a database or a column family.

use crate::boundary;
use crate::bytes::{self, Out, Sized32, sstore_slice};
use crate::events::{self, sstore_event_callback};
use crate::handle::{Handles, Object, Use};
use crate::logger::{self, sstore_log_callback};
use crate::status::{c_text, sstore_code, sstore_error};
use engine::{Error, OptionInfo, OptionScope, Options, Result};
use std::ffi::{CString, c_char, c_void};
use std::sync::OnceLock;

/// Options of a database and of column families. Thread safety: one thread at a time; a second one at once gets SSTORE_BUSY.
/// Free with sstore_options_free; what was opened with it keeps a copy.
pub struct sstore_options {
    _opaque: [u8; 0],
}

pub(crate) struct OptionsObject(Options);

impl Object for OptionsObject {
    type Opaque = sstore_options;
    const TYPE: u8 = 2;
    const NAME: &'static str = "options object";
    const USE: Use = Use::Alone;
}

/// A copy of the options of a handle; every default for NULL.
pub(crate) fn copy(handles: &'static Handles, options: *const sstore_options) -> Result<Options> {
    if options.is_null() {
        return Ok(Options::new());
    }
    Ok(handles.hold::<OptionsObject>(options)?.0.clone())
}

/// Gives options to the caller.
pub(crate) fn give(handles: &'static Handles, out: &Out<*mut sstore_options>, options: Options) -> boundary::Outcome {
    out.set(handles.insert(OptionsObject(options))?);
    Ok(())
}

fn change(
    handles: &'static Handles,
    options: *mut sstore_options,
    change: impl FnOnce(&mut Options) -> Result<()>,
) -> boundary::Outcome {
    Ok(change(&mut handles.hold::<OptionsObject>(options)?.0)?)
}

/// Makes options with every one at its default. `*options` is the caller's; free it with sstore_options_free.
/// Does not block; any thread. Errors: NO_MEMORY, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_options_create(
    options: *mut *mut sstore_options,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(options, std::ptr::null_mut());
    boundary::call(error, |handles| {
        out.required("options")?;
        out.set(handles.insert(OptionsObject(Options::new()))?);
        Ok(())
    })
}

/// Sets an option from text: numbers in decimal, bytes also as "64MiB", bools as "true" or "false". `name` and `value` are
/// NUL-terminated and copied. An error changes nothing. Does not block; one thread at a time.
/// Errors: INVALID_ARGUMENT (unknown name: the message suggests the nearest; value of the wrong type or out of range), BUSY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_options_set(
    options: *mut sstore_options,
    name: *const c_char,
    value: *const c_char,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        let (name, value) = (bytes::text(name, "name")?, bytes::text(value, "value")?);
        change(handles, options, |options| options.set(name, value))
    })
}

/// Sets a count, a number of bytes, or a bool (0 or 1). Otherwise like sstore_options_set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_options_set_number(
    options: *mut sstore_options,
    name: *const c_char,
    value: u64,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        let name = bytes::text(name, "name")?;
        change(handles, options, |options| options.set_number(name, value))
    })
}

/// The value of an option as text that sstore_options_set takes. `*value` is the caller's; free it with sstore_free.
/// Does not block; one thread at a time. Errors: INVALID_ARGUMENT (unknown name), BUSY, NO_MEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_options_get(
    options: *const sstore_options,
    name: *const c_char,
    value: *mut *mut c_char,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(value, std::ptr::null_mut());
    boundary::call(error, |handles| {
        out.required("value")?;
        let name = bytes::text(name, "name")?;
        let text = handles.hold::<OptionsObject>(options)?.0.get(name)?;
        out.set(bytes::owned(text.as_bytes())?.cast());
        Ok(())
    })
}

/// Gives every event of a database opened with these options to `callback`: one at a time, in order, from one thread of the
/// library. `destroy` (may be NULL) is called once with `user_data` when nothing can call `callback` any more: after these
/// options were freed or given another listener, and every database opened with them was closed. On an error `user_data`
/// stays the caller's. A NULL `callback` is refused. See sstore_event_callback for what a callback may do.
/// Does not block; one thread at a time. Errors: INVALID_ARGUMENT, BUSY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_options_set_listener(
    options: *mut sstore_options,
    callback: sstore_event_callback,
    user_data: *mut c_void,
    destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        let Some(callback) = callback else {
            return Err(Error::invalid("`callback` is NULL").into());
        };
        change(handles, options, |options| {
            options.set_listener(events::listener(callback, user_data, destroy));
            Ok(())
        })
    })
}

/// Gives every event of a database opened with these options that is of `level` (a number of sstore_log_level) or above to `callback`,
/// as a line for a log: one at a time, in order, from one thread of the library. Otherwise like sstore_options_set_listener, beside
/// which it may be set. Errors: INVALID_ARGUMENT, BUSY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_options_set_logger(
    options: *mut sstore_options,
    level: u32,
    callback: sstore_log_callback,
    user_data: *mut c_void,
    destroy: Option<unsafe extern "C" fn(user_data: *mut c_void)>,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |handles| {
        let level = logger::level(level)?;
        change(handles, options, |options| {
            options.set_logger(level, logger::logger(callback, user_data, destroy)?);
            Ok(())
        })
    })
}

/// One option, as sstore_options_describe tells it. The texts live for ever.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sstore_option_info {
    /// Set by the caller to sizeof(sstore_option_info).
    pub struct_size: u32,
    /// 1 if it belongs to a column family, 0 if to the database.
    pub per_family: u32,
    /// Its name.
    pub name: *const c_char,
    /// "bool", "count", "bytes", "choice", "path" or "name".
    pub type_name: *const c_char,
    /// The default as text.
    pub default_value: *const c_char,
    /// The words that a choice may be, with a comma and a space between; "" for other types.
    pub choices: *const c_char,
    /// A line of help.
    pub help: *const c_char,
    /// The least number allowed.
    pub min: u64,
    /// The greatest number allowed.
    pub max: u64,
}

impl Default for sstore_option_info {
    fn default() -> Self {
        let none = std::ptr::null();
        Self {
            struct_size: size_of::<Self>() as u32,
            per_family: 0,
            name: none,
            type_name: none,
            default_value: none,
            choices: none,
            help: none,
            min: 0,
            max: 0,
        }
    }
}

// SAFETY: `repr(C)`, two u32, then pointers and u64: no padding, any bits are a value.
unsafe impl Sized32 for sstore_option_info {}

/// The texts of one option for C: name, type, default, choices, help.
fn texts() -> &'static [[CString; 5]] {
    static TEXTS: OnceLock<Vec<[CString; 5]>> = OnceLock::new();
    TEXTS.get_or_init(|| {
        let texts = |info: &OptionInfo| {
            let choices = match info.kind {
                engine::OptionType::Choice(words) => words.join(", "),
                _ => String::new(),
            };
            [info.name, info.kind.name(), info.default, &choices, info.help].map(|text| c_text(text.as_bytes()))
        };
        OptionInfo::ALL.iter().map(texts).collect()
    })
}

/// How many options there are. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_options_count() -> usize {
    OptionInfo::ALL.len()
}

/// Describes the option at `index`, which is below sstore_options_count(). `*info` must have its struct_size set; the texts in
/// it live for ever. Does not block; any thread. Errors: NOT_FOUND (no such index), INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_options_describe(
    index: usize,
    info: *mut sstore_option_info,
    error: *mut *mut sstore_error,
) -> sstore_code {
    boundary::call(error, |_| {
        bytes::fill(info, sstore_option_info::default(), "info")?;
        let option = OptionInfo::ALL.get(index).ok_or(boundary::Stop::Missing)?;
        let [name, type_name, default_value, choices, help] = texts()[index].each_ref().map(|text| text.as_ptr());
        let filled = sstore_option_info {
            per_family: u32::from(option.scope == OptionScope::Collection),
            name,
            type_name,
            default_value,
            choices,
            help,
            min: option.min,
            max: option.max,
            ..Default::default()
        };
        Ok(bytes::fill(info, filled, "info")?)
    })
}

/// Frees options. NULL and what was freed already do nothing. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_options_free(options: *mut sstore_options) {
    boundary::value((), |handles| handles.remove::<OptionsObject>(options));
}

/// Names or other byte strings, many at once. Thread safety: free. Free with sstore_list_free.
pub struct sstore_list {
    _opaque: [u8; 0],
}

pub(crate) struct ListObject(Vec<Vec<u8>>);

impl Object for ListObject {
    type Opaque = sstore_list;
    const TYPE: u8 = 3;
    const NAME: &'static str = "list";
}

impl ListObject {
    /// Gives names to the caller, each with the NUL that C wants after it.
    pub(crate) fn give(
        handles: &'static Handles,
        out: &Out<*mut sstore_list>,
        names: Vec<String>,
    ) -> boundary::Outcome {
        let names = names.into_iter().map(|name| [name.as_bytes(), b"\0"].concat()).collect();
        out.set(handles.insert(Self(names))?);
        Ok(())
    }
}

/// How many items the list has; 0 for NULL and for what is no list. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_list_count(list: *const sstore_list) -> usize {
    boundary::value(0, |handles| Ok(handles.pin::<ListObject>(list)?.0.len()))
}

/// The item at `index`: its bytes live until the list is freed, and a NUL that is not counted stands after them.
/// Does not block; any thread. Errors: NOT_FOUND (no such index), INVALID_ARGUMENT, CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_list_get(
    list: *const sstore_list,
    index: usize,
    item: *mut sstore_slice,
    error: *mut *mut sstore_error,
) -> sstore_code {
    let out = Out::new(item, sstore_slice::NONE);
    boundary::call(error, |handles| {
        out.required("item")?;
        let list = handles.pin::<ListObject>(list)?;
        let item = list.0.get(index).ok_or(boundary::Stop::Missing)?;
        // The stored item ends with the NUL.
        out.set(sstore_slice::of(&item[..item.len() - 1]));
        Ok(())
    })
}

/// Frees a list and its items. NULL and what was freed already do nothing. Does not block; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sstore_list_free(list: *mut sstore_list) {
    boundary::value((), |handles| handles.remove::<ListObject>(list));
}
