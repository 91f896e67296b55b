"""Ids in a column of floats: whole numbers, as pandas makes of integers of which one is missing."""

import duckdb

from cllm4rec.data.database import name
from cllm4rec.data.input_file import EXACT, InputFile
from cllm4rec.data.reading import reading
from cllm4rec.errors import InputError


def refuse_rounded_ids(
    connection: duckdb.DuckDBPyConnection, file: InputFile, *standards: str
) -> None:
    """Refuse columns of floats with ids so large that a float holds only some of them.

    Args:
        connection: the database.
        file: whose columns are looked at.
        standards: columns of ids that the file has.

    Raises:
        InputError: an id is 2**53 or more, of a column of float32 2**24: others may have become it.
    """
    for standard in standards:
        column = file.column(standard)
        limit = EXACT.get(file.types[column])
        if limit is None:
            continue
        with reading(file.path, file):
            found = connection.execute(f"""
                SELECT {name(column)}::DOUBLE FROM {file.relation}
                WHERE isfinite({name(column)}) AND abs({name(column)}) >= {limit} LIMIT 1
            """).fetchone()
        if found is not None:
            raise InputError(
                f"{file.path}: column {column!r} is of floats, which cannot tell ids such as "
                f"{found[0]:.0f} from their neighbours; write it as text or integers (pandas reads "
                f"it so with dtype=str or dtype='Int64')"
            )
