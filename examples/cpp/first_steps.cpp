// First steps in C++: open, write, read, walk, close. Errors are exceptions.
#include <sstore.hpp>

#include <iostream>

int main(int argc, char **argv)
{
    try {
        sstore::Db db(argc > 1 ? argv[1] : "first_steps.db", {{"write_buffer_bytes", "8MiB"}});
        db.put("apple", "red");
        db.put("pear", "green");

        // A copy; nothing if the key has no value.
        if (auto colour = db.get("apple")) std::cout << "apple is " << *colour << "\n";
        std::cout << "plum is " << db.get("plum").value_or("unknown") << "\n";

        // Several operations, all of them or none.
        sstore::Batch batch;
        batch.erase("apple").put("plum", "blue").put("quince", "yellow");
        db.write(batch);

        // Fetched in batches behind the loop; the bytes of an entry live until the next turn.
        for (const auto [fruit, colour] : db.iterate()) std::cout << fruit << ": " << colour << "\n";

        db.close();
        std::cout << "closed\n";
    } catch (const sstore::Error &error) {
        std::cerr << sstore::code_name(error.code()) << ": " << error.what() << "\n";
        return 1;
    }
}
