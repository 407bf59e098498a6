//! Schemas: what is taken and what is refused.

use super::*;

fn schema(fields: &[(&str, DataType, bool)]) -> Schema {
    Schema::new(
        fields
            .iter()
            .map(|(name, data_type, nullable)| Field::new(*name, data_type.clone(), *nullable))
            .collect::<Vec<_>>(),
    )
}

#[test]
fn a_keyed_table_has_its_key_not_null_and_room_for_deletes() {
    let given = schema(&[("v", DataType::Float64, false), ("k", DataType::Int64, true)]);
    let table = TableSchema::new(&given, &["k"], &KeyOptions::default()).unwrap();
    assert_eq!((table.id(), table.key(), table.next_column_id()), (SchemaId(1), &[1][..], 3));
    assert!(table.is_keyed() && table.order_codec().is_none());
    assert_eq!(table.key_codec().fields().len(), 1);
    assert!(!table.user().field(1).is_nullable() && !table.user().field(0).is_nullable());
    let stored = table.stored();
    let names: Vec<&str> = stored.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["v", "k", "_seq", "_op"]);
    assert!(stored.field(0).is_nullable() && !stored.field(1).is_nullable());
    assert_eq!(stored.field(1).metadata()[FIELD_ID_METADATA], "2");
}
