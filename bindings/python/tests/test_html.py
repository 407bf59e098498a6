"""What a notebook shows of a database, a family, a table, a snapshot: nothing that was stored, and no path, becomes markup."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import sstore

HOSTILE = "<img src=x onerror='alert(1)'>\"&amp;</table></svg><script>"
# What our own pictures and tables are made of.
OURS = {"p", "code", "table", "tr", "th", "td", "svg", "text", "rect", "title", "br"}


class Seen(HTMLParser):
    """Gathers the elements, and the text in them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def seen(html: str) -> Seen:
    parser = Seen()
    parser.feed(html)
    parser.close()
    assert parser.tags <= OURS
    assert not {name for name in parser.attributes if name.startswith("on") or name in ("href", "src", "style")}
    return parser


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    # A name of a directory may have anything in it but a slash.
    return tmp_path / HOSTILE.replace("/", "")


def test_hostile_names(hostile: Path) -> None:
    key = HOSTILE.encode()
    with sstore.open(hostile) as db:
        family = db.create_column_family("f.-_x")
        for mapping in (db, family):
            mapping[key[:20]] = key
            mapping[key[20:]] = key
            mapping.flush()
        table = db.table("t", {HOSTILE: "string", "<b>": "int64", "at": "timestamp[us, tz=UTC]"}, key=[HOSTILE])
        table.append([{HOSTILE: HOSTILE, "<b>": 1}])
        table.flush()
        snapshot = db.snapshot()
        shown: dict[str, Callable[[], str]] = {
            "db": db._repr_html_,
            "family": family._repr_html_,
            "table": table._repr_html_,
            "snapshot": snapshot._repr_html_,
        }
        for name, make in shown.items():
            found = seen(make())
            assert "onerror" in found.text, name
        assert HOSTILE in seen(table._repr_html_()).text and "<b>" in seen(table._repr_html_()).text
        assert "svg" in seen(family._repr_html_()).tags and "svg" in seen(table._repr_html_()).tags
        assert str(snapshot.sequence) in seen(snapshot._repr_html_()).text
    for name, make in shown.items():
        assert "closed" in seen(make()).text, name


def test_what_was_dropped_or_is_empty_is_shown(db: sstore.DB) -> None:
    family, table = db.create_column_family("f"), db.table("t", {"a": "int64"})
    for thing in (family, table):
        found = seen(thing._repr_html_())
        assert "svg" not in found.tags
    db.drop_column_family(family)
    db.drop_table(table)
    things: list[Any] = [family, table]
    for thing in things:
        assert "dropped" in seen(thing._repr_html_()).text
    with sstore.open(db.path, read_only=True) as reader:
        assert "ReadOnlyDB" in seen(reader._repr_html_()).text
