"""One SQL statement as sqlglot reads it: what it is, what it names, and how many rows it asks for."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from engine import ConfigurationError
from guardrails.sql_rules import (
    HARMLESS_FUNCTIONS,
    HARMLESS_MODULES,
    HARMLESS_NAMES,
    READING_NODES,
    REFUSED_FUNCTIONS,
    REFUSED_NODES,
    WRITING_NODES,
)
from guardrails.statements import NotAllowed

_LONGEST_WORD = 30
_ESCAPED_NAMES = ('u&"', "u&'")  # sqlglot does not read these escapes, so a name in one is not what it seems


@cache
def sqlglot() -> Any:
    """Give the library.

    Raises:
        ConfigurationError: the extra `sql` is not installed.
    """
    try:
        return importlib.import_module("sqlglot")
    except ImportError as error:
        raise ConfigurationError("SqlPolicy needs the extra: pip install 'flowledger[sql]'") from error


class Statement:
    """A statement and what it names."""

    def __init__(self, tree: Any, dialect: str) -> None:
        self.tree = tree
        self._dialect = dialect
        self._nodes: list[Any] = list(tree.walk())

    @classmethod
    def read(cls, text: str, dialect: str, kinds: Sequence[str]) -> "Statement":
        """Read a text.

        Raises:
            NotAllowed: it is no statement of these kinds, several, or one with comments.
        """
        glot = sqlglot()
        if "\0" in text or any(escape in text.casefold() for escape in _ESCAPED_NAMES):
            raise NotAllowed("it holds a NUL or a name in Unicode escapes")
        try:
            _look_over(text, glot.tokenize(text, read=dialect), kinds)
            tree = glot.parse(text, read=dialect)[0]
        except NotAllowed:
            raise
        except (glot.errors.SqlglotError, RecursionError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise NotAllowed(f"it cannot be read as {dialect}") from error
        return cls(tree, dialect)

    @property
    def kind(self) -> str:
        """What it is in one word: `select` for everything that is a query."""
        return "select" if self._is("Query", self.tree) else str(self.tree.key)

    def refused_parts(self, kinds: Sequence[str]) -> Iterator[str]:
        """Give what it holds that is of none of these kinds, in capitals: INTO, DELETE, COPY, COMMAND."""
        written = frozenset[str]().union(*(WRITING_NODES.get(kind, ()) for kind in kinds))
        for node in self._nodes:
            name = type(node).__name__
            if node.args.get("settings"):
                yield "SETTINGS"
            if name in READING_NODES or name in written or self._is("Func", node) or self._is("DataType", node):
                continue
            module = type(node).__module__.rpartition(".")[2]
            if module not in {"core", "datatypes"} or name in REFUSED_NODES:
                yield {"Lock": "FOR UPDATE"}.get(name, name.upper())

    def functions(self) -> Iterator[tuple[str, bool]]:
        """Give each function by its name, small, with its schema, and whether it is known to be harmless."""
        for node in self._nodes:
            if self._is("Func", node):
                kind = type(node).__name__
                module = type(node).__module__.rpartition(".")[2]
                if self._is("Anonymous", node) or self._is("AnonymousAggFunc", node):
                    name = str(node.name).casefold()
                    schema = _schema_of(node)
                    yield f"{schema}{name}", not schema and name in HARMLESS_NAMES
                else:
                    known = module in HARMLESS_MODULES and kind not in REFUSED_FUNCTIONS
                    yield str(node.sql_name()).casefold(), known or kind in HARMLESS_FUNCTIONS or kind == "Unnest"

    def tables(self) -> Iterator[str]:
        """Give each table by its name with schema and database, small; names that a WITH gives are none."""
        for node in self._nodes:
            if self._is("Table", node) and not self._is("Func", node.this) and not self._is_from_with(node):
                yield _full_name(node)

    def columns(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Give each column: the tables that it may be of, none where that is not said, and its name, small.

        What stands for all columns of a table is called `*`: a star, the table as a value, other names for them all.
        """
        aliases = self._aliases()
        for node in self._nodes:
            if self._is("Column", node):
                yield from self._column(node, aliases)
            elif self._is_all_columns(node):
                yield (), "*"
            elif self._is("Identifier", node) and (node.arg_key == "using" or type(node.parent).__name__ == "Schema"):
                yield (), str(node.name).casefold()
            elif self._is("Dot", node) and self._is("Identifier", node.expression):
                yield (), str(node.expression.name).casefold()

    def _column(self, node: Any, aliases: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[tuple[str, ...], str]]:
        name, of = str(node.name).casefold(), str(node.table).casefold()
        if self._is("Star", node.this) or (not of and name in aliases):
            yield aliases.get(of or name, ()), "*"
        elif (of not in aliases or aliases[of]) and not _is_output(node):
            yield aliases.get(of, (of,) if of else ()), name

    def _is_all_columns(self, node: Any) -> bool:
        if self._is("Star", node):
            return not self._is("Count", node.parent) and not self._is("Column", node.parent)
        return type(node).__name__ == "Columns" or (self._is("TableAlias", node) and self._renames(node))

    def names(self) -> frozenset[str]:
        """Give everything that it calls by a name, small."""
        return frozenset(str(node.name).casefold() for node in self._nodes if self._is("Identifier", node))

    def changes_whole_table(self) -> bool:
        """Say whether it changes or deletes rows that no column picks."""
        changes = [node for node in self._nodes if type(node).__name__ in {"Update", "Delete"}]
        wheres: list[Any] = [node.args.get("where") for node in changes]
        return any(where is None or where.find(self._exp.Column) is None for where in wheres)

    def most_rows(self) -> int | None:
        """Give how many rows it says that it wants at the most; None where it says none, or not as a number."""
        limit: Any = self.tree.args.get("limit")
        if limit is None or _is_more(limit.args.get("limit_options")):
            return None
        count: Any = limit.args.get("count") or limit.args.get("expression")
        return int(count.this) if self._is("Literal", count) and str(count.this).isdecimal() else None

    def with_limit(self, rows: int) -> str:
        """Give it with a limit; it must be a query."""
        return str(self.tree.limit(rows).sql(dialect=self._dialect))

    @property
    def _exp(self) -> Any:
        return sqlglot().exp

    def _is(self, kind: str, node: Any) -> bool:
        return isinstance(node, getattr(self._exp, kind))

    def _aliases(self) -> dict[str, tuple[str, ...]]:
        """Give what a column may be said to be of, and the tables behind it; a sub-query has none."""
        aliases: dict[str, tuple[str, ...]] = {}
        for node in self._nodes:
            if self._is("Table", node) and not self._is("Func", node.this):
                real = () if self._is_from_with(node) else (_full_name(node),)
                said = str(node.alias_or_name).casefold()
                aliases[said] = tuple(dict.fromkeys((*aliases.get(said, ()), *real)))
            elif type(node).__name__ in {"Subquery", "Values", "Lateral", "Unnest"} and node.alias:
                aliases.setdefault(str(node.alias).casefold(), ())
        return aliases

    def _renames(self, alias: Any) -> bool:
        table: Any = alias.parent
        return bool(alias.args.get("columns")) and self._is("Table", table) and not self._is("Func", table.this)

    def _is_from_with(self, table: Any) -> bool:
        """Say whether a table is what a WITH around it defines, before it and not in its own definition."""
        if table.args.get("db") is not None or table.args.get("catalog") is not None:
            return False
        inside: Any = table
        around: Any = table.parent
        while around is not None:
            if self._is("With", around):
                defined = around.expressions if around.args.get("recursive") else _before(around.expressions, inside)
                if any(_same_name(cte, table) for cte in defined):
                    return True
            else:
                found: Any = around.args.get("with_")
                if (
                    found is not None
                    and found is not inside
                    and any(_same_name(cte, table) for cte in found.expressions)
                ):
                    return True
            inside, around = around, around.parent
        return False


def _look_over(text: str, tokens: Sequence[Any], kinds: Sequence[str]) -> None:
    """Turn down, before it is parsed, what is not one statement of these kinds as its first word says.

    Raises:
        NotAllowed: it is not.
    """
    ends = sqlglot().tokens.TokenType.SEMICOLON
    said = [token for token in tokens if token.token_type is not ends]
    if not said:
        raise NotAllowed("it holds no statement")
    first = str(said[0].text).upper()
    if first not in {"(", "WITH", *(kind.upper() for kind in kinds)}:
        raise NotAllowed(f"{first[:_LONGEST_WORD]} is not among what may be done ({', '.join(kinds)})")
    at = 0
    for token in tokens:
        if token.comments or text[at : token.start].strip():
            raise NotAllowed("it holds a comment, which can hide a part of it: leave comments out")
        at = token.end + 1
    if text[at:].strip():
        raise NotAllowed("it holds a comment, which can hide a part of it: leave comments out")
    if any(token.token_type is ends for token in tokens[: tokens.index(said[-1])]):
        raise NotAllowed("it is several statements: give one at a time")


def _is_more(options: Any) -> bool:
    """Say whether a limit is in per cent, or lets equal rows through."""
    return options is not None and bool(options.args.get("percent") or options.args.get("with_ties"))


def _full_name(table: Any) -> str:
    """Give the parts of a name, small; one with a dot of its own is put in quotes, since it may be a file."""
    parts = [str(part.name).casefold() for part in table.parts]
    return ".".join(f'"{part}"' if "." in part else part for part in parts)


def _schema_of(function: Any) -> str:
    parent: Any = function.parent
    if type(parent).__name__ != "Dot" or parent.expression is not function:
        return ""
    return f"{parent.this.sql()}.".casefold()


def _is_output(column: Any) -> bool:
    """Say whether a column that rows are ordered by is one that the query itself names with AS."""
    if column.table or type(column.parent).__name__ != "Ordered":
        return False
    query: Any = column.parent.parent.parent
    said = str(column.name).casefold()
    return any(str(one.alias).casefold() == said for one in query.args.get("expressions") or ())


def _before(ctes: Sequence[Any], inside: Any) -> Sequence[Any]:
    at = next((n for n, cte in enumerate(ctes) if cte is inside), 0)
    return ctes[:at]


def _same_name(cte: Any, table: Any) -> bool:
    """Say whether both are written alike: databases differ in how they read quoted names."""
    one, other = cte.args["alias"].this, table.this
    if bool(one.args.get("quoted")) != bool(other.args.get("quoted")):
        return False
    return one.name == other.name if one.args.get("quoted") else one.name.casefold() == other.name.casefold()
