"""One input file as SQL: the same rows give the same texts and numbers in any format."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cllm4rec.data.csv_files import Form, without_names
from cllm4rec.data.database import PLAIN, literal, name
from cllm4rec.data.float_ids import FLOATS, float_id
from cllm4rec.data.frames import frame_of
from cllm4rec.errors import InputError, shortened

INDEX = "the index of a pandas frame"
"""Why a column is not read."""
ATTRIBUTE_CHARACTERS = 1000
"""Longest value that items can be filtered by."""

_NESTED = ("STRUCT", "MAP", "UNION", "BLOB", "BIT")
_DATES = ("TIMESTAMP", "DATE")
_FRACTIONS = (*FLOATS, "DECIMAL")
_LISTS = ("text",)
"""Standard columns that may be of lists, which are joined."""
_MARKED_UP = ("title", "text")
"""Standard columns that may hold HTML."""
DECIMAL_COMMA = r"[-+]?[0-9]+,[0-9]{1,2}"
"""A price of some countries; 1,000 is a thousand of others."""
ISO_DAY = r"\d{4}-\d{2}-\d{2}"
ISO_TIME = r"[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?"
ISO_OFFSET = r" ?(?:Z|UTC|[+-]\d{2}(?::?\d{2})?)"


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of the input directory, as SQL expressions over :attr:`relation`.

    Attributes:
        path: the file.
        relation: what to put after ``FROM``.
        types: column name in the file → DuckDB type.
        mapping: standard column name → name in the file, from ``data.columns``.
        csv: of a CSV file what is read, itself or a plainer copy, and how it is written.
        settable: whether the settings of ``[data]`` may still be changed, for messages: those of a
            run's own data hold for what is read later.
    """

    path: Path
    relation: str
    types: Mapping[str, str]
    mapping: Mapping[str, str]
    csv: tuple[Path, Form] | None = None
    settable: bool = True

    @property
    def name(self) -> str:
        """What the file is called in notes; of a data frame's file, the frame."""
        return frame_of(self.path) or self.path.name

    def has(self, standard: str) -> bool:
        """Whether the file has this standard column, under its mapped or its own name."""
        return self.column(standard) in self.types

    def column(self, standard: str) -> str:
        """The name of a standard column in this file; one map serves several files.

        Capitals do not count, as no file has two columns that differ in them alone; but a name that
        is there as it is written comes first.
        """
        mapped = self.mapping.get(standard, standard)
        for wanted in (mapped, standard):
            if wanted in self.types:
                return wanted
        return self.in_any_capitals(mapped) or self.in_any_capitals(standard) or standard

    def in_any_capitals(self, wanted: str) -> str | None:
        """The column of this name, whatever its capitals; None if there is none."""
        lower = wanted.lower()
        return next((column for column in self.types if column.lower() == lower), None)

    def unread(self, standards: Iterable[str]) -> list[str]:
        """Columns in the file, in its order, that are none of these standard columns."""
        read = {self.column(standard) for standard in standards}
        return [column for column in self.types if column not in read]

    def is_index(self, column: str) -> bool:
        """Whether a column of the file is what pandas keeps of an index without a name."""
        if column == "column0" and self.csv is not None:
            # A first one without a name is called so.
            return next(iter(self.types)) == column and "column1" not in self.types
        return re.fullmatch(r"__index_level_\d+__|Unnamed: 0", column) is not None

    def require(self, *standards: str) -> None:
        """Refuse the file unless it has these standard columns.

        Raises:
            InputError: names all that are missing, the file and the columns there are.
        """
        missing = [standard for standard in standards if not self.has(standard)]
        if missing:
            if self.csv is not None and (wrong := without_names(list(self.types))):
                raise InputError(f"{self.path} {wrong}")  # without the row, which is the users'
            names = [[self.mapping.get(each, each)] for each in missing]
            mend = (
                f"one name in data.columns serves all files: in this one rename what is meant to "
                f"{' and '.join(map(repr, missing))}; standard names are read beside it"
            )
            if not self.mapping.keys() & set(missing):
                mend = (
                    "rename, or map: "
                    + " ".join(f"--set data.columns.{each}=NAME" for each in missing)
                    + '; in Python config={"columns": {'
                    + ", ".join(f'"{each}": NAME' for each in missing)
                    + "}}"
                )
            if not self.settable:
                names = [list(dict.fromkeys([self.mapping.get(x, x), x])) for x in missing]
                mend = "rename the column that is meant"
            named = " and no column ".join(" or ".join(map(repr, each)) for each in names)
            there = ", ".join(self.types) or "none"
            raise InputError(f"{self.path} has no column {named} (it has {there}); {mend}")

    def identifier(self, standard: str) -> str:
        """SQL for an id as text, NULL where there is none.

        The texts ``007`` and ``7.0`` stay as they are, as all of CSV does; the integer 7, and the
        float 7.0, is ``7``. A query fails where floats do not tell ids apart: `float_ids`.

        Raises:
            InputError: the column is of structures, lists or bytes.
        """
        self._refuse_nested(standard)
        column = self.column(standard)
        kind, text = self.types[column], self._scalar(column)
        if kind in FLOATS:
            # pandas turns integers to floats as soon as one of them is missing.
            text = float_id(name(column), kind, column)
        elif kind == "JSON":
            # DuckDB calls an integer of more than 64 bits a double; its digits are all there.
            number = float_id(f"TRY_CAST({text} AS DOUBLE)", "DOUBLE", column)
            text = (
                f"CASE WHEN json_type({name(column)}) = 'DOUBLE' "
                f"AND NOT regexp_full_match({text}, '-?[0-9]+') THEN {number} ELSE {text} END"
            )
        return f"nullif({text}, '')"

    def text(self, standard: str) -> str:
        """SQL for a text, NULL where the column is absent or the value is blank.

        The lists that ``text`` may be of are joined. Titles and texts are read without markup.

        Raises:
            InputError: the column is of structures or bytes or, but for ``text``, of lists.
        """
        if not self.has(standard):
            return "NULL::VARCHAR"
        self._refuse_nested(standard)
        value = f"array_to_string({self.values(self.column(standard))}, ', ')"
        if standard in _MARKED_UP:
            # A CASE or nullif would have each text read twice.
            return (
                f"[each for each in [{_without_markup(value)}] if regexp_matches(each, '\\S')][1]"
            )
        return f"CASE WHEN regexp_matches({value}, '\\S') THEN {value} END"

    def number(self, standard: str) -> str:
        """SQL for a number as DOUBLE, NULL where there is none or it cannot be read as one.

        Raises:
            InputError: the column is of structures, lists or bytes.
        """
        if not self.has(standard):
            return "NULL::DOUBLE"
        self._refuse_nested(standard)
        column = self.column(standard)
        if self.types[column].startswith(_DATES):
            return self._epoch(column)
        # By way of text: the float32 3.7 and the text 3.7 become the same double.
        return f"TRY_CAST({self._scalar(column)} AS DOUBLE)"

    def boolean(self, standard: str) -> str:
        """SQL for ``true`` or ``false``, in any case, as BOOLEAN; NULL for anything else."""
        if not self.has(standard):
            return "NULL::BOOLEAN"
        text = f"lower(trim({self._scalar(self.column(standard))}))"
        return f"CASE {text} WHEN 'true' THEN true WHEN 'false' THEN false END"

    def date(self, standard: str) -> str:
        """SQL for a date or an ISO text as unix seconds (DOUBLE), NULL where there is none.

        A time without an offset is UTC.
        """
        if not self.has(standard):
            return "NULL::DOUBLE"
        column = self.column(standard)
        if self.types[column].startswith(_DATES):
            return self._epoch(column)
        text = f"trim({self._scalar(column)})"
        # DuckDB's TIMESTAMP overlooks an offset, and its TIMESTAMPTZ takes the session's zone.
        zoned = f"regexp_replace({text}, ' ?(UTC|Z)$', '+00')::VARCHAR"
        # A blank before an offset, as git and strftime leave it, is not DuckDB's.
        zoned = f"regexp_replace({zoned}, ' ([+-])', '\\1')"
        return (
            f"CASE WHEN regexp_full_match({text}, '{ISO_DAY}(?:{ISO_TIME})?') "
            f"THEN epoch(TRY_CAST({text} AS TIMESTAMP)) "
            f"WHEN regexp_full_match({text}, '{ISO_DAY}{ISO_TIME}{ISO_OFFSET}') "
            f"THEN epoch(TRY_CAST({zoned} AS TIMESTAMPTZ)) END::DOUBLE"
        )

    def nested(self, *standards: str) -> str:
        """SQL for the first standard column whose value is an object or a list, else NULL.

        Only JSON's values differ in type from row to row; other files are refused as a whole.
        """
        cases = ""
        for standard in standards:
            column = self.column(standard)
            if self.types.get(column) == "JSON":
                structure = f"json_type({name(column)}) IN ('OBJECT', 'ARRAY')"
                nested = self.holds_nested(column) if standard in _LISTS else structure
                cases += f"WHEN {nested} THEN {literal(standard)} "
        return f"(CASE {cases} END)" if cases else "NULL::VARCHAR"

    def given(self, standard: str) -> str:
        """SQL for whether a value was given at all, readable or not."""
        if not self.has(standard):
            return "false"
        return f"coalesce(trim({self._scalar(self.column(standard))}), '') <> ''"

    def values(self, column: str, *, plain: bool = False) -> str:
        """SQL for a column's values as a list of texts: a list column's own, else of one value.

        Args:
            column: name in the file.
            plain: whether the numbers of JSON are written plainly: 7.0 as ``7``.
        """
        kind, quoted = self.types[column], name(column)
        if kind == "JSON":
            one = _plain_json(quoted) if plain else self._label(column)
            element = _plain_json("each") if plain else "each ->> '$'"
            many = (
                f"[{element} for each in {quoted}::JSON[] "
                f"if json_type(each) NOT IN ('OBJECT', 'ARRAY')]"
            )
            return (
                f"CASE json_type({quoted}) WHEN 'ARRAY' THEN {many} WHEN 'OBJECT' THEN NULL "
                f"ELSE [{one}] END"
            )
        if kind.endswith("]"):
            finite = " if isfinite(each)" if kind.removesuffix("[]") in FLOATS else ""
            return f"[each::VARCHAR for each in {quoted}{finite}]"
        return f"[{self._label(column)}]"

    def feature(self, column: str, said: str, *, marked_up: bool) -> str:
        """SQL for a feature as text, NULL where there is nothing beyond what the texts say.

        A value is left out if the texts have the words it begins with, whatever the punctuation:
        only the beginning of a feature is read, and raw copies of a text differ further on.

        Args:
            column: name in the file.
            said: SQL for the row's texts as :func:`words`.
            marked_up: whether values may hold HTML, which is read as the text that it means.
        """
        values = self.values(column)
        if marked_up:
            values = f"[{_without_markup('each')} for each in {values}]"
        kept = (
            f"[{_plain_number('each')} for each in {values} "
            f"if regexp_matches(each, '[^[:punct:]\\s]') "
            f"AND NOT contains({said}, {words('each')}[:80])]"
        )
        return f"nullif(array_to_string({kept}, ', '), '')"

    def attribute(self, column: str) -> str:
        """SQL for an attribute as a list of texts, NULL where there is none.

        Everything that was given, whatever the texts say, but values of more than
        ``ATTRIBUTE_CHARACTERS``: nobody filters by those, and a copy of a text takes room. The
        number 7.0 is ``7``; the text ``7.0``, a version maybe, stays.
        """
        fractions = self.types[column].startswith(_FRACTIONS)
        kept = (
            f"[{_plain_number('each') if fractions else 'each'} "
            f"for each in {self.values(column, plain=True)} "
            f"if regexp_matches(each, '\\S') AND length(each) <= {ATTRIBUTE_CHARACTERS}]"
        )
        return f"CASE WHEN len({kept}) > 0 THEN {kept} END"

    def is_nested(self, column: str) -> bool:
        """Whether the values are no texts, numbers or lists of them."""
        kind = self.types[column]
        return kind.startswith(_NESTED) or kind.endswith("][]")

    def holds_nested(self, column: str) -> str:
        """SQL for whether a value is an object or a list of objects or lists, as JSON's may be."""
        if self.types[column] != "JSON":
            return "false"
        first = f"json_type({name(column)}, '$[0]')"
        return f"(json_type({name(column)}) = 'OBJECT' OR {first} IN ('OBJECT', 'ARRAY'))"

    def _epoch(self, column: str) -> str:
        # `epoch` does not know all of DuckDB's types of times.
        kind = self.types[column]
        zoned = "TZ" in kind or "TIME ZONE" in kind
        return f"epoch({name(column)}::{'TIMESTAMPTZ' if zoned else 'TIMESTAMP'})::DOUBLE"

    def _refuse_nested(self, standard: str) -> None:
        column = self.column(standard)
        kind = self.types[column]
        if self.is_nested(column) or (kind.endswith("]") and standard not in _LISTS):
            raise InputError(
                f"{self.path}: column {column!r} is of type {shortened(kind, 60)}; "
                f"{standard} must be of texts or numbers"
            )

    def _scalar(self, column: str) -> str:
        if self.types[column] == "JSON":
            return f"({name(column)} ->> '$')"
        return f"{name(column)}::VARCHAR"

    def _label(self, column: str) -> str:
        """As :meth:`_scalar`; a float that is no number is no value."""
        if self.types[column] in FLOATS:
            return f"CASE WHEN isfinite({name(column)}) THEN {name(column)}::VARCHAR END"
        return self._scalar(column)


def words(text: str) -> str:
    """SQL for a text's words alone, in lower case, with a space before, between and after them."""
    words = f"regexp_replace(lower({text}), '[^\\pL\\pN]+', ' ', 'g')"
    return f"coalesce(' ' || trim({words}) || ' ', '')"


def _without_markup(text: str) -> str:
    # Python is called for the rows that may need it.
    return (
        f"CASE WHEN contains({text}, '<') OR contains({text}, '&') "
        f"THEN {PLAIN}({text}) ELSE {text} END"
    )


def _plain_json(value: str) -> str:
    text = f"({value} ->> '$')"
    return f"CASE WHEN json_type({value}) = 'DOUBLE' THEN {_plain_number(text)} ELSE {text} END"


def _plain_number(text: str) -> str:
    return f"regexp_replace({text}, '^(-?[0-9]+)\\.0+$', '\\1')"
