"""Certificates made for a test: two authorities, a server, and clients of every kind."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import select
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import IO, TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

PATIENCE = 20.0
NOW = dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def fingerprint(self) -> str:
        return f"sha256:{hashlib.sha256(self.der).hexdigest()}"

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write both as PEM."""
        paths = folder / f"{name}.pem", folder / f"{name}.key"
        paths[0].write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        paths[1].write_bytes(self.key.private_bytes(serialization.Encoding.PEM, *form))
        return paths


def make_pair(
    name: str, signer: Pair | None = None, *, authority: bool = False, days: int = 2, server: bool = False
) -> Pair:
    """A certificate, signed by another or by itself; with days below zero it has ended."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if signer is None else signer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - dt.timedelta(days=5))
        .not_valid_after(NOW + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if not authority:
        names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    above = key.public_key() if signer is None else signer.key.public_key()
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above), critical=False)
    return Pair(builder.sign(key if signer is None else signer.key, hashes.SHA256()), key)


class World:
    """What lies in a folder: the authority, a server's certificate, the certificates of clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority, other = make_pair("authority", authority=True), make_pair("other", authority=True)
        self.clients = {
            "ann": make_pair("ann", self.authority),
            "bob": make_pair("bob", self.authority),
            "expired": make_pair("ann", self.authority, days=-1),
            "of another authority": make_pair("ann", other),
            "of its own": make_pair("ann"),
            "of a server": make_pair("ann", self.authority, server=True),
        }
        self.authority_file = self.authority.write(folder, "authority")[0]
        self.server = make_pair("localhost", self.authority, server=True)
        self.server_files = self.server.write(folder, "server")

    @property
    def options(self) -> list[str]:
        """TLS alone."""
        return ["--tls-cert", str(self.server_files[0]), "--tls-key", str(self.server_files[1])]

    def context(self, client: str | None = None) -> ssl.SSLContext:
        """What a client opens connections with."""
        context = ssl.create_default_context(cafile=str(self.authority_file))
        if client is not None:
            context.load_cert_chain(*self.clients[client].write(self.folder, "client"))
        return context


@contextmanager
def serve(*options: str) -> Generator[str]:
    """Start the everything server; gives its URL. It must end by itself and say nothing that it should not."""
    command = [sys.executable, "-m", "mcp_server_everything", "--transport", "http", "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        try:
            yield _read_url(process.stderr)
            process.terminate()
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


def run(*options: str) -> subprocess.CompletedProcess[str]:
    """Start the server where it must not start."""
    command = [sys.executable, "-m", "mcp_server_everything", "--transport", "http", "--port", "0", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def _read_url(log: IO[bytes]) -> str:
    said, deadline = b"", time.monotonic() + PATIENCE
    while not (found := re.search(rb"serves (https?://\S+)\n", said)):
        ready = select.select([log], [], [], max(deadline - time.monotonic(), 0))[0]
        line = log.readline() if ready else b""
        assert line, f"the server does not start: {said.decode()}"
        said += line
    threading.Thread(target=log.read, name="log", daemon=True).start()
    return found[1].decode()


def lines(entries: Sequence[tuple[str, str]]) -> str:
    """Certificates as they stand in the file: names, and fingerprints or subjects."""
    return "".join(f'[[certificates]]\nname = "{name}"\n{what}\n' for name, what in entries)
