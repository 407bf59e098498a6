# First steps in Ruby: the C interface through Fiddle, which comes with Ruby, and a program that uses it.
require "fiddle/import"

# The functions of sstore.h that are used here. An sstore_code is an int.
module C
  extend Fiddle::Importer
  dlload "libsstore.so.0"
  extern "const char *sstore_code_name(int code)"
  extern "const char *sstore_error_message(void *error)"
  extern "void sstore_error_free(void *error)"
  extern "void sstore_free(void *memory)"
  extern "int sstore_options_create(void **options, void **error)"
  extern "int sstore_options_set(void *options, const char *name, const char *value, void **error)"
  extern "void sstore_options_free(void *options)"
  extern "int sstore_open(const char *path, void *options, void **db, void **error)"
  extern "int sstore_close(void *db, void *options, void **error)"
  extern "int sstore_put(void *db, void *family, void *options, void *key, size_t key_len, void *value, size_t value_len, void *sequence, void **error)"
  extern "int sstore_get(void *db, void *family, void *options, void *key, size_t key_len, void **value, void *value_len, void **error)"
  extern "int sstore_iterator_create(void *db, void *family, void *options, void **iterator, void **error)"
  extern "int sstore_iterator_next_batch(void *iterator, void *keys, void *values, size_t capacity, size_t max_bytes, void *count, void **error)"
  extern "void sstore_iterator_free(void *iterator)"

  OK = 0
  NOT_FOUND = 1
end

class SstoreError < StandardError
  attr_reader :code

  def initialize(code, object)
    super(C.sstore_error_message(object).to_s)
    @code = C.sstore_code_name(code).to_s
    C.sstore_error_free(object)
  end
end

# An open database.
class Db
  BATCH = 256
  WORD = Fiddle::SIZEOF_VOIDP

  def self.open(path, settings = {})
    db = new(path, settings)
    yield db
  ensure
    db&.close
  end

  def initialize(path, settings)
    options = out { |place| call(:sstore_options_create, place) }
    settings.each { |name, value| call(:sstore_options_set, options, name.to_s, value.to_s) }
    @handle = out { |place| call(:sstore_open, path, options, place) }
  ensure
    C.sstore_options_free(options) if options
  end

  def []=(key, value)
    call(:sstore_put, @handle, nil, nil, key, key.bytesize, value, value.bytesize, nil)
  end

  # A copy of the value, or nil.
  def [](key)
    length = word
    value = word
    return unless call(:sstore_get, @handle, nil, nil, key, key.bytesize, value, length)

    copy = value.ptr[0, number(length)]
    C.sstore_free(value.ptr)
    copy
  end

  # Every entry in order; many come with each call of the library.
  def each
    iterator = out { |place| call(:sstore_iterator_create, @handle, nil, nil, place) }
    keys, values = Array.new(2) { Fiddle::Pointer.malloc(BATCH * 2 * WORD, Fiddle::RUBY_FREE) }
    count = word
    while call(:sstore_iterator_next_batch, iterator, keys, values, BATCH, 0, count)
      number(count).times { |at| yield slice(keys, at), slice(values, at) }
    end
  ensure
    C.sstore_iterator_free(iterator) if iterator
  end

  def close
    call(:sstore_close, @handle, nil)
  end

  private

  def word
    Fiddle::Pointer.malloc(WORD, Fiddle::RUBY_FREE).tap { |place| place[0, WORD] = "\0" * WORD }
  end

  def number(place)
    place[0, WORD].unpack1("J")
  end

  # An sstore_slice: a pointer and a length.
  def slice(slices, at)
    address, length = slices[at * 2 * WORD, 2 * WORD].unpack("JJ")
    Fiddle::Pointer.new(address)[0, length]
  end

  # What a call puts into a place for a handle.
  def out
    place = word
    yield place
    place.ptr
  end

  # Calls a function with a place for its error at the end; gives whether something was found.
  def call(name, *given)
    error = word
    code = C.public_send(name, *given, error)
    return false if code == C::NOT_FOUND && error.ptr.null?
    raise SstoreError.new(code, error.ptr) if code != C::OK

    true
  end
end

path = ARGV.fetch(0, "first_steps.db")
Db.open(path, write_buffer_bytes: "8MiB") do |db|
  db["apple"] = "red"
  db["pear"] = "green"
  puts "apple is #{db["apple"]}"
  puts "plum is there: #{!db["plum"].nil?}"
  db.each { |key, value| puts "#{key}: #{value}" }
  begin
    Db.open(path) {}
  rescue SstoreError => error
    puts "opened twice: #{error.code}"
  end
end
puts "closed"
