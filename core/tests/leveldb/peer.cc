// Databases written and read by LevelDB itself, for `core/tests/leveldb.rs`.
//
// peer write DIR COUNT COMPRESSION SEED   puts, overwrites and deletes among COUNT keys; COMPRESSION is none or snappy; ends without a
//                                         compaction, so that the newest of it lies in the log
// peer endless DIR COUNT SEED             the same for ever, to be killed; prints a dot now and then
// peer compact DIR                        compacts everything
// peer dump DIR                           every entry: length of the key and of the value, four bytes each, then both
// peer hold DIR                           opens it, prints a line, and keeps it open until standard input ends
// peer comparator DIR                     a database whose keys are ordered backwards

#include <leveldb/comparator.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

namespace {

void check(const leveldb::Status& status) {
    if (!status.ok()) {
        std::fprintf(stderr, "%s\n", status.ToString().c_str());
        std::exit(1);
    }
}

class Backwards : public leveldb::Comparator {
public:
    int Compare(const leveldb::Slice& a, const leveldb::Slice& b) const override { return b.compare(a); }
    const char* Name() const override { return "test.Backwards"; }
    void FindShortestSeparator(std::string*, const leveldb::Slice&) const override {}
    void FindShortSuccessor(std::string*) const override {}
};

uint64_t next(uint64_t* state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

// Batches of random size; one operation in six deletes. Small buffers and tables, so that there are many files in several levels.
void fill(leveldb::DB* db, uint64_t count, uint64_t operations, uint64_t seed, bool endless) {
    uint64_t state = seed * 2654435761u + 88172645463325252u;
    for (uint64_t done = 0; endless || done < operations;) {
        leveldb::WriteBatch batch;
        const uint64_t size = 1 + next(&state) % 100;
        for (uint64_t at = 0; at < size; at++, done++) {
            char key[32];
            std::snprintf(key, sizeof key, "key%010llu", static_cast<unsigned long long>(next(&state) % count));
            const uint64_t draw = next(&state);
            if (draw % 6 == 0) {
                batch.Delete(key);
            } else {
                // A value now and then spans several blocks of the log.
                const uint64_t length = draw % 5003 == 1 ? 100000 : draw % 120;
                std::string value = std::to_string(draw);
                while (value.size() < length) value += value.size() % 3 == 0 ? std::to_string(next(&state)) : "text";
                value.resize(length);
                batch.Put(key, value);
            }
        }
        check(db->Write(leveldb::WriteOptions(), &batch));
        if (endless && done % 64 == 0) {
            std::putchar('.');
            std::fflush(stdout);
        }
    }
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 3) return 2;
    const std::string verb = arguments[1], dir = arguments[2];
    Backwards backwards;
    leveldb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = 256 << 10;
    options.max_file_size = 1 << 20;
    std::unique_ptr<const leveldb::FilterPolicy> filter(leveldb::NewBloomFilterPolicy(10));
    options.filter_policy = filter.get();
    if (verb == "write" && std::string(arguments[4]) == "none") options.compression = leveldb::kNoCompression;
    if (verb == "comparator") options.comparator = &backwards;
    leveldb::DB* opened = nullptr;
    check(leveldb::DB::Open(options, dir, &opened));
    std::unique_ptr<leveldb::DB> db(opened);
    if (verb == "write") {
        const uint64_t keys = std::strtoull(arguments[3], nullptr, 10);
        fill(db.get(), keys, keys * 2, std::strtoull(arguments[5], nullptr, 10), false);
    } else if (verb == "endless") {
        fill(db.get(), std::strtoull(arguments[3], nullptr, 10), 0, std::strtoull(arguments[4], nullptr, 10), true);
    } else if (verb == "compact") {
        db->CompactRange(nullptr, nullptr);
    } else if (verb == "comparator") {
        check(db->Put(leveldb::WriteOptions(), "a", "1"));
    } else if (verb == "hold") {
        std::puts("open");
        std::fflush(stdout);
        while (std::getchar() != EOF) {
        }
    } else if (verb == "dump") {
        leveldb::ReadOptions read;
        read.verify_checksums = true;
        std::unique_ptr<leveldb::Iterator> at(db->NewIterator(read));
        for (at->SeekToFirst(); at->Valid(); at->Next()) {
            const uint32_t lengths[2] = {static_cast<uint32_t>(at->key().size()), static_cast<uint32_t>(at->value().size())};
            std::fwrite(lengths, sizeof lengths, 1, stdout);
            std::fwrite(at->key().data(), lengths[0], 1, stdout);
            std::fwrite(at->value().data(), lengths[1], 1, stdout);
        }
        check(at->status());
    } else {
        return 2;
    }
    return 0;
}
