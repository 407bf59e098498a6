"""Conditions on the rows of a table: our own expressions, and those of pyarrow and Polars turned into them.

A condition is a tree of tuples that the native module reads:

    ("and", parts) ("or", parts) ("not", part)
    ("compare", column, operator, literal) ("in", column, literals) ("is_null", column) ("starts_with", column, prefix)

An expression of another library means exactly what it means there, or it is refused with TypeError: nothing of it is
dropped. Both are read from the form in which their libraries store them.
"""

from __future__ import annotations

import importlib
import io
import json
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from . import _sstore

if TYPE_CHECKING:
    from ._sstore import Schema

_Tree = tuple[Any, ...]
_FLIPPED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


class Expr:
    """A condition on a row. Combine conditions with ``&``, ``|`` and ``~``; a comparison with null is neither true nor false."""

    __slots__ = ("_tree",)
    _tree: _Tree

    def __init__(self, tree: _Tree) -> None:
        self._tree = tree

    def __and__(self, other: Expr) -> Expr:
        return Expr(("and", (self._tree, _own(other)))) if isinstance(other, Expr) else NotImplemented

    def __or__(self, other: Expr) -> Expr:
        return Expr(("or", (self._tree, _own(other)))) if isinstance(other, Expr) else NotImplemented

    def __invert__(self) -> Expr:
        return Expr(("not", self._tree))

    def __bool__(self) -> NoReturn:
        raise TypeError("a condition is not true or false itself: use & | ~ instead of and, or, not, and between() instead of a < b < c")

    def __repr__(self) -> str:
        return f"<sstore.Expr {_text(self._tree)}>"


class Column(Expr):
    """A column in a condition; alone, a bool column that must be true. Made by ``sstore.col``."""

    __slots__ = ("name",)
    name: str

    def __init__(self, name: str) -> None:
        super().__init__(("compare", name, "==", True))
        self.name = name

    def _compare(self, operator: str, value: object) -> Expr:
        if isinstance(value, Expr):
            raise TypeError("a column is compared with a value, not with another column or condition")
        if value is None:
            raise TypeError("a comparison with None selects nothing: use is_null() or is_not_null()")
        return Expr(("compare", self.name, operator, value))

    def __eq__(self, value: object) -> Expr:  # type: ignore[override]
        return self._compare("==", value)

    def __ne__(self, value: object) -> Expr:  # type: ignore[override]
        return self._compare("!=", value)

    def __lt__(self, value: object) -> Expr:
        return self._compare("<", value)

    def __le__(self, value: object) -> Expr:
        return self._compare("<=", value)

    def __gt__(self, value: object) -> Expr:
        return self._compare(">", value)

    def __ge__(self, value: object) -> Expr:
        return self._compare(">=", value)

    __hash__ = None  # type: ignore[assignment]

    def between(self, low: object, high: object) -> Expr:
        """From ``low`` to ``high``, both included."""
        return (self >= low) & (self <= high)

    def isin(self, values: Iterable[object]) -> Expr:
        """One of ``values``: an iterable, or one column of Arrow data. Unknown, not false, if one of them is None and none is equal."""
        if isinstance(values, (str, bytes, Expr)):
            raise TypeError("isin takes a list of values")
        keep = any(hasattr(values, name) for name in ("__arrow_c_stream__", "__arrow_c_array__"))
        return Expr(("in", self.name, values if keep else tuple(values)))

    def is_null(self) -> Expr:
        """The value is null."""
        return Expr(("is_null", self.name))

    def is_not_null(self) -> Expr:
        """The value is not null."""
        return ~self.is_null()

    def starts_with(self, prefix: str | bytes) -> Expr:
        """The text, or bytes, begin with ``prefix``."""
        if not isinstance(prefix, (str, bytes)):
            raise TypeError(f"starts_with takes str or bytes, not {type(prefix).__name__}")
        return Expr(("starts_with", self.name, prefix))

    def __repr__(self) -> str:
        return f"sstore.col({self.name!r})"


def col(name: str) -> Column:
    """The column of this name, for a condition: ``sstore.col("a") > 3``."""
    if not isinstance(name, str):
        raise TypeError(f"a column is named by a str, not {type(name).__name__}")
    return Column(name)


def _own(expression: Expr) -> _Tree:
    return expression._tree


def _text(tree: _Tree) -> str:
    match tree:
        case ("and" | "or" as word, parts):
            return "(" + f" {word} ".join(map(_text, parts)) + ")" if parts else str(word == "and").lower()
        case ("not", part):
            return f"not {_text(part)}"
        case ("compare", column, operator, literal):
            return f"{column} {operator} {literal!r}"
        case ("in", column, values):
            return f"{column} in {values!r}"
        case ("is_null", column):
            return f"{column} is null"
        case ("starts_with", column, prefix):
            return f"{column} starts with {prefix!r}"
    return str(tree)


def tree_of(condition: object, schema: Schema) -> _Tree:
    """The tree of any condition; called by the native module."""
    if isinstance(condition, Expr):
        return condition._tree
    kind = type(condition)
    library = kind.__module__.partition(".")[0]
    if library == "pyarrow" and kind.__name__ == "Expression":
        return _FromPyarrow(condition, schema).tree()
    if library == "polars" and kind.__name__ == "Expr":
        return _FromPolars().condition(_polars_json(condition))
    raise TypeError(
        f"a condition is text, an sstore expression, or one of pyarrow.compute or Polars, not {kind.__module__}.{kind.__qualname__}"
    )


def _refuse(library: str, what: str) -> NoReturn:
    raise TypeError(f"this part of the {library} expression cannot be translated: {what}; filter the result of the scan instead")


_TRUE: _Tree = ("and", ())
_FALSE: _Tree = ("or", ())


def _valid(column: str) -> _Tree:
    return ("not", ("is_null", column))


class _FromPyarrow:
    """pyarrow stores an expression as an IPC file: a walk over the tree in its schema's metadata, literals in its columns."""

    _COMPARE = {
        "equal": "==",
        "not_equal": "!=",
        "less": "<",
        "less_equal": "<=",
        "greater": ">",
        "greater_equal": ">=",
    }

    def __init__(self, expression: Any, schema: Schema) -> None:
        pa: Any = importlib.import_module("pyarrow")
        _, (stored,) = expression.__reduce__()
        reader = pa.ipc.open_file(stored)
        self._batch: Any = reader.get_batch(0)
        self._walk = iter([(key.decode(), value.decode()) for key, value in _sstore._schema_metadata(reader.schema)])
        self._floats = {
            name for name, kind in zip(schema.names, schema.types, strict=True) if kind in ("Float16", "Float32", "Float64")
        }

    def tree(self) -> _Tree:
        tree = self._condition(self._node())
        if next(self._walk, None) is not None:
            _refuse("pyarrow", "more than one expression")
        return tree

    def _node(self) -> tuple[Any, ...]:
        key, value = next(self._walk, ("nothing", ""))
        if key == "literal":
            return ("literal", self._batch.column(int(value)))
        if key == "field_ref":
            return ("column", value)
        if key == "call":
            arguments: list[Any] = []
            options: dict[str, Any] = {}
            while True:
                # What comes next decides who reads it.
                following = next(self._walk, ("nothing", ""))
                match following:
                    case ("end", _):
                        return ("call", value, arguments, options)
                    case ("options", index):
                        column = self._batch.column(int(index))
                        options = {field.name: column.field(field.name) for field in column.type}
                    case ("nothing", _):
                        _refuse("pyarrow", value)
                    case _:
                        self._walk = iter([following, *self._walk])
                        arguments.append(self._node())
        _refuse("pyarrow", key)

    def _condition(self, node: tuple[Any, ...]) -> _Tree:
        match node:
            case ("column", name):
                return ("compare", name, "==", True)
            case ("literal", array) if array[0].as_py() is True:
                return _TRUE
            case ("literal", array) if array[0].as_py() is False:
                return _FALSE
            case ("call", "and_kleene", parts, _):
                return ("and", tuple(map(self._condition, parts)))
            case ("call", "or_kleene", parts, _):
                return ("or", tuple(map(self._condition, parts)))
            case ("call", "invert", [part], _):
                return ("not", self._condition(part))
            case ("call", name, [("column", column), ("literal", array)], _) if name in self._COMPARE:
                return self._compare(column, self._COMPARE[name], array)
            case ("call", name, [("literal", array), ("column", column)], _) if name in self._COMPARE:
                return self._compare(column, _FLIPPED[self._COMPARE[name]], array)
            case ("call", "is_null", [("column", column)], options) if not options["nan_is_null"][0].as_py():
                return ("is_null", column)
            case ("call", "is_valid", [("column", column)], _):
                return _valid(column)
            case ("call", "is_nan", [("column", column)], _):
                return ("compare", column, "==", math.nan)
            case ("call", "starts_with", [("column", column)], options) if not options["ignore_case"][0].as_py():
                pattern = options["pattern"][0].as_py()
                return ("starts_with", column, pattern)
            case ("call", "is_in", [("column", column)], options) if options["null_matching_behavior"][0].as_py() == 0:
                return self._is_in(column, options["value_set"][0].values)
            case ("call", name, _, _):
                _refuse("pyarrow", f"{name}()")
        _refuse("pyarrow", str(node[0]))

    def _compare(self, column: str, operator: str, array: Any) -> _Tree:
        value = array[0].as_py()
        if isinstance(value, float) and math.isnan(value):
            _refuse("pyarrow", "a comparison with NaN")
        tree = ("compare", column, operator, array)
        if column in self._floats and operator in (">", ">="):
            # For pyarrow nothing compares with NaN; for us NaN is greater than all numbers.
            return ("and", (tree, ("compare", column, "<", math.nan)))
        return tree

    def _is_in(self, column: str, values: Any) -> _Tree:
        present = values.drop_null()
        if any(isinstance(value, float) and (value == 0 or math.isnan(value)) for value in present.to_pylist()):
            # pyarrow tells 0.0 and -0.0 apart here, and here only.
            _refuse("pyarrow", "isin with zero or NaN")
        # Null is a value like others here: true if it is listed, else false.
        tree = ("and", (_valid(column), ("in", column, present)))
        return ("or", (("is_null", column), tree)) if len(present) < len(values) else tree


def _polars_json(expression: Any) -> Any:
    try:
        return json.loads(expression.meta.serialize(format="json"))
    except Exception as error:
        raise TypeError(f"this Polars expression cannot be read: {error}") from error


class _FromPolars:
    """Polars stores an expression as JSON. Its form may change with Polars: what is not known exactly is refused."""

    _COMPARE = {"Eq": "==", "NotEq": "!=", "Lt": "<", "LtEq": "<=", "Gt": ">", "GtEq": ">="}

    def _literal(self, node: Any) -> Any:
        """The value of a literal, by Polars itself, as a Series."""
        pl: Any = importlib.import_module("polars")
        try:
            return pl.select(pl.Expr.deserialize(io.StringIO(json.dumps(node)), format="json")).to_series()
        except Exception as error:
            raise TypeError(f"a literal of the Polars expression cannot be read: {error}") from error

    def _one(self, node: Any) -> Any:
        series = self._literal(node)
        if len(series) != 1 or series.dtype.is_nested():
            _refuse("Polars", "a literal of several values")
        return series

    def condition(self, node: Any) -> _Tree:
        match node:
            case {"Column": str(name)} if len(node) == 1:
                return ("compare", name, "==", True)
            case {"Literal": _}:
                match self._one(node).to_list():
                    case [True]:
                        return _TRUE
                    case [False]:
                        return _FALSE
                _refuse("Polars", "a literal that is not a bool")
            case {"BinaryExpr": {"left": left, "op": str(operator), "right": right, **rest}} if not rest:
                return self._binary(left, operator, right)
            case {"Function": {"input": inputs, "function": function, **rest}} if not rest:
                return self._function(function, inputs)
        _refuse("Polars", _kind(node))

    def _binary(self, left: Any, operator: str, right: Any) -> _Tree:
        if operator in ("And", "LogicalAnd"):
            return ("and", (self.condition(left), self.condition(right)))
        if operator in ("Or", "LogicalOr"):
            return ("or", (self.condition(left), self.condition(right)))
        if operator not in self._COMPARE:
            _refuse("Polars", f"the operator {operator}")
        compare = self._COMPARE[operator]
        match left, right:
            case {"Column": str(column)}, {"Literal": _}:
                return ("compare", column, compare, self._one(right))
            case {"Literal": _}, {"Column": str(column)}:
                return ("compare", column, _FLIPPED[compare], self._one(left))
        _refuse("Polars", f"{compare} of {_kind(left)} and {_kind(right)}")

    def _function(self, function: Any, inputs: list[Any]) -> _Tree:
        match function, inputs:
            case {"Boolean": "Not"}, [part]:
                return ("not", self.condition(part))
            case {"Boolean": "IsNull"}, [{"Column": str(column)}]:
                return ("is_null", column)
            case {"Boolean": "IsNotNull"}, [{"Column": str(column)}]:
                return _valid(column)
            case {"Boolean": "IsNan"}, [{"Column": str(column)}]:
                return ("compare", column, "==", math.nan)
            case {"Boolean": "IsNotNan"}, [{"Column": str(column)}]:
                return ("not", ("compare", column, "==", math.nan))
            case {"Boolean": {"IsIn": {"nulls_equal": False, **rest}}}, [{"Column": str(column)}, {"Literal": _} as given] if not rest:
                values = self._literal(given)
                if values.dtype.is_nested():
                    values = values.explode()
                # To Polars a null among the values equals nothing, and makes nothing unknown.
                return ("in", column, values.drop_nulls())
            case {"Boolean": {"IsBetween": {"closed": str(closed), **rest}}}, [{"Column": str(column)}, low, high] if not rest:
                operators = {"Both": (">=", "<="), "Left": (">=", "<"), "Right": (">", "<="), "None": (">", "<")}
                if closed in operators and "Literal" in low and "Literal" in high:
                    above, below = operators[closed]
                    lower = ("compare", column, above, self._one(low))
                    return ("and", (lower, ("compare", column, below, self._one(high))))
            case {"StringExpr": "StartsWith"}, [{"Column": str(column)}, {"Literal": _} as prefix]:
                text = self._one(prefix).to_list()[0]
                if isinstance(text, str):
                    return ("starts_with", column, text)
        _refuse("Polars", _kind(function))


def _kind(node: Any) -> str:
    """What a part of an expression is, for a message."""
    text = json.dumps(node)
    return text if len(text) <= 60 else text[:60] + "…"
