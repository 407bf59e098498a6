//! Arrays as a foreign producer may hand them over: built without checks, refused before anything reads their values.
//!
//! Only unsafe code can build them, so this module allows it.
#![allow(unsafe_code)]

use super::*;
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow_data::ArrayData;

/// An array of malformed parts: what a foreign producer may hand over.
fn malformed(data_type: T, rows: usize, buffers: Vec<Buffer>, children: Vec<ArrayData>) -> ArrayRef {
    let data = ArrayData::builder(data_type).len(rows).buffers(buffers).child_data(children);
    // SAFETY: not upheld, which is the point: nothing reads the values before `validate_foreign` refuses them.
    let data = unsafe { data.build_unchecked() };
    make_array(data)
}

#[test]
fn malformed_arrays_are_refused_before_they_are_read() {
    let offsets = |offsets: &[i32]| Buffer::from_slice_ref(offsets);
    let text = |bytes: &[u8]| Buffer::from_slice_ref(bytes);
    let numbers = || Int32Array::from(vec![1, 2]).into_data();
    let union = UnionFields::try_new(vec![0], vec![Field::new("a", T::Int32, true)]).unwrap();
    let dictionary = T::Dictionary(Box::new(T::Int32), Box::new(T::Int32));
    for wrong in [
        malformed(T::Utf8, 2, vec![offsets(&[0, 1, 2]), text(&[b'a', 0xff])], vec![]),
        malformed(T::Utf8, 2, vec![offsets(&[0, 1, 9]), text(b"ab")], vec![]),
        malformed(T::Binary, 2, vec![offsets(&[0, 2, 1]), text(b"ab")], vec![]),
        malformed(T::List(item(T::Int32)), 2, vec![offsets(&[0, 1, 5])], vec![numbers()]),
        malformed(dictionary, 2, vec![offsets(&[0, 7])], vec![numbers()]),
        malformed(T::Utf8View, 1, vec![Buffer::from_slice_ref([100u128]), text(b"ab")], vec![]),
        malformed(T::Union(union.clone(), UnionMode::Dense), 2, vec![text(&[0, 0]), offsets(&[0, 9])], vec![numbers()]),
        malformed(T::Union(union, UnionMode::Sparse), 2, vec![text(&[0, 4])], vec![numbers()]),
    ] {
        let error =
            validate_foreign(&batch(vec![("good", array(Int8Array::from(vec![0; wrong.len()]))), ("bad", wrong)]));
        let message = error.unwrap_err().message().to_owned();
        assert!(message.starts_with("column \"bad\" is not valid Arrow"), "{message}");
    }
    let good: Vec<ArrayRef> = all_types().iter().map(|data_type| new_null_array(data_type, 3)).collect();
    for column in good {
        validate_foreign(&batch(vec![("good", column)])).unwrap();
    }
    let lists = ListArray::new(
        item(T::Int32),
        OffsetBuffer::from_lengths([2, 0]),
        array(Int32Array::from(vec![1, 2])),
        Some(NullBuffer::from(vec![true, false])),
    );
    validate_foreign(&batch(vec![("good", array(lists))])).unwrap();
}
