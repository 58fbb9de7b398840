"""A folder with certificates, and the web configurations that are written into it."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import bcrypt
import trustme

PASSWORD = "the password of the tests"


@cache
def hash_of(password: str = PASSWORD, *, cost: int = 4) -> str:
    """A bcrypt hash that is cheap to check."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


@dataclass(frozen=True)
class Folder:
    """A server's certificate, those of clients, and the authorities of both."""

    path: Path
    authority: trustme.CA
    strangers: trustme.CA

    @classmethod
    def at(cls, path: Path) -> "Folder":
        """Make it."""
        made = cls(path, trustme.CA(), trustme.CA())
        made.renew()
        made.authority.cert_pem.write_to_path(path / "authority.pem")
        made.client("client", made.authority, "client.test", "127.0.0.9", "::9")
        made.client("stranger", made.strangers, "stranger.test")
        return made

    def renew(self) -> None:
        """Write a new certificate of the server."""
        certificate = self.authority.issue_cert("localhost", "127.0.0.1")
        certificate.private_key_pem.write_to_path(self.path / "server.key")
        certificate.cert_chain_pems[0].write_to_path(self.path / "server.crt")

    def client(self, name: str, authority: trustme.CA, *names: str) -> None:
        """Write a client's certificate."""
        certificate = authority.issue_cert(*names)
        certificate.private_key_and_cert_chain_pem.write_to_path(self.path / f"{name}.pem")

    def text(self, name: str) -> str:
        """A file as text that YAML takes as one line."""
        return (self.path / name).read_text(encoding="ascii").replace("\n", "\\n")

    def write(self, text: str) -> Path:
        """Write the web configuration."""
        path = self.path / "web.yml"
        path.write_text(text, encoding="utf-8")
        return path
