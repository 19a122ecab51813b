"""The workflows of GitHub: by the schema that is published for them, and what a release must not do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.house.source import ROOT

Json = dict[str, Any]

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
OWNERS = {"actions", "astral-sh", "pypa"}

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def workflow(path: Path) -> Json:
    return yaml.safe_load(path.read_text("utf-8"))


def jobs(path: Path) -> dict[str, Json]:
    return workflow(path)["jobs"]


def steps(path: Path) -> list[Json]:
    return [step for job in jobs(path).values() for step in job["steps"]]


def test_there_is_a_workflow_for_each_purpose() -> None:
    assert [path.stem for path in FILES] == ["conformance", "release", "test"]


def test_the_published_schema_takes_them(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    subprocess.run([*command, *map(str, FILES)], capture_output=True, timeout=60, check=True)
    broken = tmp_path / "broken.yml"
    broken.write_text("on: push\njobs:\n  a:\n    steps: []\n")
    assert subprocess.run([*command, str(broken)], capture_output=True, timeout=60, check=False).returncode


@each_file
def test_a_workflow_may_do_nothing_that_is_not_granted(path: Path) -> None:
    assert workflow(path)["permissions"] == {"contents": "read"}
    triggers = {each for key, value in workflow(path).items() if str(key) == "True" for each in value}  # YAML 1.1: on
    assert triggers <= {"push", "pull_request", "schedule"}
    for job in jobs(path).values():
        assert job["timeout-minutes"] <= 90


@each_file
def test_what_others_wrote_is_never_part_of_a_script(path: Path) -> None:
    for step in steps(path):
        assert "${{" not in step.get("run", ""), "pass it by the environment"
        owner = step.get("uses", "actions/x").partition("/")[0]
        assert owner in OWNERS
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_the_tests_run_on_every_python_and_system_that_is_promised() -> None:
    matrix = jobs(ROOT / ".github/workflows/test.yml")["matrix"]["strategy"]["matrix"]
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert {system.partition("-")[0] for system in matrix["system"]} == {"ubuntu", "macos", "windows"}
    assert any("bash .ci/run" in step.get("run", "") for step in steps(ROOT / ".github/workflows/test.yml"))


def test_the_folders_that_workflows_name_are_there() -> None:
    for path in FILES:
        for step in steps(path):
            for folder in re.findall(r"\btests/\S+", step.get("run", "")):
                assert (ROOT / folder).exists(), folder


def test_nothing_is_published_before_it_was_checked() -> None:
    """The upload needs the build with `.ci/run`, the entry needs the upload, and `check-names` comes before it."""
    release = jobs(ROOT / ".github/workflows/release.yml")
    assert release["pypi"]["needs"] == "build"
    assert "pypi" in release["registry"]["needs"]
    runs = [step.get("run", "") for step in release["build"]["steps"]]
    assert runs.index("bash .ci/run") < next(place for place, run in enumerate(runs) if "uv build" in run)
    runs = [step.get("run", "") for step in release["registry"]["steps"]]
    checked = next(place for place, run in enumerate(runs) if run.startswith("uv run check-names"))
    published = [place for place, run in enumerate(runs) if "mcp-publisher publish" in run]
    assert published == [len(runs) - 1]
    assert checked < published[0]
    for name, job in release.items():
        for step in job["steps"]:
            assert name == "registry" or "publisher" not in step.get("run", "")


def test_a_release_is_attested_and_needs_no_token() -> None:
    path = ROOT / ".github/workflows/release.yml"
    release = jobs(path)
    used = " ".join(step.get("uses", "") for step in steps(path))
    for action in ("actions/attest-build-provenance@", "actions/attest-sbom@", "pypa/gh-action-pypi-publish@"):
        assert action in used
    assert release["build"]["permissions"]["attestations"] == "write"
    assert release["pypi"]["permissions"] == {"id-token": "write"}
    assert release["pypi"]["environment"] == "pypi"
    assert "secrets." not in path.read_text("utf-8")


def test_the_tag_of_a_release_names_one_package_and_its_version(tmp_path: Path) -> None:
    build = jobs(ROOT / ".github/workflows/release.yml")["build"]
    (step,) = [step for step in build["steps"] if step.get("id") == "tag"]
    for tag, good in (("mcp-server-git-v0.1.0", True), ("mcp-kernel-v0.1.0", True), ("mcp-server-git-v9.0.0", False)):
        output = tmp_path / tag
        environment = {"TAG": tag, "GITHUB_OUTPUT": str(output)}
        done = subprocess.run(
            ["bash", "-ec", step["run"]], cwd=ROOT, env={**_path(), **environment}, timeout=60, check=False
        )
        assert (done.returncode == 0) is good
        if good:
            assert output.read_text() == f"package={tag.rpartition('-v')[0]}\n"


def _path() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "UV_CACHE_DIR") if name in os.environ}
