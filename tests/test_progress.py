"""Progress: nothing for short work, a line now and then in a log, a bar on a terminal."""

import io
import time
from contextlib import redirect_stderr

import pytest

from cllm4rec import progress


class Clock:
    """A clock the test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "_clock", clock)
    return clock


class TestInALogFile:
    def test_short_work_leaves_no_trace(self, clock, capsys):
        with progress.task("Ranking", total=2) as task:
            task.advance()
            clock.now_s = 1.9
            task.advance()
        assert capsys.readouterr() == ("", "")

    def test_a_line_every_ten_seconds_and_one_at_the_end(self, clock, capsys):
        with progress.task("Finetuning", total=120) as task:
            for second in range(1, 31):
                clock.now_s = second
                task.advance(4, loss=3 - second / 16)
        assert capsys.readouterr().err.splitlines() == [
            "Finetuning 40/120 steps, 20 s left, loss 2.375",
            "Finetuning 80/120 steps, 10 s left, loss 1.75",
            "Finetuning 120/120 steps, 0 s left, loss 1.125",
            "Finetuning 120/120 steps, in 30 s, loss 1.125",
        ]

    def test_without_a_total_there_is_no_time_left(self, clock, capsys):
        with progress.task("Reading", unit="batch") as task:
            clock.now_s = 10
            task.advance(3)
        assert capsys.readouterr().err.splitlines() == [
            "Reading 3 batches",
            "Reading 3 batches, in 10 s",
        ]

    @pytest.mark.parametrize(
        ("unit", "shown"), [("epoch", "2 epochs"), ("batch", "2 batches"), ("box", "2 boxes")]
    )
    def test_units_have_their_plural(self, clock, capsys, unit, shown):
        with progress.task("Training", unit=unit) as task:
            clock.now_s = 3
            task.advance(2)
        assert capsys.readouterr().err == f"Training {shown}, in 3 s\n"

    def test_work_without_units_is_named_with_its_time(self, clock, capsys):
        with progress.task("Unpacking"):
            clock.now_s = 61
        assert capsys.readouterr().err == "Unpacking, in 1 min 01 s\n"

    def test_nested_tasks_keep_their_own_count_and_pace(self, clock, capsys):
        with progress.task("Tuning", total=2, unit="baseline") as outer:
            clock.now_s = 9
            with progress.task("Ranking", total=1, unit="user") as inner:
                clock.now_s = 12
                inner.advance()
            outer.advance()
        assert capsys.readouterr().err.splitlines() == [
            "Ranking 1/1 user, in 3 s",
            "Tuning 1/2 baselines, 12 s left",
            "Tuning 1/2 baselines, in 12 s",
        ]

    def test_work_that_fails_says_nothing_at_its_end(self, clock, capsys):
        def fail():
            with progress.task("Finetuning", total=2):
                clock.now_s = 9
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fail()
        assert capsys.readouterr().err == ""

    def test_only_numbers_are_shown(self):
        with progress.task("Ranking") as task, pytest.raises(ValueError, match="could not convert"):
            task.advance(user="a user's id")  # type: ignore[arg-type]


def test_a_log_file_has_no_line_of_what_loads(clock, capsys):
    with progress.until_first("Loading libraries"):
        clock.now_s = 30
        with progress.task("Ranking"):
            clock.now_s = 33
    assert capsys.readouterr() == ("", "Ranking, in 3 s\n")


def test_a_note_is_one_line_at_once(capsys):
    progress.note("cell 1 of 2")
    with progress.quiet():
        progress.note("not this")
    assert capsys.readouterr() == ("", "cell 1 of 2\n")


def test_notes_are_kept_for_another_time(capsys):
    with progress.kept_notes() as kept:
        progress.note("3 rows")
        with progress.quiet():
            progress.note("4 rows")
    progress.note("5 rows")
    assert kept == ["3 rows", "4 rows"]
    assert capsys.readouterr().err.splitlines() == ["3 rows", "5 rows"]


def test_quiet_hides_all_tasks_begun_inside_it(clock, capsys):
    with progress.quiet():
        with progress.quiet(), progress.task("Ranking"):
            pass
        with progress.task("Ranking", total=3) as task:
            clock.now_s = 100
            task.advance()
    assert capsys.readouterr() == ("", "")
    with progress.task("Ranking"):
        clock.now_s = 200
    assert "Ranking" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations_read_like_speech(seconds, text):
    assert progress.duration(seconds) == text


class TestOnATerminal:
    @pytest.fixture
    def terminal(self, monkeypatch) -> Terminal:
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setattr(progress, "SHOW_AFTER_S", 0.05)
        return Terminal()

    def test_a_bar_appears_by_itself_and_goes_away(self, terminal, capsys):
        with redirect_stderr(terminal), progress.task("Outer [x]", total=4) as outer:
            outer.advance(loss=2.5)
            with progress.task("Inner"):
                time.sleep(0.3)
                outer.advance(loss=1.5)
                print("result")
                time.sleep(0.2)
                shown = terminal.getvalue()
        assert "Outer [x]" in shown
        assert "Inner" in shown
        assert "1/4 steps" in shown
        assert "2/4 steps" in shown
        assert "loss 1.5" in shown
        assert "result" not in shown
        assert capsys.readouterr().out == "result\n"
        assert terminal.getvalue().splitlines()[-1].endswith("s, loss 1.5")
        assert progress._BARS._progress is None
        assert progress._BARS._timers == {}

    @pytest.mark.parametrize("first", ["task", "note", "nothing"])
    def test_what_is_under_way_is_shown_until_the_first_task_or_line(self, terminal, first):
        with redirect_stderr(terminal), progress.until_first("Loading libraries"):
            time.sleep(0.3)
            assert "Loading libraries" in terminal.getvalue()
            assert "step" not in terminal.getvalue(), "it has no units"
            if first == "task":
                with progress.task("Ranking", total=3):
                    assert len(progress._BARS._timers) == 1
            elif first == "note":
                progress.note("cell 1 of 2")
                assert progress._BARS._timers == {}, "before the block ends"
            else:
                assert progress._BARS._timers
        assert progress._BARS._progress is None
        assert progress._BARS._timers == {}
        assert ("cell 1 of 2" in terminal.getvalue()) == (first == "note")
        assert "Loading libraries, in" not in terminal.getvalue()

    def test_short_work_leaves_no_trace(self, terminal, monkeypatch):
        monkeypatch.setattr(progress, "SHOW_AFTER_S", 0.2)
        with redirect_stderr(terminal):
            with progress.task("Ranking", total=1) as task:
                task.advance()
            time.sleep(0.4)
        assert terminal.getvalue() == ""

    def test_an_interrupted_bar_is_cleared(self, terminal):
        def interrupt():
            with redirect_stderr(terminal), progress.task("Ranking", total=1):
                time.sleep(0.2)
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupt()
        assert progress._BARS._progress is None
        assert progress._BARS._timers == {}
        assert terminal.getvalue().rstrip().endswith("\x1b[?25h"), "the cursor is shown again"
