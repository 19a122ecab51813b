"""Which model writes: what the environment has set up, or what the command line asks for."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from mcp_kernel.console.terminal import Misuse
from support_agent import model_anthropic, model_openai
from support_agent.api import Api
from support_agent.model_anthropic import Anthropic
from support_agent.model_ollama import Ollama
from support_agent.model_openai import OpenAI
from support_agent.model_template import Template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support_agent.model import Model

Name: TypeAlias = Literal["anthropic", "openai", "ollama", "template"]

SIGNS: Final[dict[str, tuple[str, ...]]] = {
    "anthropic": ("ANTHROPIC_API_KEY",),
    "openai": ("OPENAI_API_KEY",),
    "ollama": ("OLLAMA_URL", "OLLAMA_HOST"),
}
"""The variables that set up each API, in the order in which they are looked for."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The model, and what must never be shown."""

    model: Model
    secrets: tuple[str, ...] = field(default=(), repr=False)


def choose_model(environment: Mapping[str, str], wanted: Name | None, name: str | None, timeout: float) -> Choice:
    """Raises `Misuse` where the environment lacks what is asked for, or has it in a form that is of no use.

    Args:
        environment: The variables of the process.
        wanted: The API; None is the first that is set up, and the template where none is.
        name: The model; None is the API's default.
        timeout: Seconds for an answer.
    """
    found = {api: value for api, signs in SIGNS.items() if (value := _first(environment, signs))}
    api = wanted or next(iter(found), "template")
    if api == "template":
        if name:
            raise Misuse("--model names a model of an API: set ANTHROPIC_API_KEY, OPENAI_API_KEY or OLLAMA_URL")
        return Choice(Template())
    if api not in found:
        raise Misuse(f"--api {api} needs the variable {' or '.join(SIGNS[api])}")
    value = found[api]
    if api == "ollama":
        url = value if "://" in value else f"http://{value}"
        return Choice(Ollama(Api("Ollama", _check_url(url), timeout=timeout), name or ""))
    key = _check_key(SIGNS[api][0], value)
    if api == "anthropic":
        url = _keep_safe(environment.get("ANTHROPIC_BASE_URL") or model_anthropic.URL)
        there = Api("Anthropic", url, model_anthropic.authorize(key), SIGNS[api][0], timeout)
        return Choice(Anthropic(there, name or model_anthropic.DEFAULT), (key,))
    url = _keep_safe(environment.get("OPENAI_BASE_URL") or model_openai.URL)
    there = Api("OpenAI", url, model_openai.authorize(key), SIGNS[api][0], timeout)
    return Choice(OpenAI(there, name or model_openai.DEFAULT), (key,))


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((value for name in names if (value := environment.get(name, "").strip())), "")


def _check_key(variable: str, key: str) -> str:
    """A key that can stand in a header; the complaint does not show it."""
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise Misuse(f"{variable} holds a character that is in no key; copy the key again")
    return key


def _check_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or "@" in url:
        raise Misuse("the address of a model's API must be http://HOST:PORT or https://HOST, without a user's name")
    return url


def _keep_safe(url: str) -> str:
    """A key goes over TLS, or does not leave this machine."""
    parts = urlsplit(_check_url(url))
    if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
        raise Misuse(f"a key is not sent to {parts.scheme}://{parts.netloc} in the clear; give an https address")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
