"""What others make of the rows of the group `tables`: the bench runs this between its own measurements.

usage: tables_peers.py ROUNDS scan parquet|arrow FILE
       tables_peers.py ROUNDS append wide|narrow ROWS DIR
       tables_peers.py ROUNDS sizes FILE
       tables_peers.py ROUNDS aggregate FILE DATABASE

Prints a line for each measurement: its name, a tab, the figures of all rounds. scan and append: million rows a second, one thread
reads. sizes: how large the columns of a Parquet file of ours are beside pyarrow's, and how much of it is no user's column.
aggregate: the time of a query in DuckDB over our stream of a table, over that of the same query on the table's file.
Requires pyarrow and duckdb; aggregate also sstore.
"""

import os
import sys
import time
from collections.abc import Callable

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

BATCH_ROWS = 100_000


def report(name: str, rounds: int, work: Callable[[], tuple[int, float]]) -> None:
    """Runs `work`, which returns rows and seconds, once without counting and then `rounds` times."""
    figures = []
    for counted in [False] + [True] * rounds:
        rows, seconds = work()
        if counted:
            figures.append(rows / seconds / 1e6)
    print(name, " ".join(str(figure) for figure in figures), sep="\t")


def timed(work: Callable[[], int]) -> tuple[int, float]:
    start = time.perf_counter()
    rows = work()
    return rows, time.perf_counter() - start


def scan_parquet(path: str, rounds: int) -> None:
    columns = [name for name in pq.read_schema(path).names if name not in ("_seq", "_op")]

    def batches() -> int:
        with pq.ParquetFile(path) as file:
            return sum(b.num_rows for b in file.iter_batches(8192, columns=columns, use_threads=False))

    def whole() -> int:
        return pq.read_table(path, columns=columns, use_threads=False, memory_map=False).num_rows

    def through_duckdb() -> int:
        names = ", ".join(columns)
        reader = connection.execute(f"SELECT {names} FROM read_parquet(?)", [path]).to_arrow_reader(BATCH_ROWS)
        return sum(b.num_rows for b in reader)

    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    report("pyarrow, batches", rounds, lambda: timed(batches))
    report("pyarrow, whole table", rounds, lambda: timed(whole))
    report("DuckDB to Arrow", rounds, lambda: timed(through_duckdb))


def scan_arrow(path: str, rounds: int) -> None:
    def whole(source: pa.NativeFile) -> int:
        schema = pa.ipc.open_file(source).schema
        wanted = [i for i, name in enumerate(schema.names) if name not in ("_seq", "_op")]
        options = pa.ipc.IpcReadOptions(included_fields=wanted, use_threads=False)
        reader = pa.ipc.open_file(source, options=options)
        return sum(reader.get_batch(i).num_rows for i in range(reader.num_record_batches))

    report("pyarrow, read", rounds, lambda: timed(lambda: whole(pa.OSFile(path))))
    report("pyarrow, mapped", rounds, lambda: timed(lambda: whole(pa.memory_map(path))))


def sizes(path: str) -> None:
    """Our file beside one that pyarrow makes of the same rows, with the same codec and rows a group."""
    ours = pq.read_metadata(path)
    columns = [name for name in ours.schema.to_arrow_schema().names if name not in ("_seq", "_op")]
    codec = ours.row_group(0).column(0).compression.lower()
    copy = path + ".peer"
    table = pq.read_table(path, columns=columns).replace_schema_metadata(None)
    pq.write_table(table, copy, compression={"uncompressed": "none"}.get(codec, codec), row_group_size=ours.row_group(0).num_rows)
    theirs = pq.read_metadata(copy)
    os.remove(copy)

    def chunks(metadata: pq.FileMetaData) -> int:
        groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
        chunks = [group.column(i) for group in groups for i in range(group.num_columns)]
        return sum(chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema in columns)

    size = os.path.getsize(path)
    print("user columns over pyarrow's", chunks(ours) / chunks(theirs), sep="\t")
    print("all but user columns, of the file", (size - chunks(ours)) / size, sep="\t")


def aggregate(path: str, database: str, rounds: int) -> None:
    """The same query on the same rows, by turns, with all threads that DuckDB wants."""
    import sstore

    query = "SELECT sensor, count(*), avg(load), max(temperature) FROM {} GROUP BY sensor ORDER BY sensor"
    connection = duckdb.connect()
    figures = []
    with sstore.open(database, read_only=True) as db:
        table = db.table("readings")

        def through_us() -> int:
            rows = pa.RecordBatchReader.from_stream(table.scan(columns=["sensor", "load", "temperature"]))
            connection.register("rows", rows)
            return len(connection.execute(query.format("rows")).fetchall())

        def by_itself() -> int:
            return len(connection.execute(query.format(f"read_parquet('{path}')")).fetchall())

        for counted in [False] + [True] * rounds:
            (ours, our_seconds), (theirs, their_seconds) = timed(through_us), timed(by_itself)
            assert ours == theirs, f"{ours} groups through us, {theirs} in the file"
            if counted:
                figures.append(our_seconds / their_seconds)
    print("aggregate in DuckDB", " ".join(map(str, figures)), sep="\t")


def append(columns: str, rows: int, directory: str, rounds: int) -> None:
    """Rows like ours, made before the clock runs."""
    make = duckdb.connect()
    wide = "printf('sensor-%04d', row % 1000) AS name, random() AS load," if columns == "wide" else ""
    query = f"""SELECT make_timestamp(1700000000000000 + (row // 10) * 1000) AS time, (row % 1000)::INTEGER AS sensor, {wide}
        (random() * 4000)::INTEGER / 100.0::DOUBLE - 10 AS temperature FROM range({rows}) AS numbers(row)"""
    table = make.execute(query).to_arrow_table()
    batches = [table.slice(start, BATCH_ROWS).combine_chunks() for start in range(0, rows, BATCH_ROWS)]
    path = os.path.join(directory, "peer.duckdb")

    def ingest() -> tuple[int, float]:
        with duckdb.connect(path) as db:
            names = ", ".join(f"{name} {kind}" for name, kind in zip(table.schema.names, types, strict=True))
            db.execute(f"CREATE TABLE readings ({names})")

            def work() -> int:
                for batch in batches:
                    db.register("batch", batch)
                    db.execute("INSERT INTO readings SELECT * FROM batch")
                db.execute("CHECKPOINT")
                return rows

            result = timed(work)
        os.remove(path)
        return result

    types = ["TIMESTAMP", "INTEGER", "VARCHAR", "DOUBLE", "DOUBLE"] if wide else ["TIMESTAMP", "INTEGER", "DOUBLE"]
    report("DuckDB append, until checkpointed", rounds, ingest)


def main() -> None:
    match sys.argv[1:]:
        case [rounds, "scan", "parquet", path]:
            scan_parquet(path, int(rounds))
        case [rounds, "scan", "arrow", path]:
            scan_arrow(path, int(rounds))
        case [rounds, "append", columns, rows, directory]:
            append(columns, int(rows), directory, int(rounds))
        case [_, "sizes", path]:
            sizes(path)
        case [rounds, "aggregate", path, database]:
            aggregate(path, database, int(rounds))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
