"""The main job of sstore, once from beginning to end: `make demo`.

Builds library, header and wheel; loads a million records and more through the C example and again through the wheel; kills
each loader with SIGKILL in the middle of a burst; opens the database again and verifies every record that the loader had
acknowledged; loads the rest; prints the files as a small picture of levels. Then the other half: byte keys and the rows of a table in
one atomic batch after the other, killed, verified, and the table queried by DuckDB: its live snapshot, and its Parquet files. Runs in
build/venv, which has the wheel and DuckDB.
"""

import mmap
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "demo"
sys.path.insert(0, str(ROOT / "examples" / "python"))
RECORDS_MIN = int(os.environ.get("DEMO_RECORDS", "1000000"))
OPTIONS = ["write_buffer_bytes=16MiB"]  # small, so that flushes run while it writes


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def run(*command: str | Path) -> None:
    subprocess.run(command, cwd=ROOT, check=True, stdin=subprocess.DEVNULL)


def build() -> tuple[Path, Path, Path]:
    """Builds all three and the C example, and says where they lie."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    say("building the library (a few minutes the first time)")
    run("cargo", "build", "--release", "-p", "sstore-ffi")
    say("the header: is it what the code says?")
    run("cargo", "run", "--release", "--quiet", "-p", "xtask", "--", "header", "--verify")
    say("building the wheel, and the loader in C")
    run("scripts/wheel")
    library, header = target / "release" / "libsstore.so", ROOT / "include" / "sstore.h"
    # The program asks for the library by its soname.
    (WORK / "lib").mkdir(parents=True)
    (WORK / "lib" / "libsstore.so.0").symlink_to(library)
    (WORK / "lib" / "libsstore.so").symlink_to(library)
    run("gcc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Iinclude", "examples/c/load.c", "-o", WORK / "load",
        f"-L{WORK / 'lib'}", "-lsstore", f"-Wl,-rpath,{WORK / 'lib'}")  # fmt: skip
    return library, header, next((ROOT / "build" / "wheels").glob("*.whl"))


def real_words() -> tuple[str, list[bytes]]:
    """The best input that this machine has: a word list, a package index, or else words that we make."""
    for path in [Path("/usr/share/dict/words"), *sorted(Path("/usr/share/dict").glob("*"))]:
        if path.is_file():
            return f"the word list {path}", list(dict.fromkeys(path.read_bytes().split()))
    try:
        index = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        status = Path("/var/lib/dpkg/status")
        index = status.read_bytes() if status.is_file() else b""
    lines = [
        line.replace(b"\t", b" ") for line in index.splitlines() if line.startswith((b"Package: ", b"Filename: ", b"Description: "))
    ]
    if lines:
        return "the package index of this Debian", list(dict.fromkeys(lines))
    numbers = random.Random(2026)
    return "made-up words", [b"%016x" % numbers.getrandbits(64) for _ in range(100_000)]


def write_input(path: Path) -> int:
    """One record a line: key, tab, value. Keys are unique: each round over the words has its number in front."""
    source, words = real_words()
    random.Random(7).shuffle(words)
    rounds = -(-RECORDS_MIN // len(words))
    with path.open("wb") as file:
        for number in range(rounds):
            file.writelines(b"%03d %s\tline %d of round %d: %s\n" % (number, word, index, number, word)
                            for index, word in enumerate(words))  # fmt: skip
    records = rounds * len(words)
    say(f"input: {source}: {len(words):,} lines, {rounds} rounds of them: {records:,} records, {path.stat().st_size / 1e6:,.0f} MB")
    return records


def acknowledged(path: Path) -> int:
    """How many records, from the first on, the loader was told are written. It survives the loader: a shared mapping."""
    if not path.exists() or path.stat().st_size < 8:
        return 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ) as page:
        return int(struct.unpack("<Q", page[:8])[0])


def load_and_kill(command: list[str | Path], acknowledgements: Path, after: int) -> int:
    """Starts the loader and kills it once it has acknowledged `after` records."""
    loader = subprocess.Popen([*command, *OPTIONS], cwd=ROOT, stdin=subprocess.DEVNULL)
    while loader.poll() is None and acknowledged(acknowledgements) < after:
        time.sleep(0.001)
    if loader.poll() is not None:
        sys.exit(f"the loader ended before it could be killed, with code {loader.returncode}")
    loader.send_signal(signal.SIGKILL)
    loader.wait()
    count = acknowledged(acknowledgements)
    print(f"\nkilled with SIGKILL after {count:,} acknowledged records", flush=True)
    return count


def records(path: Path, limit: int) -> Iterator[tuple[bytes, bytes]]:
    with path.open("rb") as file:
        for _, line in zip(range(limit), file):
            key, _, value = line.rstrip(b"\n").partition(b"\t")
            yield key, value


def verify(database: Path, lines: Path, count: int) -> None:
    """Opens the database again and compares the first `count` records."""
    import sstore

    start = time.monotonic()
    with sstore.open(database) as db:
        opened = time.monotonic() - start
        keys: list[bytes] = []
        values: list[bytes] = []
        wrong = 0
        for key, value in records(lines, count):
            keys.append(key)
            values.append(value)
            if len(keys) == 1_000:
                wrong += sum(a != b for a, b in zip(db.multi_get(keys), values))
                keys, values = [], []
        wrong += sum(a != b for a, b in zip(db.multi_get(keys), values))
    if wrong:
        sys.exit(f"LOST: {wrong:,} of {count:,} acknowledged records are missing or wrong")
    print(f"opened again in {opened:.2f} s; all {count:,} acknowledged records are there, byte for byte", flush=True)


def verify_table(database: Path, count: int) -> None:
    """Opens the database again: at least `count` rows are there, and byte keys and rows say the same."""
    import duckdb
    import sstore
    from load_table import BATCH, celsius, sensor

    with sstore.open(database) as db:
        readings = db.table("readings")
        batches = int(db.get(b"batches", b"0"))
        written = batches * BATCH
        if written < count:
            sys.exit(f"LOST: {written:,} of {count:,} acknowledged rows are there")
        # The last row of each batch but the last was deleted by the next.
        expected = written - max(batches - 1, 0)
        scan = readings.scan()  # noqa: F841 - DuckDB finds it by its name
        found = duckdb.execute("select count(*), coalesce(sum(id), 0), max(celsius) from scan").fetchall()
        ids = written * (written - 1) // 2 - sum(number * BATCH - 1 for number in range(1, batches))
        if found[0][:2] != (expected, ids):
            sys.exit(f"LOST: DuckDB finds {found[0]} in the table, {expected:,} rows with ids that add up to {ids:,} expected")
        for row in random.Random(5).sample(range(written), min(written, 200)):
            is_deleted = row % BATCH == BATCH - 1 and row != written - 1
            if readings.get(row) != (None if is_deleted else {"id": row, "sensor": sensor(row), "celsius": celsius(row)}):
                sys.exit(f"LOST: row {row} is {readings.get(row)}")
    print(f"byte keys and table agree: {batches:,} batches, {expected:,} rows, none missing, no half batch", flush=True)


def query_table(database: Path) -> None:
    """The table through a foreign engine: a scan as an Arrow stream, then the Parquet files without us."""
    import duckdb
    import sstore

    with sstore.open(database) as db:
        readings = db.table("readings")
        scan = readings.scan(where=sstore.col("celsius") > 39)  # noqa: F841 - DuckDB finds it by its name
        print("DuckDB over a scan of the live table:")
        query = "select sensor, count(*) as readings, round(avg(celsius), 3) as mean from {} where celsius > 39 group by sensor order by sensor limit 3"
        answer = duckdb.execute(query.format("scan")).fetchall()
        for row in answer:
            print("  ", *row)
        readings.compact()
        files = [str(segment.path) for segment in readings.segments()]
    print(f"DuckDB over {len(files)} Parquet file, {sum(Path(file).stat().st_size for file in files) / 1e6:.1f} MB, with the database closed:")
    direct = duckdb.execute(query.format(f"read_parquet({files})")).fetchall()
    for row in direct:
        print("  ", *row)
    if direct != answer or not answer:
        sys.exit("the files and the table differ")


def table_round_trip(total: int) -> None:
    """Byte keys and rows in one batch: load, kill, verify, load to the end, verify, query."""
    database, acknowledgements = WORK / "table.db", WORK / "table.acknowledged"
    script = ROOT / "examples" / "python" / "load_table.py"
    command: list[str | Path] = [sys.executable, script, database, str(total), acknowledgements]
    say(f"table: byte keys and {total:,} rows in atomic batches, to be killed in the middle")
    reached = load_and_kill(command, acknowledgements, total * random.SystemRandom().randrange(30, 70) // 100)
    verify_table(database, reached)
    say("table: loading the rest")
    run(*command, *OPTIONS)
    verify_table(database, total)
    say("table: queried by DuckDB")
    query_table(database)


def picture(database: Path) -> None:
    """The files of the database, newest above, by level; a bar is as long as its file is large."""
    import sstore

    with sstore.open(database, read_only=True) as db:
        segments = db.segments()
    largest = max((segment.size_bytes for segment in segments), default=1)
    level = None
    for segment in sorted(segments, key=lambda segment: (segment.level, -segment.number)):
        if segment.level != level:
            level = segment.level
            print(f"  level {level}")
        bar = "█" * max(1, round(40 * segment.size_bytes / largest))
        first, last = segment.smallest[:14].decode(errors="replace"), segment.largest[:14].decode(errors="replace")
        print(f"    {segment.number:06} {bar:<40} {segment.size_bytes / 1e6:7.1f} MB {segment.entries:>9,} entries  {first} … {last}")


def round_trip(name: str, command: list[str | Path], lines: Path, total: int) -> None:
    """Load, kill, verify, load to the end, verify, picture."""
    database, acknowledgements = WORK / f"{name}.db", WORK / f"{name}.acknowledged"
    full = [*command, database, lines, acknowledgements]
    say(f"{name}: loading {total:,} records, to be killed in the middle")
    reached = load_and_kill(full, acknowledgements, total * random.SystemRandom().randrange(30, 70) // 100)
    verify(database, lines, reached)
    say(f"{name}: loading the rest")
    run(*full, *OPTIONS)
    verify(database, lines, acknowledged(acknowledgements))
    if acknowledged(acknowledgements) != total:
        sys.exit(f"the loader acknowledged {acknowledged(acknowledgements):,} of {total:,} records")
    say(f"{name}: the files")
    picture(database)


def main() -> None:
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    library, header, wheel = build()
    lines = WORK / "records.tsv"
    total = write_input(lines)
    round_trip("c", [WORK / "load"], lines, total)
    round_trip("python", [sys.executable, ROOT / "examples" / "python" / "load.py"], lines, total)
    table_round_trip(RECORDS_MIN // 1_000 * 1_000)
    say("done; nothing was lost")
    print(f"library  {library}\nheader   {header}\nwheel    {wheel}\ndatabases {WORK}/c.db {WORK}/python.db {WORK}/table.db")


if __name__ == "__main__":
    main()
