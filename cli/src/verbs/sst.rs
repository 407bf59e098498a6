//! `sstore sst`: what one file says of itself, without its database.

use super::Done;
use crate::arguments::SstFile;
use crate::failure::Outcome;
use crate::output::{Output, Record};
use crate::record;
use crate::text::Form;
use serde_json::{Value, json};
use sstore::env::posix::posix;
use sstore::key::FileNumber;
use sstore::sst::{Compression, LoneFile, RowFileReader, RowFormat, SstReader};

pub fn run(file: &SstFile, output: &mut Output) -> Done {
    let reader = LoneFile::open(&posix(), &file.file)?;
    let properties = reader.properties();
    let (format, form) = match &reader {
        LoneFile::Bytes(_) => ("blocks", file.keys.form()),
        // Keys of tables are encoded, and no text.
        LoneFile::Rows(rows) if rows.format() == RowFormat::Parquet => ("parquet", Form::Hex),
        LoneFile::Rows(_) => ("arrow", Form::Hex),
    };
    let bits = |bytes: usize| (bytes as f64 * 80.0 / properties.entries.max(1) as f64).round() / 10.0;
    let mut facts = record! {
        "path": reader.path().to_string_lossy(),
        "format": format,
        "number": properties.number.0,
        "database_id": format!("{:016x}", properties.database_id),
        "collection_id": properties.collection.0,
        "writer_epoch": properties.epoch,
        "made_of": numbers(&properties.inputs),
        "bytes": reader.size_bytes(),
        "checksum": format!("{:08x}", reader.checksum()),
        "entries": properties.entries,
        "tombstones": properties.tombstones,
        "payload_bytes": properties.payload_bytes,
        "multi_version": properties.multi_version,
        "smallest": form.show(&properties.smallest),
        "largest": form.show(&properties.largest),
        "smallest_sequence": properties.smallest_sequence,
        "largest_sequence": properties.largest_sequence,
        "filter_memory_bytes": reader.filter_bytes(),
        "filter_bits_per_entry": bits(reader.filter_bytes()),
        "resident_memory_bytes": reader.resident_bytes(),
    };
    facts.extend(match &reader {
        LoneFile::Bytes(reader) => of_blocks(reader),
        LoneFile::Rows(reader) => of_rows(reader, output.is_table()),
    });
    output.facts(facts)?;
    Ok(Outcome::Fine)
}

fn numbers(files: &[FileNumber]) -> Value {
    files.iter().map(|number| Value::from(number.0)).collect()
}

fn of_blocks(reader: &SstReader) -> Record {
    let [data, index, filter, properties] = reader.section_bytes();
    record! {
        "blocks": reader.block_count(),
        "data_bytes": data,
        "index_bytes": index,
        "filter_bytes": filter,
        "properties_bytes": properties,
    }
}

fn of_rows(reader: &RowFileReader, is_table: bool) -> Record {
    let compression = match reader.compression() {
        Compression::None => "none",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zstd",
    };
    let schema = reader.schema();
    let key: Vec<&str> = schema.key().iter().map(|&at| schema.columns()[at].field.name().as_str()).collect();
    let column = |column: &sstore::schema::TableColumn| {
        let (name, field) = (column.field.name(), &column.field);
        let null = if field.is_nullable() { "" } else { " not null" };
        match is_table {
            true => Value::from(format!("{name} {}{null}", field.data_type())),
            false => json!({
                "name": name,
                "id": column.id,
                "type": field.data_type().to_string(),
                "nullable": field.is_nullable(),
            }),
        }
    };
    let group = |group: &sstore::sst::GroupStats| {
        json!({
            "rows": group.rows,
            "tombstones": group.tombstones,
            "payload_bytes": group.payload_bytes,
            "smallest_sequence": group.smallest_sequence,
            "largest_sequence": group.largest_sequence,
        })
    };
    let groups = match is_table {
        true => Value::from(reader.groups().len()),
        false => reader.groups().iter().map(group).collect(),
    };
    record! {
        "level_at_birth": reader.birth_level(),
        "compression": compression,
        "schema": schema.id().0,
        "columns": schema.columns().iter().map(column).collect::<Value>(),
        "key": key,
        "groups": groups,
    }
}
