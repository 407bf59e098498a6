"""A writer is killed with SIGKILL at random moments, again and again, over one database. After each kill it must open with
every acknowledged record, no hole, and no half batch.

SSTORE_KILL_ROUNDS sets the number of rounds, SSTORE_KILL_SEED the seed; the counts of what the kills hit are printed
(pytest -s shows them).
"""

from __future__ import annotations

import collections
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from kill_worker import RECORD, SHARED_BYTES, Shared, key_of, open_database, value_of

import sstore

ROUNDS = int(os.environ.get("SSTORE_KILL_ROUNDS", "20"))
SEED = int(os.environ.get("SSTORE_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
WORKER = Path(__file__).with_name("kill_worker.py")


def check(db: sstore.DB) -> int:
    """The last id, after checking that all ids up to it are there, in whole groups, alike in both families."""
    expected, group_end = 1, 0
    for key, value in db.iter(scan=True):
        record, first, last = RECORD.unpack_from(value)
        assert key == key_of(expected) and record == expected, f"expected record {expected}, found {key!r} with {record}"
        assert value == value_of(record, first, last), f"record {record} holds a wrong value"
        assert first <= record <= last
        if record == first:
            assert group_end == record - 1, f"the group before {record} ends at {group_end}"
            group_end = last
        assert last == group_end
        expected += 1
    last_id = expected - 1
    assert group_end == last_id, f"half a batch: the group up to {group_end} ends at {last_id}"
    if "mirror" in db.column_families():
        mirror = db.column_family("mirror")
        assert mirror.get(b"latest") == (key_of(last_id) if last_id else None)
        count = 0
        for (key, value), (other_key, other_value) in zip(
            db.iter(scan=True), mirror.iter(stop=b"latest", scan=True), strict=True
        ):
            assert (key, value) == (other_key, other_value)
            count += 1
        assert count == last_id
    else:
        assert last_id == 0
    return last_id


def test_kills_lose_nothing(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    path, shared_path = tmp_path / "db", tmp_path / "shared"
    shared_path.write_bytes(bytes(SHARED_BYTES))
    shared = Shared(str(shared_path))
    hits: collections.Counter[str] = collections.Counter()
    acknowledged_in_all = 0
    for round_number in range(ROUNDS):
        shared.enter("starting")
        worker = subprocess.Popen(
            [sys.executable, str(WORKER), str(path), str(shared_path), str(rng.randrange(1 << 32))],
            stderr=subprocess.PIPE,
        )
        # From the first opening on, so that kills hit recovery too; the starting interpreter is of no interest.
        while shared.phase == "starting" and worker.poll() is None:
            time.sleep(0.0005)
        time.sleep(rng.choice([rng.uniform(0, 0.01), rng.uniform(0, 0.1), rng.uniform(0, 0.6)]))
        worker.kill()
        _, stderr = worker.communicate()
        assert worker.returncode == -9, f"seed {SEED}, round {round_number}: the worker ended by itself: {stderr.decode()}"
        hits[shared.phase] += 1
        acknowledged = shared.acknowledged
        assert shared.synced <= acknowledged
        with open_database(path) as db:
            found = check(db)
            assert found >= acknowledged, f"seed {SEED}, round {round_number}: {acknowledged} acknowledged, {found} found"
            if rng.random() < 0.5:
                # So that the next worker's recovery starts from files in one half of the rounds, from a log in the other.
                db.flush()
        # What the test itself found is as good as acknowledged.
        shared.acknowledge(found, False)
        acknowledged_in_all = found
    print(f"\nseed {SEED}: {ROUNDS} kills, {acknowledged_in_all} records kept; hit while {dict(hits.most_common())}")
    assert acknowledged_in_all > 0


def test_the_check_finds_a_hole_and_half_a_batch(tmp_path: Path) -> None:
    """The check itself must be able to fail."""
    for wrong in ("hole", "half", "mirror"):
        with sstore.open(tmp_path / wrong) as db:
            mirror = db.create_column_family("mirror")
            for record in (1, 2, 3):
                db[key_of(record)] = mirror[key_of(record)] = value_of(record, 1, 3)
            mirror[b"latest"] = key_of(3)
            assert check(db) == 3
            if wrong == "hole":
                del db[key_of(2)]
            elif wrong == "half":
                del db[key_of(3)]
            else:
                del mirror[key_of(2)]
            try:
                check(db)
            except (AssertionError, ValueError):
                continue
            raise AssertionError(f"the check overlooked: {wrong}")
