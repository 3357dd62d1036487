"""Random damage to files is an error, or leaves the rows their number: never a crash or a hang."""

from __future__ import annotations

from pathlib import Path

import pytest
from damage import FORMATS

from streamlearn.testing import measure

SEEDS = 300


@pytest.mark.parametrize("name", FORMATS)
def test_damage_is_an_error_or_changes_values_only(name, tmp_path):
    here = str(Path(__file__).parents[1])
    found = measure(
        f"import sys; sys.path.insert(0, {here!r})\n"
        f"from damage import wreck; wreck({name!r}, {str(tmp_path)!r}, {SEEDS})",
        timeout_s=120,
    )
    assert found.exit_code == 0, (found.exit_code, found.errors[-3_000:])
    assert found.last["errors"] + found.last["read"] > 0.95 * SEEDS
    assert found.last["errors"] > 10
