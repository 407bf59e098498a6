// The source of the group `import` and LevelDB beside it; built and called by bench/src/import.rs.
//
// leveldb fill DIR COUNT   a database of COUNT keys of 16 bytes with values of 100, of which a half repeats, put in random order, one
//                          in ten of them twice; tables alone, no log
// leveldb read DIR         every entry through LevelDB's own iterator, checksums verified; prints entries, bytes of keys and values, seconds
// leveldb copy DIR TO      the same entries into a new LevelDB with the defaults, but for a write buffer of 64 MiB like ours, in batches of
//                          1,000; the last one is synced; prints the same

#include <leveldb/db.h>
#include <leveldb/write_batch.h>

#include <chrono>
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

std::unique_ptr<leveldb::DB> open(const std::string& dir) {
    leveldb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = 64 << 20;
    leveldb::DB* db = nullptr;
    check(leveldb::DB::Open(options, dir, &db));
    return std::unique_ptr<leveldb::DB>(db);
}

uint64_t next(uint64_t* state) {
    uint64_t mixed = *state += 0x9E3779B97F4A7C15;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
    return mixed ^ (mixed >> 31);
}

std::string hex(uint64_t number) {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(number));
    return text;
}

void fill(const std::string& dir, uint64_t count) {
    auto db = open(dir);
    uint64_t values = 7;
    leveldb::WriteBatch batch;
    for (uint64_t done = 0; done < count + count / 10; done++) {
        uint64_t seed = done < count ? done : (done - count) * 10;
        std::string value;
        while (value.size() < 100) {
            const uint64_t number = next(&values);
            value.append(reinterpret_cast<const char*>(&number), sizeof number).append("abcdefgh");
        }
        value.resize(100);
        batch.Put(hex(next(&seed)), value);
        if (done % 1000 == 999) {
            check(db->Write(leveldb::WriteOptions(), &batch));
            batch.Clear();
        }
    }
    check(db->Write(leveldb::WriteOptions(), &batch));
    db.reset();
    // Opening makes a table of the log.
    db = open(dir);
}

void walk(const std::string& dir, leveldb::DB* target) {
    const auto began = std::chrono::steady_clock::now();
    auto db = open(dir);
    leveldb::ReadOptions read;
    read.verify_checksums = true;
    read.fill_cache = false;
    std::unique_ptr<leveldb::Iterator> at(db->NewIterator(read));
    uint64_t entries = 0, bytes = 0;
    leveldb::WriteBatch batch;
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
        entries++;
        bytes += at->key().size() + at->value().size();
        if (target == nullptr) continue;
        batch.Put(at->key(), at->value());
        if (entries % 1000 == 0) {
            check(target->Write(leveldb::WriteOptions(), &batch));
            batch.Clear();
        }
    }
    check(at->status());
    if (target != nullptr) {
        leveldb::WriteOptions sync;
        sync.sync = true;
        check(target->Write(sync, &batch));
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - began;
    std::printf("%llu %llu %f\n", static_cast<unsigned long long>(entries), static_cast<unsigned long long>(bytes), seconds.count());
}

}  // namespace

int main(int count, char** arguments) {
    const std::string verb = count > 2 ? arguments[1] : "";
    if (verb == "fill" && count == 4) {
        fill(arguments[2], std::strtoull(arguments[3], nullptr, 10));
    } else if (verb == "read" && count == 3) {
        walk(arguments[2], nullptr);
    } else if (verb == "copy" && count == 4) {
        auto target = open(arguments[3]);
        walk(arguments[2], target.get());
    } else {
        return 2;
    }
    return 0;
}
