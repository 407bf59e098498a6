"""Bars for the argument ``progress`` of calls that take long.

    >>> db.compact(progress=sstore.progress.tqdm())

``tqdm`` needs the package of that name, ``rich`` the package rich: ``pip install tqdm rich``. They are imported when a bar is made, not before.
Any callable will do in their place: it is called with a ``sstore.Progress``, and ends the call by answering False.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from ._types import Progress

__all__ = ["Bar", "rich", "tqdm"]


class Bar:
    """A bar that a call moves. May be used for one call after another; each phase begins anew.

    It ends when its call has come to the end. If that may fail, use it as a context manager, or ``close`` it.
    """

    def __init__(self) -> None:
        self._phase: str | None = None

    def __call__(self, progress: Progress) -> None:
        if progress.phase != self._phase:
            self.close()
            self._phase = progress.phase
            self._begin(progress)
        self._move(progress)
        if progress.total and progress.done >= progress.total:
            self.close()

    def close(self) -> None:
        """Ends the bar where it is. Closing twice is allowed."""
        if self._phase is not None:
            self._phase = None
            self._end()

    def _begin(self, progress: Progress) -> None:
        raise NotImplementedError

    def _move(self, progress: Progress) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Tqdm(Bar):
    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        # Chooses the widget in a notebook.
        from tqdm.auto import tqdm

        self._make: Any = tqdm
        self._options = options
        self._bar: Any = None

    def _begin(self, progress: Progress) -> None:
        scale = {"unit": "B", "unit_scale": True, "unit_divisor": 1024} if progress.unit == "bytes" else {"unit": f" {progress.unit}"}
        self._bar = self._make(**{"desc": progress.phase, "total": progress.total or None, **scale, **self._options})

    def _move(self, progress: Progress) -> None:
        self._bar.total = progress.total or None
        self._bar.update(progress.done - self._bar.n)

    def _end(self) -> None:
        self._bar.close()


class _Rich(Bar):
    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        from rich.progress import Progress

        self._make: Any = Progress
        self._options = options
        self._display: Any = None
        self._task: Any = None

    def _begin(self, progress: Progress) -> None:
        self._display = self._make(**self._options)
        self._display.start()
        self._task = self._display.add_task(progress.phase, total=progress.total or None)

    def _move(self, progress: Progress) -> None:
        self._display.update(self._task, completed=progress.done, total=progress.total or None)

    def _end(self) -> None:
        self._display.stop()


def tqdm(**options: Any) -> Bar:
    """A bar of tqdm; ``options`` are those of ``tqdm.tqdm``, such as ``leave=False`` or ``file``."""
    return _Tqdm(options)


def rich(**options: Any) -> Bar:
    """A bar of rich; ``options`` are those of ``rich.progress.Progress``, such as ``console`` or ``transient=True``."""
    return _Rich(options)
