// What a compiler must refuse with warnings as errors: each case by itself, by -DCASE. Without one it is an empty program.
//   1  a result that nobody looks at
//   2  a view of a temporary's bytes, which are gone at the end of the line (clang)
//   3  the same of a result
#include <sstore.hpp>

int main(int argc, char **)
{
    if (argc < 2) return 0;
#if defined(CASE)
    sstore::Db db("refused");
#if CASE == 1
    db.try_put("a", "1");
#elif CASE == 2
    const std::string_view name = db.column_family("users").name();
    return name.empty();
#elif CASE == 3
    const sstore::Error &error = db.try_put("a", "1").error();
    return error.code();
#endif
#endif
}
