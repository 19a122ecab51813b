"""Certificates of clients: which one came with a request, and whose it is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from mcp_kernel.auth.resource.bearer import Unusable
from mcp_kernel.server.principal import Knock

_FORWARDED: Final = re.compile(rb" *:([A-Za-z0-9+/]+={0,2}): *")  # a byte sequence of RFC 9651
_LARGEST: Final = 16 * 1024  # bytes of the header


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that lets somebody in: by its SHA-256, or by its subject as RFC 4514 writes it."""

    name: str
    digest: bytes = field(default=b"", repr=False)
    subject: str = ""
    roles: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()


class Wallet:
    """The certificates of the file."""

    def __init__(self, certificates: Iterable[Certificate]) -> None:
        self._certificates = tuple(certificates)

    def __contains__(self, certificate: Certificate) -> bool:
        """Whether a certificate is in the file as it was."""
        return certificate in self._certificates

    def find(self, presented: bytes) -> Certificate | None:
        """Whose certificate it is, in DER; that it is valid was seen to where the connection was opened."""
        if not self._certificates:
            return None
        digest = hashlib.sha256(presented).digest()
        for each in self._certificates:
            if each.digest and hmac.compare_digest(each.digest, digest):
                return each
        subject = _read_subject(presented) if any(each.subject for each in self._certificates) else ""
        return next((each for each in self._certificates if each.subject and each.subject == subject), None)


def read_certificate(knock: Knock, *, from_proxy: bool) -> bytes | None:
    """The client's certificate, in DER: of the connection, or as a trusted proxy passes it on (RFC 9440).

    Of a proxy's connection the certificate is the proxy's own, and nobody else's header counts. Raises `Unusable`.
    """
    if not from_proxy:
        return knock.certificate
    passed = knock.values(b"client-cert")
    if not passed:
        return None
    found = _FORWARDED.fullmatch(passed[0])
    if len(passed) > 1 or len(passed[0]) > _LARGEST or found is None:
        raise Unusable(400, "Client-Cert is one certificate, as RFC 9440 writes it", "invalid_request")
    try:
        return base64.b64decode(found[1], validate=True)
    except ValueError:
        raise Unusable(400, "Client-Cert is one certificate, as RFC 9440 writes it", "invalid_request") from None


def _read_subject(certificate: bytes) -> str:
    """The subject of a certificate; empty where it is none."""
    from cryptography import x509

    try:
        return x509.load_der_x509_certificate(certificate).subject.rfc4514_string()
    except ValueError:
        return ""
