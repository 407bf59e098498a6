// Every try_ form of the C++ headers works and fails as it says. Compiled without exceptions as well: nothing here needs them.
//
// ffi/tests/abi.rs looks whether each try_ form of the headers stands here in WORKS( and in FAILS(.
#include "test.hpp"

namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;

/// An object that was moved from: each call of it fails.
template <class T> T &emptied(T &&object)
{
    const T taken(std::move(object));
    return object;
}

void options()
{
    sstore::Options options = WORKS(sstore::Options::try_create({{"write_buffer_bytes", "8MiB"}, {"create_if_missing", true}}));
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::Options::try_create({{"no_such_option", 1}}));
    WORKS(options.try_set({"create_if_missing", false}));
    FAILS(SSTORE_INVALID_ARGUMENT, options.try_set({"create_if_missing", "perhaps"}));
    CHECK(WORKS(options.try_get("create_if_missing")) == "false");
    FAILS(SSTORE_INVALID_ARGUMENT, options.try_get("no_such_option"));
    WORKS(options.try_set_number("create_if_missing", 1));
    FAILS(SSTORE_INVALID_ARGUMENT, options.try_set_number("create_if_missing", 2));
    WORKS(options.try_on_event([](const sstore::Event &) {}));
    WORKS(options.try_on_log(SSTORE_LOG_INFO, [](const sstore::LogLine &) {}));
    FAILS(SSTORE_INVALID_ARGUMENT, options.try_on_event({}));
    FAILS(SSTORE_INVALID_ARGUMENT, options.try_on_log(SSTORE_LOG_INFO, {}));
}

void databases(const fs::path &work)
{
    const fs::path path = work / "databases";
    FAILS(SSTORE_NOT_FOUND, sstore::Db::try_open(path, {{"create_if_missing", false}}));
    sstore::Db db = WORKS(sstore::Db::try_open(path));
    FAILS(SSTORE_LOCKED, sstore::Db::try_destroy(path));
    sstore::ColumnFamily family = WORKS(db.try_create_column_family("one"));
    FAILS(SSTORE_INVALID_ARGUMENT, db.try_create_column_family("one"));
    CHECK(WORKS(db.try_column_family("one")).id() == family.id());
    FAILS(SSTORE_NOT_FOUND, db.try_column_family("two"));
    CHECK(WORKS(db.try_column_families()).size() == 2);
    CHECK(WORKS(family.try_name()) == "one" && WORKS(WORKS(family.try_options()).try_get("write_buffer_bytes")) != "");

    sstore::Batch batch = WORKS(sstore::Batch::try_create());
    WORKS(batch.try_put("a", "1"));
    WORKS(batch.try_put(family, "a", "2"));
    WORKS(batch.try_erase("b"));
    WORKS(batch.try_erase(family, "b"));
    FAILS(SSTORE_INVALID_ARGUMENT, batch.try_put(std::string(70000, 'k'), ""));
    FAILS(SSTORE_INVALID_ARGUMENT, batch.try_erase(std::string(70000, 'k')));
    sstore::Batch more = WORKS(sstore::Batch::try_create());
    WORKS(more.try_append(batch));
    FAILS(SSTORE_INVALID_ARGUMENT, more.try_append(more));
    WORKS(db.try_write(batch));
    WORKS(db.try_write({sstore::Operation::put("b", "1"), sstore::Operation::erase(family, "c")}));
    WORKS(more.try_clear());
    CHECK(more.count() == 0 && batch.count() == 4);
    FAILS(SSTORE_INVALID_ARGUMENT, emptied(std::move(more)).try_clear());

    CHECK(WORKS(db.try_log_pin()).has_value());
    WORKS(db.try_sync());
    const sstore::Snapshot snapshot = WORKS(db.try_snapshot());
    CHECK(WORKS(db.try_snapshot_at(snapshot.sequence())).sequence() == snapshot.sequence());
    FAILS(SSTORE_INVALID_ARGUMENT, db.try_snapshot_at(snapshot.sequence() + 1000));
    CHECK(WORKS(db.try_open_objects()).snapshots == 1);
    FAILS(SSTORE_BUSY, db.try_close());
    FAILS(SSTORE_INVALID_ARGUMENT, db.try_refresh());
    {
        sstore::Db reader = WORKS(sstore::Db::try_open(path, {{"read_only", true}}));
        CHECK(WORKS(reader.try_refresh()) > 0);
        FAILS(SSTORE_READ_ONLY, reader.try_put("a", "1"));
    }

    const sstore::FlushToken token = WORKS(db.try_flush_all());
    WORKS(token.try_wait(60000));
    CHECK(WORKS(token.try_done()) && WORKS(token.try_result()).entries >= 3);
    WORKS(WORKS(db.try_flush_atomic({nullptr, &family})).try_wait());
    WORKS(db.try_resume());
    CHECK(!WORKS(db.try_log_pin()));
    CHECK(WORKS(db.try_stats()).families == 2 && WORKS(db.try_memory_use()).budget_bytes > 0);
    CHECK(WORKS(db.try_histogram("flush")).count >= 1);
    FAILS(SSTORE_INVALID_ARGUMENT, db.try_histogram("none"));
    CHECK(!WORKS(db.try_metrics()).empty() && WORKS(db.try_metrics_text()).find("sstore_") != std::string::npos);
    WORKS(db.try_drop(family));
    FAILS(SSTORE_DROPPED, db.try_drop(family));
    FAILS(SSTORE_INVALID_ARGUMENT, emptied(std::move(family)).try_name());
    FAILS(SSTORE_INVALID_ARGUMENT, family.try_options());
    WORKS(db.try_close({true, true, 60000}));

    FAILS(SSTORE_CLOSED, db.try_close());
    FAILS(SSTORE_CLOSED, db.try_column_families());
    FAILS(SSTORE_CLOSED, db.try_write(batch));
    FAILS(SSTORE_CLOSED, db.try_write({sstore::Operation::erase("a")}));
    FAILS(SSTORE_CLOSED, db.try_log_pin());
    FAILS(SSTORE_CLOSED, db.try_sync());
    FAILS(SSTORE_CLOSED, db.try_snapshot());
    FAILS(SSTORE_CLOSED, db.try_open_objects());
    FAILS(SSTORE_CLOSED, db.try_flush_all());
    FAILS(SSTORE_CLOSED, db.try_flush_atomic());
    FAILS(SSTORE_CLOSED, db.try_resume());
    FAILS(SSTORE_CLOSED, db.try_stats());
    FAILS(SSTORE_CLOSED, db.try_memory_use());
    FAILS(SSTORE_CLOSED, db.try_metrics());
    FAILS(SSTORE_CLOSED, db.try_metrics_text());
    WORKS(sstore::Db::try_destroy(path));
    CHECK(!fs::exists(path));
}

void keys(const fs::path &work)
{
    sstore::Db db = WORKS(sstore::Db::try_open(work / "keys"));
    const std::uint64_t first = WORKS(db.try_put("a", "1"));
    sstore::Batch batch = WORKS(sstore::Batch::try_create());
    WORKS(batch.try_put("b", "2"));
    WORKS(db.try_write_if("a", first, batch));
    FAILS(SSTORE_CONFLICT, db.try_write_if("a", first + 1, batch));
    CHECK(WORKS(db.try_get("a")) == "1" && !WORKS(db.try_get("none")));
    CHECK(WORKS(db.try_get_pinned("b"))->value() == "2" && !WORKS(db.try_get_pinned("none")));
    char room[4];
    CHECK(WORKS(db.try_get_into("a", room, sizeof room)) == 1u && !WORKS(db.try_get_into("none", room, sizeof room)));
    CHECK(WORKS(db.try_contains("a")) && !WORKS(db.try_contains("none")));
    CHECK(WORKS(db.try_multi_get({"a", "none"}))[0] == "1" && !WORKS(db.try_multi_get(std::vector<std::string>{"none"}))[0]);
    WORKS(db.try_erase("a"));
    CHECK(!WORKS(db.try_contains("a")));
    WORKS(WORKS(db.try_flush()).try_wait());
    WORKS(db.try_compact());
    CHECK(WORKS(db.try_segments()).size() == 1);
    sstore::Files files = WORKS(db.try_live_files());
    CHECK(WORKS(files.try_at(0)).rows >= 1 && WORKS(files.try_info()).sequence > 0);
    FAILS(SSTORE_NOT_FOUND, files.try_at(1));
    FAILS(SSTORE_INVALID_ARGUMENT, emptied(std::move(files)).try_info());
    CHECK(WORKS(db.try_export_to(work / "exported")).size() == 1);
    FAILS(SSTORE_INVALID_ARGUMENT, db.try_export_to(work / "exported"));
    FAILS(SSTORE_CANCELLED, db.try_export_to(work / "off", [](auto, auto) { return false; }));
    // It works in leveldb.cpp.
    FAILS(SSTORE_NOT_FOUND, db.try_import_leveldb(work / "no_leveldb"));

    for (const char *key : {"k1", "k2", "k3"}) WORKS(db.try_put(key, key));
    sstore::Iterator iterator = WORKS(db.try_iterate({nullptr, "k", "k3"}));
    CHECK(WORKS(iterator.try_seek_to_first()) && WORKS(iterator.try_next()) && !WORKS(iterator.try_next()));
    CHECK(WORKS(iterator.try_seek_to_last()) && WORKS(iterator.try_prev()) && WORKS(iterator.try_entry()).key == "k1");
    CHECK(WORKS(iterator.try_seek("k11")) && WORKS(iterator.try_sequence()) > 0 && WORKS(iterator.try_seek_for_prev("k11")));
    CHECK(WORKS(iterator.try_pin_value())->value() == "k1");
    WORKS(iterator.try_refresh());
    std::size_t count = 0;
    for (auto entries = WORKS(iterator.try_next_batch(1)); !entries.empty(); entries = WORKS(iterator.try_next_batch(1))) count += entries.size();
    WORKS(iterator.try_refresh());
    CHECK(count == 2 && WORKS(iterator.try_prev_batch()).size() == 2);
    WORKS(db.try_close({std::nullopt, true}));

    FAILS(SSTORE_CLOSED, iterator.try_seek_to_first());
    FAILS(SSTORE_CLOSED, iterator.try_seek_to_last());
    FAILS(SSTORE_CLOSED, iterator.try_seek("k"));
    FAILS(SSTORE_CLOSED, iterator.try_seek_for_prev("k"));
    FAILS(SSTORE_CLOSED, iterator.try_next());
    FAILS(SSTORE_CLOSED, iterator.try_prev());
    FAILS(SSTORE_CLOSED, iterator.try_refresh());
    FAILS(SSTORE_CLOSED, iterator.try_next_batch());
    FAILS(SSTORE_CLOSED, iterator.try_prev_batch());
    FAILS(SSTORE_INVALID_ARGUMENT, emptied(std::move(iterator)).try_entry());
    FAILS(SSTORE_INVALID_ARGUMENT, iterator.try_sequence());
    FAILS(SSTORE_INVALID_ARGUMENT, iterator.try_pin_value());
    FAILS(SSTORE_CLOSED, db.try_put("a", "1"));
    FAILS(SSTORE_CLOSED, db.try_erase("a"));
    FAILS(SSTORE_CLOSED, db.try_get("a"));
    FAILS(SSTORE_CLOSED, db.try_get_pinned("a"));
    FAILS(SSTORE_CLOSED, db.try_get_into("a", room, sizeof room));
    FAILS(SSTORE_CLOSED, db.try_contains("a"));
    FAILS(SSTORE_CLOSED, db.try_multi_get({"a"}));
    FAILS(SSTORE_CLOSED, db.try_multi_get(std::vector<std::string>{"a"}));
    FAILS(SSTORE_CLOSED, db.try_iterate());
    FAILS(SSTORE_CLOSED, db.try_flush());
    FAILS(SSTORE_CLOSED, db.try_compact());
    FAILS(SSTORE_CLOSED, db.try_segments());
    FAILS(SSTORE_CLOSED, db.try_live_files());
    sstore::FlushToken none(nullptr);
    FAILS(SSTORE_INVALID_ARGUMENT, none.try_done());
    FAILS(SSTORE_INVALID_ARGUMENT, none.try_wait());
    FAILS(SSTORE_INVALID_ARGUMENT, none.try_result());
}

void rows(const fs::path &work)
{
    sstore::Db db = WORKS(sstore::Db::try_open(work / "rows"));
    sstore::Table table = WORKS(sstore::Table::try_create(db, "rows", {{"id", "l"}, {"name", "u", true}}, {"id"}));
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::Table::try_create(db, "rows", {{"id", "l"}}, {"id"}));
    CHECK(WORKS(sstore::Table::try_open(db, "rows")).name() == "rows" && WORKS(sstore::Table::try_list(db)).size() == 1);
    FAILS(SSTORE_NOT_FOUND, sstore::Table::try_open(db, "none"));
    CHECK(WORKS(table.try_name()) == "rows" && WORKS(table.try_schema())->n_children == 2);
    CHECK(WORKS(table.try_key()).size() == 1 && WORKS(table.try_order_by()).empty());
    CHECK(WORKS(WORKS(table.try_options()).try_get("table_format")) != "");

    sstore::RowBuilder builder = WORKS(sstore::RowBuilder::try_create(table));
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::RowBuilder::try_create(table, static_cast<sstore_row_kind>(3)));
    WORKS(builder.try_set(0, 1));
    WORKS(builder.try_set(1, "one"s));
    FAILS(SSTORE_INVALID_ARGUMENT, builder.try_set(0, "no number"));
    WORKS(builder.try_append());
    FAILS(SSTORE_INVALID_ARGUMENT, builder.try_append());
    WORKS(builder.try_row(2, "two"));
    FAILS(SSTORE_INVALID_ARGUMENT, builder.try_row(3, 1.5));
    CHECK(builder.count() == 2);
    WORKS(builder.try_write());
    WORKS(builder.try_row(9));
    WORKS(builder.try_clear());
    CHECK(builder.count() == 0);
    sstore::Batch batch = WORKS(sstore::Batch::try_create());
    WORKS(builder.try_row(3, "three"));
    WORKS(builder.try_add_to(batch));
    WORKS(builder.try_row(4, "four"));
    sstore::Arrow<ArrowArray> some = WORKS(builder.try_finish());
    WORKS(batch.try_put_rows(table, *some));
    FAILS(SSTORE_INVALID_ARGUMENT, batch.try_put_rows(table, *some));
    some = test::keys(table, {1});
    WORKS(batch.try_erase_rows(table, *some));
    FAILS(SSTORE_INVALID_ARGUMENT, batch.try_erase_rows(table, *some));
    WORKS(db.try_write(batch));
    FAILS(SSTORE_INVALID_ARGUMENT, builder.try_add_to(emptied(std::move(batch))));
    sstore::RowBuilder of_keys = WORKS(sstore::RowBuilder::try_create(table, SSTORE_ROW_KEY));
    FAILS(SSTORE_INVALID_ARGUMENT, of_keys.try_write());
    WORKS(of_keys.try_set(0, 7));
    FAILS(SSTORE_INVALID_ARGUMENT, of_keys.try_finish());
    FAILS(SSTORE_INVALID_ARGUMENT, emptied(std::move(of_keys)).try_clear());

    WORKS(builder.try_row(5, nullptr));
    some = WORKS(builder.try_finish());
    WORKS(table.try_append(*some));
    FAILS(SSTORE_INVALID_ARGUMENT, table.try_append(*some));
    sstore::RowStream stream = WORKS(WORKS(sstore::Scan::try_create(table)).try_execute());
    CHECK(WORKS(table.try_append(*stream)) == 4);
    FAILS(SSTORE_INVALID_ARGUMENT, table.try_append(*stream));
    some = test::keys(table, {2});
    WORKS(table.try_erase(*some));
    FAILS(SSTORE_INVALID_ARGUMENT, table.try_erase(*some));
    some = test::keys(table, {3});
    CHECK(WORKS(table.try_get(*some, {"name"}))->n_children == 1);
    FAILS(SSTORE_INVALID_ARGUMENT, table.try_get(*some));
    std::vector<std::uint8_t> found;
    some = test::keys(table, {2, 3});
    CHECK(WORKS(table.try_get_many(*some, found))->length == 1 && found == (std::vector<std::uint8_t>{0, 1}));
    FAILS(SSTORE_INVALID_ARGUMENT, table.try_get_many(*some, found));

    WORKS(WORKS(table.try_flush()).try_wait());
    WORKS(table.try_compact());
    CHECK(WORKS(table.try_segments()).size() == 1 && WORKS(table.try_live_files()).size() == 1);
    CHECK(WORKS(table.try_export_to(work / "exported_rows")).size() == 1);
    FAILS(SSTORE_INVALID_ARGUMENT, table.try_export_to(work / "exported_rows"));

    WORKS(table.try_add_column("more", "i"));
    WORKS(table.try_widen_column("more", "l"));
    WORKS(table.try_rename_column("more", "most"));
    FAILS(SSTORE_INVALID_ARGUMENT, table.try_add_column("most", "i"));
    FAILS(SSTORE_INVALID_ARGUMENT, table.try_widen_column("none", "l"));
    FAILS(SSTORE_INVALID_ARGUMENT, table.try_rename_column("none", "some"));
    WORKS(table.try_drop_column("most"));
    FAILS(SSTORE_INVALID_ARGUMENT, table.try_drop_column("most"));

    sstore::Arrow<ArrowSchema> schema = WORKS(table.try_schema());
    sstore::Table log = WORKS(sstore::Table::try_create(db, "log", *schema, {}));
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::Table::try_create(db, "other", *schema, {}));
    WORKS(log.try_drop());
    FAILS(SSTORE_DROPPED, log.try_drop());
    FAILS(SSTORE_DROPPED, log.try_flush());
    FAILS(SSTORE_DROPPED, log.try_compact());
    FAILS(SSTORE_DROPPED, log.try_segments());
    FAILS(SSTORE_DROPPED, log.try_live_files());
    FAILS(SSTORE_INVALID_ARGUMENT, emptied(std::move(log)).try_name());
    FAILS(SSTORE_INVALID_ARGUMENT, log.try_schema());
    FAILS(SSTORE_INVALID_ARGUMENT, log.try_key());
    FAILS(SSTORE_INVALID_ARGUMENT, log.try_order_by());
    FAILS(SSTORE_INVALID_ARGUMENT, log.try_options());
    WORKS(db.try_close());
    FAILS(SSTORE_CLOSED, sstore::Table::try_list(db));
}

void scans(const fs::path &work)
{
    sstore::Db db = WORKS(sstore::Db::try_open(work / "scans"));
    sstore::Table table = WORKS(sstore::Table::try_create(db, "rows", {{"id", "l"}, {"name", "u", true}}, {"id"}));
    sstore::RowBuilder builder = WORKS(sstore::RowBuilder::try_create(table));
    for (int id = 1; id < 6; id++) WORKS(builder.try_row(id, "n" + std::to_string(id)));
    WORKS(builder.try_write());
    const sstore::Snapshot five = WORKS(db.try_snapshot());
    WORKS(builder.try_row(6));
    WORKS(builder.try_write());
    using test::Numbers, test::numbers;

    const sstore::Filter more = WORKS(sstore::Filter::try_parse("id > 2"));
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::Filter::try_parse("id >"));
    sstore::Arrow<ArrowSchema> type;
    sstore::Arrow<ArrowArray> literal = test::keys(table, {5}, &type);
    const sstore::Filter less =
        WORKS(sstore::Filter::try_compare("id", SSTORE_COMPARISON_LESS, *literal->children[0], *type->children[0]));
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::Filter::try_compare("id", SSTORE_COMPARISON_LESS, *literal->children[0], *type->children[0]));
    literal = test::keys(table, {1, 4}, &type);
    const sstore::Filter in = WORKS(sstore::Filter::try_in("id", *literal->children[0], *type->children[0]));
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::Filter::try_in("id", *literal->children[0], *type->children[0]));
    const sstore::Filter null = WORKS(sstore::Filter::try_is_null("name"));
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::Filter::try_is_null("name\0"s));
    const sstore::Filter starts = WORKS(sstore::Filter::try_starts_with("name", "n4"));
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::Filter::try_starts_with("name\0"s, "n4"));
    const sstore::Filter both = WORKS(sstore::Filter::try_combine(SSTORE_LOGIC_AND, {&more, &less}));
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::Filter::try_combine(SSTORE_LOGIC_NOT, {&more, &less}));

    sstore::Scan scan = WORKS(sstore::Scan::try_create(table));
    WORKS(scan.try_columns({"id"}));
    FAILS(SSTORE_INVALID_ARGUMENT, scan.try_columns({"id\0"s}));
    WORKS(scan.try_where(both));
    CHECK(numbers(WORKS(scan.try_execute()), 0) == (Numbers{3, 4}));
    WORKS(scan.try_where(in));
    CHECK(numbers(WORKS(scan.try_execute()), 0) == (Numbers{1, 4}));
    WORKS(scan.try_where(null));
    CHECK(numbers(WORKS(scan.try_execute()), 0) == (Numbers{6}));
    WORKS(scan.try_where(starts));
    CHECK(numbers(WORKS(scan.try_execute()), 0) == (Numbers{4}));
    WORKS(scan.try_where("id < 100"s));
    FAILS(SSTORE_INVALID_ARGUMENT, scan.try_where("id <"s));
    literal = test::keys(table, {4});
    WORKS(scan.try_bound(SSTORE_BOUND_START, *literal));
    FAILS(SSTORE_INVALID_ARGUMENT, scan.try_bound(SSTORE_BOUND_START, *literal));
    CHECK(numbers(WORKS(scan.try_execute()), 0) == (Numbers{4, 5, 6}));
    WORKS(scan.try_at(five));
    WORKS(scan.try_reverse());
    WORKS(scan.try_cached());
    WORKS(scan.try_batch_rows(1));
    CHECK(numbers(WORKS(scan.try_execute()), 0) == (Numbers{5, 4}) && !WORKS(scan.try_explain()).empty());

    sstore::Splits splits = WORKS(scan.try_splits(1 << 20));
    CHECK(splits.size() == 1 && numbers(WORKS(splits.try_execute(0)), 0).size() == 2);
    const sstore_split split = WORKS(splits.try_at(0));
    CHECK(numbers(WORKS(sstore::try_execute_split(sstore::detail::view(split.bytes), work / "scans")), 0).size() == 2);
    FAILS(SSTORE_CORRUPTION, sstore::try_execute_split("no split"));
    FAILS(SSTORE_NOT_FOUND, splits.try_at(1));
    FAILS(SSTORE_NOT_FOUND, splits.try_execute(1));
    WORKS(scan.try_limit(1));
    CHECK(numbers(WORKS(scan.try_execute()), 0) == (Numbers{5}));
    FAILS(SSTORE_INVALID_ARGUMENT, scan.try_splits(1 << 20));

    sstore::Scan wrong = WORKS(sstore::Scan::try_create(table));
    WORKS(wrong.try_columns({"none"}));
    FAILS(SSTORE_INVALID_ARGUMENT, wrong.try_execute());
    FAILS(SSTORE_INVALID_ARGUMENT, wrong.try_explain());
    FAILS(SSTORE_INVALID_ARGUMENT, emptied(std::move(wrong)).try_limit(1));
    FAILS(SSTORE_INVALID_ARGUMENT, wrong.try_reverse());
    FAILS(SSTORE_INVALID_ARGUMENT, wrong.try_cached());
    FAILS(SSTORE_INVALID_ARGUMENT, wrong.try_batch_rows(1));
    FAILS(SSTORE_INVALID_ARGUMENT, wrong.try_at(five));

    sstore::RowStream stream = WORKS(WORKS(sstore::Scan::try_create(table)).try_execute());
    CHECK(WORKS(stream.try_schema())->n_children == 2 && WORKS(stream.try_next())->length == 6 && !WORKS(stream.try_next()));
    sstore::RowStream late = WORKS(WORKS(sstore::Scan::try_create(table)).try_execute());
    WORKS(db.try_close({std::nullopt, true}));
    FAILS(SSTORE_CLOSED, late.try_next());
    FAILS(SSTORE_CLOSED, sstore::Scan::try_create(table));
    FAILS(SSTORE_INVALID_ARGUMENT, emptied(std::move(late)).try_schema());
}

void repairs(const fs::path &work)
{
    {
        sstore::Db db = WORKS(sstore::Db::try_open(work / "whole"));
        WORKS(db.try_put("a", "1"));
        WORKS(WORKS(db.try_flush()).try_wait());
        WORKS(db.try_put("b", "2"));
        WORKS(db.try_close({false}));
    }
    sstore::RepairReport report = WORKS(sstore::try_repair(work / "whole", work / "repaired"));
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::try_repair(work / "whole", work / "repaired"));
    FAILS(SSTORE_CANCELLED, sstore::try_repair(work / "whole", work / "off", {false, {}, [](auto, auto) { return false; }}));
    CHECK(WORKS(report.try_summary()).files == 1 && *WORKS(report.try_file(0)).path != '\0');
    CHECK(*WORKS(report.try_segment(0)).path != '\0' && WORKS(report.try_collections()).size() == 1);
    FAILS(SSTORE_NOT_FOUND, report.try_file(1));
    FAILS(SSTORE_NOT_FOUND, report.try_segment(77));
    FAILS(SSTORE_INVALID_ARGUMENT, emptied(std::move(report)).try_summary());
    FAILS(SSTORE_INVALID_ARGUMENT, report.try_collections());
    sstore::Db db = WORKS(sstore::Db::try_open(work / "repaired"));
    CHECK(WORKS(db.try_get("b")) == "2");
    WORKS(db.try_close());
}

} // namespace

int main(int argc, char **argv)
{
    const fs::path work = argc > 1 ? argv[1] : "without_exceptions";
    fs::create_directories(work);
    // What would throw ends a program that has no exceptions.
    if (argc > 2) {
        sstore::Db db = WORKS(sstore::Db::try_open(work / "ends"));
        WORKS(db.try_close());
        db.put("a", "1");
        return 0;
    }
    options();
    databases(work);
    keys(work);
    rows(work);
    scans(work);
    repairs(work);
}
