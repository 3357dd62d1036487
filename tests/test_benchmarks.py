"""The benchmarks run: every work at a tiny size, with results that agree."""

import json
import sys
from dataclasses import replace

import pyarrow as pa
import pytest
from click.testing import CliRunner

import streamlearn as sl
from benchmarks import data as made_data
from benchmarks import program
from benchmarks.__main__ import main
from benchmarks.agreement import disagreement, distance
from benchmarks.data import made
from benchmarks.job import Job
from benchmarks.process import run_apart
from benchmarks.schedule import tasks
from benchmarks.summary import Outcome, floor_of, lines_of, outcomes
from benchmarks.table import document
from benchmarks.work import DECODE, MODEL, OURS, Contender, Reach
from benchmarks.works import WORKS
from streamlearn.generate import generate_dense

ROWS = 40_000
# The one in memory is run by the command below: threads of pandas' reader may outlive its call.
LEARNED = [name for name in WORKS if name not in ("growth", "small")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data of every work, in several files each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made_data, "FILE_ROWS", 1 << 15)
        place = tmp_path_factory.mktemp("data")
        yield place


def job_of(work, contender, folder, out, rows=ROWS):
    place = made(work.data, folder, ROWS)
    out.mkdir(exist_ok=True)
    return Job(
        contender.program,
        str(place / "train"),
        str(place / "held"),
        str(out),
        rows,
        "+500MB",
        work.epochs,
        work.target,
        work.metric,
    )


def result_of(work, contender, folder, out):
    job = job_of(work, contender, folder, out)
    module, costs, fitted = program.run(job)
    assert costs["wall"] > 0
    return program.answer(job, module, fitted)


@pytest.mark.parametrize("name", LEARNED)
def test_the_loop_by_hand_agrees_with_ours(name, folder, tmp_path):
    if name == "predict" and not hasattr(sl, "predict"):
        pytest.skip("sl.predict is not there yet")
    work = WORKS[name]
    ours, hand = work.contenders[:2]
    first = result_of(work, ours, folder, tmp_path / "ours")
    second = result_of(work, hand, folder, tmp_path / "hand")
    second["distance"] = distance(tmp_path / "ours" / "coef.npy", tmp_path / "hand" / "coef.npy")
    assert disagreement(hand, work.metric, first, second) is None
    if hand.coef_tolerance:
        assert second["distance"] < 1e-6


@pytest.mark.parametrize(
    "name", ["dense-sgd", "taxi", "text-hash", "text-tfidf", "zarr-raw", "predict"]
)
def test_floors_run(name, folder, tmp_path):
    work = WORKS[name]
    named = {item.name: item for item in work.contenders}
    for floor in (DECODE, MODEL):
        module, costs, _ = program.run(job_of(work, named[floor], folder, tmp_path))
        assert costs["cpu"] > 0
        assert module.__doc__.startswith("A floor")


@pytest.mark.parametrize("name", ["DictVectorizer loop", "FeatureHasher loop"])
def test_loops_over_dicts_agree_on_all_rows_and_take_those_they_are_given(name, folder, tmp_path):
    work = WORKS["taxi"]
    named = {item.name: item for item in work.contenders}
    loop = named[name]
    ours = result_of(work, work.contenders[0], folder, tmp_path / "ours")
    assert (
        disagreement(
            loop,
            work.metric,
            ours,
            result_of(work, loop, folder, tmp_path / "loop"),
        )
        is None
    )
    *_, fitted = program.run(job_of(work, loop, folder, tmp_path, rows=3_000))
    assert fitted[-1].t_ == 3_001


def test_held_out_rows_follow_those_to_learn_from(tmp_path):
    def read(folder):
        # Not read_table of a folder: its threads may still hold files when it is back.
        return pa.concat_tables([made_data.read_file(path) for path in sorted(folder.iterdir())])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made_data, "FILE_ROWS", 1 << 15)
        place = made(WORKS["dense-sgd"].data, tmp_path, ROWS)
    generate_dense(tmp_path / "all", ROWS + 8_000)
    train, held = read(place / "train"), read(place / "held")
    assert pa.concat_tables([train, held]) == read(tmp_path / "all")
    assert len(train) == ROWS


def found_of(**walls):
    """A work's entry, as a session writes it; a text is an error."""
    entry = {"rows": 1000, "budget": "1GB", "date": "2026-01-01", "contenders": {}}
    entry["machine"] = {"cpu": "one", "cores": 2, "memory": "1 GB", "system": "Linux"}
    for name, wall in walls.items():
        run = {"wall": wall, "cpu": wall, "peak": 10**8, "score": 0.8, "process": 1.0}
        one = {"rows": 1000, "of": 1000, "planned": 1, "runs": [run], "versions": {"numpy": "2"}}
        if isinstance(wall, str):
            one |= {"error": wall, "runs": []}
        entry["contenders"][name.replace("_", " ")] = one
    return entry


def test_reaches_are_met_missed_or_not_measured():
    work = WORKS["dense-sgd"]
    entry = found_of(streamlearn=2.0, hand_loop=4.2, in_memory=5.0, lale="ImportError: lale")
    entry["contenders"] |= found_of(decode=3.0, model=1.0)["contenders"]
    for name in ("decode", "model"):
        entry["contenders"][f"floor: {name}"] = entry["contenders"].pop(name)
    assert floor_of(entry, lines_of(entry)).seconds == 1.5
    got = {(one.reach.kind, one.reach.beside): one for one in outcomes(work, entry)}
    assert got["speed", "hand loop"].met is True
    assert got["speed", "in memory"].met is False
    assert got["speed", "lale"].met is None
    assert got["floor", ""].found == pytest.approx(4 / 3)
    text = document({"dense-sgd": entry}, WORKS, "speed")
    assert "| lale | failed: ImportError: lale |" in text
    assert "| times as fast as: hand loop | ≥ 2 | 2.1 | yes |" in text


def test_what_ran_on_a_part_is_multiplied_and_said_so():
    entry = found_of(streamlearn=2.0, DictVectorizer_loop=5.0)
    entry["contenders"]["DictVectorizer loop"]["rows"] = 50
    line = lines_of(entry)["DictVectorizer loop"]
    assert (line.wall, line.rows_per_s) == (100.0, 10.0)
    text = document({"taxi": entry}, WORKS, "speed")
    assert "~50.00 |" in text
    assert "measured on the first 50 rows" in text


def test_growth_is_how_far_sizes_differ():
    sizes = tasks(WORKS["growth"], 10_000_000, 5)
    assert [task.rows for task in sizes] == [1_000_000, 3_000_000, 10_000_000, 30_000_000]
    entry = found_of(a=1.0, b=1.2)
    assert [one.found for one in outcomes(WORKS["growth"], entry)] == pytest.approx([0.2, 0.0])


def test_disagreement_is_found():
    one = Contender("one", "x", coef_tolerance=0.1)
    assert disagreement(one, "accuracy", {"score": 0.8}, {"score": 0.805, "distance": 0.0}) is None
    assert "accuracy" in disagreement(one, "accuracy", {"score": 0.8}, {"score": 0.7})
    assert "accuracy" in disagreement(one, "accuracy", {"score": 0.8}, {"score": float("nan")})
    assert "coefficients" in disagreement(one, "accuracy", {}, {"distance": float("inf")})
    assert not Outcome(Reach("peak", 0.5, "x"), 0.6).met


def test_what_takes_too_long_is_killed(folder, tmp_path):
    job = job_of(WORKS["dense-sgd"], Contender("x", "dense.hand"), folder, tmp_path)
    assert run_apart(job, sys.executable, 0.01) == {"error": "not done after 0.01 s"}
    assert "No such file" in run_apart(job, "/nowhere/python", 1)["error"]


def test_the_command_reports_failures_and_goes_on(folder, tmp_path, monkeypatch):
    """One command, with a way that works and one that is not installed; then --resume."""
    work = WORKS["dense-sgd"]
    ways = (Contender(OURS, "small.memory"), Contender("lost", "dense.nothing", "river"))
    monkeypatch.setitem(WORKS, "dense-sgd", replace(work, contenders=ways))
    command = ["dense-sgd", "--rows", str(ROWS), "--runs", "1", "--keep", str(folder)]
    command += ["--out", str(tmp_path / "speed")]
    done = CliRunner().invoke(main, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "lost: failed: ModuleNotFoundError" in done.output
    found = json.loads((tmp_path / "speed.json").read_text())["dense-sgd"]["contenders"]
    assert len(found[OURS]["runs"]) == 1
    assert found[OURS]["runs"][0]["peak"] > 50e6
    assert 0 < found[OURS]["runs"][0]["later"] < 10
    assert "failed: ModuleNotFoundError" in (tmp_path / "speed.md").read_text()
    assert "<svg" in (tmp_path / "speed.svg").read_text()
    again = CliRunner().invoke(main, [*command, "--peers", "none", "--resume"])
    assert again.exit_code == 0, again.output
    later = json.loads((tmp_path / "speed.json").read_text())["dense-sgd"]["contenders"]
    assert later == found


def test_an_interrupted_session_keeps_what_it_found(folder, tmp_path, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks.session.run_apart", interrupted)
    command = ["small", "--runs", "1", "--keep", str(folder), "--out", str(tmp_path / "speed")]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 5
    assert "--resume" in done.output


@pytest.mark.parametrize(
    "arguments",
    [["nothing"], ["--rows", "many"], ["--peers", "spark"], ["--venv", "river=/nowhere"]],
)
def test_wrong_arguments_are_named(arguments, tmp_path):
    done = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path / "speed")])
    assert done.exit_code == 2
    assert arguments[-1].split("=")[-1] in done.output
