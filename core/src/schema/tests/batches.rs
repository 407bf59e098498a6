//! Batches: what is matched and converted, what is refused and with which column and row.

use super::*;

fn sensors() -> TableSchema {
    table(&[("id", T::Int32, false), ("name", T::Utf8, true), ("value", T::Float64, false)], &["id"])
}

fn refused(table: &TableSchema, columns: Vec<(&str, ArrayRef)>) -> String {
    let error = table.check_batch(&batch(columns)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    error.message().to_owned()
}

fn ids() -> ArrayRef {
    array(Int32Array::from(vec![1, 2, 3]))
}

fn values() -> ArrayRef {
    array(Float64Array::from(vec![0.5, 1.5, 2.5]))
}

#[test]
fn columns_are_found_by_name_and_missing_ones_are_null() {
    let table = sensors();
    let checked = table.check_batch(&batch(vec![("value", values()), ("id", ids())])).unwrap();
    assert_eq!(checked.schema_ref(), table.user());
    assert_eq!(checked.column(0), &ids());
    assert_eq!(checked.column(1).null_count(), 3);
    assert_eq!(checked.column(2), &values());
}

#[test]
fn refusals_name_the_column_and_the_row() {
    let table = sensors();
    let names = || array(StringArray::from(vec!["a", "b", "c"]));
    let holes: ArrayRef = array(Int32Array::from(vec![Some(1), None, Some(3)]));
    assert_eq!(refused(&table, vec![("id", holes), ("value", values())]), "column \"id\" is null in row 1");
    assert_eq!(refused(&table, vec![("id", ids())]), "column \"value\" is missing and may not be null");
    assert_eq!(
        refused(&table, vec![("id", ids()), ("value", names())]),
        "column \"value\" has the type Utf8, not Float64"
    );
    assert_eq!(
        refused(&table, vec![("id", ids()), ("value", values()), ("extra", ids())]),
        "column \"extra\" is not in the table"
    );
    assert_eq!(
        refused(&table, vec![("id", ids()), ("value", values()), ("_seq", ids())]),
        "column \"_seq\" is not in the table"
    );
    assert_eq!(
        refused(&table, vec![("id", ids()), ("value", values()), ("id", ids())]),
        "column \"id\" is there twice"
    );
    let sliced: ArrayRef = array(Float64Array::from(vec![None, Some(1.0), Some(2.0), None]).slice(1, 3));
    assert_eq!(refused(&table, vec![("id", ids()), ("value", sliced)]), "column \"value\" is null in row 2");
}

#[test]
fn deletes_have_the_key_and_nothing_else() {
    let fields = [("v", T::Int8, true), ("b", T::Utf8, false), ("a", T::Int32, false)];
    let table = table(&fields, &["a", "b"]);
    let strings = || array(StringViewArray::from(vec!["x", "y", "z"]));
    let keys = table.check_keys_batch(&batch(vec![("b", strings()), ("a", ids())])).unwrap();
    assert_eq!(keys.schema(), table.keys_schema());
    assert_eq!((keys.column(0).data_type(), keys.column(1).data_type()), (&T::Int32, &T::Utf8));
    table.key_codec().encode(keys.columns()).unwrap();
    let message = |columns| table.check_keys_batch(&batch(columns)).unwrap_err().message().to_owned();
    let value: ArrayRef = array(Int8Array::from(vec![1, 2, 3]));
    assert_eq!(message(vec![("a", ids()), ("b", strings()), ("v", value)]), "column \"v\" is not in the key");
    assert_eq!(message(vec![("a", ids())]), "column \"b\" is missing and may not be null");
    let append_only = super::table(&fields, &[]);
    assert!(append_only.check_keys_batch(&batch(vec![("a", ids())])).unwrap_err().message().contains("has no key"));
}

/// What `given` is in a table with a column of `target`.
fn converted(given: ArrayRef, target: T) -> std::result::Result<ArrayRef, String> {
    let table = table(&[("c", target.clone(), true)], &[]);
    let checked = table.check_batch(&batch(vec![("c", given)])).map_err(|error| error.message().to_owned())?;
    assert_eq!(checked.column(0).data_type(), &target);
    checked.column(0).to_data().validate_full().unwrap();
    Ok(checked.column(0).clone())
}

#[test]
fn strings_and_binaries_change_their_form() {
    let words = [Some("none"), Some("a"), None, Some(""), Some("longer than twelve bytes"), Some("é")];
    let forms = || -> [ArrayRef; 3] {
        [
            array(StringArray::from_iter(words).slice(1, 5)),
            array(LargeStringArray::from_iter(words).slice(1, 5)),
            array(StringViewArray::from_iter(words).slice(1, 5)),
        ]
    };
    let binaries = || -> [ArrayRef; 3] {
        let words = words.map(|word| word.map(str::as_bytes));
        [
            array(BinaryArray::from_iter(words).slice(1, 5)),
            array(LargeBinaryArray::from_iter(words).slice(1, 5)),
            array(BinaryViewArray::from_iter(words).slice(1, 5)),
        ]
    };
    for (given, wanted) in [(forms(), forms()), (binaries(), binaries())] {
        for from in &given {
            for to in &wanted {
                assert_eq!(&converted(from.clone(), to.data_type().clone()).unwrap(), to);
            }
        }
    }
    assert!(converted(forms()[0].clone(), T::Binary).unwrap_err().contains("has the type Utf8, not Binary"));
    assert!(converted(binaries()[0].clone(), T::Utf8).is_err());
    assert!(converted(ids(), T::Int64).unwrap_err().contains("has the type Int32, not Int64"));
}

#[test]
fn dictionaries_and_runs_become_their_values() {
    let words = [Some("a"), None, Some("b"), Some("a")];
    let dictionary: DictionaryArray<Int8Type> = words.into_iter().collect();
    let dictionary = array(dictionary.slice(1, 3));
    let expected = array(StringArray::from_iter(words).slice(1, 3));
    assert_eq!(&converted(dictionary.clone(), T::Utf8).unwrap(), &expected);
    // A table that is declared so has the type of the values.
    let declared = table(&[("d", dictionary.data_type().clone(), true)], &["d"]);
    assert_eq!(declared.user().field(0).data_type(), &T::Utf8);
    let refusal = declared.check_batch(&batch(vec![("d", dictionary)])).unwrap_err();
    assert_eq!(refusal.message(), "column \"d\" is null in row 0");

    let ends = Int32Array::from(vec![2, 3, 6]);
    let runs = RunArray::<Int32Type>::try_new(&ends, &Int64Array::from(vec![Some(7), None, Some(9)])).unwrap();
    let expected = Int64Array::from(vec![Some(7), Some(7), None, Some(9), Some(9), Some(9)]);
    assert_eq!(&converted(array(runs.clone()), T::Int64).unwrap(), &array(expected.clone()));
    assert_eq!(&converted(array(runs.slice(1, 3)), T::Int64).unwrap(), &array(expected.slice(1, 3)));
    assert_eq!(&converted(array(runs.slice(3, 0)), T::Int64).unwrap(), &array(expected.slice(3, 0)));
}

#[test]
fn moments_of_another_zone_are_the_same_moments() {
    let zoned = |zone: &str| T::Timestamp(TimeUnit::Microsecond, Some(zone.into()));
    let table = table(&[("at", zoned("UTC"), true)], &[]);
    let given = TimestampMicrosecondArray::from(vec![Some(7), None, Some(-1)]);
    let checked = table.check_batch(&batch(vec![("at", array(given.clone().with_timezone("Europe/Berlin")))])).unwrap();
    assert_eq!(checked.column(0), &array(given.clone().with_timezone("UTC")));
    let message = refused(&table, vec![("at", array(given))]);
    assert!(message.contains("has the type Timestamp"), "{message}");
}

#[test]
fn nested_columns_take_the_names_and_forms_of_the_table() {
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.append_value([Some("a"), None]);
    lists.append_null();
    lists.append_value([Some("b")]);
    let lists = array(lists.finish());
    let renamed = Arc::new(Field::new("element", T::LargeUtf8, true));
    let large = converted(lists.slice(1, 2), T::LargeList(renamed.clone())).unwrap();
    assert_eq!(large.as_list::<i64>().value(1).as_string::<i64>().value(0), "b");
    assert!(large.is_null(0));
    assert_eq!(&converted(large, lists.data_type().clone()).unwrap(), &lists.slice(1, 2));
    // Only the slice's own values count: the null lies before it.
    let full = T::List(Arc::new(Field::new("element", T::Utf8, false)));
    assert!(converted(lists.slice(1, 2), full.clone()).is_ok());
    assert!(converted(lists, full).unwrap_err().starts_with("column \"c\": "));

    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    maps.keys().append_value("x");
    maps.values().append_value(1);
    maps.append(true).unwrap();
    let fields = vec![Field::new("key", T::Utf8View, false), Field::new("value", T::Int32, true)];
    let target = T::Map(Arc::new(Field::new("key_value", T::Struct(fields.into()), false)), false);
    let map = converted(array(maps.finish()), target).unwrap();
    assert_eq!(map.as_map().keys().as_string_view().value(0), "x");

    let pair = |names: [&str; 2]| T::Struct(names.map(|name| Field::new(name, T::Int32, true)).to_vec().into());
    let T::Struct(fields) = pair(["a", "b"]) else { unreachable!() };
    let structs = array(StructArray::new(fields, vec![ids(), ids()], None));
    assert_eq!(&converted(structs.clone(), pair(["a", "b"])).unwrap(), &structs);
    assert!(converted(structs, pair(["b", "a"])).unwrap_err().contains("has the type"));
}

#[test]
fn values_of_all_types_pass_and_so_do_their_nulls() {
    for data_type in all_types() {
        for rows in [0, 3] {
            let nulls = new_null_array(&data_type, rows);
            assert_eq!(converted(nulls.clone(), data_type.clone()).unwrap().len(), rows, "{data_type}");
            let table = table(&[("k", T::Int8, false), ("c", data_type.clone(), true)], &["k"]);
            let keys = array(Int8Array::from(vec![1; rows]));
            assert_eq!(table.check_batch(&batch(vec![("k", keys)])).unwrap().num_rows(), rows);
        }
    }
}

#[test]
fn few_bytes_that_stand_for_too_many_are_refused() {
    let long = "x".repeat(1 << 20);
    let rows = 3000;
    let keys = Int32Array::from(vec![0; rows]);
    let dictionary = DictionaryArray::new(keys, array(StringArray::from(vec![long.as_str()])));
    assert!(converted(array(dictionary), T::LargeUtf8).unwrap_err().contains("more than"));
    let ends = Int64Array::from(vec![1i64 << 40]);
    let runs = RunArray::<Int64Type>::try_new(&ends, &Int8Array::from(vec![1])).unwrap();
    let column = array(runs);
    let rows_error = converted(column, T::Int8).unwrap_err();
    assert!(rows_error.contains("at most 2147483647 rows"), "{rows_error}");
    let one = StringViewArray::from(vec![long.as_str()]);
    let views = StringViewArray::new(vec![one.views()[0]; rows].into(), one.data_buffers().to_vec(), None);
    for target in [T::Utf8View, T::Utf8, T::LargeUtf8] {
        assert!(converted(array(views.clone()), target).unwrap_err().contains("more than"));
    }
    let field = item(T::Int8);
    let values = array(Int8Array::from(vec![0i8; 1 << 20]));
    let lists = ListViewArray::new(field, vec![0; rows].into(), vec![1 << 20; rows].into(), values, None);
    assert!(converted(array(lists.clone()), lists.data_type().clone()).unwrap_err().contains("more than"));
}

#[test]
fn decimals_of_too_many_digits_are_refused() {
    let wide = Decimal128Array::from(vec![Some(999), None, Some(1000)]).with_precision_and_scale(3, 1).unwrap();
    let target = T::Decimal128(3, 1);
    assert!(converted(array(wide.slice(0, 2)), target.clone()).is_ok());
    let message = converted(array(wide.clone()), target.clone()).unwrap_err();
    assert_eq!(message, "column \"c\" has more than 3 digits in row 2");
    let field = Field::new("d", target, true);
    let nested = array(StructArray::new(vec![field].into(), vec![array(wide)], None));
    assert!(converted(nested.clone(), nested.data_type().clone()).unwrap_err().contains("too many digits within"));
}

#[test]
fn strings_too_long_to_sort_by_are_refused() {
    let options = KeyOptions { order_by: vec!["s".into()], ..KeyOptions::default() };
    let table = TableSchema::new(&schema(&[("s", T::Utf8, true)]), &[], &options).unwrap();
    let long = "x".repeat(crate::key::MAX_KEY_BYTES + 1);
    let strings = array(StringArray::from(vec![Some("a"), None, Some(long.as_str())]));
    assert!(table.check_batch(&batch(vec![("s", strings.slice(0, 2))])).is_ok());
    assert!(refused(&table, vec![("s", strings)]).contains("row 2 is longer"));
}
