import errno
import os
import subprocess
import sys

import duckdb
import numpy as np
import pytest

from cllm4rec.data.database import BATCH_ROWS, literal, name, one_number, open_database, stream
from cllm4rec.errors import InputError


def test_the_memory_limit_is_set_and_the_folder_takes_the_rest(tmp_path):
    with open_database(tmp_path, "64MiB") as connection:
        ((limit, folder, threads),) = connection.execute(
            "SELECT current_setting('memory_limit'), current_setting('temp_directory'), "
            "current_setting('threads')"
        ).fetchall()
    assert (limit, folder, threads) == ("64.0 MiB", str(tmp_path / "spill"), 2)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_a_time_with_a_zone_is_the_same_text_on_every_machine(tmp_path, zone):
    program = (
        "import pathlib, sys; from cllm4rec.data.database import open_database\n"
        "with open_database(pathlib.Path(sys.argv[1]), '64MB') as connection:\n"
        "    print(connection.execute(\"SELECT TIMESTAMPTZ '2024-01-31 23:30:00+00'::VARCHAR\")"
        ".fetchone()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, "TZ": zone},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "2024-01-31 23:30:00+00\n"


@pytest.mark.parametrize("unusable", ["?", "\\"])
def test_a_path_that_duckdb_would_take_for_another_is_refused_in_one_line(tmp_path, unusable):
    folder = tmp_path / f"my{unusable}run" / "work"
    folder.mkdir(parents=True)
    with (
        pytest.raises(InputError, match=r"in its path, where DuckDB cannot open") as caught,
        open_database(folder, "64MB"),
    ):
        pass
    assert str(folder.parent) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_little_memory_is_the_users_to_mend(tmp_path):
    with (
        pytest.raises(InputError, match=r"memory_limit = 1MB .*--set data\.memory_limit=4GB"),
        open_database(tmp_path, "1MB") as connection,
    ):
        connection.execute("CREATE TABLE big AS SELECT uuid()::VARCHAR AS x FROM range(2000000)")


def test_a_full_disk_is_told_as_such(tmp_path):
    with (
        pytest.raises(OSError, match="No space left") as caught,
        open_database(tmp_path, "64MB"),
    ):
        raise duckdb.IOException('Could not write file "x": No space left on device')
    assert caught.value.errno == errno.ENOSPC


def test_our_own_mistakes_stay_what_they_are(tmp_path):
    with (
        pytest.raises(duckdb.CatalogException, match="no_such_table"),
        open_database(tmp_path, "64MB") as connection,
    ):
        connection.execute("SELECT * FROM no_such_table")


def test_stream_gives_all_rows_in_order_and_in_batches(tmp_path):
    with open_database(tmp_path, "64MB") as connection:
        query = f"SELECT range AS x FROM range({3 * BATCH_ROWS}) ORDER BY x"
        batches = [batch.column(0).to_numpy() for batch in stream(connection, query)]
    assert len(batches) > 1
    assert np.array_equal(np.concatenate(batches), np.arange(3 * BATCH_ROWS))


@pytest.mark.parametrize("text", ["it's", 'a "b"', "'; DROP TABLE x; --", "", "😀\n"])
def test_text_and_names_cannot_leave_their_quotes(tmp_path, text):
    with open_database(tmp_path, "64MB") as connection:
        column = text or "x"
        query = f"SELECT {literal(text)} AS {name(column)}"
        assert connection.execute(f"SELECT {name(column)} FROM ({query})").fetchall() == [(text,)]
        assert one_number(connection, "SELECT 7") == 7
