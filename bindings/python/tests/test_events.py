"""What the engine tells of itself: figures, lines for `logging`, and events for a callable, on a thread of its own."""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import sstore


def test_logging(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="sstore"), sstore.open(path) as db:
        db[b"a"] = b"b"
        db.flush()
    assert {record.name for record in caplog.records} == {"sstore"}
    done = [record for record in caplog.records if "flush_done" in record.getMessage()]
    assert done and done[0].levelno == logging.INFO and done[0].getMessage().startswith(f"{path}: flush_done ")
    assert min(record.levelno for record in caplog.records) == logging.INFO
    caplog.clear()
    with caplog.at_level(logging.DEBUG, logger="sstore"), sstore.open(path) as db:
        db[b"a"] = b"c"
        db.flush()
    assert any(record.levelno == logging.DEBUG and "flush_begin" in record.getMessage() for record in caplog.records)
    caplog.clear()
    with sstore.open(path) as db:
        db[b"a"] = b"d"
        db.flush()
    assert not caplog.records, "nothing of it is a warning"


def test_a_disk_with_little_room_is_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    events: list[sstore.Event] = []
    with sstore.open(path, on_event=events.append, low_disk_bytes="1000TiB", slow_disk_millis=0) as db:
        for value in (b"b", b"c"):
            db[b"a"] = value
            db.flush()
    (low,) = (event for event in events if event.kind == "low_disk")
    assert 0 < low.bytes < 1000 << 40 and str(path) in low.detail
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and "low_disk" in record.getMessage()


def test_a_log_handler_may_use_the_database_but_not_close_it(path: Path) -> None:
    class Handler(logging.Handler):
        def __init__(self) -> None:
            super().__init__()
            self.db: sstore.DB | None = None
            self.raised: list[Exception] = []
            self.ended = threading.Event()

        def emit(self, record: logging.LogRecord) -> None:
            if self.db is not None and "flush_done" in record.getMessage() and not self.ended.is_set():
                self.db[b"from"] = b"within"
                try:
                    self.db.close()
                except sstore.BusyError as error:
                    self.raised.append(error)
                self.ended.set()

    logger, handler = logging.getLogger("sstore"), Handler()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with sstore.open(path) as db:
            handler.db = db
            db[b"a"] = b"b"
            db.flush()
            assert handler.ended.wait(60)
            assert len(handler.raised) == 1 and db[b"from"] == b"within"
            handler.db = None
    finally:
        logger.setLevel(logging.NOTSET)
        logger.removeHandler(handler)


def test_events(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[sstore.Event] = []
    raised: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", raised.append)

    def on_event(event: sstore.Event) -> None:
        events.append(event)
        if event.kind == "flush_done":
            raise LookupError("from the callback")

    with sstore.open(path, on_event=on_event) as db:
        db[b"a"] = b"1"
        db.flush()
        deadline = time.monotonic() + 10
        while not raised and time.monotonic() < deadline:
            time.sleep(0.01)
    assert [type(each.exc_value) for each in raised[:1]] == [LookupError]
    kinds = [event.kind for event in events]
    assert "flush_begin" in kinds and kinds.index("flush_begin") < kinds.index("flush_done")
    done = events[kinds.index("flush_done")]
    assert done.collection == "default" and done.entries == 1 and str(done)


def test_a_callback_cannot_close(path: Path) -> None:
    caught: list[BaseException] = []

    def on_event(event: sstore.Event) -> None:
        try:
            db.close()
        except sstore.BusyError as error:
            caught.append(error)

    db = sstore.open(path, on_event=on_event)
    db[b"a"] = b"1"
    db.flush()
    deadline = time.monotonic() + 10
    while not caught and time.monotonic() < deadline:
        time.sleep(0.01)
    db.close()
    assert caught


def test_metrics_text_is_what_a_collector_reads(db: sstore.DB) -> None:
    db[b"a"] = b"b"
    db.flush()
    metrics: dict[str, float] = {}
    for line in db.metrics_text().splitlines():
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP|TYPE) sstore_[a-z0-9_]+ .+", line), line
            continue
        sample = re.fullmatch(r'(sstore_[a-z0-9_]+(?:\{(?:[a-z]+="[^"\\]*",?)+\})?) ([0-9.]+)', line)
        assert sample and sample[1] not in metrics, line
        metrics[sample[1]] = float(sample[2])
    stats = db.stats()
    assert metrics["sstore_files"] == stats["files"] == 1
    assert metrics["sstore_flushes_total"] == stats["counters"]["flushes"]
    assert metrics["sstore_flush_seconds_count"] == stats["histograms"]["flush"]["count"]
    assert metrics['sstore_collection_runs{collection="default",kind="family"}'] == 1


def test_histograms_say_how_many_are_timed(db: sstore.DB) -> None:
    for number in range(2000):
        db[number.to_bytes(4, "big")] = b"value"
        assert db.get(number.to_bytes(4, "big")) == b"value"
    db.flush()
    histograms = db.stats()["histograms"]
    assert list(histograms) == ["write", "get", "seek", "sync", "fsync", "flush", "merge", "stall", "delay"]
    for name in ("write", "get"):
        histogram = histograms[name]
        assert histogram["one_in"] == 128 and 5 <= histogram["count"] <= 30, histogram
        assert 0 < histogram["p50"] <= histogram["p99"] <= histogram["max"] <= histogram["sum"]
    assert histograms["fsync"]["count"] >= 3 and histograms["flush"]["one_in"] == 1


def test_memory_by_owner(db: sstore.DB) -> None:
    db[b"a"] = b"b" * 100_000
    held = db.memory_use()
    owners = ("active_memtable", "frozen_memtable", "pinned_memtable", "spare", "cache", "file")
    assert held["total_bytes"] == sum(held[f"{owner}_bytes"] for owner in owners)
    assert held["active_memtable_bytes"] >= 100_000 and held["memtable_share_bytes"] * 2 == held["budget_bytes"]
    db.close()
    with pytest.raises(sstore.ClosedError):
        db.memory_use()


def test_the_log_names_who_holds_it(db: sstore.DB) -> None:
    db.flush()
    assert db.log_pin() is None
    family = db.create_column_family("held")
    family[b"a"] = b"b"
    db[b"a"] = b"b"
    pin = db.log_pin()
    assert pin is not None and pin["collection"] == "held" and pin["is_frozen"] is False
    assert pin["sequence"] == db.stats()["sequence"] - 1 and pin["segment"] > 0
    family.flush()
    pin = db.log_pin()
    assert pin is not None and pin["collection"] == "default"
    db.close()
    with pytest.raises(sstore.ClosedError):
        db.log_pin()
