"""One question across three servers, as processes; and what is left of the answer when one of them is down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.stage import judge_transcript

from warranty.shop import CONFIGURATION, prepare

COMMAND = [sys.executable, str(Path(__file__).with_name("watched_warranty.py"))]
TODAY = "2026-03-31"


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command; every message that it exchanged with its servers is judged."""
    transcript = folder / "transcript"
    environment = {**os.environ, "WATCHED": str(transcript)}
    done = subprocess.run(
        [*COMMAND, "--today", TODAY, *words], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    judge_transcript(transcript)
    return done


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return prepare(tmp_path / "shop", date.fromisoformat(TODAY))


def bring_down(file: Path, server: str) -> None:
    """Put a program into a server's place that ends at once."""
    servers: Any = json.loads(file.read_text("utf-8"))
    servers["mcpServers"][server] = {"command": sys.executable, "args": ["-c", "raise SystemExit('no service today')"]}
    file.write_text(json.dumps(servers), "utf-8")


def test_the_question_is_answered_with_its_sources(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Is the coffee grinder of ticket 42 still under warranty, and what do I tell")
    assert (
        "Yes: it was bought on 2025-01-31 with 24 months of warranty, which ends on 2027-01-31, in 306 days. [2]"
        in (done.stdout)
    )
    assert "it still hums, the motor's capacitor has failed" in done.stdout
    assert "repair, replacement and postage are free" in done.stdout
    assert done.stdout.splitlines()[-4:] == [
        "[1] ticket://42, of tickets",
        "[2] order 1007, of products",
        "[3] coffee-grinder.md, of handbook",
        "[4] under-warranty.md, of handbook",
    ]


def test_a_warranty_that_has_ended_is_told_whatever_the_ticket_orders(tmp_path: Path) -> None:
    done = run(tmp_path, "--ticket", "43")
    assert "No: it was bought on 2023-10-01 with 24 months of warranty, which ended on 2025-10-01" in done.stdout
    assert "[4] warranty-ended.md, of handbook" in done.stdout
    assert "repair, replacement and postage are free" not in done.stdout


def test_a_purchase_that_nobody_finds_is_not_guessed(tmp_path: Path) -> None:
    done = run(tmp_path, "--ticket", "44")
    assert done.returncode == 0
    assert "It cannot be said: no purchase of carol@example.com" in done.stdout
    assert "unknown-purchase.md" in done.stdout
    assert "grinder" not in done.stdout


@pytest.mark.parametrize(
    ("server", "meant", "left"),
    [
        ("tickets", "what the customer wrote is not known", ["unknown-purchase.md, of handbook"]),
        ("products", "when it was bought is not known", ["ticket://42", "unknown-purchase.md, of handbook"]),
        ("handbook", "what the house says is not known", ["ticket://42", "Yes: it was bought on 2025-01-31"]),
    ],
)
def test_a_server_that_is_down_is_told_and_the_others_answer(
    tmp_path: Path, shop: Path, server: str, meant: str, left: list[str]
) -> None:
    bring_down(shop, server)
    done = run(tmp_path, "--servers", str(shop))
    assert (done.returncode, done.stderr) == (1, "")
    assert f"No answer from {server}, so {meant}: " in done.stdout
    assert [each for each in left if each not in done.stdout] == []


def test_a_file_of_other_servers_is_refused_in_a_line(tmp_path: Path) -> None:
    file = tmp_path / CONFIGURATION
    file.write_text('{"mcpServers": {"git": {"command": "mcp-server-git"}}}', "utf-8")
    for given, said in ((file, "no server 'tickets'"), (tmp_path / "none.json", "none.json")):
        done = run(tmp_path, "--servers", str(given))
        assert (done.returncode, done.stdout) == (2, "")
        assert len(done.stderr.splitlines()) == 1
        assert said in done.stderr


def test_what_was_prepared_is_asked_again_and_again(tmp_path: Path) -> None:
    assert "--servers" in run(tmp_path, "--prepare", str(tmp_path / "kept")).stdout
    answers = [run(tmp_path, "--servers", str(tmp_path / "kept" / CONFIGURATION)).stdout for _ in range(2)]
    assert answers[0] == answers[1]
    assert "Yes: " in answers[0]
