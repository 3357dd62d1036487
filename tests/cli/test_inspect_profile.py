"""``streamlearn inspect --profile``: text and JSON, any data, any terminal."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from streamlearn.cli.main import main


@pytest.fixture
def trips(tmp_path):
    rng = np.random.default_rng(0)
    rows = 6_000
    fare = rng.lognormal(2, 0.6, rows)
    columns = {
        "trip_id": np.arange(rows),
        "distance": rng.lognormal(1, 0.5, rows),
        "zone": rng.integers(1, 200, rows),
        "stadt": pa.array(rng.choice(["Köln", "\x1b[31mrot", None], rows)),
        "broken": np.where(np.arange(rows) % 3_000 == 7, np.inf, rng.normal(size=rows)),
        "fee": pa.nulls(rows, pa.float64()),
        "total": fare * 1.2 + 3,
        "fare": fare,
    }
    pq.write_table(pa.table(columns), tmp_path / "trips.parquet", row_group_size=2_000)
    return str(tmp_path / "trips.parquet")


def test_a_table_and_the_findings(trips, capsys):
    assert main(["inspect", "--profile", trips, "--target", "fare", "-q"]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].startswith("6,000 rows, 8 columns")
    heading = next(line for line in lines if "most frequent" in line)
    for word in ("column", "type", "nulls", "distinct", "min", "median", "max", "mean", "std"):
        assert word in heading
    assert any(line.split()[:2] == ["fare", "(target)"] for line in lines)
    assert "Köln" in out
    assert "\x1b" not in out
    assert "warning: 'total' is a straight line of the target 'fare'" in out
    assert "warning: 'broken' is infinite in 2 rows" in out
    assert "notice: 'trip_id' is likely an id: " in out
    assert "notice: 'fee' has no value in any row" in out


def test_json_is_strict_and_round(trips, capsys):
    assert main(["inspect", "--profile", trips, "--target", "fare", "--json", "-q"]) == 0
    out = capsys.readouterr().out

    def refuse(name):
        raise AssertionError(name)

    found = json.loads(out, parse_constant=refuse)
    assert found["rows"] == 6_000
    columns = {column["name"]: column for column in found["columns"]}
    assert columns["broken"]["infinite"] == 2
    assert columns["fee"]["nulls"] == 6_000
    assert "mean" not in columns["fee"]
    assert {item["kind"] for item in found["findings"]} >= {"leakage", "infinite", "id", "all null"}


def test_budget_and_conditions_are_those_of_a_fit(trips, capsys):
    arguments = ["inspect", "--profile", trips, "--where", "zone < 100", "--memory-budget", "2GB"]
    assert main([*arguments, "--derive", "fare * 2 AS twice", "--json"]) == 0
    found = capsys.readouterr()
    assert "profile: 6,000 rows" in found.err
    plain = json.loads(found.out)
    assert plain["rows"] < 6_000
    assert "twice" in {column["name"] for column in plain["columns"]}
    assert main(["inspect", "--profile", trips, "--memory-budget", "+1MB", "-q"]) == 3
    assert "pass 'profile' needs" in capsys.readouterr().err


def test_without_profile_the_options_of_a_pass_are_refused(trips, capsys):
    assert main(["inspect", trips, "--target", "fare"]) == 2
    assert "--target needs --profile" in capsys.readouterr().err
    assert main(["inspect", trips]) == 0
    assert "trip_id" in capsys.readouterr().out


def test_wide_data_is_summarised(tmp_path, capsys):
    rng = np.random.default_rng(0)
    columns = {f"f{i:04d}": rng.normal(size=300).astype(np.float32) for i in range(1_500)}
    columns["zz_empty"] = pa.nulls(300, pa.float32())
    pq.write_table(pa.table(columns), tmp_path / "wide.parquet")
    assert main(["inspect", "--profile", str(tmp_path / "wide.parquet"), "-q"]) == 0
    out = capsys.readouterr().out
    assert "100 of 1,501 columns are shown" in out
    assert len(out.splitlines()) < 130
    assert "zz_empty" in out
    assert main(["inspect", "--profile", str(tmp_path / "wide.parquet"), "-q", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["columns"]) == 1_501


def test_a_narrow_terminal_gets_fewer_columns(trips, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "70")
    assert main(["inspect", "--profile", trips, "-q"]) == 0
    out = capsys.readouterr().out
    assert "A wider terminal, or --json, shows 5%, 95%" in out
    assert "most frequent" not in out.split("A wider terminal")[0]


def test_no_rows(tmp_path, capsys):
    path = str(tmp_path / "none.parquet")
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), path)
    assert main(["inspect", "--profile", path, "-q"]) == 0
    assert capsys.readouterr().out.startswith("0 rows, 1 columns; everything is exact")
