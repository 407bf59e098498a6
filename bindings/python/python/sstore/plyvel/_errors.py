"""plyvel's exceptions, and what turns those of sstore into them. Used by the other modules of the adapter."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import sstore

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Error(Exception):
    """The root of plyvel's exceptions."""


class IOError(Error, builtins.IOError):
    """The operating system refused an operation, or the database is open elsewhere."""


class CorruptionError(Error):
    """Bytes on disk are not what was written."""


class IteratorInvalidError(Error):
    """A raw iterator stands on no entry."""


def translate(error: sstore.Error) -> Exception:
    """What plyvel raises where sstore raises ``error``, which stays reachable as its cause.

    That of a closed database is a RuntimeError in both; a forked process or a bug has no counterpart.
    """
    if isinstance(error, sstore.ClosedError | sstore.ForkedError | sstore.PanicError):
        return error
    if isinstance(error, sstore.CorruptionError):
        return CorruptionError(str(error))
    if isinstance(error, OSError | sstore.ReadOnlyError | sstore.PoisonedError | sstore.FencedError):
        failed = IOError(str(error))
        failed.errno = error.errno
        return failed
    return Error(str(error))


def translated(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """A function that raises plyvel's exceptions instead of those of sstore."""

    @functools.wraps(function)
    def call(*arguments: _P.args, **keywords: _P.kwargs) -> _R:
        try:
            return function(*arguments, **keywords)
        except sstore.Error as error:
            raised = translate(error)
            if raised is error:
                raise
            raise raised from error

    return call
