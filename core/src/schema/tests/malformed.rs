//! Arrays as a foreign producer may hand them over: built without checks, refused before anything reads their values.
//!
//! Only unsafe code can build them, so this module allows it.
#![allow(unsafe_code)]

use super::*;
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow_data::ArrayData;

fn malformed(data_type: T, rows: usize, buffers: Vec<Buffer>, children: Vec<ArrayData>) -> ArrayData {
    let data = ArrayData::builder(data_type).len(rows).buffers(buffers).child_data(children);
    // SAFETY: not upheld, which is the point: nothing reads the values before `import_foreign` refuses them.
    unsafe { data.build_unchecked() }
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
        let error = import_foreign("bad", wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        let message = error.message();
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

#[test]
fn a_bad_array_in_a_batch_is_named() {
    let strings = malformed(T::Utf8, 1, vec![Buffer::from_slice_ref([0, 1]), Buffer::from_slice_ref([0xff])], vec![]);
    let rows = batch(vec![("good", array(Int8Array::from(vec![0]))), ("bad", make_array(strings))]);
    assert!(validate_foreign(&rows).unwrap_err().message().starts_with("column \"bad\" is not valid Arrow"));
}

#[test]
fn types_that_cannot_be_are_refused_before_arrow_sees_them() {
    let mut deep = T::Int8;
    (0..1000).for_each(|_| deep = T::List(item(deep.clone())));
    for data_type in [deep, T::Time32(TimeUnit::Nanosecond), T::Decimal128(200, 0), T::FixedSizeBinary(-1)] {
        let data = malformed(data_type, 1, vec![Buffer::from_slice_ref([0u128; 4])], vec![]);
        assert!(import_foreign("bad", data).unwrap_err().message().starts_with("column \"bad\": "));
    }
}

#[test]
fn misaligned_buffers_are_copied() {
    let bytes: Vec<u8> = std::iter::once(9).chain(7i64.to_le_bytes()).chain(8i64.to_le_bytes()).collect();
    let data = malformed(T::Int64, 2, vec![Buffer::from_vec(bytes).slice(1)], vec![]);
    assert_eq!(&import_foreign("c", data).unwrap(), &array(Int64Array::from(vec![7, 8])));
}
