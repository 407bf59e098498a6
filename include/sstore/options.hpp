// Options of databases, families and tables, and listeners to events and log lines.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_OPTIONS_HPP
#define SSTORE_OPTIONS_HPP

#include <sstore/call.hpp>

#include <initializer_list>

namespace sstore {

/// One option and its value: a text such as "64MiB", a whole number, or a bool. Both are copied.
class Setting {
public:
    Setting(std::string name, std::string_view value) : name_(std::move(name)), value_(value) {}
    /// No other type becomes a number or a bool by itself: not a float, not a pointer, and not a letter, which would be its code.
    template <class N, class = std::enable_if_t<std::is_integral_v<N> && !std::is_same_v<N, char>>> Setting(std::string name, N value) : name_(std::move(name))
    {
        if constexpr (std::is_same_v<N, bool>)
            value_ = value ? "true" : "false";
        else
            value_ = std::to_string(value);
    }

    /// Live as long as this object.
    const std::string &name() const noexcept SSTORE_LENT { return name_; }
    const std::string &value() const noexcept SSTORE_LENT { return value_; }

private:
    std::string name_;
    std::string value_;
};

/// One option as the library describes it. Its texts live for ever.
using OptionInfo = sstore_option_info;
/// Something that happened in a database. It and its texts live until the listener returns.
using Event = sstore_event;
/// One line for a log. It and its texts live until the logger returns.
using LogLine = sstore_log_line;

/// Options of a database and of column families. What was opened with them keeps a copy. No function of it blocks.
/// Thread safety: one thread at a time; another one at once gets SSTORE_BUSY. Move-only.
class Options {
public:
    /// The type of c_handle().
    using c_type = sstore_options;

    /// Every option at its default. Where no handle is left for it, each use of it says SSTORE_INVALID_ARGUMENT.
    Options() noexcept { static_cast<void>(sstore_options_create(handle_.out(), nullptr) == SSTORE_OK); }
    /// `Options{{"write_buffer_bytes", "64MiB"}, {"create_if_missing", false}}`. Throws Error with SSTORE_INVALID_ARGUMENT for a name
    /// or value that cannot be.
    Options(std::initializer_list<Setting> settings) : Options(try_create(settings).value()) {}
    static Result<Options> try_create(std::initializer_list<Setting> settings)
    {
        Options options;
        for (const Setting &setting : settings)
            if (const auto set = options.try_set(setting); !set) return set.error();
        return Result<Options>(std::move(options));
    }
    /// Takes over a handle of the C interface.
    explicit Options(sstore_options *taken) noexcept : handle_(taken) {}

    /// Sets one option. An error changes nothing.
    Options &set(const Setting &setting) { return try_set(setting).value(), *this; }
    Result<void> try_set(const Setting &setting)
    {
        return detail::call([&](sstore_error **error) {
            return sstore_options_set(c_handle(), setting.name().c_str(), setting.value().c_str(), error);
        }, setting.name(), setting.value());
    }
    /// Sets a number, which need not become text first.
    Options &set_number(const std::string &name, std::uint64_t value) { return try_set_number(name, value).value(), *this; }
    Result<void> try_set_number(const std::string &name, std::uint64_t value)
    {
        return detail::call([&](sstore_error **error) {
            return sstore_options_set_number(c_handle(), name.c_str(), value, error);
        }, name);
    }
    /// The value of an option, as set() takes it.
    std::string get(const std::string &name) const { return try_get(name).value(); }
    Result<std::string> try_get(const std::string &name) const
    {
        return detail::text([&](char **out, sstore_error **error) {
            return sstore_options_get(c_handle(), name.c_str(), out, error);
        }, name);
    }

    /// Calls `listener` with every event of a database opened with these options: one at a time, on a thread of the library. What it
    /// throws ends there: the event is dropped, and the database goes on. It must not close the database. It is destroyed, on any
    /// thread, once nothing can call it any more: these options have gone or been given another, and every database is closed.
    Options &on_event(std::function<void(const Event &)> listener) { return try_on_event(std::move(listener)).value(), *this; }
    Result<void> try_on_event(std::function<void(const Event &)> listener)
    {
        return keep(std::move(listener), [&](void *kept, auto destroy, sstore_error **error) {
            return sstore_options_set_listener(c_handle(), &run<Event>, kept, destroy, error);
        });
    }
    /// Calls `logger` with every event of `level` or above as a line for a log; otherwise like on_event(), beside which it may be set.
    Options &on_log(sstore_log_level level, std::function<void(const LogLine &)> logger)
    {
        return try_on_log(level, std::move(logger)).value(), *this;
    }
    Result<void> try_on_log(sstore_log_level level, std::function<void(const LogLine &)> logger)
    {
        return keep(std::move(logger), [&](void *kept, auto destroy, sstore_error **error) {
            return sstore_options_set_logger(c_handle(), static_cast<std::uint32_t>(level), &run<LogLine>, kept, destroy, error);
        });
    }

    /// Every option that there is.
    static std::vector<OptionInfo> describe()
    {
        std::vector<OptionInfo> all(sstore_options_count(), detail::sized<OptionInfo>());
        std::size_t known = 0;
        while (known < all.size() && sstore_options_describe(known, &all[known], nullptr) == SSTORE_OK) known++;
        all.resize(known);
        return all;
    }

    /// The handle, for functions of sstore.h. It stays this object's.
    sstore_options *c_handle() const noexcept { return handle_.get(); }

private:
    template <class Told> static void run(void *user_data, const Told *told) noexcept
    {
        detail::guarded([&] { (*static_cast<std::function<void(const Told &)> *>(user_data))(*told); }, [] {});
    }
    /// Gives the library a function to keep: on an error it stays ours.
    template <class Function, class F> static Result<void> keep(Function function, F &&give)
    {
        if (!function) return Error(SSTORE_INVALID_ARGUMENT, "there is no function to be called");
        auto kept = std::make_unique<Function>(std::move(function));
        void (*const destroy)(void *) = [](void *user_data) { delete static_cast<Function *>(user_data); };
        auto given = detail::call([&](sstore_error **error) { return give(kept.get(), destroy, error); });
        if (given) static_cast<void>(kept.release());
        return given;
    }

    detail::Handle<sstore_options, sstore_options_free> handle_;
};

} // namespace sstore

#endif
