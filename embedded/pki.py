"""Certificates of one embedded cloud: one authority, and what it signs for servers and clients. Owns the folder `pki`."""

from __future__ import annotations

import datetime
import fcntl
import ipaddress
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from embedded.cloud import Cloud

VALID_DAYS = 825
"""The longest that clients commonly accept for a server certificate; no embedded cloud lives as long."""
TRUST_STORE_PATH = "/embedded/truststore/global-bundle.pem"
"""At the embedded AWS, what https://truststore.pki.rds.amazonaws.com is at Amazon."""
_USAGES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign")


@contextmanager
def _lock(cloud: Cloud) -> Iterator[Path]:
    folder = cloud.path("pki")
    folder.chmod(0o700)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def _write(file: Path, content: bytes) -> None:
    scratch = file.with_name(f".{file.name}")
    with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(content)
    scratch.rename(file)


def _key(file: Path) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    _write(file, key.private_bytes(*form))
    return key


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
    )


def _usage(*wanted: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in wanted for usage in _USAGES}, encipher_only=False, decipher_only=False)


def _ensure_ca(folder: Path) -> tuple[Path, Path]:
    certificate, key_file = folder / "ca.crt", folder / "ca.key"
    if not certificate.exists():
        key = _key(key_file)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "embedded-cloud-ca")])
        signed = (
            _builder(name, name, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage("digital_signature", "key_cert_sign", "crl_sign"), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write(certificate, signed.public_bytes(serialization.Encoding.PEM))
    return certificate, key_file


def ca(cloud: Cloud) -> tuple[Path, Path]:
    """Certificate and key of the cloud's authority, made on first use."""
    with _lock(cloud) as folder:
        return _ensure_ca(folder)


def key_pair(cloud: Cloud, name: str) -> tuple[Path, Path]:
    """Public and private key that sign something other than certificates (service account tokens)."""
    with _lock(cloud) as folder:
        public, private = folder / f"{name}.pub", folder / f"{name}.key"
        if not public.exists():
            form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            _write(public, _key(private).public_key().public_bytes(*form))
        return public, private


def _alternative_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def issue(cloud: Cloud, name: str, *, common_name: str, organization: str | None = None, hosts: tuple[str, ...] = ()) -> tuple[Path, Path]:
    """Certificate and key files for a server (`hosts`: its names and addresses) or a client; one that exists is kept.

    Kubernetes takes a client's user from `common_name` and its group from `organization`.
    """
    with _lock(cloud) as folder:
        certificate, key_file = folder / f"{name}.crt", folder / f"{name}.key"
        if certificate.exists():
            return certificate, key_file
        ca_file, ca_key_file = _ensure_ca(folder)
        authority = x509.load_pem_x509_certificate(ca_file.read_bytes())
        ca_key = serialization.load_pem_private_key(ca_key_file.read_bytes(), password=None)
        assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
        organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
        key = _key(key_file)
        # a common name has at most 64 characters; server names are read from the alternative names anyway
        subject = x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if hosts else [])]
        builder = (
            _builder(subject, authority.subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage("digital_signature", "key_encipherment"), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_alternative_name(host) for host in hosts]), critical=False)
        _write(certificate, builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return certificate, key_file
