"""A DSN is read as both servers of PostgreSQL read it, and never shows how to get in."""

from __future__ import annotations

import argparse

import pytest

import mcp_server_postgres.cli
import mcp_server_ticketing.cli
from mcp_kernel.toolkits.dsn import Dsn, read_dsn

ANN = "p4ss%40word"
FORMS = {
    f"postgresql://ann:{ANN}@db:5432/shop?sslmode=require": "postgresql://ann:***@db:5432/shop?sslmode=require",
    f"postgresql://db/shop?password={ANN}&user=ann": "postgresql://db/shop?password=***&user=ann",
    f"postgresql://db/shop?sslpassword={ANN}": "postgresql://db/shop?sslpassword=***",
    f"postgresql://db/shop?passfile=/home/{ANN}": "postgresql://db/shop?passfile=***",
    f"postgresql://ann:{ANN}@one:1,two:2/shop": "postgresql://ann:***@one:1,two:2/shop",
    f"host=db password='a b \\' {ANN}' user=ann": "host=db password=*** user=ann",
    f"postgresql://ann:{ANN}@[::1/shop": "postgresql://…",
}


@pytest.mark.parametrize(("dsn", "shown"), FORMS.items())
def test_what_it_shows_leads_there_and_lets_nobody_in(dsn: str, shown: str) -> None:
    found = Dsn(dsn)
    assert (str(found), repr(found)) == (shown, f"Dsn({shown})")


def test_a_secret_is_taken_out_of_a_text_in_every_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "of the variable")
    dsn = Dsn("postgresql://ann:p%40ss@db/shop?sslpassword=of+the+key")
    said = "It took p@ss, p%40ss, of the key and of the variable"
    assert dsn.clean(said) == "It took ***, ***, *** and ***"
    assert Dsn(None).clean(said) == "It took p@ss, p%40ss, of the key and ***"


def test_a_short_password_does_not_tear_words_apart() -> None:
    assert Dsn("postgresql://ann:an@db/shop").clean("an answer from ann") == "an answer from ann"


@pytest.mark.parametrize(
    ("dsn", "problem"),
    [
        ("postgresql://db/shop", None),
        ("postgres://one:1,two:2/shop", None),
        (None, None),
        ("mysql://db/shop", "must begin with postgresql://"),
        ("shop", "must begin with postgresql://"),
        ("postgresql://[::1/shop", "cannot be read"),
        ("postgresql://db:port/shop", "cannot be read"),
    ],
)
def test_what_names_no_database_is_said(dsn: str | None, problem: str | None) -> None:
    said = Dsn(dsn).problem()
    assert said == problem if problem is None else problem in str(said)


LINES = {
    "postgres": (mcp_server_postgres.cli.command_line, list[str]()),
    "ticketing": (mcp_server_ticketing.cli.command_line, ["--database-url"]),
}


@pytest.mark.parametrize("server", LINES)
def test_both_servers_read_it_alike(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    command_line, words = LINES[server]
    given: dict[str, object] = vars(command_line().parse_args([*words, " postgresql://ann:hunter2@db/shop "]))
    assert Dsn("postgresql://ann:hunter2@db/shop") in given.values()
    with pytest.raises(SystemExit):
        command_line().parse_args([*words, "mysql://ann:hunter2@db/shop"])
    said = capsys.readouterr().err
    assert "the DSN must begin with postgresql://" in said
    assert "hunter2" not in said


def test_a_mistake_is_one_of_the_command_line() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="cannot be read"):
        read_dsn("postgresql://[::1/shop")
