// A database of LevelDB comes in through C++: all of it, what is left of a damaged one, and nothing after what the caller throws.
#include "test.hpp"

#include "../c/leveldb_source.h"

#include <stdexcept>

namespace {

namespace fs = std::filesystem;

void whole(sstore::Db &db, const fs::path &source)
{
    sstore::ColumnFamily family = db.create_column_family("whole");
    family.put("cat", "old");
    family.put("own", "stays");
    std::uint64_t times = 0, read = 0, total = 0, entries = 0;
    const auto progress = [&](std::uint64_t now_read, std::uint64_t now_total, std::uint64_t now_entries) {
        times++, read = now_read, total = now_total, entries = now_entries;
        return true;
    };
    const sstore::LevelDbResult result = family.import_leveldb(source, {false, progress});
    CHECK(result.entries == 2 && result.payload_bytes == 14 && result.skipped == 0 && result.torn_bytes == 0);
    CHECK(result.bytes_read == sizeof leveldb_log + sizeof leveldb_manifest);
    CHECK(times >= 2 && read == result.bytes_read && total == read && entries == 2);
    CHECK(family.get("cat") == "meow" && !family.get("cow") && family.get("dog") == "woof" && family.get("own") == "stays");
    CHECK(!db.get("cat"));
    // It came as one file, behind what was there before, unless these were merged already.
    const std::vector<sstore::Segment> segments = family.segments();
    CHECK((segments.size() == 1 || segments.size() == 2) && segments.back().entries >= 2);
    CHECK(db.import_leveldb(source).entries == 2 && db.get("dog") == "woof");
}

void damaged(sstore::Db &db, const fs::path &source)
{
    sstore::ColumnFamily family = db.create_column_family("damaged");
    unsigned char log[sizeof leveldb_log];
    std::copy(std::begin(leveldb_log), std::end(leveldb_log), log);
    log[20] ^= 1;
    CHECK(leveldb_file(source.c_str(), "000003.log", log, sizeof log));
    const auto refused = family.try_import_leveldb(source);
    CHECK(refused.code() == SSTORE_CORRUPTION && refused.error().path().find("000003.log") != std::string_view::npos);
    CHECK(refused.error().offset().has_value());
    THROWS(SSTORE_CORRUPTION, family.import_leveldb(source));
    CHECK(!family.get("cat"));
    const auto skipped = WORKS(family.try_import_leveldb(source, {true}));
    CHECK(skipped.entries == 0 && skipped.skipped == 1 && skipped.skipped_bytes == sizeof log);

    // Damaged behind its first batch: what comes before it is there.
    log[20] ^= 1;
    log[60] ^= 1;
    CHECK(leveldb_file(source.c_str(), "000003.log", log, sizeof log));
    FAILS(SSTORE_CORRUPTION, family.try_import_leveldb(source));
    const auto half = family.import_leveldb(source, {true});
    CHECK(half.entries == 2 && half.skipped == 1 && family.get("cat") == "meow" && family.get("cow") == "moo" && !family.get("dog"));

    // Its last byte is missing: what a killed writer leaves is no damage.
    CHECK(leveldb_file(source.c_str(), "000003.log", leveldb_log, sizeof leveldb_log - 1));
    const auto torn = family.import_leveldb(source);
    CHECK(torn.entries == 2 && torn.torn_bytes > 0 && torn.skipped == 0);
    CHECK(make_leveldb(source.c_str()));
}

void called_off(sstore::Db &db, const fs::path &source)
{
    sstore::ColumnFamily family = db.create_column_family("called_off");
    const auto stop = [](auto, auto, auto) { return false; };
    THROWS(SSTORE_CANCELLED, family.import_leveldb(source, {false, stop}));
    FAILS(SSTORE_CANCELLED, family.try_import_leveldb(source, {false, stop}));
    CHECK(!family.get("cat"));
    // What is thrown comes out as it is, of both forms, and the callback is not asked again.
    int asked = 0;
    const sstore::LevelDbOptions throwing{false, [&](auto, auto, auto) -> bool { throw std::runtime_error("own " + std::to_string(++asked)); }};
    for (int form = 0; form < 2; form++) {
        std::string caught;
        try {
            if (form == 0)
                family.import_leveldb(source, throwing);
            else
                static_cast<void>(family.try_import_leveldb(source, throwing));
        } catch (const std::runtime_error &error) {
            caught = error.what();
        }
        CHECK(caught == "own " + std::to_string(form + 1));
    }
    CHECK(asked == 2 && !family.get("cat"));
    // The family is as good as before.
    CHECK(family.import_leveldb(source).entries == 2 && family.get("cat") == "meow");
}

} // namespace

int main(int argc, char **argv)
{
    const fs::path work = argc > 1 ? argv[1] : "leveldb";
    fs::create_directories(work);
    const fs::path source = work / "source";
    sstore::Db db(work / "db");
    THROWS(SSTORE_NOT_FOUND, db.import_leveldb(source));
    CHECK(make_leveldb(source.c_str()));
    whole(db, source);
    damaged(db, source);
    called_off(db, source);
    // The source is as it was, and nobody has it.
    CHECK(db.import_leveldb(source).entries == 2);
    db.close();
}
