"""Serving over TLS: the files of the command line, read before anybody is served."""

from __future__ import annotations

import argparse
import ssl
from collections.abc import Callable
from typing import NoReturn, TypedDict


class Tls(TypedDict, total=False):
    """What uvicorn is told; empty without TLS."""

    ssl_certfile: str
    ssl_keyfile: str
    ssl_ca_certs: str
    ssl_cert_reqs: int


def read_tls(arguments: argparse.Namespace) -> Tls:
    """Read the options; raises `ValueError`, whose text says which is wrong.

    With `--tls-client-ca` a client without a certificate is not served anything at all: what a server says before it
    knows who asks is then no question of its own.
    """
    certificate, key = getattr(arguments, "tls_cert", None), getattr(arguments, "tls_key", None)
    authority = getattr(arguments, "tls_client_ca", None)
    if not certificate:
        if key or authority:
            raise ValueError("--tls-key and --tls-client-ca go with --tls-cert, the file of the certificate")
        return {}
    if not key:
        raise ValueError("--tls-cert goes with --tls-key, the file of the certificate's private key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load("--tls-cert and --tls-key", lambda: context.load_cert_chain(certificate, key, password=_ask_nobody))
    found: Tls = {"ssl_certfile": certificate, "ssl_keyfile": key}
    if authority:
        _load("--tls-client-ca", lambda: context.load_verify_locations(authority))
        found.update(ssl_ca_certs=authority, ssl_cert_reqs=ssl.CERT_REQUIRED)
    return found


def _ask_nobody() -> NoReturn:
    raise ValueError("--tls-key is encrypted: give a key that needs no password, in a file that others cannot read")


def _load(options: str, load: Callable[[], None]) -> None:
    try:
        load()
    except ssl.SSLError as error:
        raise ValueError(f"{options} cannot be used: {error.reason or 'no certificate or key in PEM'}") from None
    except OSError as error:
        raise ValueError(f"{options} cannot be read: {error.strerror or error}") from None
