"""How values become bytes and come back, for ``sstore.shelve``.

A codec is anything with ``encode`` and ``decode``. Some have names: ``"json"``, ``"text"`` and ``"bytes"``. None is taken unless it is asked for,
and the one that can run code of whoever wrote the file has no name: it is given as the class ``PickleUNSAFE``.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

__all__ = ["JSON", "Bytes", "Codec", "PickleUNSAFE", "Text", "named"]


class Codec(Protocol):
    """What turns values into bytes and bytes into values."""

    def encode(self, value: Any, /) -> bytes:
        """The bytes of ``value``; TypeError or ValueError if it has none."""
        ...

    def decode(self, data: bytes, /) -> Any:
        """The value of ``data``; ValueError if that is none."""
        ...


class JSON:
    """Values that JSON has: None, bool, numbers, text, lists, and dicts whose keys are text.

    What comes back is equal to what was put, or is refused when it is put: a tuple would come back as a list, and a key that is a number as text.
    """

    @staticmethod
    def encode(value: Any, /) -> bytes:
        """The bytes of ``value``."""
        _check(value)
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()

    @staticmethod
    def decode(data: bytes, /) -> Any:
        """The value of ``data``."""
        return json.loads(data)


def _check(value: Any) -> None:
    """Refuses what JSON would take and give back as something else."""
    if isinstance(value, tuple):
        raise TypeError("JSON has no tuples: put a list, or choose another codec")
    if isinstance(value, dict):
        for key, held in value.items():
            if not isinstance(key, str):
                raise TypeError(f"the keys of a dict are text in JSON, not {type(key).__name__}: {key!r}")
            _check(held)
    elif isinstance(value, list):
        for held in value:
            _check(held)


class Text:
    """Values that are ``str``, as UTF-8."""

    @staticmethod
    def encode(value: Any, /) -> bytes:
        """The bytes of ``value``."""
        if not isinstance(value, str):
            raise TypeError(f"values are text here, not {type(value).__name__}")
        return value.encode()

    @staticmethod
    def decode(data: bytes, /) -> str:
        """The value of ``data``."""
        return data.decode()


class Bytes:
    """Values that are bytes, as they are."""

    @staticmethod
    def encode(value: Any, /) -> bytes:
        """The bytes of ``value``."""
        return memoryview(value).tobytes()

    @staticmethod
    def decode(data: bytes, /) -> bytes:
        """The value of ``data``."""
        return data


class PickleUNSAFE:
    """Any value that can be pickled. Only for databases that nobody else can write: reading a pickle runs what its writer wanted.

    A pickle may also become unreadable when the classes in it change.
    """

    @staticmethod
    def encode(value: Any, /) -> bytes:
        """The bytes of ``value``."""
        import pickle

        return pickle.dumps(value, protocol=5)

    @staticmethod
    def decode(data: bytes, /) -> Any:
        """The value of ``data``."""
        import pickle

        return pickle.loads(data)


_NAMED: dict[str, Codec] = {"json": JSON, "text": Text, "bytes": Bytes}


def named(codec: Codec | str) -> Codec:
    """The codec with this name; a codec is returned as it is."""
    if not isinstance(codec, str):
        return codec
    try:
        return _NAMED[codec]
    except KeyError:
        known = ", ".join(sorted(_NAMED))
        hint = "; pickle is sstore.codecs.PickleUNSAFE" if codec.startswith("pickle") else ""
        raise ValueError(f"there is no codec {codec!r}: there are {known}{hint}") from None
