// First steps in Java: the C interface through JNA, and a program that uses it.
import com.sun.jna.Library;
import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.LongByReference;
import com.sun.jna.ptr.PointerByReference;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.function.BiConsumer;

public final class FirstSteps {
    /** The functions of sstore.h that are used here. A size_t is a long, an sstore_code an int. */
    interface Sstore extends Library {
        Sstore C = Native.load("sstore", Sstore.class);
        int OK = 0, NOT_FOUND = 1;

        String sstore_code_name(int code);
        String sstore_error_message(Pointer error);
        void sstore_error_free(Pointer error);
        void sstore_free(Pointer memory);
        int sstore_options_create(PointerByReference options, PointerByReference error);
        int sstore_options_set(Pointer options, String name, String value, PointerByReference error);
        void sstore_options_free(Pointer options);
        int sstore_open(String path, Pointer options, PointerByReference db, PointerByReference error);
        int sstore_close(Pointer db, Pointer options, PointerByReference error);
        int sstore_put(Pointer db, Pointer family, Pointer options, byte[] key, long keyLength, byte[] value, long valueLength,
                       LongByReference sequence, PointerByReference error);
        int sstore_get(Pointer db, Pointer family, Pointer options, byte[] key, long keyLength, PointerByReference value,
                       LongByReference valueLength, PointerByReference error);
        int sstore_iterator_create(Pointer db, Pointer family, Pointer options, PointerByReference iterator, PointerByReference error);
        int sstore_iterator_next_batch(Pointer iterator, Pointer keys, Pointer values, long capacity, long maxBytes,
                                       LongByReference count, PointerByReference error);
        void sstore_iterator_free(Pointer iterator);
    }

    /** A failed call. */
    static final class SstoreException extends RuntimeException {
        final int code;

        SstoreException(int code, String message) {
            super(message);
            this.code = code;
        }
    }

    /** An open database; any thread may use it. */
    static final class Db implements AutoCloseable {
        private static final int BATCH = 256, SLICE_BYTES = 16;
        private final Pointer handle;

        Db(String path, Map<String, String> settings) {
            PointerByReference out = new PointerByReference(), error = new PointerByReference();
            check(Sstore.C.sstore_options_create(out, error), error);
            Pointer options = out.getValue();
            try {
                settings.forEach((name, value) -> check(Sstore.C.sstore_options_set(options, name, value, error), error));
                check(Sstore.C.sstore_open(path, options, out, error), error);
                handle = out.getValue();
            } finally {
                Sstore.C.sstore_options_free(options);
            }
        }

        void put(byte[] key, byte[] value) {
            PointerByReference error = new PointerByReference();
            check(Sstore.C.sstore_put(handle, null, null, key, key.length, value, value.length, null, error), error);
        }

        /** A copy of the value; null if the key has none. */
        byte[] get(byte[] key) {
            PointerByReference value = new PointerByReference(), error = new PointerByReference();
            LongByReference length = new LongByReference();
            int code = Sstore.C.sstore_get(handle, null, null, key, key.length, value, length, error);
            if (code == Sstore.NOT_FOUND && error.getValue() == null) return null;
            check(code, error);
            try {
                return value.getValue().getByteArray(0, (int) length.getValue());
            } finally {
                Sstore.C.sstore_free(value.getValue());
            }
        }

        /** Every entry in order; many come with each call of the library. */
        void forEach(BiConsumer<byte[], byte[]> entries) {
            PointerByReference out = new PointerByReference(), error = new PointerByReference();
            check(Sstore.C.sstore_iterator_create(handle, null, null, out, error), error);
            Memory keys = new Memory(BATCH * SLICE_BYTES), values = new Memory(BATCH * SLICE_BYTES);
            LongByReference count = new LongByReference();
            try {
                int code;
                while ((code = Sstore.C.sstore_iterator_next_batch(out.getValue(), keys, values, BATCH, 0, count, error)) == Sstore.OK)
                    for (long at = 0; at < count.getValue() * SLICE_BYTES; at += SLICE_BYTES)
                        entries.accept(slice(keys, at), slice(values, at));
                if (code != Sstore.NOT_FOUND) check(code, error);
            } finally {
                Sstore.C.sstore_iterator_free(out.getValue());
            }
        }

        @Override public void close() {
            PointerByReference error = new PointerByReference();
            check(Sstore.C.sstore_close(handle, null, error), error);
        }

        /** An sstore_slice: a pointer and a length. */
        private static byte[] slice(Memory slices, long at) {
            return slices.getPointer(at).getByteArray(0, (int) slices.getLong(at + 8));
        }

        private static void check(int code, PointerByReference error) {
            if (code == Sstore.OK) return;
            String message = Sstore.C.sstore_error_message(error.getValue());
            Sstore.C.sstore_error_free(error.getValue());
            throw new SstoreException(code, message);
        }
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }

    public static void main(String[] arguments) {
        String path = arguments.length > 0 ? arguments[0] : "first_steps.db";
        try (Db db = new Db(path, Map.of("write_buffer_bytes", "8MiB"))) {
            db.put(bytes("apple"), bytes("red"));
            db.put(bytes("pear"), bytes("green"));
            System.out.println("apple is " + text(db.get(bytes("apple"))));
            System.out.println("plum is there: " + (db.get(bytes("plum")) != null));
            db.forEach((key, value) -> System.out.println(text(key) + ": " + text(value)));
            try {
                new Db(path, Map.of());
            } catch (SstoreException refused) {
                System.out.println("opened twice: " + Sstore.C.sstore_code_name(refused.code));
            }
        }
        System.out.println("closed");
    }
}
