"""A machine behind OpenSSH."""

import shlex
import tempfile
from pathlib import Path

from lite_deploy.bench.device import LONG, SHORT, Device, DeviceLost, Done, call, last_line, need
from tinypose.errors import UserError


class Ssh(Device):
    """A machine behind OpenSSH, reached with a key; its host key must be known already."""

    temporary = "/tmp"

    def __init__(
        self, target: str, port: int | None = None, key: Path | None = None, known_hosts: Path | None = None
    ) -> None:
        """Connect, so that a wrong address or key is an error now.

        Args:
            target: host or user@host, or an alias of ~/.ssh/config.
            port: if not the usual one.
            key: the private key file, if not the usual one.
            known_hosts: the file of known host keys, if not the usual one.

        Raises:
            UserError: no ssh here, or the host cannot be reached, is unknown or refuses the key.
        """
        need("ssh", "install OpenSSH's client (openssh-client)")
        if not target or target.startswith("-") or "@-" in target:
            raise UserError(f"ssh:{target}: expected ssh:HOST or ssh:USER@HOST")
        self.name = f"ssh:{target}" + (f":{port}" if port else "")
        self._target = target
        self._sockets = tempfile.TemporaryDirectory(prefix="pose-ssh-")
        options = {
            "BatchMode": "yes",  # never ask: neither for a password nor about an unknown host key
            "StrictHostKeyChecking": "yes",
            "ConnectTimeout": "10",
            "ServerAliveInterval": "5",
            "ServerAliveCountMax": "3",
            "ControlMaster": "auto",  # one connection for all commands
            "ControlPath": f"{self._sockets.name}/%C",
            "ControlPersist": "60",
            "LogLevel": "ERROR",
        }
        if known_hosts:
            options |= {"UserKnownHostsFile": str(known_hosts.resolve()), "GlobalKnownHostsFile": "/dev/null"}
        self._ssh = ["ssh", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
        self._ssh += ["-p", str(port)] if port else []
        self._ssh += ["-i", str(key.resolve()), "-o", "IdentitiesOnly=yes"] if key else []
        try:
            self.shell("true")
        except DeviceLost as error:
            self.close()
            raise UserError(f"{error}; {_advice(str(error))}") from None

    def shell(self, script: str, timeout: float = SHORT) -> Done:
        """See `Device`."""
        # The remote login shell may be any, so it is only asked to start a POSIX one.
        return self._call(["sh", "-c", script], timeout)

    def push(self, local: Path, remote: str, timeout: float = LONG) -> None:
        """See `Device`."""
        mode = "700" if local.stat().st_mode & 0o100 else "600"
        path = shlex.quote(remote)
        with open(local, "rb") as content:
            done = self._call(["sh", "-c", f"cat > {path} && chmod {mode} {path}"], timeout, stdin=content)
        if done.code != 0:
            raise UserError(f"{self.name}: cannot write {remote}: {last_line(done.err)}")

    def pull(self, remote: str, local: Path, timeout: float = LONG) -> None:
        """See `Device`."""
        with open(local, "wb") as content:
            done = self._call(["cat", remote], timeout, stdout=content)
        if done.code != 0:
            raise UserError(f"{self.name}: cannot read {remote}: {last_line(done.err)}")

    def close(self) -> None:
        """End the shared connection."""
        call([*self._ssh, "-O", "exit", "--", self._target], SHORT)
        self._sockets.cleanup()

    def _call(self, words: list[str], timeout: float, **streams) -> Done:
        done = call([*self._ssh, "--", self._target, shlex.join(words)], timeout, **streams)
        if done.code == 255:  # ssh's own failure; our scripts do not end with it
            raise DeviceLost(f"{self.name}: {last_line(done.err)}")
        return done


def _advice(message: str) -> str:
    if "host key" in message.lower():
        return "connect once by hand and compare the fingerprint, then it is known"
    if "Permission denied" in message:
        return "name the private key with --key, and put its public part into the host's authorized_keys"
    return "is it switched on, and are host and port right?"
