// Exports and repairs tell C++ how far they are, and are called off: by an answer, or by what the caller throws.
#include "test.hpp"

#include <stdexcept>

namespace {

namespace fs = std::filesystem;

struct Heard {
    int times = 0;
    std::uint64_t done = 0, total = 0;
};

sstore::Progress hearing(Heard &heard)
{
    return [&heard](std::uint64_t done, std::uint64_t total) {
        CHECK(done >= heard.done && total >= heard.total && done <= total);
        heard.times++, heard.done = done, heard.total = total;
        return true;
    };
}

const sstore::Progress off = [](auto, auto) { return false; };

// What is thrown comes out as it is, also of a try_ form.
template <class F> std::string thrown_by(F &&function)
{
    try {
        function();
    } catch (const std::runtime_error &error) {
        return error.what();
    }
    return "";
}

// Throws the first time, or once all is done.
sstore::Progress throwing(const char *what, bool at_the_end)
{
    return [=](std::uint64_t done, std::uint64_t total) {
        if (!at_the_end || (total > 0 && done == total)) throw std::runtime_error(what);
        return true;
    };
}

void exports(sstore::Db &db, const fs::path &work)
{
    Heard heard;
    const sstore::Files files = db.export_to(work / "heard", hearing(heard));
    CHECK(files.size() == 1 && heard.times >= 2 && heard.done == files[0].size_bytes && heard.total == heard.done);

    THROWS(SSTORE_CANCELLED, db.export_to(work / "off", off));
    FAILS(SSTORE_CANCELLED, db.try_export_to(work / "off", off));
    CHECK(thrown_by([&] { db.export_to(work / "off", throwing("first", false)); }) == "first");
    CHECK(thrown_by([&] { static_cast<void>(db.try_export_to(work / "off", throwing("second", false))); }) == "second");
    CHECK(!fs::exists(work / "off"));
    // Too late to call it off.
    CHECK(thrown_by([&] { db.export_to(work / "late", throwing("late", true)); }) == "late");
    CHECK(fs::exists(work / "late") || db.export_to(work / "late").size() == 1);
    // Another call, which throws its own, within one that goes on.
    std::string inner;
    const sstore::Progress nested = [&](auto, auto) {
        if (inner.empty()) inner = thrown_by([&] { db.export_to(work / "inner", throwing("inner", false)); });
        return db.get("a") == "1";
    };
    CHECK(db.export_to(work / "outer", nested).size() == 1 && inner == "inner" && !fs::exists(work / "inner"));
}

void exports_of_a_table(sstore::Db &db, const fs::path &work)
{
    sstore::Table table = sstore::Table::create(db, "rows", {{"id", "l"}}, {"id"});
    sstore::RowBuilder(table).row(1).write();
    Heard heard;
    CHECK(table.export_to(work / "rows", hearing(heard)).size() == 1);
    CHECK(heard.times >= 2 && heard.total > 0 && heard.done == heard.total);
    THROWS(SSTORE_CANCELLED, table.export_to(work / "no_rows", off));
    CHECK(thrown_by([&] { static_cast<void>(table.try_export_to(work / "no_rows", throwing("rows", false))); }) == "rows");
    CHECK(!fs::exists(work / "no_rows"));
}

void repairs(const fs::path &work)
{
    Heard heard;
    sstore::RepairOptions how;
    how.progress = off;
    THROWS(SSTORE_CANCELLED, sstore::repair(work / "db", work / "repaired", how));
    how.progress = throwing("repair", false);
    CHECK(thrown_by([&] { static_cast<void>(sstore::try_repair(work / "db", work / "repaired", how)); }) == "repair");
    CHECK(!fs::exists(work / "repaired"));
    how.progress = hearing(heard);
    CHECK(sstore::repair(work / "db", work / "repaired", how).summary().adopted >= 1);
    CHECK(heard.times >= 2 && heard.total > 0 && heard.done == heard.total);
    CHECK(sstore::Db(work / "repaired").get("a") == "1");
}

} // namespace

int main(int argc, char **argv)
{
    const fs::path work = argc > 1 ? argv[1] : "progress";
    fs::create_directories(work);
    sstore::Db db(work / "db");
    db.put("a", "1");
    exports(db, work);
    exports_of_a_table(db, work);
    db.close();
    repairs(work);
}
