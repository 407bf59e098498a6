// Conditions on rows.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_FILTER_HPP
#define SSTORE_FILTER_HPP

#include <sstore/arrow.hpp>

namespace sstore {

/// A condition on rows, of no table in particular: columns are looked up when a scan is executed. It never changes, and what is made with it
/// keeps a copy. Literals are released within the call, whatever comes of it. Nothing of it blocks. Thread safety: free. Move-only.
class Filter {
public:
    /// The type of c_handle().
    using c_type = sstore_filter;

    /// From text, as SQL writes conditions: "a > 3 AND b LIKE 'x%'". SSTORE_INVALID_ARGUMENT says where it cannot be understood.
    explicit Filter(const std::string &text) : Filter(try_parse(text).value()) {}
    static Result<Filter> try_parse(const std::string &text)
    {
        return detail::made<Filter>([&](sstore_filter **out, sstore_error **error) {
            return sstore_filter_parse(text.c_str(), out, error);
        }, text);
    }
    /// Takes over a handle of the C interface.
    explicit Filter(sstore_filter *taken) noexcept : handle_(taken) {}

    /// `column` compared with a literal: an array of one row with its type, both moved.
    static Filter compare(const std::string &column, sstore_comparison comparison, ArrowArray &literal, ArrowSchema &schema)
    {
        return try_compare(column, comparison, literal, schema).value();
    }
    static Result<Filter> try_compare(const std::string &column, sstore_comparison comparison, ArrowArray &literal, ArrowSchema &schema)
    {
        Arrow<ArrowArray> taken(literal);
        Arrow<ArrowSchema> type(schema);
        return detail::made<Filter>([&](sstore_filter **out, sstore_error **error) {
            return sstore_filter_compare(column.c_str(), static_cast<std::uint32_t>(comparison), taken.get(), type.get(), out, error);
        }, column);
    }
    /// `column` is one of the literals: an array with its type, both moved.
    static Filter in(const std::string &column, ArrowArray &literals, ArrowSchema &schema)
    {
        return try_in(column, literals, schema).value();
    }
    static Result<Filter> try_in(const std::string &column, ArrowArray &literals, ArrowSchema &schema)
    {
        Arrow<ArrowArray> taken(literals);
        Arrow<ArrowSchema> type(schema);
        return detail::made<Filter>([&](sstore_filter **out, sstore_error **error) {
            return sstore_filter_in(column.c_str(), taken.get(), type.get(), out, error);
        }, column);
    }
    static Filter is_null(const std::string &column) { return try_is_null(column).value(); }
    static Result<Filter> try_is_null(const std::string &column)
    {
        return detail::made<Filter>([&](sstore_filter **out, sstore_error **error) {
            return sstore_filter_is_null(column.c_str(), out, error);
        }, column);
    }
    /// The text or binary in `column` begins so.
    static Filter starts_with(const std::string &column, std::string_view prefix) { return try_starts_with(column, prefix).value(); }
    static Result<Filter> try_starts_with(const std::string &column, std::string_view prefix)
    {
        return detail::made<Filter>([&](sstore_filter **out, sstore_error **error) {
            return sstore_filter_starts_with(column.c_str(), prefix.data(), prefix.size(), out, error);
        }, column);
    }
    /// Conditions put together: SSTORE_LOGIC_AND, SSTORE_LOGIC_OR, or SSTORE_LOGIC_NOT of one. The operators are made of it.
    static Result<Filter> try_combine(sstore_logic logic, std::initializer_list<const Filter *> filters)
    {
        std::vector<const sstore_filter *> handles;
        for (const Filter *filter : filters) handles.push_back(filter->c_handle());
        return detail::made<Filter>([&](sstore_filter **out, sstore_error **error) {
            return sstore_filter_combine(static_cast<std::uint32_t>(logic), handles.data(), handles.size(), out, error);
        });
    }
    friend Filter operator&&(const Filter &a, const Filter &b) { return try_combine(SSTORE_LOGIC_AND, {&a, &b}).value(); }
    friend Filter operator||(const Filter &a, const Filter &b) { return try_combine(SSTORE_LOGIC_OR, {&a, &b}).value(); }
    Filter operator!() const { return try_combine(SSTORE_LOGIC_NOT, {this}).value(); }

    /// The handle, for functions of sstore.h. It stays this object's.
    const sstore_filter *c_handle() const noexcept { return handle_.get(); }

private:
    detail::Handle<sstore_filter, sstore_filter_free> handle_;
};

} // namespace sstore

#endif
