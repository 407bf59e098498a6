//! A library without tables and imports: their functions are there, say so, and release what they are given. Run by
//! `cargo test -p sstore-ffi --no-default-features --lib`.

use crate::arrow_abi::{ArrowArray, ArrowArrayStream, ArrowSchema, Movable};
use crate::status::sstore_code::{SSTORE_INVALID_ARGUMENT, SSTORE_NOT_SUPPORTED};
use std::cell::Cell;
use std::ptr::{null, null_mut};

thread_local! {
    static RELEASED: Cell<u32> = const { Cell::new(0) };
}

unsafe extern "C" fn release_array(_: *mut ArrowArray) {
    RELEASED.set(RELEASED.get() + 1);
}

unsafe extern "C" fn release_schema(_: *mut ArrowSchema) {
    RELEASED.set(RELEASED.get() + 10);
}

unsafe extern "C" fn release_stream(_: *mut ArrowArrayStream) {
    RELEASED.set(RELEASED.get() + 100);
}

#[test]
fn what_is_given_is_released_and_what_is_taken_is_marked_so() {
    let mut array = ArrowArray { release: Some(release_array), ..ArrowArray::RELEASED };
    let mut schema = ArrowSchema { release: Some(release_schema), ..ArrowSchema::RELEASED };
    let mut stream = ArrowArrayStream { release: Some(release_stream), ..ArrowArrayStream::RELEASED };
    let mut made = ArrowArray { release: Some(release_array), ..ArrowArray::RELEASED };
    let mut error = null_mut();
    // SAFETY: every pointer is NULL or leads to a variable that outlives the call.
    unsafe {
        let (array, schema, made) = (&raw mut array, &raw mut schema, &raw mut made);
        let (db, table) = (null_mut(), null());
        let code = crate::table_rows::sstore_table_append(db, table, null(), array, schema, null_mut(), &raw mut error);
        assert_eq!(code, SSTORE_NOT_SUPPORTED);
        crate::status::sstore_error_free(error);
        let stream = &raw mut stream;
        let (rows, sequence) = (null_mut(), null_mut());
        let code = crate::table_rows::sstore_table_append_stream(db, table, null(), stream, rows, sequence, null_mut());
        assert_eq!(code, SSTORE_NOT_SUPPORTED);
        let code = crate::row_builder::sstore_row_builder_finish(null_mut(), made, null_mut(), null_mut());
        assert_eq!(code, SSTORE_NOT_SUPPORTED);
        crate::table::sstore_table_free(null_mut());
        assert_eq!(crate::row_builder::sstore_row_builder_count(null_mut()), 0);
    }
    assert_eq!(RELEASED.get(), 111);
    assert!(array.release.is_none() && schema.release.is_none() && stream.release.is_none());
    assert!(made.release.is_none(), "what is to be filled is not looked at");
}

#[test]
fn splits_and_files_of_tables_are_not_there_and_those_of_families_are() {
    let mut stream = ArrowArrayStream { release: Some(release_stream), ..ArrowArrayStream::RELEASED };
    // SAFETY: every pointer is NULL or leads to a variable that outlives the call.
    unsafe {
        let code = crate::splits::sstore_split_execute(null(), 0, null(), &raw mut stream, null_mut());
        assert_eq!(code, SSTORE_NOT_SUPPORTED);
        assert!(stream.release.is_none(), "what is to be filled is not looked at");
        let mut splits = std::ptr::dangling_mut();
        assert_eq!(crate::splits::sstore_scan_splits(null(), 1, &raw mut splits, null_mut()), SSTORE_NOT_SUPPORTED);
        assert!(splits.is_null() && crate::splits::sstore_splits_count(null()) == 0);
        crate::splits::sstore_splits_free(null_mut());
        let (db, place, files) = (null_mut(), null(), null_mut());
        assert_eq!(crate::files::sstore_table_export(db, null(), place, files, null_mut()), SSTORE_NOT_SUPPORTED);
        assert_eq!(crate::files::sstore_export(db, null(), place, files, null_mut()), SSTORE_INVALID_ARGUMENT);
        let code =
            crate::files::sstore_table_export_with_progress(db, null(), place, None, null_mut(), files, null_mut());
        assert_eq!(code, SSTORE_NOT_SUPPORTED);
        let code = crate::flush::sstore_flush_atomic(db, null(), 0, null(), 0, null_mut(), null_mut());
        assert_eq!(code, SSTORE_INVALID_ARGUMENT, "families alone can be flushed, of a database");
        let code = crate::table::sstore_table_get_options(null(), null_mut(), null_mut());
        assert_eq!(code, SSTORE_NOT_SUPPORTED);
    }
}

#[cfg(not(feature = "leveldb"))]
#[test]
fn an_import_says_that_it_is_not_there_and_that_nothing_was_done() {
    use crate::leveldb::{sstore_import_leveldb, sstore_leveldb_result};

    unsafe extern "C" fn told(_: *mut std::ffi::c_void, _: u64, _: u64, _: u64) -> std::ffi::c_int {
        panic!("there is nothing to be told of")
    }
    let mut result = sstore_leveldb_result { entries: 7, bytes_read: 7, ..Default::default() };
    let (mut error, place) = (null_mut(), c"none".as_ptr());
    // SAFETY: every pointer is NULL or leads to a variable that outlives the call.
    unsafe {
        let (out, error) = (&raw mut result, &raw mut error);
        let code = sstore_import_leveldb(null_mut(), null(), place, null(), Some(told), null_mut(), out, error);
        assert_eq!(code, SSTORE_NOT_SUPPORTED);
        let message = std::ffi::CStr::from_ptr(crate::status::sstore_error_message(*error));
        assert!(message.to_str().unwrap().contains("without the import"), "{message:?}");
        crate::status::sstore_error_free(*error);
        // A result that cannot be filled is the caller's fault, here as elsewhere.
        (*out).struct_size = 0;
        let code = sstore_import_leveldb(null_mut(), null(), place, null(), None, null_mut(), out, null_mut());
        assert_eq!(code, SSTORE_INVALID_ARGUMENT);
    }
    assert_eq!((result.entries, result.bytes_read), (0, 0), "an out-parameter is written on every path");
}
