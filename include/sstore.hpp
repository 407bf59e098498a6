// sstore in C++17: objects over the functions of sstore.h, in headers alone. SPDX-License-Identifier: Apache-2.0 OR MIT
//
// CONVENTIONS
//
//  1. Errors are thrown as sstore::Error. A function named try_.. returns a sstore::Result instead and throws nothing but
//     std::bad_alloc, and what a function of yours threw that it told of its progress; every function that can fail has one, a constructor a static try_create, try_open or try_parse. The codes are those of
//     the function of sstore.h. That a key is missing is no error: a std::optional is empty then.
//  2. Without exceptions (-fno-exceptions) use the try_ forms, and ok() before value(): any other form that fails says why on standard
//     error and ends the program. All of a program is compiled in one of the two ways: inline functions are the same everywhere.
//  3. Objects that own something are move-only, and may be destroyed in any order, also after their database. What was moved from may be
//     assigned to and destroyed; whatever else it is used for, also as an argument, is SSTORE_INVALID_ARGUMENT, and numbers of it are 0.
//  4. What is given to a function, a std::string_view too, is borrowed until it returns, unless it says that it is moved. A view that is
//     returned says how long it lives; clang warns of one that is taken of a temporary. Names, paths and other texts are UTF-8 without NUL.
//  5. The end of a Db releases it without telling what failed; close() closes it and tells.
//  6. Threads: as each class says; it is what sstore.h says of its handle. To assign to an object, move or destroy it is no call:
//     no other thread may use it meanwhile.
//  7. Listeners and loggers run on threads of the library. What they throw ends there. They must not close their database, nor wait for its flushes
//     and merges: functions that do say `Not in a listener`.
//  8. Whatever is missing here is a function of sstore.h: each object gives its handle by c_handle().
//
// The headers below stand in the order of a database's life. Each includes what it needs; what it declares of the others' is whole
// with this one only.
#ifndef SSTORE_HPP
#define SSTORE_HPP

#include <sstore/result.hpp>
#include <sstore/call.hpp>
#include <sstore/options.hpp>
#include <sstore/database.hpp>
#include <sstore/family.hpp>
#include <sstore/batch.hpp>
#include <sstore/values.hpp>
#include <sstore/snapshot.hpp>
#include <sstore/iterator.hpp>
#include <sstore/flush.hpp>
#include <sstore/progress.hpp>
#include <sstore/files.hpp>
#include <sstore/leveldb.hpp>
#include <sstore/arrow.hpp>
#include <sstore/table.hpp>
#include <sstore/rows.hpp>
#include <sstore/filter.hpp>
#include <sstore/scan.hpp>
#include <sstore/splits.hpp>
#include <sstore/repair.hpp>

#endif
