// Errors as results: the try_ forms, which programs without exceptions use, and what one looks at after each.
#include <sstore.hpp>

#include <iostream>

namespace {

int failed(const sstore::Error &error)
{
    std::cerr << sstore::code_name(error.code()) << ": " << error.what() << "\n";
    return 1;
}

} // namespace

int main(int argc, char **argv)
{
    sstore::Result<sstore::Db> opened = sstore::Db::try_open(argc > 1 ? argv[1] : "results.db");
    if (!opened) return failed(opened.error());
    sstore::Db &db = *opened;

    for (const char *fruit : {"apple", "pear", "plum"})
        if (const auto put = db.try_put(fruit, "ripe"); !put) return failed(put.error());

    // Whether it went well, and then whether there is a value.
    const auto found = db.try_get("quince");
    if (!found) return failed(found.error());
    std::cout << "quince is " << (*found ? **found : "not there") << "\n";

    // A Result<bool> answers by ok() and value(): `if` alone does not compile.
    const auto there = db.try_contains("plum");
    if (!there.ok()) return failed(there.error());
    std::cout << "plum is " << (there.value() ? "there" : "not there") << "\n";

    {
        auto fruits = db.try_iterate();
        if (!fruits) return failed(fruits.error());
        for (;;) {
            const auto entries = fruits->try_next_batch(2);
            if (!entries) return failed(entries.error());
            if (entries->empty()) break;
            for (const auto [fruit, state] : *entries) std::cout << fruit << ": " << state << "\n";
        }
        // The iterator is still there, so this says that the database is in use.
        if (const auto closed = db.try_close(); !closed) std::cout << sstore::code_name(closed.code()) << "\n";
    }
    if (const auto closed = db.try_close(); !closed) return failed(closed.error());
    std::cout << "closed\n";
}
