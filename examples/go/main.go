// First steps in Go: a few functions over the C interface, found by pkg-config, and a program that uses them.
package main

/*
#cgo pkg-config: sstore
#include <stdlib.h>
#include <sstore.h>
*/
import "C"

import (
	"fmt"
	"os"
	"unsafe"
)

// Error is a failed call.
type Error struct {
	Code    C.sstore_code
	Message string
}

func (e *Error) Error() string { return C.GoString(C.sstore_code_name(C.int32_t(e.Code))) }

// failed makes a Go error of code and error object, and frees that.
func failed(code C.sstore_code, object *C.sstore_error) error {
	if code == C.SSTORE_OK {
		return nil
	}
	defer C.sstore_error_free(object)
	return &Error{code, C.GoString(C.sstore_error_message(object))}
}

// pointer to the first byte; nil is a legal empty string of bytes. The library keeps none of it.
func pointer(b []byte) unsafe.Pointer {
	if len(b) == 0 {
		return nil
	}
	return unsafe.Pointer(&b[0])
}

// DB is an open database. Any number of goroutines may use one.
type DB struct{ handle *C.sstore_db }

// Open opens or makes a database, with options by name.
func Open(path string, settings map[string]string) (*DB, error) {
	var options *C.sstore_options
	var object *C.sstore_error
	if err := failed(C.sstore_options_create(&options, &object), object); err != nil {
		return nil, err
	}
	defer C.sstore_options_free(options)
	for name, value := range settings {
		n, v := C.CString(name), C.CString(value)
		err := failed(C.sstore_options_set(options, n, v, &object), object)
		C.free(unsafe.Pointer(n))
		C.free(unsafe.Pointer(v))
		if err != nil {
			return nil, err
		}
	}
	p := C.CString(path)
	defer C.free(unsafe.Pointer(p))
	db := &DB{}
	return db, failed(C.sstore_open(p, options, &db.handle, &object), object)
}

// Put sets a key.
func (db *DB) Put(key, value []byte) error {
	var object *C.sstore_error
	return failed(C.sstore_put(db.handle, nil, nil, pointer(key), C.size_t(len(key)), pointer(value), C.size_t(len(value)),
		nil, &object), object)
}

// Get gives a copy of a key's value, and whether there is one.
func (db *DB) Get(key []byte) ([]byte, bool, error) {
	var object *C.sstore_error
	var value unsafe.Pointer
	var length C.size_t
	code := C.sstore_get(db.handle, nil, nil, pointer(key), C.size_t(len(key)), &value, &length, &object)
	if code == C.SSTORE_NOT_FOUND && object == nil {
		return nil, false, nil
	}
	if err := failed(code, object); err != nil {
		return nil, false, err
	}
	defer C.sstore_free(value)
	return C.GoBytes(value, C.int(length)), true, nil
}

// Each calls f with every entry in order; many come with each call of the library. Key and value are copies.
func (db *DB) Each(f func(key, value []byte)) error {
	var object *C.sstore_error
	var iterator *C.sstore_iterator
	if err := failed(C.sstore_iterator_create(db.handle, nil, nil, &iterator, &object), object); err != nil {
		return err
	}
	defer C.sstore_iterator_free(iterator)
	var keys, values [256]C.sstore_slice
	for {
		var count C.size_t
		code := C.sstore_iterator_next_batch(iterator, &keys[0], &values[0], 256, 0, &count, &object)
		if code == C.SSTORE_NOT_FOUND && object == nil {
			return nil
		}
		if err := failed(code, object); err != nil {
			return err
		}
		for i := 0; i < int(count); i++ {
			f(C.GoBytes(keys[i].data, C.int(keys[i].len)), C.GoBytes(values[i].data, C.int(values[i].len)))
		}
	}
}

// Close closes the database.
func (db *DB) Close() error {
	var object *C.sstore_error
	return failed(C.sstore_close(db.handle, nil, &object), object)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	path := "first_steps.db"
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	db, err := Open(path, map[string]string{"write_buffer_bytes": "8MiB"})
	check(err)
	check(db.Put([]byte("apple"), []byte("red")))
	check(db.Put([]byte("pear"), []byte("green")))
	apple, _, err := db.Get([]byte("apple"))
	check(err)
	fmt.Printf("apple is %s\n", apple)
	_, there, err := db.Get([]byte("plum"))
	check(err)
	fmt.Printf("plum is there: %v\n", there)
	check(db.Each(func(key, value []byte) { fmt.Printf("%s: %s\n", key, value) }))
	_, err = Open(path, nil)
	fmt.Println("opened twice:", err)
	check(db.Close())
	fmt.Println("closed")
}
