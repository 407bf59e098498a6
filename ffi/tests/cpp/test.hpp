// What the C++ tests share: conditions that end the program, calls that must work, fail or throw, and rows of numbers.
#ifndef SSTORE_TEST_HPP
#define SSTORE_TEST_HPP

#include <sstore.hpp>

#include <cstdio>
#include <cstdlib>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            std::printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            std::exit(1); \
        } \
    } while (0)

// What the call, a try_ form, gives; it must not fail.
#define WORKS(...) test::works(__LINE__, __VA_ARGS__)

// The call, a try_ form, fails with this code, and says why.
#define FAILS(expected, ...) test::fails(__LINE__, expected, __VA_ARGS__)

// The call throws an Error with this code.
#define THROWS(expected, call) \
    do { \
        bool thrown = false; \
        try { \
            call; \
        } catch (const sstore::Error &caught) { \
            thrown = true; \
            if (caught.code() != (expected)) std::printf("%s: %s\n", #call, caught.what()); \
            CHECK(caught.code() == (expected)); \
            CHECK(*caught.what() != '\0'); \
        } \
        CHECK(thrown); \
    } while (0)

namespace test {

template <class T> T works(int line, sstore::Result<T> result)
{
    if (!result.ok()) std::printf("line %d fails: %s\n", line, result.error().what()), std::exit(1);
    return std::move(result).value();
}

template <class T> void fails(int line, sstore::Code expected, const sstore::Result<T> &result)
{
    const bool as_expected = result.code() == expected && *result.error().what() != '\0';
    if (as_expected) return;
    std::printf("line %d: %s\n", line, result.ok() ? "works" : result.error().what());
    std::exit(1);
}

using Numbers = std::vector<std::int64_t>;

/// The numbers in a column of int64.
inline Numbers numbers(sstore::RowStream stream, std::int64_t column)
{
    Numbers all;
    CHECK(WORKS(stream.try_schema())->n_children > column);
    while (const sstore::Arrow<ArrowArray> rows = WORKS(stream.try_next())) {
        const ArrowArray &values = *rows->children[column];
        for (std::int64_t row = 0; row < rows->length; row++)
            all.push_back(static_cast<const std::int64_t *>(values.buffers[1])[values.offset + row]);
    }
    return all;
}

/// Keys of a table whose key is one number.
inline sstore::Arrow<ArrowArray> keys(const sstore::Table &table, std::initializer_list<std::int64_t> ids,
                                      sstore::Arrow<ArrowSchema> *schema = nullptr)
{
    sstore::RowBuilder keys = WORKS(sstore::RowBuilder::try_create(table, SSTORE_ROW_KEY));
    for (const std::int64_t id : ids) WORKS(keys.try_row(id));
    return WORKS(keys.try_finish(schema));
}

} // namespace test

#endif
