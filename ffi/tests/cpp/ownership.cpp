// What a C++ programmer stumbles over: objects that were moved from, that outlive what made them, that are assigned to themselves; views,
// texts and structs of Arrow at the edges of calls; callbacks that throw.
#include "test.hpp"

#include <array>
#include <atomic>
#include <stdexcept>
#include <thread>

namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;

// --- what the types allow --------------------------------------------------------------------------------------------------------

// A result that asks two questions is not asked by `if`.
static_assert(!std::is_constructible_v<bool, sstore::Result<bool>> && std::is_constructible_v<bool, sstore::Result<int>>);
static_assert(!std::is_convertible_v<sstore::Result<int>, bool>);
// No number or pointer becomes a bool by the way.
static_assert(!std::is_constructible_v<sstore::Setting, const char *, double> && !std::is_constructible_v<sstore::Setting, const char *, void *>);
// Nor a letter a number, nor what no number of C holds a value.
static_assert(!std::is_constructible_v<sstore::Setting, const char *, char>);
static_assert(std::is_constructible_v<sstore::Setting, const char *, std::string_view> && std::is_constructible_v<sstore::Setting, const char *, bool>);
// Views of keys that are made on the way would dangle.
static_assert(!sstore::detail::is_lent<std::string> && sstore::detail::is_lent<const std::string &> && sstore::detail::is_lent<std::string_view>);

template <class T, class = void> constexpr bool loops_over = false;
template <class T> constexpr bool loops_over<T, std::void_t<decltype(std::declval<T>().batches())>> = true;
// The iterator that batches are fetched from must stay; a loop over the iterator itself keeps it.
static_assert(!loops_over<sstore::Iterator> && loops_over<sstore::Iterator &>);

template <class T> T take(T &from)
{
    T taken(std::move(from));
    return taken;
}

template <class T> void to_itself(T &object)
{
    T &same = object;
    object = std::move(same);
}

// --- moved from ------------------------------------------------------------------------------------------------------------------

// Null stands for a default in C: for the default family, the present, every option. What was moved from stands for none of them.
void moved_from(const fs::path &work)
{
    sstore::Db db(work / "moved");
    sstore::ColumnFamily family = db.create_column_family("one");
    db.put("k", "default");
    sstore::Snapshot snapshot = db.snapshot();
    db.put("k", "later");
    family.put("k", "one");

    const sstore::ColumnFamily its = take(family);
    CHECK(its.get("k") == "one");
    FAILS(SSTORE_INVALID_ARGUMENT, family.try_get("k"));
    FAILS(SSTORE_INVALID_ARGUMENT, family.try_put("k", "lost"));
    FAILS(SSTORE_INVALID_ARGUMENT, family.try_name());
    FAILS(SSTORE_INVALID_ARGUMENT, db.try_drop(family));
    sstore::Batch batch;
    FAILS(SSTORE_INVALID_ARGUMENT, batch.try_put(family, "k", "lost"));
    FAILS(SSTORE_INVALID_ARGUMENT, db.try_write({sstore::Operation::put(family, "k", "lost")}));
    FAILS(SSTORE_INVALID_ARGUMENT, db.try_flush_atomic({&family}));
    CHECK(db.get("k") == "later" && batch.count() == 0);

    const sstore::Snapshot then = take(snapshot);
    FAILS(SSTORE_INVALID_ARGUMENT, db.try_get("k", {&snapshot}));
    FAILS(SSTORE_INVALID_ARGUMENT, db.try_iterate({&snapshot}));
    CHECK(db.get("k", {&then}) == "default" && snapshot.sequence() == 0);

    sstore::Options options{{"create_if_missing", false}};
    const sstore::Options kept = take(options);
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::Db::try_open(work / "never", options));
    FAILS(SSTORE_NOT_FOUND, sstore::Db::try_open(work / "never", kept));
    CHECK(!fs::exists(work / "never"));

    const sstore::Batch full = take(batch.put("b", "1"));
    CHECK(full.count() == 1 && batch.count() == 0);
    FAILS(SSTORE_INVALID_ARGUMENT, batch.try_put("b", "2"));
    FAILS(SSTORE_INVALID_ARGUMENT, db.try_write(batch));
    // Assigned to, it is as good as new.
    batch = sstore::Batch();
    CHECK(batch.put("b", "3").count() == 1);

    std::optional<sstore::Pinned> pinned = db.get_pinned("k");
    const sstore::Pinned value = take(*pinned);
    CHECK(value.value() == "later" && pinned->value().empty() && pinned->sequence() == 0);
    sstore::Values values = db.multi_get({"k", "none"});
    const sstore::Values all = take(values);
    CHECK(all.size() == 2 && all[0] == "later" && values.size() == 0);

    sstore::Table table = sstore::Table::create(db, "rows", {{"id", "l"}, {"more", "l", true}}, {"id"});
    sstore::RowBuilder(table).row(1, 1).row(2, 2).write();
    sstore::Table rows = take(table);
    FAILS(SSTORE_INVALID_ARGUMENT, table.try_schema());
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::RowBuilder::try_create(table));
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::Scan::try_create(table));
    sstore::Filter filter("id = 1");
    const sstore::Filter one = take(filter);
    sstore::Scan scan(rows);
    scan.where(one);
    FAILS(SSTORE_INVALID_ARGUMENT, scan.try_where(filter));
    FAILS(SSTORE_INVALID_ARGUMENT, scan.try_at(snapshot));
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::Filter::try_combine(SSTORE_LOGIC_NOT, {&filter}));
    // A filter that could not be set took none away.
    CHECK(test::numbers(scan.execute(), 0) == test::Numbers{1});
    sstore::RowStream stream = scan.execute();
    sstore::RowStream rest = take(stream);
    FAILS(SSTORE_INVALID_ARGUMENT, stream.try_next());
    FAILS(SSTORE_INVALID_ARGUMENT, stream.try_schema());
    CHECK(rows.append(*rest) == 1);
    // Handed over is moved from as well.
    FAILS(SSTORE_INVALID_ARGUMENT, rest.try_next());
    FAILS(SSTORE_INVALID_ARGUMENT, rows.try_append(*rest));

    sstore::Db other = take(db);
    FAILS(SSTORE_INVALID_ARGUMENT, db.try_get("k"));
    FAILS(SSTORE_INVALID_ARGUMENT, db.try_snapshot());
    FAILS(SSTORE_INVALID_ARGUMENT, db.try_close());
    CHECK(db.background_error() && other.get("k") == "later" && its.get("k") == "one");
    db = std::move(other);
    CHECK(db.get("k") == "later");
    db.close({std::nullopt, true});
}

void itself(const fs::path &work)
{
    sstore::Db db(work / "itself");
    sstore::ColumnFamily family = db.create_column_family("one");
    family.put("k", "v");
    sstore::Options options{{"create_if_missing", false}};
    sstore::Batch batch;
    batch.put(family, "a", "1");
    std::optional<sstore::Pinned> pinned = family.get_pinned("k");
    sstore::Values values = family.multi_get({"k"});
    sstore::Iterator iterator = family.iterate();
    CHECK(iterator.seek_to_first());
    sstore::Snapshot snapshot = db.snapshot();
    sstore::Table table = sstore::Table::create(db, "rows", {{"id", "l"}}, {"id"});
    sstore::Arrow<ArrowSchema> schema = table.schema();
    to_itself(db), to_itself(family), to_itself(options), to_itself(batch), to_itself(*pinned), to_itself(values), to_itself(iterator);
    to_itself(snapshot), to_itself(table), to_itself(schema);
    CHECK(db.write(batch) > 0 && family.get("a", {&snapshot}) == std::nullopt && family.get("a") == "1");
    CHECK(options.get("create_if_missing") == "false" && pinned->value() == "v" && values[0] == "v" && iterator.key() == "k");
    CHECK(table.name() == "rows" && schema->n_children == 1 && family.name() == "one");
    std::swap(db, db);
    CHECK(db.get("k") == std::nullopt && db.try_stats().ok());
    FAILS(SSTORE_INVALID_ARGUMENT, batch.try_append(batch));
}

// --- what outlives what ----------------------------------------------------------------------------------------------------------

void outlives(const fs::path &work)
{
    std::optional<sstore::Db> db(sstore::Db(work / "outlives"));
    for (int number = 100; number < 900; number++) db->put(std::to_string(number), std::to_string(number));
    sstore::ColumnFamily family = db->create_column_family("one");
    family.put("k", "v");
    sstore::Table table = sstore::Table::create(*db, "rows", {{"id", "l"}}, {"id"});
    sstore::RowBuilder builder(table);
    builder.row(1).row(2).write();
    sstore::Iterator iterator = db->iterate();
    sstore::Snapshot snapshot = db->snapshot();
    std::optional<sstore::Pinned> pinned = db->get_pinned("500");
    sstore::Values values = db->multi_get({"500", "none"});
    sstore::Scan scan(table);
    sstore::RowStream stream = sstore::Scan(table).execute();
    sstore::FlushToken token = db->flush();
    sstore::Files files = family.live_files();
    sstore::Options options = family.options();
    db.reset();

    // What has all that it needs goes on, and what calls the database says that it is gone.
    CHECK(iterator.seek("300") && iterator.next() && iterator.key() == "301");
    int count = 0;
    for (const auto [key, value] : iterator.backward()) count += key == value ? 1 : 0;
    CHECK(count == 202);
    CHECK(pinned->value() == "500" && values[0] == "500" && !values[1] && snapshot.sequence() > 0 && files.size() == 0);
    CHECK(family.name() == "one" && family.id() > 0 && table.name() == "rows" && options.try_get("write_buffer_bytes").ok());
    CHECK(test::numbers(std::move(stream), 0) == (test::Numbers{1, 2}));
    CHECK(token.try_wait(60000).ok());
    FAILS(SSTORE_CLOSED, family.try_get("k"));
    FAILS(SSTORE_CLOSED, family.try_put("k", "v"));
    FAILS(SSTORE_CLOSED, table.try_flush());
    FAILS(SSTORE_CLOSED, sstore::RowBuilder::try_create(table));
    // It is open for what is left of it, and locked.
    FAILS(SSTORE_LOCKED, sstore::Db::try_open(work / "outlives"));
    pinned.reset();
    take(iterator), take(snapshot), take(values), take(family), take(table), take(token), take(builder), take(scan), take(files);
    sstore::Db again(work / "outlives");
    CHECK(again.get("500") == "500");
}

// Nothing can be moved out of an error: what says why goes with no copy.
void errors(const fs::path &work)
{
    sstore::Error error = sstore::Db::try_open(work / "none", {{"create_if_missing", false}}).error();
    const std::string what = error.what();
    const sstore::Error second = std::move(error);
    CHECK(error.what() == what && second.what() == what && error.code() == SSTORE_NOT_FOUND && error.path() == second.path());
    sstore::Error third(SSTORE_BUSY, "other");
    third = std::move(error);
    CHECK(error.what() == what && third.what() == what);
}

// Bytes move with what holds them; places in entries live as long as the bytes.
void views(const fs::path &work)
{
    sstore::Db db(work / "views");
    for (int number = 100; number < 900; number++) db.put(std::to_string(number), std::to_string(number));
    sstore::Iterator first = db.iterate();
    const sstore::Entries entries = first.next_batch(10);
    // No room is made for more entries than can be asked for.
    sstore::Iterator greedy = db.iterate();
    FAILS(SSTORE_INVALID_ARGUMENT, greedy.try_next_batch(SIZE_MAX));
    FAILS(SSTORE_INVALID_ARGUMENT, greedy.try_prev_batch(std::size_t{1} << 32));
    CHECK(greedy.next_batch(1)[0].key == "100");
    sstore::Iterator second = std::move(first);
    CHECK(entries.size() == 10 && entries[9].key == "109");
    const auto begin = sstore::Entries(entries).begin();
    CHECK((*begin).key == "100" && std::distance(entries.begin(), entries.end()) == 10);
    FAILS(SSTORE_INVALID_ARGUMENT, first.try_next_batch());
    CHECK(second.next_batch(1)[0].key == "110");
    // A loop that is left stands behind what was fetched.
    sstore::Iterator left = db.iterate();
    for (const auto [key, value] : left)
        if (key == "102" && value == "102") break;
    CHECK(left.next_batch(1)[0].key == "356");
    CHECK(left.seek("103") && left.next_batch(1)[0].key == "103");
    // A view without an address is a key too; so is one of a string with a NUL.
    db.put(std::string_view(), std::string_view());
    CHECK(db.get(std::string_view()) == "" && db.iterate().next_batch(1)[0].key.empty());
    const std::vector<std::string_view> nothing;
    CHECK(db.multi_get(nothing).size() == 0 && db.multi_get({std::string_view()})[0] == "");
    CHECK(db.multi_get(std::array<std::string, 2>{"100", "101"})[1] == "101");
}

// C would take "a" for "a\0b".
void texts(const fs::path &work)
{
    const std::string cut("a\0b", 3);
    sstore::Db db(work / "texts");
    db.create_column_family("a");
    sstore::Table table = sstore::Table::create(db, "t", {{"a", "l"}, {"b", "l", true}}, {"a"});
    sstore::RowBuilder(table).row(1, 1).write();
    FAILS(SSTORE_INVALID_ARGUMENT, db.try_column_family(cut));
    FAILS(SSTORE_INVALID_ARGUMENT, db.try_create_column_family("new"s + cut));
    CHECK(db.column_families().size() == 2);
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::Options::try_create({{"create_if_missing", std::string_view("true\0", 5)}}));
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::Options().try_get("create_if_missing\0"s));
    FAILS(SSTORE_INVALID_ARGUMENT, db.try_histogram("write\0"s));
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::Db::try_open((work / "texts").native() + '\0'));
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::Table::try_open(db, "t\0"s));
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::Table::try_create(db, "u", {{cut, "l"}}, {"a"}));
    FAILS(SSTORE_INVALID_ARGUMENT, table.try_drop_column("b\0"s));
    FAILS(SSTORE_INVALID_ARGUMENT, table.try_add_column("c", "l\0"s));
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::Filter::try_parse("a = 1\0 AND b = 2"s));
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::Filter::try_is_null("b\0"s));
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::Scan(table).try_columns({"a", cut}));
    CHECK(table.schema()->n_children == 2);
    // Structs of Arrow are released all the same.
    sstore::Arrow<ArrowSchema> schema = table.schema();
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::Table::try_create(db, cut, *schema, {"a"}));
    CHECK(!schema);
    sstore::Arrow<ArrowArray> key = test::keys(table, {1});
    FAILS(SSTORE_INVALID_ARGUMENT, table.try_get(*key, {cut}));
    CHECK(!key);
    key = test::keys(table, {1}, &schema);
    FAILS(SSTORE_INVALID_ARGUMENT, sstore::Filter::try_compare(cut, SSTORE_COMPARISON_LESS, *key, *schema));
    CHECK(!key && !schema);
    // One that was taken over is released by its new owner alone.
    ArrowSchema bare = {};
    schema = table.schema();
    std::swap(bare, *schema);
    const sstore::Arrow<ArrowSchema> owner(bare);
    CHECK(owner && bare.release == nullptr && owner->n_children == 2);
}

// A row that could not be put together leaves nothing for the next one.
void rows(const fs::path &work)
{
    sstore::Db db(work / "rows");
    sstore::Table table = sstore::Table::create(db, "t", {{"id", "l"}, {"name", "u", true}, {"size", "l", true}}, {"id"});
    sstore::RowBuilder builder(table);
    THROWS(SSTORE_INVALID_ARGUMENT, builder.row(1, "stale", "no number"));
    THROWS(SSTORE_INVALID_ARGUMENT, builder.row(nullptr, "stale", 1));
    THROWS(SSTORE_INVALID_ARGUMENT, builder.row(1, "stale", 1, "no column"));
    CHECK(builder.count() == 0);
    builder.row(1).row(2, std::optional<std::string>("two"), std::optional<int>());
    // A text that is not there is null, and not read.
    const char *const absent = nullptr;
    builder.row(3, absent);
    CHECK(builder.write() > 0);
    CHECK(test::numbers(sstore::Scan(table).where("name IS NULL").execute(), 0) == (test::Numbers{1, 3}));
    CHECK(test::numbers(sstore::Scan(table).where("name = 'two' AND size IS NULL").execute(), 0) == test::Numbers{2});
}

// --- callbacks -------------------------------------------------------------------------------------------------------------------

// Says when it goes.
struct Witness {
    std::atomic<int> *gone;
    explicit Witness(std::atomic<int> *counter) : gone(counter) {}
    Witness(const Witness &) = delete;
    ~Witness() { (*gone)++; }
};

void callbacks(const fs::path &work)
{
    std::atomic<int> gone{0}, events{0}, codes{0};
    {
        sstore::Options options;
        auto witness = std::make_shared<Witness>(&gone);
        std::atomic<sstore::Db *> db{nullptr};
        options.on_event([witness, &events, &codes, &db](const sstore::Event &) {
            events++;
            sstore::Db *const open = db.load();
            // Closing from here would wait for this very call.
            if (open != nullptr && open->try_close({std::nullopt, true}).code() == SSTORE_INVALID_ARGUMENT) codes++;
            throw std::runtime_error("dropped");
        });
        witness.reset();
        FAILS(SSTORE_INVALID_ARGUMENT, options.try_on_event(nullptr));
        FAILS(SSTORE_INVALID_ARGUMENT, options.try_on_log(SSTORE_LOG_INFO, {}));
        FAILS(SSTORE_INVALID_ARGUMENT, options.try_on_log(static_cast<sstore_log_level>(7), [](const sstore::LogLine &) {}));
        sstore::Db opened(work / "callbacks", options);
        db = &opened;
        // One that is replaced before anything was opened with it, or refused, goes at once.
        sstore::Options unused;
        unused.on_event([kept = std::make_shared<Witness>(&gone)](const sstore::Event &) {});
        unused.on_event([](const sstore::Event &) {});
        CHECK(gone == 1);
        { const sstore::Options taken = take(unused); }
        FAILS(SSTORE_INVALID_ARGUMENT, unused.try_on_event([kept = std::make_shared<Witness>(&gone)](const sstore::Event &) {}));
        CHECK(gone == 2);
        opened.put("a", "1");
        opened.flush().wait();
        opened.put("b", "1");
        opened.flush().wait();
        while (codes == 0) std::this_thread::yield();
        opened.close();
        CHECK(events > 1);
    }
    CHECK(gone == 3);
}

} // namespace

int main(int argc, char **argv)
{
    const fs::path work = argc > 1 ? argv[1] : "ownership";
    fs::create_directories(work);
    moved_from(work);
    itself(work);
    outlives(work);
    errors(work);
    views(work);
    texts(work);
    rows(work);
    callbacks(work);
}
