"""An Android device behind adb."""

import re
from pathlib import Path

from lite_deploy.bench.device import LONG, SHORT, Device, DeviceLost, Done, call, last_line, need
from tinypose.errors import UserError

# How adb says that the device, or the connection to it, is no longer there; and the states it lists.
_GONE = (
    "device '.*' not found|device offline|device unauthorized|device still authorizing|error: closed"
    "|no devices/emulators found|protocol fault|failed to read|connect failed"
)
_STATES = "device|offline|unauthorized|authorizing|recovery|bootloader|sideload|no permissions.*"
_ALLOW = "unlock its screen and allow USB debugging from this computer"
_AGAIN = "plug it in again and check `adb devices`"
_ADVICE = {
    "unauthorized": _ALLOW,
    "authorizing": _ALLOW,
    "offline": "plug it in again, or run `adb reconnect offline`",
    "recovery": "start Android on it",
    "bootloader": "start Android on it",
    "sideload": "start Android on it",
}


class Adb(Device):
    """An Android device behind adb."""

    temporary = "/data/local/tmp"

    def __init__(self, serial: str | None = None) -> None:
        """Find the device.

        Args:
            serial: as `adb devices` shows it; may be left out if there is just one.

        Raises:
            UserError: no adb here, no such device, several, or one that is not ready, with what to do.
        """
        need("adb", "install Android's platform-tools (Debian: adb)")
        self._serial = _ready_serial(call(["adb", "devices"], SHORT).out, serial)
        self.name = f"adb:{self._serial}"

    def shell(self, script: str, timeout: float = SHORT) -> Done:
        """See `Device`."""
        # Before Android 7 adb does not pass on exit codes, so the script prints its own.
        done = self._call(["shell", f'({script}\n); echo " exit=$?"'], timeout)
        out, mark, code = done.out.rpartition(" exit=")
        if not mark or not code.strip().isdigit():
            raise DeviceLost(f"{self.name}: went away during a command: {last_line(done.err)}")
        return Done(int(code), out, done.err)

    def push(self, local: Path, remote: str, timeout: float = LONG) -> None:
        """See `Device`."""
        done = self._call(["push", str(local.resolve()), remote], timeout)
        if done.code != 0:
            self._still_there()
            raise UserError(f"{self.name}: cannot write {remote}: {last_line(done.err + done.out)}")
        if local.stat().st_mode & 0o100:
            self.run(["chmod", "700", remote])

    def pull(self, remote: str, local: Path, timeout: float = LONG) -> None:
        """See `Device`."""
        done = self._call(["pull", remote, str(local.resolve())], timeout)
        if done.code != 0:
            self._still_there()
            raise UserError(f"{self.name}: cannot read {remote}: {last_line(done.err + done.out)}")

    def _still_there(self) -> None:
        """Raise DeviceLost if it is not: adb has many words for a copy that was cut off."""
        done = call(["adb", "-s", self._serial, "get-state"], SHORT)
        if done.out.strip() != "device":
            raise DeviceLost(f"{self.name}: went away during a copy; {_AGAIN}")

    def _call(self, words: list[str], timeout: float) -> Done:
        done = call(["adb", "-s", self._serial, *words], timeout)
        if done.code != 0 and re.search(_GONE, done.err):
            raise DeviceLost(f"{self.name}: {last_line(done.err)}; {_AGAIN}")
        return done


def _ready_serial(listing: str, wanted: str | None) -> str:
    """Pick the device from what `adb devices` printed, or explain why none will do."""
    lines = (re.fullmatch(rf"(\S+)\s+({_STATES})", line.strip()) for line in listing.splitlines())
    states = {match[1]: match[2] for match in lines if match}
    if wanted is None and len(states) > 1:
        raise UserError(f"adb: {len(states)} devices; choose one: --device adb:" + " or adb:".join(states))
    serial = wanted or next(iter(states), None)
    if serial is None:
        raise UserError("adb: no device; plug it in and switch on USB debugging in its developer options")
    if serial not in states:
        raise UserError(f"adb:{serial}: no such device; there are: {', '.join(states) or 'none'}")
    state = states[serial]
    if state != "device":
        raise UserError(
            f"adb:{serial}: {state}; {_ADVICE.get(state, 'this computer needs a udev rule for it')}"
        )
    return serial
