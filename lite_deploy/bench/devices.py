"""From what the user wrote after `--device` to the machine."""

from pathlib import Path
from urllib.parse import urlsplit

from lite_deploy.bench.adb import Adb
from lite_deploy.bench.device import Device, Local
from lite_deploy.bench.ssh import Ssh
from tinypose.errors import UserError


def open_device(text: str, key: Path | None = None, known_hosts: Path | None = None) -> Device:
    """Open a machine.

    Args:
        text: `local`, `adb`, `adb:SERIAL`, `ssh:HOST`, `ssh:USER@HOST` or `ssh:USER@HOST:PORT`.
        key: private key for ssh.
        known_hosts: file of host keys for ssh.

    Raises:
        UserError: it is none of these, or cannot be reached.
    """
    kind, _, rest = text.partition(":")
    if text == "local":
        return Local()
    if kind == "adb":
        return Adb(rest or None)
    if kind == "ssh":
        return _open_ssh(text, rest.removeprefix("//"), key, known_hosts)
    raise UserError(f"--device {text}: expected local, adb, adb:SERIAL or ssh:[USER@]HOST[:PORT]")


def _open_ssh(text: str, rest: str, key: Path | None, known_hosts: Path | None) -> Ssh:
    try:
        parts = urlsplit(f"//{rest}")
        port = parts.port
    except ValueError as error:
        raise UserError(f"--device {text}: {error}") from None
    if not parts.hostname or parts.netloc != rest or parts.password:
        raise UserError(f"--device {text}: expected ssh:[USER@]HOST[:PORT]")
    # The host as it was written, because aliases of ~/.ssh/config tell upper from lower case.
    user, at, host = rest.rpartition("@")
    host = host.removesuffix(f":{port}") if port else host
    return Ssh(user + at + host.strip("[]"), port, key, known_hosts)
