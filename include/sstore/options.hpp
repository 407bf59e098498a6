// Options of databases and families, and listeners to their events and log lines.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_OPTIONS_HPP
#define SSTORE_OPTIONS_HPP

#include <functional>
#include <initializer_list>
#include <sstore/result.hpp>
#include <vector>

namespace sstore {

/// One option and its value: a text such as "64MiB", a number, or a bool.
class Setting {
public:
    Setting(std::string name, std::string value) : name_(std::move(name)), value_(std::move(value)) {}
    Setting(std::string name, const char *value) : name_(std::move(name)), value_(value) {}
    Setting(std::string name, bool value) : name_(std::move(name)), value_(value ? "true" : "false") {}
    template <class N, class = std::enable_if_t<std::is_integral_v<N> && !std::is_same_v<N, bool>>>
    Setting(std::string name, N value) : name_(std::move(name)), value_(std::to_string(value))
    {
    }

    const std::string &name() const noexcept { return name_; }
    const std::string &value() const noexcept { return value_; }

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

/// Options of a database and of column families. What was opened with them keeps a copy.
/// Thread safety: one thread at a time. Move-only.
class Options {
public:
    /// Every option at its default.
    Options() : Options(std::initializer_list<Setting>{}) {}
    /// `Options{{"write_buffer_bytes", "64MiB"}, {"create_if_missing", false}}`. Throws Error with SSTORE_INVALID_ARGUMENT for a name
    /// or value that cannot be.
    Options(std::initializer_list<Setting> settings)
    {
        detail::call([&](sstore_error **error) { return sstore_options_create(handle_.out(), error); }).value();
        for (const Setting &setting : settings) set(setting);
    }
    /// Takes over a handle of the C interface.
    explicit Options(sstore_options *taken) noexcept : handle_(taken) {}

    /// Sets one option.
    Options &set(const Setting &setting)
    {
        try_set(setting).value();
        return *this;
    }
    Result<void> try_set(const Setting &setting)
    {
        return detail::call([&](sstore_error **error) {
            return sstore_options_set(c_handle(), setting.name().c_str(), setting.value().c_str(), error);
        });
    }
    /// Sets a number, which need not become text first.
    Options &set_number(const std::string &name, std::uint64_t value)
    {
        detail::call([&](sstore_error **error) {
            return sstore_options_set_number(c_handle(), name.c_str(), value, error);
        }).value();
        return *this;
    }
    /// The value of an option, as set() takes it.
    std::string get(const std::string &name) const { return try_get(name).value(); }
    Result<std::string> try_get(const std::string &name) const
    {
        char *text = nullptr;
        const auto called = detail::call([&](sstore_error **error) {
            return sstore_options_get(c_handle(), name.c_str(), &text, error);
        });
        const detail::Text freed(text);
        return detail::with(called, std::string(text == nullptr ? "" : text));
    }

    /// Calls `listener` with every event of a database opened with these options: one at a time, on a thread of the library. What it
    /// throws ends there: it is dropped, and the database goes on.
    Options &on_event(std::function<void(const Event &)> listener)
    {
        using Listener = std::function<void(const Event &)>;
        auto kept = std::make_unique<Listener>(std::move(listener));
        detail::call([&](sstore_error **error) {
            return sstore_options_set_listener(c_handle(), &run<Event>, kept.get(), &destroy<Listener>, error);
        }).value();
        static_cast<void>(kept.release());
        return *this;
    }
    /// Calls `logger` with every event of `level` or above as a line for a log; otherwise like on_event(), beside which it may be set.
    Options &on_log(sstore_log_level level, std::function<void(const LogLine &)> logger)
    {
        using Logger = std::function<void(const LogLine &)>;
        auto kept = std::make_unique<Logger>(std::move(logger));
        detail::call([&](sstore_error **error) {
            return sstore_options_set_logger(c_handle(), static_cast<std::uint32_t>(level), &run<LogLine>, kept.get(),
                                             &destroy<Logger>, error);
        }).value();
        static_cast<void>(kept.release());
        return *this;
    }

    /// Every option that there is.
    static std::vector<OptionInfo> describe()
    {
        std::vector<OptionInfo> all(sstore_options_count(), detail::sized<OptionInfo>());
        for (std::size_t index = 0; index < all.size(); index++)
            detail::call([&](sstore_error **error) { return sstore_options_describe(index, &all[index], error); }).value();
        return all;
    }

    /// The handle, for functions of sstore.h. It stays this object's.
    sstore_options *c_handle() const noexcept { return handle_.get(); }

private:
    // Exceptions must not unwind into C.
    template <class Told> static void run(void *user_data, const Told *told) noexcept
    {
        try {
            (*static_cast<std::function<void(const Told &)> *>(user_data))(*told);
        } catch (...) {
        }
    }
    template <class Function> static void destroy(void *user_data) noexcept { delete static_cast<Function *>(user_data); }

    detail::Handle<sstore_options, sstore_options_free> handle_;
};

} // namespace sstore

#endif
