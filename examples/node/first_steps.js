// First steps in Node: the C interface through koffi, and a program that uses it.
"use strict";
const koffi = require("koffi");

const library = koffi.load("libsstore.so.0");
for (const handle of ["sstore_db", "sstore_options", "sstore_iterator", "sstore_error", "sstore_column_family"]) koffi.opaque(handle);
koffi.struct("sstore_slice", { data: "void *", len: "size_t" });
// Declarations as they stand in sstore.h, with _Out_ at what a call gives.
const C = Object.fromEntries(
  [
    "const char *sstore_code_name(int32_t code)",
    "const char *sstore_error_message(sstore_error *error)",
    "void sstore_error_free(sstore_error *error)",
    "void sstore_free(void *memory)",
    "int sstore_options_create(_Out_ sstore_options **options, _Out_ sstore_error **error)",
    "int sstore_options_set(sstore_options *options, const char *name, const char *value, _Out_ sstore_error **error)",
    "void sstore_options_free(sstore_options *options)",
    "int sstore_open(const char *path, sstore_options *options, _Out_ sstore_db **db, _Out_ sstore_error **error)",
    "int sstore_close(sstore_db *db, void *options, _Out_ sstore_error **error)",
    "int sstore_put(sstore_db *db, void *family, void *options, const void *key, size_t key_len, const void *value, size_t value_len," +
      " void *sequence, _Out_ sstore_error **error)",
    "int sstore_get(sstore_db *db, void *family, void *options, const void *key, size_t key_len, _Out_ void **value," +
      " _Out_ size_t *value_len, _Out_ sstore_error **error)",
    "int sstore_iterator_create(sstore_db *db, void *family, void *options, _Out_ sstore_iterator **iterator, _Out_ sstore_error **error)",
    "int sstore_iterator_next_batch(sstore_iterator *iterator, _Out_ sstore_slice *keys, _Out_ sstore_slice *values, size_t capacity," +
      " size_t max_bytes, _Out_ size_t *count, _Out_ sstore_error **error)",
    "void sstore_iterator_free(sstore_iterator *iterator)",
  ].map((declaration) => [declaration.match(/sstore_\w+(?=\()/)[0], library.func(declaration)]),
);
const OK = 0;
const NOT_FOUND = 1;
const BATCH = 256;

class SstoreError extends Error {
  constructor(code, object) {
    super(C.sstore_error_message(object));
    this.code = C.sstore_code_name(code);
    C.sstore_error_free(object);
  }
}

// Calls a function with a place for its error at the end; gives whether something was found.
function call(name, ...given) {
  const error = [null];
  const code = C[name](...given, error);
  if (code === NOT_FOUND && !error[0]) return false;
  if (code !== OK) throw new SstoreError(code, error[0]);
  return true;
}

// The bytes as a Buffer of Node's own.
const copied = (pointer, length) => Buffer.from(koffi.decode(pointer, koffi.array("uint8_t", Number(length), "Typed")));

class Db {
  constructor(path, settings = {}) {
    const options = [null];
    const db = [null];
    call("sstore_options_create", options);
    try {
      for (const [name, value] of Object.entries(settings)) call("sstore_options_set", options[0], name, String(value));
      call("sstore_open", path, options[0], db);
    } finally {
      C.sstore_options_free(options[0]);
    }
    this.handle = db[0];
  }

  put(key, value) {
    [key, value] = [Buffer.from(key), Buffer.from(value)];
    call("sstore_put", this.handle, null, null, key, key.length, value, value.length, null);
  }

  // A copy of the value, or undefined.
  get(key) {
    key = Buffer.from(key);
    const value = [null];
    const length = [0];
    if (!call("sstore_get", this.handle, null, null, key, key.length, value, length)) return undefined;
    const copy = copied(value[0], length[0]);
    C.sstore_free(value[0]);
    return copy;
  }

  // Every entry in order; many come with each call of the library.
  *[Symbol.iterator]() {
    const iterator = [null];
    call("sstore_iterator_create", this.handle, null, null, iterator);
    try {
      const keys = Array(BATCH).fill(null).map(() => ({}));
      const values = Array(BATCH).fill(null).map(() => ({}));
      const count = [0];
      while (call("sstore_iterator_next_batch", iterator[0], keys, values, BATCH, 0, count))
        for (let at = 0; at < Number(count[0]); at++)
          yield [copied(keys[at].data, keys[at].len), copied(values[at].data, values[at].len)];
    } finally {
      C.sstore_iterator_free(iterator[0]);
    }
  }

  close() {
    call("sstore_close", this.handle, null);
  }
}

const path = process.argv[2] ?? "first_steps.db";
const db = new Db(path, { write_buffer_bytes: "8MiB" });
db.put("apple", "red");
db.put("pear", "green");
console.log(`apple is ${db.get("apple")}`);
console.log(`plum is there: ${db.get("plum") !== undefined}`);
for (const [key, value] of db) console.log(`${key}: ${value}`);
try {
  new Db(path);
} catch (error) {
  console.log(`opened twice: ${error.code}`);
}
db.close();
console.log("closed");
