// sstore in C++17: objects over the functions of sstore.h, in headers alone. SPDX-License-Identifier: Apache-2.0 OR MIT
//
// CONVENTIONS
//
//  1. Errors are thrown as sstore::Error. A function named try_.. returns a sstore::Result instead and throws nothing but
//     std::bad_alloc. That a key is missing is no error: a std::optional is empty then.
//  2. Objects that own something are move-only, and may be destroyed in any order, also after their database.
//  3. A std::string_view that is given to a function is borrowed until it returns. One that is returned says how long it lives.
//  4. The end of a Db releases it without telling what failed; close() closes it and tells.
//  5. Threads: as each class says; it is what sstore.h says of its handle.
//  6. Listeners and loggers run on threads of the library. What they throw ends there.
//  7. Whatever is missing here is a function of sstore.h: each object gives its handle by c_handle().
#ifndef SSTORE_HPP
#define SSTORE_HPP

#include <sstore/database.hpp>
#include <sstore/keys.hpp>
#include <sstore/options.hpp>
#include <sstore/result.hpp>
#include <sstore/tables.hpp>

#endif
