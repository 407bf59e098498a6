//! Parquet: codecs, what its metadata say, and where the files lie.

use super::world::*;

#[test]
fn options_are_kept_and_files_of_other_codecs_and_formats_stay_readable() {
    let (first, _) = world(&[("table_format", "parquet"), ("compression", "none")]);
    let (mut world, mut table) = first.killed();
    world.put(&table, 100..110, 1.0);
    world.flush();
    let codec_of = |world: &World, path: &Path| world.parquet(path).metadata().row_group(0).column(0).compression();
    let kept = codec_of(&world, &world.paths(&table)[0]);
    assert_eq!(kept, Compression::UNCOMPRESSED, "options are kept with the table");
    for (round, set) in [
        [("compression", "zstd"), ("table_format", "parquet")],
        [("compression", "lz4"), ("table_format", "arrow")],
        [("compression", "none"), ("table_format", "parquet")],
    ]
    .into_iter()
    .enumerate()
    {
        world.put(&table, round as i64 * 10..round as i64 * 10 + 10, 1.0);
        world.flush();
        (world, table) = world.killed_with(&options(&set));
        assert_eq!(world.all(&table).len(), 10 * (round + 2), "files of other options stay readable");
    }
    let paths = world.paths(&table);
    assert_eq!(
        paths.iter().filter(|path| path.ends_with("data.arrow")).count(),
        1,
        "one of them is Arrow IPC: {paths:?}"
    );
    world.db.compact_table(&table).unwrap();
    assert_eq!(world.all(&table).len(), 40);
    let [merged] = &world.paths(&table)[..] else { panic!("one file") };
    assert_eq!(codec_of(&world, merged), Compression::UNCOMPRESSED, "a merge takes the options in force");
    (world, table) = world.killed_with(&options(&[("compression", "zstd")]));
    world.put(&table, [500], 1.0);
    world.db.compact_table(&table).unwrap();
    let again = codec_of(&world, &world.paths(&table)[0]).to_string();
    assert!(again.starts_with("ZSTD"), "what is set at opening is in force: {again}");
}

#[test]
fn each_codec_of_parquet_is_what_its_metadata_say() {
    for (codec, expected) in [("none", "UNCOMPRESSED"), ("lz4", "LZ4_RAW"), ("zstd", "ZSTD"), ("auto", "ZSTD")] {
        let (world, table) = world(&[("compression", codec)]);
        world.put(&table, 0..1000, 1.0);
        world.flush();
        let reader = world.parquet(&world.paths(&table)[0]);
        for column in reader.metadata().row_group(0).columns() {
            let found = column.compression().to_string();
            assert!(found.starts_with(expected), "{codec}: {found} in {}", column.column_path());
        }
    }
}

#[test]
fn what_the_engine_says_of_a_file_is_what_its_metadata_say() {
    let (world, table) = world(&[("row_group_rows", "64"), ("page_rows", "16")]);
    world.put(&table, 100..400, 1.0);
    world.delete(&table, &[100, 399, 777]);
    world.flush();
    let segment = world.db.table_segments(&table).unwrap().remove(0);
    let reader = world.parquet(&segment.path);
    let metadata = reader.metadata();
    assert_eq!(metadata.file_metadata().num_rows() as u64, segment.entries);
    assert_eq!(world.bytes(&segment.path).len() as u64, segment.size_bytes);
    let (mut least, mut most) = (i64::MAX, i64::MIN);
    for group in metadata.row_groups() {
        let Some(Statistics::Int64(bounds)) = group.column(0).statistics() else { panic!("no statistics") };
        least = least.min(*bounds.min_opt().unwrap());
        most = most.max(*bounds.max_opt().unwrap());
        assert!(group.column(0).offset_index_offset().is_some() && group.column(0).column_index_offset().is_some());
        assert!(group.column(0).bloom_filter_offset().is_some(), "the key has a filter");
        assert!(group.sorting_columns().is_some(), "the order is told");
    }
    assert_eq!((least, most), (100, 777));
    // The keys of an Int64: eight bytes, the sign flipped.
    let encoded = |value: i64| (value as u64 ^ 1 << 63).to_be_bytes().to_vec();
    assert_eq!((segment.smallest, segment.largest), (encoded(least), encoded(most)), "the bounds of the key");
    let told = (segment.tombstones, segment.smallest_sequence, segment.largest_sequence);
    assert_eq!(told, (3, 1, 2), "deletes, and the sequences of its rows");
}

#[test]
fn a_flushed_file_lies_at_level_zero_and_a_merged_one_above() {
    let (world, table) = world(&[]);
    for _ in 0..2 {
        world.put(&table, 0..10, 1.0);
        world.flush();
    }
    for segment in world.db.table_segments(&table).unwrap() {
        let expected = format!("{DIRECTORY}/0/{:06}.parquet", segment.number.0);
        assert_eq!((segment.path.to_str().unwrap(), segment.level), (&expected[..], 0));
    }
    world.db.compact_table(&table).unwrap();
    let segment = world.db.table_segments(&table).unwrap().remove(0);
    let expected = format!("{DIRECTORY}/1/{:06}.parquet", segment.number.0);
    let found = (segment.path.to_str().unwrap(), segment.level);
    assert_eq!(found, (&expected[..], 1), "a merged file lies above");
}
