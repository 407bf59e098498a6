//! Changes of a schema, and old rows under a new one.

use super::*;

fn base() -> TableSchema {
    table(&[("id", T::Int64, false), ("n", T::Int16, true), ("s", T::Utf8, false)], &["id"])
}

fn add(name: &str, data_type: T) -> SchemaChange {
    SchemaChange::Add { field: Field::new(name, data_type, true), position: None }
}

fn drop_column(name: &str) -> SchemaChange {
    SchemaChange::Drop { name: name.into() }
}

fn rename(name: &str, to: &str) -> SchemaChange {
    SchemaChange::Rename { name: name.into(), to: to.into() }
}

fn reorder(names: &[&str]) -> SchemaChange {
    SchemaChange::Reorder { names: names.iter().map(|name| (*name).to_owned()).collect() }
}

fn widen_to(name: &str, data_type: T) -> SchemaChange {
    SchemaChange::Widen { name: name.into(), data_type }
}

fn evolved(mut table: TableSchema, changes: &[SchemaChange]) -> TableSchema {
    for change in changes {
        table = table.evolve(change).unwrap();
    }
    table
}

fn names(schema: &Schema) -> Vec<&str> {
    schema.fields().iter().map(|field| field.name().as_str()).collect()
}

#[test]
fn ids_stay_and_are_never_reused() {
    let table = evolved(
        base(),
        &[
            drop_column("s"),
            add("s", T::Utf8),
            rename("id", "key"),
            reorder(&["s", "key", "n"]),
            widen_to("n", T::Int64),
            SchemaChange::Add { field: Field::new("first", T::Int8, true), position: Some(0) },
        ],
    );
    let ids: Vec<u32> = table.columns().iter().map(|column| column.id).collect();
    assert_eq!((names(table.user()), ids), (vec!["first", "s", "key", "n"], vec![5, 4, 1, 2]));
    assert_eq!((table.id(), table.next_column_id(), table.key()), (SchemaId(7), 6, &[2][..]));
    assert_eq!(table.user().field(3).data_type(), &T::Int64);
    let mut bytes = Vec::new();
    table.encode(&mut bytes);
    assert_eq!(TableSchema::decode(&bytes).unwrap().columns(), table.columns());
}

#[test]
fn changes_that_would_lose_something_are_refused() {
    let table = base();
    let refused = |change: SchemaChange, what: &str| {
        let message = table.evolve(&change).unwrap_err().message().to_owned();
        assert!(message.contains(what), "{message}");
    };
    refused(SchemaChange::Add { field: Field::new("x", T::Int8, false), position: None }, "\"x\" must be nullable");
    refused(SchemaChange::Add { field: Field::new("x", T::Int8, true), position: Some(4) }, "position 4");
    refused(add("n", T::Int8), "\"n\" is there twice");
    refused(add("_op", T::Int8), "kept for the engine");
    refused(drop_column("id"), "orders the rows and cannot be dropped");
    refused(widen_to("id", T::Float64), "cannot be widened");
    refused(drop_column("z"), "no column \"z\"");
    refused(rename("n", "s"), "is there twice");
    refused(rename("n", ""), "is empty");
    refused(reorder(&["id", "n"]), "2 columns was given for 3");
    refused(reorder(&["id", "n", "n"]), "twice");
    refused(widen_to("n", T::Int16), "from Int16 to Int16");
    refused(widen_to("n", T::Int8), "from Int16 to Int8");
    refused(widen_to("n", T::Utf8), "from Int16 to Utf8");
    let one = super::table(&[("a", T::Int8, true)], &[]);
    assert!(one.evolve(&drop_column("a")).unwrap_err().message().contains("at least one column"));
    let options = KeyOptions { order_by: vec!["a".into()], ..KeyOptions::default() };
    let ordered = TableSchema::new(&schema(&[("a", T::Int8, true), ("b", T::Int8, true)]), &[], &options).unwrap();
    assert!(ordered.evolve(&drop_column("a")).unwrap_err().message().contains("orders the rows"));
    assert_eq!(evolved(ordered, &[drop_column("b"), rename("a", "b")]).order_by(), [0]);
}

#[test]
fn old_rows_are_read_by_id_under_the_new_schema() {
    let old = base();
    let new = evolved(
        base(),
        &[
            drop_column("s"),
            add("s", T::LargeUtf8),
            rename("n", "m"),
            widen_to("m", T::Int64),
            rename("id", "n"),
            reorder(&["s", "m", "n"]),
        ],
    );
    let rows = || {
        batch(vec![
            ("_seq", array(Int64Array::from(vec![9, 9]))),
            ("s", array(StringArray::from(vec!["gone", "gone"]))),
            ("n", array(Int16Array::from(vec![Some(-1), None]))),
            ("id", array(Int64Array::from(vec![1, 2]))),
        ])
    };
    let adapted = new.adapt(&old, rows(), &[1, 4, 2]).unwrap();
    assert_eq!(names(adapted.schema_ref()), ["n", "s", "m"]);
    assert_eq!(adapted.column(0), &array(Int64Array::from(vec![1, 2])));
    assert_eq!((adapted.column(1).data_type(), adapted.column(1).null_count()), (&T::LargeUtf8, 2));
    assert_eq!(adapted.column(2), &array(Int64Array::from(vec![Some(-1), None])));
    let none = new.adapt(&old, rows(), &[]).unwrap();
    assert_eq!((none.num_columns(), none.num_rows()), (0, 2));
    assert!(new.adapt(&old, rows(), &[3]).unwrap_err().message().contains("id 3"));
    let projected = rows().project(&[3]).unwrap();
    assert_eq!(new.adapt(&old, projected.clone(), &[1]).unwrap().num_columns(), 1);
    assert!(new.adapt(&old, projected, &[2]).unwrap_err().message().contains("\"n\" was not read"));
    // Deleted rows have nulls where the user's rows may have none.
    let deleted = batch(vec![("id", array(Int64Array::from(vec![1]))), ("s", new_null_array(&T::Utf8, 1))]);
    assert_eq!(old.adapt(&old, deleted, &[3, 1]).unwrap().column(0).null_count(), 1);
    assert!(!old.user_projection(&[3]).unwrap().field(0).is_nullable());
}

#[test]
fn rows_of_the_wrong_type_are_refused() {
    let old = base();
    let rows = batch(vec![("n", array(StringArray::from(vec!["x"])))]);
    assert!(old.adapt(&old, rows, &[2]).unwrap_err().message().contains("cannot be read as Int16"));
}

#[test]
fn widening_keeps_every_value() {
    let wide = |from: ArrayRef, to: ArrayRef| {
        assert!(can_widen(from.data_type(), to.data_type()), "{} {}", from.data_type(), to.data_type());
        assert_eq!(&widen(&from, to.data_type()).unwrap(), &to);
        assert!(!can_widen(to.data_type(), from.data_type()), "{} {}", to.data_type(), from.data_type());
    };
    wide(array(Int8Array::from(vec![Some(i8::MIN), None])), array(Int64Array::from(vec![Some(-128), None])));
    wide(array(UInt32Array::from(vec![u32::MAX])), array(Int64Array::from(vec![i64::from(u32::MAX)])));
    wide(array(UInt8Array::from(vec![200])), array(Int16Array::from(vec![200])));
    wide(array(Int32Array::from(vec![i32::MIN])), array(Float64Array::from(vec![f64::from(i32::MIN)])));
    wide(
        array(Float32Array::from(vec![0.1, f32::INFINITY])),
        array(Float64Array::from(vec![f64::from(0.1f32), f64::INFINITY])),
    );
    wide(
        array(Date32Array::from(vec![-1, i32::MAX])),
        array(Date64Array::from(vec![-86_400_000, i64::from(i32::MAX) * 86_400_000])),
    );
    wide(
        array(Date32Array::from(vec![i32::MIN])),
        array(TimestampSecondArray::from(vec![i64::from(i32::MIN) * 86_400])),
    );
    wide(array(StringArray::from(vec!["a"])), array(LargeStringArray::from(vec!["a"])));
    let decimal32 = Decimal32Array::from(vec![-12_345]).with_precision_and_scale(5, 2).unwrap();
    let decimal256 =
        Decimal256Array::from(vec![arrow_buffer::i256::from_i128(-12_345)]).with_precision_and_scale(5, 2).unwrap();
    wide(array(decimal32.clone()), array(decimal256));
    wide(array(decimal32.clone()), array(decimal32.with_precision_and_scale(9, 2).unwrap()));
    for (from, to) in [
        (T::Int64, T::Float64),
        (T::Int32, T::Float32),
        (T::UInt64, T::Int64),
        (T::Int8, T::UInt16),
        (T::Decimal32(5, 2), T::Decimal64(9, 3)),
        (T::Decimal32(5, 2), T::Decimal64(4, 2)),
        (T::Date32, T::Timestamp(TimeUnit::Microsecond, None)),
        (T::Utf8, T::Binary),
    ] {
        assert!(!can_widen(&from, &to), "{from} {to}");
    }
}
