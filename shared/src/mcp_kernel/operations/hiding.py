"""What nobody may read: secrets, known by the name that they have or by how they look, in names, texts and URIs.

The log and the audit log ask here alone, so that what one of them hides the other does not show.
"""

from __future__ import annotations

import re
from typing import Final

REDACTED: Final = "[redacted]"
SECRET_NAMES: Final = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "authorization",
    "credential",
    "apikey",
    "accesskey",
    "privatekey",
    "cookie",
)
"""Names that hold one of these are of secrets: in lower case, without `-` and `_`."""

SHAPES: Final = {
    "a GitHub token": r"\b(?:gh[opsur]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})",
    "a GitLab token": r"\bglpat-[\w-]{16,}",
    "an API key": r"\b(?:sk|pk|rk)[-_](?=[\w-]{0,200}\d)[\w-]{16,}",
    "an AWS access key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "a Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    "a Google API key": r"\bAIza[\w-]{30,}",
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{20,}",
    "an npm token": r"\bnpm_[A-Za-z0-9]{20,}",
    "a PyPI token": r"\bpypi-[\w-]{20,}",
    "a JSON Web Token": r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+",
    "a private key": r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----",
}
"""What some secrets look like, whatever stands before them, as regular expressions."""

_NAME: Final = "|".join(name.replace("key", "[-_]?key") for name in SECRET_NAMES)
_IN_QUERIES: Final = (
    r"key|code|client_assertion|assertion|signature|sig|session_id"  # secret there, and words elsewhere
)
_VALUE: Final = r"""b?"(?:[^"\\]|\\.)*(?:"|\\?\Z)|b?'(?:[^'\\]|\\.)*(?:'|\\?\Z)"""  # in quotation marks, or to the end
_HEADERS: Final = ("proxy-authorization", "authorization", "x-api-key", "dpop", "set-cookie", "cookie")
_HEADERS_OF_SESSIONS: Final = ("mcp-session-id", "client-cert")
_SCHEMES: Final = ("bearer", "dpop", "basic")
_MARKS: Final = (
    "gh",
    "glpat-",
    "k-",
    "k_",
    "akia",
    "asia",
    "xox",
    "aiza",
    "hf_",
    "npm_",
    "pypi-",
    "eyj",
)  # of `SHAPES`
# What must be in a text, in lower case, for the pattern behind it to be looked for: to look takes far less time.
# Each pattern is linear: no part of it can match what the part after it begins with, or the part is short.
_SECRETS: Final = (
    # a private key, to its end
    (("private key",), re.compile(rf"{SHAPES['a private key']}[^-]*(?:-----END|\Z)?"), REDACTED),
    # a header of a request, as a line, as a member of a mapping or as a pair of bytes, to its end
    (
        (*_HEADERS, *_HEADERS_OF_SESSIONS),
        re.compile(
            rf"""({"|".join((*_HEADERS, *_HEADERS_OF_SESSIONS))})"""
            rf"""(['"]?\s{{0,5}}[:=,]\s{{0,5}})({_VALUE}|[^\n"',}}\])]+)""",
            re.IGNORECASE,
        ),
        rf"\1\2{REDACTED}",
    ),
    # the value of a name: of a setting, of a member of JSON, of a keyword
    (
        tuple(name.removesuffix("key") for name in SECRET_NAMES),
        re.compile(
            rf"""(?<![\w-])([\w-]{{0,40}}?(?:{_NAME})[\w-]{{0,40}}(?:['"]\s{{0,5}}:|['"]?\s{{0,5}}=)\s{{0,5}})"""
            rf"""({_VALUE}|[^\s"',;&#<>}}\])]+)""",
            re.IGNORECASE,
        ),
        rf"\1{REDACTED}",
    ),
    (
        _SCHEMES,
        re.compile(rf"\b({'|'.join(_SCHEMES)})(\s{{1,5}})[\w.~+/=-]{{16,}}", re.IGNORECASE),
        rf"\1\2{REDACTED}",
    ),
    (("=",), re.compile(rf"([?&;](?:{_IN_QUERIES})=)[^&\s\"'#<>]*", re.IGNORECASE), rf"\1{REDACTED}"),
    (("://",), re.compile(r"(://)[^\s/@:\"']*:[^\s/@\"']*@"), rf"\1{REDACTED}@"),
    (("mcp_",), re.compile(r"\bmcp_[\w-]{43}(?![\w-])"), REDACTED),  # a key of `mcp-kernel keys new`
    (
        ("eyj",),
        re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"),
        REDACTED,
    ),  # a token of JSON, where it is none by its look
    (_MARKS, re.compile("|".join(SHAPES.values())), REDACTED),
)
_USER: Final = re.compile(r"(?<=://)[^/?#@\s]*@")  # of a URI: a name, and often a password


def simplify(name: str) -> str:
    """A name as `SECRET_NAMES` has it."""
    return name.lower().replace("-", "").replace("_", "")


def hide(text: str) -> str:
    """Take tokens, passwords and session ids out of a text."""
    known = text.lower()
    for signs, pattern, instead in _SECRETS:
        if any(sign in known for sign in signs):
            text = pattern.sub(instead, text)
    return text


def hide_in_uri(uri: str) -> str:
    """Take out of a URI who opens it, and with what."""
    return hide(_USER.sub(f"{REDACTED}@", uri))
