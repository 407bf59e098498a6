// Memory runs out in the middle of a call, at each of its allocations: what C gave is freed, and the objects are as good as before.
#include <sstore.h>

namespace test {
int freed_errors = 0;
void free_error(sstore_error *error)
{
    freed_errors += error == nullptr ? 0 : 1;
    sstore_error_free(error);
}
} // namespace test
#define sstore_error_free test::free_error

#include "test.hpp"

#include <new>

namespace test {
/// How many allocations succeed; negative: all.
long left = -1;
} // namespace test

void *operator new(std::size_t size)
{
    if (test::left == 0) throw std::bad_alloc();
    if (test::left > 0) test::left--;
    void *const room = std::malloc(size == 0 ? 1 : size);
    if (room == nullptr) throw std::bad_alloc();
    return room;
}
void operator delete(void *room) noexcept { std::free(room); }
void operator delete(void *room, std::size_t) noexcept { std::free(room); }

namespace {

// Calls it with room for no allocation, for one, and so on until it has enough; how often it had not.
template <class F> int until_it_has_enough(F &&function)
{
    for (int allocations = 0;; allocations++) {
        test::left = allocations;
        try {
            function();
            test::left = -1;
            return allocations;
        } catch (const std::bad_alloc &) {
            test::left = -1;
        }
    }
}

} // namespace

int main(int argc, char **argv)
{
    const std::filesystem::path work = argc > 1 ? argv[1] : "exhausted";
    std::filesystem::create_directories(work);
    sstore::Db db(work / "db");
    const std::string key(100, 'k'), value(1000, 'v');
    for (int number = 0; number < 100; number++) db.put(key + std::to_string(number), value);

    int short_of = until_it_has_enough([&] { CHECK(db.get(key + "1") == value); });
    CHECK(short_of >= 1);
    short_of = until_it_has_enough([&] { CHECK(db.multi_get({key + "1", key + "2"})[1] == value); });
    CHECK(short_of >= 1);
    short_of = until_it_has_enough([&] { CHECK(db.column_families().size() == 1 && !db.metrics_text().empty()); });
    CHECK(short_of >= 1);

    // Each error object is freed, also where there is no memory to tell what was in it.
    int failed = 0;
    test::freed_errors = 0;
    short_of = until_it_has_enough([&] {
        failed++;
        FAILS(SSTORE_INVALID_ARGUMENT, db.try_refresh());
    });
    CHECK(short_of >= 2 && failed == short_of + 1 && test::freed_errors == failed);

    // An iterator that has no room for a batch has room for a smaller one, and for that one later.
    for (int allocations = 0; allocations < 3; allocations++) {
        sstore::Iterator iterator = db.iterate();
        CHECK(iterator.next_batch(1).size() == 1);
        test::left = allocations;
        bool had_enough = true;
        try {
            static_cast<void>(iterator.try_next_batch(60));
        } catch (const std::bad_alloc &) {
            had_enough = false;
        }
        test::left = -1;
        CHECK(had_enough == (allocations == 2));
        std::size_t more = 0;
        for (const sstore::Entries &entries : iterator.batches(60)) {
            for (const auto [its, own] : entries) CHECK(its.substr(0, 100) == key && own == value);
            more += entries.size();
        }
        CHECK(more == (had_enough ? 39 : 99));
    }
    db.close({std::nullopt, true});
}
