"""`make android`: builds the app from packages alone, signs and checks it. No networks, no engine in it."""

import shutil
import sys
import zipfile
from pathlib import Path

from lite_deploy.android.apk import ABI, check_apk, sign, write_apk
from lite_deploy.android.build import MIN_SDK, ROOT
from lite_deploy.android.levels import read_dex, read_levels, too_new
from lite_deploy.android.pack import base
from lite_deploy.android.tools import find_tools, level_table
from tinypose.console import err, out, table
from tinypose.errors import UserError
from tinypose.files import temporary_folder

TARGET = ROOT / "build" / "android" / "pose-without-networks.apk"


def main() -> int:
    """Build and check; return the exit code."""
    try:
        tools = find_tools()
        parts = base(tools)
        TARGET.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(TARGET) as work:
            files = {"classes.dex": parts.dex[0], f"lib/{ABI}/libpose_jni.so": parts.native}
            write_apk(work / "unsigned.apk", parts.resources, files)
            sign(tools, work / "unsigned.apk", TARGET, None, None)
            facts = check_apk(tools, TARGET)
            facts["API level"] = _levels(work)
    except UserError as error:
        err.print(f"error: {error}", markup=False)
        return 2
    out.print(table(str(TARGET.relative_to(ROOT)), ("", ""), facts.items()))
    return 0


def _levels(work: Path) -> str:
    """Say whether the app uses nothing that its oldest Android lacks."""
    if shutil.which("npm") is None:
        return "not checked: npm is not there, which fetches the table"
    with zipfile.ZipFile(TARGET) as apk:
        apk.extract("classes.dex", work)
    newer, unknown = too_new(read_dex(work / "classes.dex"), read_levels(level_table()), MIN_SDK)
    if newer:
        raise UserError(f"newer than API {MIN_SDK}: {'; '.join(newer)}")
    return f"nothing newer than {MIN_SDK}, {len(unknown)} references not in the table"


if __name__ == "__main__":
    sys.exit(main())
