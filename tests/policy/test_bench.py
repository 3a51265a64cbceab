"""`policy bench` measures, keeps figures, and says where a tree has become slower."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.shipped_files import shipped
from tests.cli.running import Done, cli

PUBLIC = str(shipped("policies") / "public-cloud")


def measured(home: Path, *words: str) -> Done:
    return cli(home, "policy", "bench", PUBLIC, "--seconds", "0.05", *words)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("bench") / "figures.json"
    done = measured(file.parent, "--save", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert "decisions a second" in done.stdout
    return file


def test_figures_make_sense(kept: Path) -> None:
    found = json.loads(kept.read_text())
    assert found["rules"] == 9
    assert 0 < found["p50"] <= found["p95"] <= found["p99"]
    assert found["decisions_per_second"] > found["discoveries_per_second"] > 0
    names = [name for name, _ in found["slowest"]]
    assert sorted(names) == ["platform/no-public-images", "platform/odd-properties", "platform/scan-strangers"]
    assert [took for _, took in found["slowest"]] == sorted((took for _, took in found["slowest"]), reverse=True)


@pytest.mark.parametrize(("factor", "code"), [(0.001, 1), (1000, 0)])
def test_a_tree_that_became_slower_fails(kept: Path, tmp_path: Path, factor: float, code: int) -> None:
    found = json.loads(kept.read_text())
    before = {**found, **{name: found[name] * factor for name in ("p50", "p95", "p99", "growth")}}
    (tmp_path / "before.json").write_text(json.dumps(before))
    done = measured(tmp_path, "--compare", "before.json")
    assert done.returncode == code
    assert ("times as slow" in done.stdout) is bool(code)


@pytest.mark.parametrize("text", ["", "{}", '{"p50": "x"}', "[]"])
def test_a_file_without_figures_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "none.json").write_text(text)
    done = measured(tmp_path, "--compare", "none.json")
    assert done.returncode == 2
    assert "none.json holds no figures" in done.stderr
