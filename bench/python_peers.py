"""sstore in Python beside rocksdict, plyvel, lmdb and dbm.gnu: the same keys, the same values, in the same run.

usage: python_peers.py [--keys 500000] [--rounds 5] [--dir build/bench-python] [--results bench/RESULTS.md] [--only sstore]

Keys have 16 bytes, values 100, of which a half repeats; both from a fixed seed, in random order. In each round each engine works in a
new directory, one after the other; a ratio is that of one round, and what is told is the median of the rounds, with the least and
the greatest. `scripts/bench python` builds a release wheel and runs this into the section Python of bench/RESULTS.md.

What is compared: calls as a program in Python makes them, the interpreter's loop around them included. Writes wait for nobody's disk
(lmdb: one transaction, sync off). The LSM engines get 64 MiB of write buffer, 256 MiB of block cache and filters of ten bits. `loaded`: as
the puts left it; `files`: after everything was written to files. Batches have 1,000 entries. An engine that is not installed is left out.
"""

import argparse
import datetime
import importlib.util
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

KEY_BYTES, VALUE_BYTES, BATCH = 16, 100, 1000
CACHE_BYTES, BUFFER_BYTES = 256 << 20, 64 << 20
SPIN_SECONDS = 5

Pairs = list[tuple[bytes, bytes]]


def chunks(items: list[Any]) -> Iterator[list[Any]]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))


class Engine:
    """One store. A method that it lacks is None."""

    name: str
    lsm = False

    def __init__(self, path: str) -> None:
        raise NotImplementedError

    def put_all(self, pairs: Pairs) -> None: ...
    def put_batches(self, pairs: Pairs) -> None: ...
    def get_all(self, keys: list[bytes]) -> None: ...
    def to_files(self) -> None: ...
    def iterate(self) -> int: ...
    def close(self) -> None: ...

    get_batches: Callable[[list[bytes]], None] | None = None
    iterate_batches: Callable[[], int] | None = None
    scan_arrow: Callable[[], int] | None = None


class Sstore(Engine):
    name, lsm = "sstore", True

    def __init__(self, path: str) -> None:
        import sstore

        self.db = sstore.open(path, write_buffer_bytes=BUFFER_BYTES, durability="buffered")

    def put_all(self, pairs: Pairs) -> None:
        put = self.db.put
        for key, value in pairs:
            put(key, value)

    def put_batches(self, pairs: Pairs) -> None:
        for part in chunks(pairs):
            self.db.put_many(part)

    def get_all(self, keys: list[bytes]) -> None:
        get = self.db.get
        for key in keys:
            get(key)

    def get_batches(self, keys: list[bytes]) -> None:  # type: ignore[override]
        for part in chunks(keys):
            self.db.multi_get(part)

    def to_files(self) -> None:
        self.db.flush()
        self.db.compact()

    def iterate(self) -> int:
        count = 0
        for _key, _value in self.db.iter():
            count += 1
        return count

    def iterate_batches(self) -> int:  # type: ignore[override]
        count, entries = 0, self.db.iter()
        while batch := entries.next_batch(BATCH):
            count += len(batch)
        return count

    def scan_arrow(self) -> int:  # type: ignore[override]
        return sum(len(batch) for batch in self.db.scan_arrow())

    def close(self) -> None:
        self.db.close()


class Rocksdict(Engine):
    name, lsm = "rocksdict", True

    def __init__(self, path: str) -> None:
        import rocksdict

        self.module = rocksdict
        options, table = rocksdict.Options(raw_mode=True), rocksdict.BlockBasedOptions()
        options.set_write_buffer_size(BUFFER_BYTES)
        table.set_block_cache(rocksdict.Cache(CACHE_BYTES))
        table.set_bloom_filter(10, False)
        options.set_block_based_table_factory(table)
        self.db = rocksdict.Rdict(path, options=options)

    def put_all(self, pairs: Pairs) -> None:
        put = self.db.put
        for key, value in pairs:
            put(key, value)

    def put_batches(self, pairs: Pairs) -> None:
        for part in chunks(pairs):
            batch = self.module.WriteBatch(raw_mode=True)
            put = batch.put
            for key, value in part:
                put(key, value)
            self.db.write(batch)

    def get_all(self, keys: list[bytes]) -> None:
        get = self.db.get
        for key in keys:
            get(key)

    def get_batches(self, keys: list[bytes]) -> None:  # type: ignore[override]
        for part in chunks(keys):
            self.db.get(part)

    def to_files(self) -> None:
        self.db.flush()
        self.db.compact_range(None, None)

    def iterate(self) -> int:
        count = 0
        for _key, _value in self.db.items():
            count += 1
        return count

    def close(self) -> None:
        self.db.close()


class Plyvel(Engine):
    name, lsm = "plyvel", True

    def __init__(self, path: str) -> None:
        import plyvel

        self.db = plyvel.DB(
            path, create_if_missing=True, write_buffer_size=BUFFER_BYTES, lru_cache_size=CACHE_BYTES, bloom_filter_bits=10
        )

    def put_all(self, pairs: Pairs) -> None:
        put = self.db.put
        for key, value in pairs:
            put(key, value)

    def put_batches(self, pairs: Pairs) -> None:
        for part in chunks(pairs):
            with self.db.write_batch() as batch:
                put = batch.put
                for key, value in part:
                    put(key, value)

    def get_all(self, keys: list[bytes]) -> None:
        get = self.db.get
        for key in keys:
            get(key)

    def to_files(self) -> None:
        self.db.compact_range()

    def iterate(self) -> int:
        count = 0
        for _key, _value in self.db.iterator():
            count += 1
        return count

    def close(self) -> None:
        self.db.close()


class Lmdb(Engine):
    name = "lmdb"

    def __init__(self, path: str) -> None:
        import lmdb

        self.env = lmdb.open(path, map_size=4 << 30, sync=False, metasync=False)

    def put_all(self, pairs: Pairs) -> None:
        with self.env.begin(write=True) as transaction:
            put = transaction.put
            for key, value in pairs:
                put(key, value)

    def put_batches(self, pairs: Pairs) -> None:
        with self.env.begin(write=True) as transaction, transaction.cursor() as cursor:
            for part in chunks(pairs):
                cursor.putmulti(part)

    def get_all(self, keys: list[bytes]) -> None:
        with self.env.begin() as transaction:
            get = transaction.get
            for key in keys:
                get(key)

    def get_batches(self, keys: list[bytes]) -> None:  # type: ignore[override]
        with self.env.begin() as transaction, transaction.cursor() as cursor:
            for part in chunks(keys):
                cursor.getmulti(part)

    def iterate(self) -> int:
        count = 0
        with self.env.begin() as transaction, transaction.cursor() as cursor:
            for _key, _value in cursor:
                count += 1
        return count

    def close(self) -> None:
        self.env.close()


class Gnu(Engine):
    name = "dbm.gnu"

    def __init__(self, path: str) -> None:
        self.db = gnu_module().open(os.path.join(path, "db"), "nf")

    def put_all(self, pairs: Pairs) -> None:
        db = self.db
        for key, value in pairs:
            db[key] = value

    put_batches = put_all

    def get_all(self, keys: list[bytes]) -> None:
        db = self.db
        for key in keys:
            db[key]

    def iterate(self) -> int:
        # Not in the order of keys: it has none.
        db, count = self.db, 0
        key = db.firstkey()
        while key is not None:
            db[key]
            count += 1
            key = db.nextkey(key)
        return count

    def close(self) -> None:
        self.db.close()


def gnu_module() -> Any:
    """dbm.gnu, also for a Python that was built without it, on a Debian that has python3-gdbm of the same version."""
    try:
        import _gdbm
    except ImportError:
        version = f"{sys.version_info.major}{sys.version_info.minor}"
        folders = [Path(f"/usr/lib/python3.{sys.version_info.minor}/lib-dynload"), Path("/usr/lib/python3/dist-packages")]
        found = [file for folder in folders for file in folder.glob(f"_gdbm.cpython-{version}-*.so")]
        if not found:
            raise
        spec = importlib.util.spec_from_file_location("_gdbm", found[0])
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules["_gdbm"] = module
        return module
    return _gdbm


def nanos(work: Callable[[], object], count: int) -> float:
    """Nanoseconds of each of `count` operations that `work` does."""
    begun = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - begun) / count


def beside_a_spinning_thread(work: Callable[[list[bytes]], object], keys: list[bytes]) -> float:
    """Nanoseconds of each of `keys`, or of as many as fit into some seconds: who gives the interpreter up in each call may wait 5 ms for it."""
    ended, begun = threading.Event(), threading.Event()

    def spin() -> None:
        begun.set()
        while not ended.is_set():
            pass

    thread = threading.Thread(target=spin)
    thread.start()
    begun.wait()
    try:
        since, done = time.perf_counter_ns(), 0
        while done < len(keys) and time.perf_counter_ns() - since < SPIN_SECONDS * 10**9:
            part = keys[done : done + BATCH]
            work(part)
            done += len(part)
        return (time.perf_counter_ns() - since) / done
    finally:
        ended.set()
        thread.join()


def measure(kind: type[Engine], path: str, pairs: Pairs, keys: list[bytes]) -> dict[str, float]:
    count, figures = len(pairs), {}

    def fresh() -> Engine:
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        return kind(path)

    engine = fresh()
    figures["put_many"] = nanos(lambda: engine.put_batches(pairs), count)
    engine.close()
    engine = fresh()
    figures["put"] = nanos(lambda: engine.put_all(pairs), count)
    for state in ("loaded", "files"):
        if state == "files":
            engine.to_files()
        # Once without counting: the caches are filled.
        engine.get_all(keys[: count // 4])
        figures[f"get, {state}"] = nanos(lambda: engine.get_all(keys), count)
        if engine.get_batches:
            figures[f"multi_get, {state}"] = nanos(lambda: engine.get_batches(keys), count)  # type: ignore[misc]
        engine.iterate()
        for name, work in (
            ("iterate", engine.iterate),
            ("iterate in batches", engine.iterate_batches),
            ("scan_arrow", engine.scan_arrow),
        ):
            if work:
                figures[f"{name}, {state}"] = nanos(work, count)
                assert work() == count, (kind.name, name)
    some = keys[: max(count // 2, 1)]
    alone = nanos(lambda: engine.get_all(some), len(some))
    figures["get beside a spinning thread"] = beside_a_spinning_thread(engine.get_all, some)
    figures["get beside a spinning thread, of its rate alone"] = alone / figures["get beside a spinning thread"]
    engine.close()
    shutil.rmtree(path, ignore_errors=True)
    return figures


Rounds = dict[str, list[dict[str, float]]]

LSM, ALL = ("rocksdict", "plyvel"), ("rocksdict", "plyvel", "lmdb", "dbm.gnu")
# What is told as a ratio: of which peers the fastest counts, and how many times as fast sstore shall be.
GOALS: list[tuple[str, str, tuple[str, ...], float | None]] = [
    ("put", "put", LSM, 2),
    ("get, loaded", "get, loaded", LSM, 2),
    ("get, files", "get, files", LSM, 2),
    ("get, loaded", "get, loaded", ("lmdb",), 1),
    ("get, files", "get, files", ("lmdb",), 1),
    ("put_many", "put_many", ALL, 3),
    ("put_many", "put_many", LSM, None),
    ("multi_get, loaded", "multi_get, loaded", ALL, 3),
    ("multi_get, loaded", "multi_get, loaded", LSM, None),
    ("multi_get, files", "multi_get, files", ALL, 3),
    ("multi_get, files", "multi_get, files", LSM, None),
    ("iterate, loaded", "iterate, loaded", LSM, 1),
    ("iterate, files", "iterate, files", LSM, 1),
    ("iterate in batches, loaded", "iterate, loaded", ("lmdb",), 1),
    ("iterate in batches, files", "iterate, files", ("lmdb",), 1),
]


def spread(figures: list[float], digits: int = 3) -> tuple[str, str]:
    def text(figure: float) -> str:
        return f"{figure:,.0f}" if figure >= 10 ** (digits - 1) else f"{figure:.{digits}g}"

    return text(statistics.median(figures)), f"{text(min(figures))} to {text(max(figures))}"


def table(rounds: Rounds) -> str:
    lines = ["| measurement | median | least to greatest | goal |", "|---|---|---|---|"]

    def row(name: str, unit: str, figures: list[float], goal: float | None = None) -> None:
        median, bounds = spread(figures)
        reached = "" if goal is None else f"≥ {goal:g}, {'reached' if statistics.median(figures) >= goal else 'MISSED'}"
        lines.append(f"| {name} | {median} {unit} | {bounds} | {reached} |")

    ours = rounds["sstore"]
    for name, theirs, peers, goal in GOALS:
        present = [peer for peer in peers if peer in rounds and theirs in rounds[peer][0]]
        if present:
            best = [min(rounds[peer][turn][theirs] for peer in present) for turn in range(len(ours))]
            against = " or ".join(present)
            row(f"{name}, over {against}", "x", [theirs / mine[name] for theirs, mine in zip(best, ours, strict=True)], goal)
    for state in ("loaded", "files"):
        row(f"scan_arrow, {state}", "M entries/s", [1000 / figures[f"scan_arrow, {state}"] for figures in ours], 10)
    share = "get beside a spinning thread, of its rate alone"
    row(share, "x", [figures[share] for figures in ours], 0.5)
    row("dict.get beside a spinning thread, of its rate alone", "x", [figures[share] for figures in rounds["dict"]])
    for name in ours[0]:
        if name != share:
            for engine in rounds:
                if name in rounds[engine][0] and engine != "dict":
                    row(f"{name}: {engine}", "ns", [figures[name] for figures in rounds[engine]])
    return "\n".join(lines)


def section(text: str, rounds: Rounds, arguments: argparse.Namespace, began: datetime.datetime) -> str:
    """RESULTS.md with the table of the section Python new, where the old one stood or else at the end."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    versions = ", ".join(f"{name} {version(name)}" for name in rounds if name not in ("dict", "dbm.gnu"))
    facts = [
        f"- commit: {commit}",
        f"- date: {began:%Y-%m-%d %H:%M} UTC",
        f"- Python {platform.python_version()}; {versions}",
        "- load at the end: " + " ".join(f"{load:.2f}" for load in os.getloadavg()),
        f"- command: `bench/python_peers.py --keys {arguments.keys} --rounds {arguments.rounds}`",
    ]
    new = "## Python\n\n" + "\n".join(facts) + "\n\n" + table(rounds) + "\n"
    start = text.find("\n## Python\n")
    if start < 0:
        return f"{text.rstrip()}\n\n{new}"
    end = text.find("\n## ", start + 1)
    old = text[start + 1 :] if end < 0 else text[start + 1 : end]
    # What somebody wrote below the table stays, to be read over: behind the empty line that ends the table.
    below = old.find("\n\n", old.index("\n| measurement"))
    return text[: start + 1] + new + ("" if below < 0 else old[below + 1 :]) + ("" if end < 0 else text[end:])


def version(name: str) -> str:
    from importlib.metadata import version

    return version(name)


def dict_beside_a_spinning_thread(keys: list[bytes]) -> dict[str, float]:
    """What the interpreter alone makes of two threads that both want it."""
    store = dict.fromkeys(keys, b"")

    def work(keys: list[bytes]) -> None:
        get = store.get
        for key in keys:
            get(key)

    keys = keys * 4
    alone = nanos(lambda: work(keys), len(keys))
    return {"get beside a spinning thread, of its rate alone": alone / beside_a_spinning_thread(work, keys)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", default="build/bench-python")
    parser.add_argument("--results")
    parser.add_argument("--only", action="append", help="the name of an engine; sstore is always measured")
    arguments = parser.parse_args()

    rng = random.Random(20)
    began = datetime.datetime.now(datetime.UTC)
    pairs = [(rng.randbytes(KEY_BYTES), rng.randbytes(VALUE_BYTES // 2) + b"-" * (VALUE_BYTES // 2)) for _ in range(arguments.keys)]
    keys = [key for key, _ in pairs]
    rng.shuffle(keys)
    kinds: list[type[Engine]] = []
    for kind in (Sstore, Rocksdict, Plyvel, Lmdb, Gnu):
        if kind is not Sstore and arguments.only and kind.name not in arguments.only:
            continue
        try:
            gnu_module() if kind is Gnu else __import__(kind.name)
            kinds.append(kind)
        except ImportError:
            print(f"{kind.name} is not installed: left out", file=sys.stderr)
    rounds: Rounds = {kind.name: [] for kind in kinds} | {"dict": []}
    for turn in range(arguments.rounds):
        # Each begins once: who comes first finds another machine than who comes last.
        for kind in kinds[turn % len(kinds) :] + kinds[: turn % len(kinds)]:
            print(f"round {turn + 1}: {kind.name}", file=sys.stderr)
            rounds[kind.name].append(measure(kind, os.path.join(arguments.dir, kind.name), pairs, keys))
        rounds["dict"].append(dict_beside_a_spinning_thread(keys))
    print(table(rounds))
    if arguments.results:
        path = Path(arguments.results)
        path.write_text(section(path.read_text(), rounds, arguments, began))
        print(f"written: {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
