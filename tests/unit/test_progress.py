"""Progress in a log file: whole lines, one a minute, and none of what is soon over."""

import io
import sys

import pytest

from piti.progress import progress


@pytest.fixture
def seconds(monkeypatch):
    """So many seconds, one after the other: an iterator that moves the clock."""
    now = [1e9]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])

    def pass_by(count):
        for second in range(count):
            now[0] += 1
            yield second

    return pass_by


@pytest.mark.parametrize("terminal", [False, True])
def test_a_log_has_a_line_a_minute_where_a_terminal_has_a_bar(seconds, monkeypatch, terminal):
    stderr = io.StringIO()
    stderr.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", stderr)
    with progress(total=1000, desc="training", unit="step") as bar:
        for second in seconds(300):
            bar.set_postfix({"mse": second}, refresh=False)
            bar.update()
    text = stderr.getvalue()
    if terminal:
        assert text.count("\r") > 100
    else:
        assert "\r" not in text and text.endswith("\n")
        done = [line.split(",")[0] for line in text.splitlines()]
        assert done == [f"training: {n} of 1000" for n in (60, 120, 180, 240, 300, 300)]  # and one at the end
        assert text.splitlines()[0] == "training: 60 of 1000, 1.00step/s, 15:40 left, mse=59"


def test_what_is_soon_over_says_nothing(seconds, capsys):
    assert list(progress(seconds(59))) == list(range(59))
    assert capsys.readouterr().err == ""


def test_an_iterable_counts_itself(seconds, capsys):
    assert len(list(progress(seconds(90), desc="batches", unit="batch"))) == 90
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["batches: 60 of ?", "batches: 90 of ?"]
