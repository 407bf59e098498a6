// What a compiler must refuse with warnings as errors, by -DREFUSED. Without it this is an empty program.
#include <sstore.hpp>

int main()
{
#if defined(REFUSED)
    sstore::Db db("refused");
    // A result that nobody looks at.
    db.try_put("a", "1");
    // A view of bytes that a temporary holds, which go at the end of the line; the same of a result. Clang sees it.
    const std::string_view name = db.column_family("users").name();
    const sstore::Error &error = db.try_put("a", "1").error();
    return name.empty() ? error.os_errno() : 0;
#endif
}
