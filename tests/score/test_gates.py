import pytest

from streamlearn.errors import UsageError
from streamlearn.score.bootstrap import Interval
from streamlearn.score.gates import judged, parse_gate


@pytest.mark.parametrize(
    ("text", "metric", "sign", "limit", "column", "value"),
    [
        ("rmse <= 6.5", "rmse", "<=", 6.5, None, None),
        ("r2>.9", "r2", ">", 0.9, None, None),
        ("  mae < 1e-3 ", "mae", "<", 1e-3, None, None),
        ("auc >= 0.8 where PULocationID == 74", "roc_auc", ">=", 0.8, "PULocationID", "74"),
        ("r2 >= -1 where 'x' == 1", None, None, None, None, None),
        ('r2 >= -1 where "my zone" == "East Harlem"', "r2", ">=", -1.0, "my zone", "East Harlem"),
        ("r2 >= 0 where flag=='a b'", "r2", ">=", 0.0, "flag", "a b"),
        ("r2 >= 0 where flag == ''", "r2", ">=", 0.0, "flag", ""),
        ("accuracy >= 0.5 WHERE a.b == -3", "accuracy", ">=", 0.5, "a.b", "-3"),
    ],
)
def test_gates_are_read(text, metric, sign, limit, column, value):
    if metric is None:
        with pytest.raises(UsageError):
            parse_gate(text)
        return
    gate = parse_gate(text)
    assert (gate.metric, gate.sign, gate.limit, gate.column, gate.value) == (
        metric, sign, limit, column, value,
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rmse",
        "rmse = 5",
        "rmse == 5",
        "rmse <= five",
        "rmse <= 5 6",
        "rmse <= 5 where",
        "rmse <= 5 where a = 3",
        "rmse <= 5 where a == 3 and b == 4",
        "rmse <= 5; rm",
        "5 >= rmse",
        "rmse <= nan",
        "rmse <= inf",
    ],
)
def test_what_is_no_gate(text):
    with pytest.raises(UsageError, match="cannot be read: write it as METRIC"):
        parse_gate(text)


@pytest.mark.parametrize(
    ("text", "value", "passed"),
    [
        ("a <= 1", 1.0, True),
        ("a < 1", 1.0, False),
        ("a >= 1", 1.0, True),
        ("a > 1", 1.0, False),
        ("a >= 1", float("nan"), False),
        ("a <= 1", float("nan"), False),
    ],
)
def test_gates_decide(text, value, passed):
    found = judged(parse_gate(text), value, Interval(0, 2), 10)
    assert found.passed is passed
    assert ("passed" if passed else "FAILED") in str(found)
