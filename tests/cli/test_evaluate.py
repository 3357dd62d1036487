import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import mixed_table

from streamlearn.cli.main import main


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli")
    pq.write_table(mixed_table(5_000), path / "rows.parquet")
    for name, features in (("one", "distance,zone"), ("two", "zone")):
        told = ["fit", str(path / "rows.parquet"), "--target", "label", "--features", features]
        assert main([*told, "--model", "sgd-classifier", "-o", str(path / name), "-q"]) == 0
    return path


def _evaluate(place, *options):
    return main(["evaluate", str(place / "one"), str(place / "rows.parquet"), *options])


def test_slices_and_comparison_are_shown(place, capsys):
    capsys.readouterr()
    code = _evaluate(
        place, "--slice-by", "flag", "--slice-by", "distance:4", "--fairness-by", "flag",
        "--positive", "0", "--compare", str(place / "two"), "--confidence", "0.9",
    )  # fmt: skip
    shown = capsys.readouterr().out
    assert code == 0
    for text in (
        "90% interval",
        "Worst of 7 slices",
        "Fairness by flag",
        "positive is 0",
        "Against",
    ):
        assert text in shown
    assert all(len(line) <= 160 for line in shown.splitlines())


def test_requirements_decide_the_exit_code(place, capsys):
    assert _evaluate(place, "--require", "accuracy >= 0.5") == 0
    assert "gate passed  accuracy >= 0.5" in capsys.readouterr().out
    code = _evaluate(
        place, "--require", "accuracy >= 0.5", "--require", "accuracy >= 0.999 where zone == 1"
    )
    captured = capsys.readouterr()
    assert code == 1
    assert "gate FAILED  accuracy >= 0.999 where zone == 1: accuracy is 0." in captured.out
    assert "error: not as required" in captured.err
    # What has no rows has no value, and does not pass.
    assert _evaluate(place, "--require", "accuracy >= 0 where zone == 12345") == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--require", "accuracy = 1"], "cannot be read"),
        (["--require", "nothing >= 1"], "nothing"),
        (["--slice-by", "zone:x"], "quantile bins"),
        (["--confidence", "2"], "confidence"),
        (["--metrics", "nothing"], "nothing"),
    ],
)
def test_slips_are_usage_errors(place, capsys, options, says):
    assert _evaluate(place, *options) == 2
    assert says in capsys.readouterr().err


def test_a_column_that_is_not_there(place, capsys):
    assert _evaluate(place, "--slice-by", "nothing") == 4
    assert "no column 'nothing'; the columns are: zone" in capsys.readouterr().err


def test_json_has_all_of_it(place, tmp_path, capsys):
    path = tmp_path / "e.json"
    assert _evaluate(place, "--slice-by", "flag", "--json", "-o", str(path), "--seed", "3") == 0
    found = json.loads(path.read_text())
    assert json.loads(capsys.readouterr().out) == found
    assert found["slices"][0]["by"] == "flag"
    assert found["about"]["command"]
    assert found["about"]["seed"] == 3


def test_text_is_not_read_as_markup(tmp_path, place, capsys):
    table = mixed_table(200).append_column("[red]x", pa.array(["[bold]a", "b"] * 100))
    pq.write_table(table, tmp_path / "rows.parquet")
    capsys.readouterr()
    assert (
        main(
            ["evaluate", str(place / "one"), str(tmp_path / "rows.parquet"),
             "--slice-by", "[red]x"]
        )
        == 0
    )  # fmt: skip
    shown = capsys.readouterr().out
    assert "[red]x" in shown
    assert "[bold]a" in shown


def test_the_report_is_a_page(place, tmp_path, capsys):
    path = tmp_path / "found.html"
    assert _evaluate(place, "--require", "accuracy >= 0.5", "--report", str(path)) == 0
    assert f"report  {path}" in capsys.readouterr().out
    html = path.read_text()
    assert html.startswith("<!doctype html>")
    assert "the requirement is kept" in html


@pytest.mark.parametrize("option", ["--report", "-o"])
def test_a_folder_that_is_not_there_is_refused_at_once(place, tmp_path, capsys, option):
    capsys.readouterr()
    assert _evaluate(place, option, str(tmp_path / "none" / "found.html")) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_quiet_prints_nothing_but_what_is_wrong(place, capsys):
    assert _evaluate(place, "-q") == 0
    assert capsys.readouterr() == ("", "")
    assert _evaluate(place, "-q", "--require", "accuracy >= 0.5 where zone == 99999") == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "there is no such row" in shown.err


def test_no_row_to_score_is_an_error(place, capsys):
    assert _evaluate(place, "--where", "distance > 1e300") == 4
    assert "no row to score" in capsys.readouterr().err


def test_a_budget_below_what_is_held_is_refused_with_the_number_that_would_do(place, capsys):
    assert _evaluate(place, "--memory-budget", "20MB") == 3
    said = capsys.readouterr().err
    assert "already" in said
    enough = said.rpartition("--memory-budget ")[2].partition(",")[0]
    assert _evaluate(place, "--memory-budget", enough) == 0
