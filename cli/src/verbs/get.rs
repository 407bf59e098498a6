//! `sstore get`: the value of a key, or the row with a key.

use super::{Collection, Done, collection, open};
use crate::arguments::Get;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::{record, rows};
use arrow_schema::DataType;
use sstore::{Db, Filter, ReadOptions, ScanOptions, Table};

pub fn run(get: &Get, output: &mut Output) -> Done {
    let db = open(&get.database)?;
    match collection(&db, &get.collection)? {
        Collection::Table(table) => row(get, &db, &table, output),
        Collection::Family(family) => {
            let [key] = &get.key[..] else {
                return Err(Failure::Usage("a family is asked for one key".to_owned()));
            };
            if get.columns.is_some() {
                return Err(Failure::Usage("--columns is for tables".to_owned()));
            }
            let form = get.keys.form();
            let bytes = form.read(key).map_err(Failure::Usage)?;
            let Some((value, sequence)) = db.get_with_sequence(&family, &bytes, &ReadOptions::default())? else {
                return Err(absent(get));
            };
            if output.is_table() {
                output.line(&form.show(&value))?;
            } else {
                output.facts(record! {
                    "key": form.show(&bytes),
                    "value": form.show(&value),
                    "sequence": sequence,
                })?;
            }
            Ok(Outcome::Fine)
        }
    }
}

fn absent(get: &Get) -> Failure {
    Failure::Absent(format!("\"{}\" has no key {}", get.collection, get.key.join(" ")))
}

fn row(get: &Get, db: &Db, table: &Table, output: &mut Output) -> Done {
    let names = table.key();
    if names.is_empty() {
        return Err(Failure::Usage(format!("table \"{}\" has no key: scan it with --where", table.name())));
    }
    if names.len() != get.key.len() {
        let message = format!("the key of table \"{}\" is {}: {} values", table.name(), names.join(", "), names.len());
        return Err(Failure::Usage(message));
    }
    let schema = table.schema();
    let tests = names.iter().zip(&get.key).map(|(name, value)| {
        let data_type = schema.field_with_name(name).map_or(&DataType::Null, |field| field.data_type());
        Filter::parse(&format!("\"{}\" = {}", name.replace('"', "\"\""), literal(data_type, value, get.keys.hex)))
    });
    let filter = Filter::And(tests.collect::<Result<_, _>>()?);
    let scan =
        ScanOptions { columns: get.columns.clone(), filter: Some(filter), limit: Some(1), ..ScanOptions::default() };
    for batch in db.scan(table, &scan, &ReadOptions::default())? {
        let batch = batch?;
        if batch.num_rows() > 0 {
            output.facts(rows::record(&batch, 0))?;
            return Ok(Outcome::Fine);
        }
    }
    Err(absent(get))
}

/// A value of the command line as conditions have it.
fn literal(data_type: &DataType, value: &str, hex: bool) -> String {
    let quoted = format!("'{}'", value.replace('\'', "''"));
    match data_type {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) if hex => {
            format!("X{quoted}")
        }
        DataType::Date32 | DataType::Date64 => format!("DATE {quoted}"),
        DataType::Timestamp(..) => format!("TIMESTAMP '{}'", value.replace('T', " ").replace('\'', "''")),
        data_type if data_type.is_numeric() || *data_type == DataType::Boolean => value.to_owned(),
        _ => quoted,
    }
}
