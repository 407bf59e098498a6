// Structs of the Arrow C data and stream interfaces with an owner, rows as a stream, and columns without an Arrow library.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_ARROW_HPP
#define SSTORE_ARROW_HPP

#include <sstore/call.hpp>

#include <cerrno>

namespace sstore {

/// Owns a struct of the Arrow C interfaces: an ArrowSchema, an ArrowArray or an ArrowArrayStream, and releases it. Move-only; what was moved
/// from has nothing to release. Where a function of this library takes such a struct it is moved: released within the call, whatever
/// comes of it. What the library gave may outlive the database, and be released by any thread.
template <class T> class Arrow {
public:
    Arrow() noexcept : held_{} {}
    /// Takes over what stands in `taken`, which is marked as released.
    explicit Arrow(T &taken) noexcept : held_(taken) { taken.release = nullptr; }
    Arrow(Arrow &&other) noexcept : held_(std::exchange(other.held_, T{})) {}
    Arrow &operator=(Arrow &&other) noexcept
    {
        if (this != &other) reset(), held_ = std::exchange(other.held_, T{});
        return *this;
    }
    ~Arrow() { reset(); }

    /// Whether there is something to release.
    explicit operator bool() const noexcept { return held_.release != nullptr; }
    T &operator*() noexcept SSTORE_LENT { return held_; }
    const T &operator*() const noexcept SSTORE_LENT { return held_; }
    T *operator->() noexcept SSTORE_LENT { return &held_; }
    const T *operator->() const noexcept SSTORE_LENT { return &held_; }
    T *get() noexcept SSTORE_LENT { return &held_; }
    /// Releases it.
    void reset() noexcept
    {
        if (held_.release != nullptr) held_.release(&held_);
        held_ = T{};
    }

private:
    T held_;
};

/// Rows as an Arrow stream; any Arrow library takes `*stream` as it is. It needs nothing else to stay, but once its database was closed
/// next() gives SSTORE_CLOSED. Thread safety: one thread at a time. Move-only.
class RowStream {
public:
    explicit RowStream(Arrow<ArrowArrayStream> stream) noexcept : stream_(std::move(stream)) {}
    /// The columns. Errors of both have the stream's text and, as os_errno(), its number; SSTORE_INVALID_ARGUMENT if it was handed over.
    Arrow<ArrowSchema> schema() { return try_schema().value(); }
    Result<Arrow<ArrowSchema>> try_schema() { return asked(&ArrowArrayStream::get_schema); }
    /// The next rows, a struct array; without something to release at the end. May block: reads files. After an error it is given again.
    Arrow<ArrowArray> next() { return try_next().value(); }
    Result<Arrow<ArrowArray>> try_next() { return asked(&ArrowArrayStream::get_next); }
    /// The stream itself, to be handed over: it is moved from then.
    ArrowArrayStream &operator*() noexcept SSTORE_LENT { return *stream_; }

private:
    template <class T> Result<Arrow<T>> asked(int (*ArrowArrayStream::*ask)(ArrowArrayStream *, T *))
    {
        if (!stream_) return Error(SSTORE_INVALID_ARGUMENT, "the stream was handed over or moved from");
        Arrow<T> given;
        const int failure = ((*stream_).*ask)(stream_.get(), given.get());
        if (failure == 0) return Result<Arrow<T>>(std::move(given));
        const char *const text = stream_->get_last_error(stream_.get());
        return Error(code(failure), text == nullptr ? "" : text, failure);
    }
    static Code code(int failure) noexcept
    {
        switch (failure) {
        case EINVAL: return SSTORE_INVALID_ARGUMENT;
        case ENOSYS: return SSTORE_NOT_SUPPORTED;
        case ENOMEM: return SSTORE_NO_MEMORY;
        case ENOSPC: return SSTORE_NO_SPACE;
        case ECANCELED: return SSTORE_CLOSED;
        default: return SSTORE_IO;
        }
    }

    Arrow<ArrowArrayStream> stream_;
};

/// A column of a new table: its name, its type as the Arrow C data interface writes it ("l" int64, "g" float64, "u" text, "z" bytes,
/// "tsm:UTC" a time in milliseconds), and whether it may be null.
struct Column {
    std::string name;
    std::string format;
    bool nullable = false;
};

namespace detail {

/// Whether C would take a part of a name or type for the whole.
inline bool is_cut(const Column &column) noexcept { return is_cut(column.name) || is_cut(column.format); }

/// Columns as an ArrowSchema that frees itself: without an Arrow library.
class Columns {
public:
    static Result<Arrow<ArrowSchema>> schema(const std::vector<Column> &columns)
    {
        for (const Column &column : columns)
            if (is_cut(column)) return Error(SSTORE_INVALID_ARGUMENT, "a column's name or type has a NUL in it");
        auto kept = std::make_unique<Columns>(columns);
        Arrow<ArrowSchema> schema;
        schema->format = "+s";
        schema->name = "";
        schema->n_children = static_cast<std::int64_t>(columns.size());
        schema->children = kept->pointers_.data();
        schema->private_data = kept.release();
        schema->release = [](ArrowSchema *released) {
            const std::unique_ptr<Columns> freed(static_cast<Columns *>(released->private_data));
            for (ArrowSchema *child : freed->pointers_)
                if (child->release != nullptr) child->release(child);
            released->release = nullptr;
        };
        return Result<Arrow<ArrowSchema>>(std::move(schema));
    }
    explicit Columns(const std::vector<Column> &columns) : columns_(columns), children_(columns.size())
    {
        for (std::size_t index = 0; index < columns_.size(); index++) {
            ArrowSchema &child = children_[index];
            child = ArrowSchema{};
            child.format = columns_[index].format.c_str();
            child.name = columns_[index].name.c_str();
            child.flags = columns_[index].nullable ? ARROW_FLAG_NULLABLE : 0;
            child.release = [](ArrowSchema *released) { released->release = nullptr; };
            pointers_.push_back(&child);
        }
    }

private:
    std::vector<Column> columns_;
    std::vector<ArrowSchema> children_;
    std::vector<ArrowSchema *> pointers_;
};

/// A struct that is filled in by a call of C. `schema`, which may be null, gets what describes it, by the same call.
template <class F, class... Text> Result<Arrow<ArrowArray>> rows(Arrow<ArrowSchema> *schema, F &&function, const Text &...texts)
{
    Arrow<ArrowArray> given;
    if (schema != nullptr) schema->reset();
    const auto called = found([&](sstore_error **error) {
        return function(given.get(), schema == nullptr ? nullptr : schema->get(), error);
    }, texts...);
    if (!called.ok()) return called.error();
    return Result<Arrow<ArrowArray>>(std::move(given));
}

/// The same of a stream.
template <class F, class... Text> Result<RowStream> streamed(F &&function, const Text &...texts)
{
    Arrow<ArrowArrayStream> stream;
    const auto called = call([&](sstore_error **error) { return function(stream.get(), error); }, texts...);
    if (!called) return called.error();
    return RowStream(std::move(stream));
}

} // namespace detail

} // namespace sstore

#endif
