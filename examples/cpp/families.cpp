// Column families, a batch over two of them, a snapshot, a flush that is waited for, and errors without exceptions.
#include <sstore.hpp>

#include <iostream>

int main(int argc, char **argv)
{
    int flushes = 0;
    sstore::Options options{{"write_buffer_bytes", "8MiB"}};
    // On a thread of the library; the last call ends before close() does.
    options.on_event([&](const sstore::Event &event) { flushes += event.kind == SSTORE_EVENT_FLUSH_DONE ? 1 : 0; });
    sstore::Db db(argc > 1 ? argv[1] : "families.db", options);

    sstore::ColumnFamily users = db.create_column_family("users");
    sstore::ColumnFamily by_name = db.create_column_family("by_name");
    sstore::Batch batch;
    batch.put(users, "17", "Ada").put(by_name, "Ada", "17");
    db.write(batch);
    {
        const sstore::Snapshot before = db.snapshot();
        users.put("17", "Ada L.");
        std::cout << "now " << users.get("17").value() << ", before " << users.get("17", {&before}).value() << "\n";
    }

    const sstore::FlushToken token = users.flush();
    token.wait();
    std::cout << "flushed, because " << token.result().reason << ": " << token.result().entries << " entries\n";

    // The same calls with try_ in front give a result.
    if (const auto missing = db.try_column_family("orders"); !missing)
        std::cout << sstore::code_name(missing.code()) << "\n";
    db.drop(by_name);
    if (const auto dropped = by_name.try_get("Ada"); !dropped) std::cout << sstore::code_name(dropped.code()) << "\n";

    db.close({/* flush */ false});
    std::cout << flushes << " flush was told of\n";
}
