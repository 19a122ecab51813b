"""What runs where, for a person and for a program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A server: what it is called, where it answers, what is there, and why it does not run, if so."""

    name: str
    title: str
    url: str
    data: str
    problem: str | None


def as_text(base: str, rows: Sequence[Row]) -> str:
    """The table with a line for each server."""
    names = max(len(row.name) for row in rows)
    urls = max(len(row.url) for row in rows)
    lines = [
        f"  {row.name:{names}}  {'-' if row.problem else row.url:{urls}}  "
        + (f"does not run: {row.problem}" if row.problem else row.data)
        for row in rows
    ]
    head = f"Open {base}/ in a browser to try the servers, or give their addresses to a host.\n\n"
    return head + "\n".join(lines) + "\n\nCtrl-C ends it, and takes all of its data away.\n"


def as_json(base: str, rows: Sequence[Row]) -> str:
    """One line of JSON: `page`, and `servers` with `name`, `title`, `url` and `data`.

    `url` is null and `problem` a text where a server does not run.
    """
    servers = [
        {
            "name": row.name,
            "title": row.title,
            "url": None if row.problem else row.url,
            "data": row.data,
            "problem": row.problem,
        }
        for row in rows
    ]
    return json.dumps({"page": f"{base}/", "servers": servers}, ensure_ascii=False) + "\n"
