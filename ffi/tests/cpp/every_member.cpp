// Every member of the C++ headers does what they say, and what must not be copied or thrown is not.
#include "test.hpp"

#include <atomic>
#include <stdexcept>
#include <thread>

namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;
using namespace std::string_view_literals;

template <class T> void move_only()
{
    static_assert(!std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>);
    static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T>);
}

void types()
{
    move_only<sstore::Db>();
    move_only<sstore::ColumnFamily>();
    move_only<sstore::Options>();
    move_only<sstore::Snapshot>();
    move_only<sstore::Pinned>();
    move_only<sstore::Values>();
    move_only<sstore::Batch>();
    move_only<sstore::Iterator>();
    move_only<sstore::Files>();
    move_only<sstore::FlushToken>();
    move_only<sstore::Table>();
    move_only<sstore::RowBuilder>();
    move_only<sstore::Filter>();
    move_only<sstore::Scan>();
    move_only<sstore::Splits>();
    move_only<sstore::RepairReport>();
    move_only<sstore::Arrow<ArrowArray>>();
    move_only<sstore::RowStream>();
    static_assert(std::is_nothrow_copy_constructible_v<sstore::Error>);
    CHECK(sstore::version() == "0.1.0" || !sstore::version().empty());
    CHECK(sstore::version_number() == SSTORE_VERSION_NUMBER);
    CHECK(sstore::code_name(SSTORE_BUSY) == "BUSY");
}

void options()
{
    sstore::Options options{{"write_buffer_bytes", "8MiB"}, {"create_if_missing", true}, {"wal_segment_bytes", 4 << 20}};
    CHECK(options.get("write_buffer_bytes") == "8388608" || options.get("write_buffer_bytes") == "8MiB");
    CHECK(options.set({"create_if_missing", false}).get("create_if_missing") == "false");
    CHECK(options.set_number("create_if_missing", 1).try_get("create_if_missing").value() == "true");
    THROWS(SSTORE_INVALID_ARGUMENT, options.set({"no_such_option", 1}));
    THROWS(SSTORE_INVALID_ARGUMENT, sstore::Options({{"write_buffer_bytes", "much"s}}));
    CHECK(options.try_set({"no_such_option", 1}).code() == SSTORE_INVALID_ARGUMENT);
    THROWS(SSTORE_INVALID_ARGUMENT, options.get("no_such_option"));
    CHECK(sstore::Options::describe().size() == sstore_options_count());
    CHECK(*sstore::Options::describe().front().name != '\0');
    CHECK(options.c_handle() != nullptr);
    sstore::Options moved = std::move(options);
    CHECK(moved.get("create_if_missing") == "true");
}

void errors(const fs::path &work)
{
    const auto missing = sstore::Db::try_open(work / "missing", {{"create_if_missing", false}});
    CHECK(!missing && !missing.ok() && missing.code() == SSTORE_NOT_FOUND);
    const sstore::Error error = missing.error();
    CHECK(error.path().find("missing") != std::string_view::npos);
    CHECK(!error.offset() && !error.retryable());
    sstore::Db db(work / "errors");
    const auto locked = sstore::Db::try_open(work / "errors");
    CHECK(locked.code() == SSTORE_LOCKED && locked.error().retryable());
    const auto refused = sstore::Db::try_open("/proc/sstore_cannot_be_here");
    CHECK(!refused && refused.error().os_errno() != 0);
    db.close();
    THROWS(SSTORE_CLOSED, db.put("a", "b"));
    sstore::Result<std::string> result("there"s);
    CHECK(*result == "there" && result->size() == 5 && result.value() == "there" && std::move(result).value() == "there");
}

void keys(const fs::path &work)
{
    sstore::Db db = sstore::Db::open(work / "keys");
    const std::uint64_t first = db.put("a", "1");
    CHECK(db.put("b", "2"sv, {SSTORE_DURABILITY_SYNC, true}) > first);
    CHECK(db.try_put("", "empty key").ok());
    CHECK(db.get("") == "empty key");
    db.put("nothing", "");
    CHECK(db.get("nothing") == "" && !db.get("none"));
    CHECK(db.try_get("a").value() == "1");
    CHECK(db.contains("a") && !db.contains("none") && db.try_contains("a").value());
    const auto pinned = db.get_pinned("a");
    CHECK(pinned && pinned->value() == "1" && **pinned == "1" && pinned->sequence() == first);
    CHECK(!db.get_pinned("none") && !*db.try_get_pinned("none"));
    char buffer[4];
    CHECK(db.get_into("empty", buffer, sizeof buffer) == std::nullopt);
    CHECK(db.get_into("a", buffer, sizeof buffer) == 1u && buffer[0] == '1');
    CHECK(db.try_get_into("", buffer, sizeof buffer).value() == 9u);
    const auto values = db.multi_get({"a", "none", "nothing"});
    CHECK(values.size() == 3 && values[0] == "1" && !values[1] && values[2] == "");
    CHECK(db.multi_get(std::vector<std::string>{"b"})[0] == "2");
    CHECK(db.try_multi_get(std::vector<const char *>{"b", "a"}).value().size() == 2);
    db.erase("nothing");
    CHECK(db.try_erase("nothing").ok() && !db.contains("nothing"));
    const std::string zeros("\0k\0", 3);
    db.put(zeros, zeros);
    CHECK(db.get(zeros) == zeros);
    db.erase(zeros);
    THROWS(SSTORE_NOT_FOUND, db.import_leveldb(work / "no_leveldb", {true, [](auto, auto, auto) { return true; }}));

    // Conditional: only if it is absent, then only as it was.
    sstore::Batch batch;
    batch.put("c", "3");
    const std::uint64_t third = db.write_if("c", 0, batch);
    THROWS(SSTORE_CONFLICT, db.write_if("c", 0, batch));
    CHECK(db.try_write_if("c", third, batch).ok());
    db.sync();
    CHECK(db.try_sync().ok());

    // A snapshot, and reads at it; another one of the same moment.
    const sstore::Snapshot snapshot = db.snapshot();
    db.put("a", "later");
    CHECK(db.get("a", {&snapshot}) == "1" && db.get("a") == "later");
    const sstore::Snapshot again = db.snapshot_at(snapshot.sequence());
    CHECK(db.get_pinned("a", {&again})->value() == "1");
    CHECK(db.try_snapshot().ok() && snapshot.c_handle() != nullptr);
    CHECK(db.open_objects().snapshots == 2);
    CHECK(db.try_close().code() == SSTORE_BUSY);
    db.close({std::nullopt, true});
    CHECK(pinned->value() == "1");
}

void batches(const fs::path &work)
{
    sstore::Db db(work / "batches");
    sstore::ColumnFamily family = db.create_column_family("other");
    sstore::Batch batch;
    batch.put("a", "1").put(family, "b", "2").erase("c").erase(family, "d");
    CHECK(batch.try_put("e", "5").ok() && batch.try_put(family, "e", "5").ok());
    CHECK(batch.try_erase("e").ok() && batch.try_erase(family, "e").ok());
    CHECK(batch.count() == 8 && batch.size_bytes() > 0 && batch.c_handle() != nullptr);
    sstore::Batch more;
    more.put("f", "6");
    batch.append(more);
    CHECK(batch.count() == 9);
    CHECK(db.write(batch) > 0 && db.try_write(batch).ok());
    CHECK(db.get("f") == "6" && family.get("b") == "2" && !db.get("e"));
    batch.clear();
    CHECK(batch.count() == 0);
    using sstore::Operation;
    db.write({Operation::put("x", "1"), Operation::put(family, "x", "2"), Operation::erase("f")});
    CHECK(db.try_write({Operation::erase(family, "b")}, {SSTORE_DURABILITY_BUFFERED}).ok());
    CHECK(db.get("x") == "1" && family.get("x") == "2" && !db.get("f") && !family.get("b"));
    CHECK(batch.try_put(std::string(70000, 'k'), "").code() == SSTORE_INVALID_ARGUMENT);
    // What was moved from never stands for another family.
    const sstore::ColumnFamily moved = std::move(family);
    batch.put(moved, "y", "7");
    db.write(batch);
    CHECK(moved.get("y") == "7" && !db.get("y"));
}

void iterators(const fs::path &work)
{
    sstore::Db db(work / "iterators");
    for (int number = 100; number < 1000; number++) db.put("k" + std::to_string(number), std::to_string(number));
    std::size_t count = 0;
    std::string last;
    for (const auto [key, value] : db.iterate()) {
        CHECK(key.substr(1) == value && last < key);
        last = key;
        count++;
    }
    CHECK(count == 900);
    {
        sstore::Iterator iterator = db.iterate({nullptr, "k200", "k300", std::nullopt, true});
        CHECK(!iterator.valid());
        CHECK(iterator.seek_to_first() && iterator.key() == "k200" && iterator.value() == "200");
        CHECK(iterator.seek_to_last() && iterator.entry().key == "k299");
        CHECK(iterator.prev() && iterator.next() && !iterator.next() && !iterator.valid());
        CHECK(iterator.key().empty() && iterator.sequence() == 0 && !iterator.pin_value());
        CHECK(iterator.seek("k2505") && iterator.key() == "k251");
        CHECK(iterator.seek_for_prev("k2505") && iterator.key() == "k250" && iterator.sequence() > 0);
        const auto pinned = iterator.pin_value();
        CHECK(iterator.try_next().value() && pinned->value() == "250" && pinned->sequence() == 0);
        CHECK(iterator.try_prev().value() && iterator.try_entry()->value == "250");
        CHECK(iterator.try_seek("k299").value() && iterator.try_seek_for_prev("k200").value());
        CHECK(iterator.try_seek_to_last().value() && iterator.try_seek_to_first().value());
        // Loops go on from where it stands.
        count = 0;
        for (const sstore::Entries &entries : iterator.batches(30)) {
            CHECK(entries.size() <= 30 && !entries.empty());
            for (const sstore::Entry entry : entries) {
                CHECK(entry.key.substr(1) == entry.value);
                count++;
            }
            CHECK(entries[0].key < entries[entries.size() - 1].key || entries.size() == 1);
        }
        CHECK(count == 100);
        iterator.refresh();
        count = 0;
        last = "z";
        for (const auto [key, value] : iterator.backward()) {
            CHECK(last > key);
            last = key;
            count++;
        }
        CHECK(count == 100);
        iterator.refresh();
        for (const sstore::Entries &entries : iterator.batches_backward(64)) count -= entries.size();
        CHECK(count == 0);
        iterator.refresh();
        CHECK(iterator.next_batch(10).size() == 10 && iterator.next_batch(10, 1).size() == 1);
        iterator.refresh();
        CHECK(iterator.try_prev_batch(5).value()[0].key == "k299" && iterator.prev_batch(5)[0].key == "k294");
        CHECK(iterator.try_next_batch(5).ok() && iterator.c_handle() != nullptr);
        CHECK(db.open_objects().iterators == 1);
    }
    CHECK(db.try_iterate({nullptr, std::nullopt, std::nullopt, "k55"}).value().next_batch(100).size() == 10);
    for (const auto [key, value] : db.iterate({nullptr, std::nullopt, "k"})) CHECK(key == value);
    const sstore::Snapshot snapshot = db.snapshot();
    db.erase("k100");
    CHECK(db.iterate({&snapshot}).next_batch(1)[0].key == "k100");
    sstore::Iterator moved = db.iterate();
    sstore::Iterator iterator = std::move(moved);
    CHECK(iterator.seek_to_first() && iterator.key() == "k101");
    db.close({std::nullopt, true});
    CHECK(iterator.try_next().code() == SSTORE_CLOSED);
}

void families_and_files(const fs::path &work)
{
    // What a listener or a logger throws ends in them.
    std::atomic<int> events{0}, lines{0};
    sstore::Options options{{"create_if_missing", true}};
    options.on_event([&](const sstore::Event &) { events++, throw std::runtime_error("dropped"); });
    options.on_log(SSTORE_LOG_DEBUG, [&](const sstore::LogLine &line) {
        CHECK(*line.text != '\0');
        lines++;
        throw 1;
    });
    sstore::Db db(work / "families", options);
    {
        sstore::ColumnFamily family = db.create_column_family("one", {{"write_buffer_bytes", "1MiB"}});
        CHECK(family.name() == "one" && family.id() > 0 && family.options().get("write_buffer_bytes") != "");
        CHECK(family.c_handle() != nullptr);
        CHECK(db.column_family("one").id() == family.id() && db.try_column_family("two").code() == SSTORE_NOT_FOUND);
        CHECK(db.try_create_column_family("one").code() == SSTORE_INVALID_ARGUMENT);
        CHECK(db.column_families() == (std::vector<std::string>{"default", "one"}));
        family.put("k", "1");
        db.put("k", "2");
        CHECK(db.log_pin() && !db.log_pin()->family.empty() && db.log_pin()->sequence > 0);
        const sstore::FlushToken token = family.flush();
        token.wait(60000);
        CHECK(token.done() && token.try_done().value() && token.try_wait().ok() && token.c_handle() != nullptr);
        const sstore::FlushResult result = token.result();
        CHECK(result.reason == "manual" && result.files.size() == 1 && result.entries == 1 && result.bytes > 0);
        CHECK(token.try_result()->durable_sequence == result.durable_sequence && result.durable_sequence > 0);
        CHECK(family.try_flush().ok());
        // A null family is the default one.
        db.flush_atomic({nullptr, &family}).wait();
        db.flush_all().wait();
        CHECK(!db.log_pin());
        family.put("l", "1");
        family.compact();
        CHECK(family.try_compact().ok());
        const auto segments = family.segments();
        CHECK(segments.size() == 1 && segments[0].entries >= 1 && segments[0].smallest_key == "k" && fs::exists(segments[0].path));
        const sstore::Files files = family.live_files();
        CHECK(files.size() == 1 && files[0].rows >= 1 && files.info().sequence > 0 && files.c_handle() != nullptr);
        CHECK(fs::exists(files[0].path));
        THROWS(SSTORE_NOT_FOUND, files[1]);
        CHECK(family.export_to(work / "exported").size() >= 1 && fs::exists(work / "exported"));
        CHECK(!db.background_error());
        THROWS(SSTORE_INVALID_ARGUMENT, db.refresh());
        sstore::Db reader(work / "families", {{"read_only", true}});
        family.put("later", "1");
        CHECK(reader.refresh() > 0 && reader.try_refresh().ok() && reader.column_family("one").get("later") == "1");
        db.resume();
        CHECK(db.try_resume().ok());
        CHECK(db.stats().families == 2 && db.stats().sequence > 0);
        CHECK(db.memory_use().budget_bytes > 0);
        CHECK(db.histogram("flush").count >= 1);
        THROWS(SSTORE_INVALID_ARGUMENT, db.histogram("none"));
        CHECK(!db.metrics().empty() && !db.metrics()[0].first.empty());
        CHECK(db.metrics_text().find("sstore_") != std::string::npos);
        db.drop(family);
        CHECK(family.try_get("k").code() == SSTORE_DROPPED && db.try_drop(family).code() == SSTORE_DROPPED);
    }
    CHECK(db.c_handle() != nullptr);
    db.close({true, false, 60000});
    CHECK(events > 0 && lines > 0);

    const sstore::RepairReport report = sstore::repair(work / "families", work / "repaired", {true});
    CHECK(report.summary().files >= 1 && report.summary().segments >= 1);
    CHECK(*report.file(0).path != '\0' && *report.segment(0).path != '\0');
    CHECK(report.collections() == std::vector<std::string>{"default"});
    CHECK(sstore::Db(work / "repaired").get("k") == "2");
    sstore::Db::destroy(work / "repaired");
    CHECK(sstore::Db::try_destroy(work / "repaired").ok() && !fs::exists(work / "repaired"));
}

// Everything may outlive its database, and go in any order.
void orders(const fs::path &work)
{
    std::optional<sstore::Db> db(sstore::Db(work / "orders"));
    std::optional<sstore::ColumnFamily> family(db->create_column_family("one"));
    family->put("a", "1");
    std::optional<sstore::Iterator> iterator(family->iterate());
    std::optional<sstore::Snapshot> snapshot(db->snapshot());
    std::optional<sstore::Pinned> pinned = family->get_pinned("a");
    db.reset();
    // Released, it stays open for what belongs to it.
    CHECK(iterator->seek_to_first() && iterator->key() == "a" && pinned->value() == "1");
    family.reset();
    snapshot.reset();
    iterator.reset();
    pinned.reset();
    sstore::Db other(work / "orders");
    sstore::Db taken(std::move(other));
    other = std::move(taken);
    CHECK(other.column_family("one").get("a") == "1");
    std::thread([&] { CHECK(other.try_put("b", "2").ok()); }).join();
}

std::vector<std::int64_t> numbers(sstore::RowStream stream, std::int64_t column)
{
    std::vector<std::int64_t> all;
    CHECK(stream.schema()->n_children > column);
    while (const sstore::Arrow<ArrowArray> rows = stream.next()) {
        const ArrowArray &values = *rows->children[column];
        for (std::int64_t row = 0; row < rows->length; row++)
            all.push_back(static_cast<const std::int64_t *>(values.buffers[1])[values.offset + row]);
    }
    return all;
}

sstore::Arrow<ArrowArray> key(const sstore::Table &table, std::initializer_list<std::int64_t> ids)
{
    sstore::RowBuilder keys(table, SSTORE_ROW_KEY);
    for (const std::int64_t id : ids) keys.row(id);
    return keys.finish();
}

void tables(const fs::path &work)
{
    using Numbers = std::vector<std::int64_t>;
    sstore::Db db(work / "tables");
    sstore::Table table = sstore::Table::create(
        db, "rows", {{"id", "l"}, {"name", "u", true}, {"ratio", "g", true}, {"is_new", "b", true}, {"size", "L", true}}, {"id"});
    CHECK(table.name() == "rows" && table.key() == std::vector<std::string>{"id"} && table.order_by().empty());
    CHECK(sstore::Table::list(db) == std::vector<std::string>{"rows"});
    CHECK(sstore::Table::try_open(db, "none").code() == SSTORE_NOT_FOUND);
    CHECK(table.schema()->n_children == 5 && table.options().get("table_format") != "");
    CHECK(table.c_handle() != nullptr && table.c_db() == db.c_handle());

    sstore::RowBuilder builder(table);
    builder.row(1, "one", 1.5, true, 1u).row(2, "two"sv, nullptr, false, 2u);
    builder.set(0, 3).set(1, "three"s).append();
    CHECK(builder.count() == 3 && builder.c_handle() != nullptr);
    CHECK(builder.write() > 0 && builder.count() == 0);
    builder.row(9).clear();
    CHECK(builder.count() == 0);
    THROWS(SSTORE_INVALID_ARGUMENT, builder.set(0, "no number"));
    builder.clear();

    const sstore::Snapshot three = db.snapshot();
    sstore::Batch batch;
    builder.row(4, "four");
    builder.add_to(batch);
    builder.row(5, "five");
    sstore::Arrow<ArrowSchema> schema;
    sstore::Arrow<ArrowArray> rows = builder.finish(&schema);
    CHECK(rows && schema && schema->n_children == 5);
    batch.put_rows(table, *rows, schema.get());
    CHECK(!rows && !schema);
    rows = key(table, {1});
    batch.erase_rows(table, *rows);
    db.write(batch);
    CHECK(numbers(sstore::Scan(table).execute(), 0) == (Numbers{2, 3, 4, 5}));
    CHECK(numbers(sstore::Scan(table).at(three).execute(), 0) == (Numbers{1, 2, 3}));

    builder.row(6, "six");
    rows = builder.finish();
    CHECK(table.append(*rows) > 0);
    sstore::RowStream stream = sstore::Scan(table).at(three).where("id = 1").execute();
    CHECK(table.append(*stream) == 1);
    rows = key(table, {1, 6});
    CHECK(table.erase(*rows) > 0);

    rows = key(table, {3});
    sstore::Arrow<ArrowSchema> columns;
    const auto row = table.get(*rows, {"size", "name"}, &columns);
    CHECK(row && row->length == 1 && columns->n_children == 2 && columns->children[1]->name == "name"sv);
    rows = key(table, {77});
    CHECK(!table.get(*rows));
    std::vector<std::uint8_t> found;
    rows = key(table, {2, 77, 3});
    CHECK(table.get_many(*rows, found, {}, &columns)->length == 2 && found == (std::vector<std::uint8_t>{1, 0, 1}));

    table.flush().wait();
    db.flush_atomic({}, {&table}).wait();
    table.compact();
    CHECK(table.segments().size() == 1 && table.live_files().size() == 1);
    CHECK(table.export_to(work / "exported_table").size() == 1);

    sstore::Scan scan(table);
    scan.columns({"name", "id"}).where(sstore::Filter("id > 2") && !sstore::Filter::is_null("name")).batch_rows(1).cached();
    CHECK(numbers(scan.execute(), 1) == (Numbers{3, 4, 5}) && scan.c_handle() != nullptr);
    CHECK(numbers(scan.reverse().limit(2).execute(), 1) == (Numbers{5, 4}));
    CHECK(!scan.explain().empty());
    rows = key(table, {4});
    CHECK(numbers(sstore::Scan(table).bound(SSTORE_BOUND_START, *rows).execute(), 0) == (Numbers{4, 5}));
    CHECK(numbers(sstore::Scan(table).where(sstore::Filter::starts_with("name", "t") || sstore::Filter("id = 4")).execute(), 0) ==
          (Numbers{2, 3, 4}));
    // A column of the rows that a builder gives serves as literals with their type.
    sstore::RowBuilder literals(table, SSTORE_ROW_KEY);
    literals.row(4).row(5);
    sstore::Arrow<ArrowArray> some = literals.finish(&schema);
    CHECK(numbers(sstore::Scan(table).where(sstore::Filter::in("id", *some->children[0], *schema->children[0])).execute(), 0) ==
          (Numbers{4, 5}));
    literals.row(4);
    some = literals.finish(&schema);
    const auto less = sstore::Filter::compare("id", SSTORE_COMPARISON_LESS, *some->children[0], *schema->children[0]);
    CHECK(numbers(sstore::Scan(table).where(less).execute(), 0) == (Numbers{2, 3}) && less.c_handle() != nullptr);
    THROWS(SSTORE_INVALID_ARGUMENT, sstore::Filter("id >"));
    THROWS(SSTORE_INVALID_ARGUMENT, sstore::Scan(table).where("nothing = 1").execute());

    const sstore::Splits splits = sstore::Scan(table).splits(1 << 20);
    CHECK(splits.size() == 1 && splits.sequence() > 0 && splits[0].bytes.len > 0);
    CHECK(numbers(splits.execute(0), 0) == (Numbers{2, 3, 4, 5}));
    CHECK(numbers(sstore::execute_split(sstore::detail::view(splits[0].bytes), work / "tables"), 0).size() == 4);

    table.add_column("more", "i");
    table.widen_column("more", "l");
    table.rename_column("more", "most");
    CHECK(table.schema()->children[5]->name == "most"sv);
    table.drop_column("most");
    sstore::Arrow<ArrowSchema> given = table.schema();
    sstore::Table log = sstore::Table::create(db, "log", *given, {}, {false, false, {"id"}});
    CHECK(!given && log.order_by() == std::vector<std::string>{"id"} && sstore::Table::open(db, "log").name() == "log");
    log.drop();
    THROWS(SSTORE_DROPPED, sstore::Scan(log).execute());

    // A stream outlives its database, and says that it is gone.
    sstore::RowStream late = sstore::Scan(table).batch_rows(1).execute();
    db.close({std::nullopt, true});
    THROWS(SSTORE_CLOSED, while (late.next()) {});
}

} // namespace

int main(int argc, char **argv)
{
    const fs::path work = argc > 1 ? argv[1] : "every_member";
    fs::create_directories(work);
    types();
    options();
    errors(work);
    keys(work);
    batches(work);
    iterators(work);
    families_and_files(work);
    orders(work);
    tables(work);
}
