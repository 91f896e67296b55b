"""Ids in columns of floats: whole numbers are written as integers, if floats tell them apart."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cllm4rec.data.database import literal
from cllm4rec.errors import InputError

FLOATS = {"FLOAT": 2**24, "DOUBLE": 2**53}
"""DuckDB's type → the least whole number that it does not tell from the next."""
_MARK = "ids as floats: "
"""How the refusal begins where DuckDB raises it."""


def float_id(value: str, kind: str, column: str) -> str:
    """SQL for an id of type FLOAT or DOUBLE as text; NULL for what is no finite number.

    The query fails at a number that may stand for several ids; :func:`refusal` reads the reason.

    Args:
        value: SQL of the number.
        kind: its type, of :data:`FLOATS`.
        column: name in the file.
    """
    before, after = (literal(text) for text in _said(column))
    return (
        f"CASE WHEN NOT isfinite({value}) THEN NULL "
        f"WHEN abs({value}) >= {FLOATS[kind]} "
        f"THEN error({literal(_MARK)} || {before} || {value}::VARCHAR || {after}) "
        f"WHEN {value} = trunc({value}) THEN {value}::BIGINT::VARCHAR "
        f"ELSE {value}::VARCHAR END"
    )


def refusal(message: str) -> str | None:
    """What is wrong with a column, if a query failed because of :func:`float_id`; else None."""
    _, mark, said = message.partition(_MARK)
    return said.split("\n")[0] if mark else None


def arrow_ids(ids: Any, column: str) -> Any:
    """As :func:`float_id`, of an Arrow array without nulls; other types come back as they are.

    Raises:
        InputError: a number may stand for several ids; the caller adds the file.
    """
    if not pa.types.is_floating(ids.type):
        return ids
    numbers = ids.to_numpy(zero_copy_only=False)
    least = FLOATS["DOUBLE" if pa.types.is_float64(ids.type) else "FLOAT"]
    if (large := np.isfinite(numbers) & (np.abs(numbers) >= least)).any():
        before, after = _said(column)
        raise InputError(f"{before}{numbers[large][0]}{after}")
    whole = np.isfinite(numbers) & (numbers == np.trunc(numbers))
    integers = pa.array(np.where(whole, numbers, 0).astype(np.int64))
    return pc.if_else(pa.array(whole), integers.cast(pa.string()), ids.cast(pa.string()))


def _said(column: str) -> tuple[str, str]:
    return (
        f"column {column!r} holds ids as floats, such as ",
        f", where different ids of so many digits become one; write it as text or as integers, "
        f'in pandas from the start: dtype={{"{column}": "Int64"}}',
    )
