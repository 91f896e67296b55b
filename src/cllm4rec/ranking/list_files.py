"""The two forms of a file of lists: Parquet, and CSV for a name that ends in ``.csv``."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from cllm4rec.data.topk_files import is_csv
from cllm4rec.ranking.list_table import SCHEMA
from cllm4rec.run import atomic_write

_REPEATED = ["user_id", "item_id", "rank"]
"""Columns in which values come again; a dictionary of the scores would take time and room."""
_HEADER = (",".join(SCHEMA.names) + "\n").encode()


@contextmanager
def list_writer(path: Path) -> Iterator[Callable[[pa.Table], None]]:
    """Write a file of lists table by table; it has its name once it is whole.

    CSV is UTF-8 with a header, every id within quotes, and scores that read as the same float32.

    Yields:
        A function that appends a table of `SCHEMA`.
    """
    with atomic_write(path) as temporary:
        if is_csv(path):
            with pa.OSFile(str(temporary), "wb") as file:
                file.write(_HEADER)
                options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")
                with pyarrow.csv.CSVWriter(file, SCHEMA, write_options=options) as rows:
                    yield rows.write_table
        else:
            with pq.ParquetWriter(
                temporary, SCHEMA, compression="zstd", use_dictionary=_REPEATED
            ) as writer:
                yield writer.write_table


def is_topk_file(path: Path) -> bool:
    """Whether a file is of its name's form, with the columns of a top-k file and no others."""
    try:
        if is_csv(path):
            with path.open("rb") as file:
                return file.read(len(_HEADER)) == _HEADER
        return bool(pq.read_schema(path).names == SCHEMA.names)
    except (pa.ArrowException, OSError):
        return False
