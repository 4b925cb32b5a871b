"""Three hundred damaged files: each is read or answered with a UserError, in bounded memory and time."""

import subprocess
import sys
from pathlib import Path

COUNT = 300
MEMORY = 3 << 30  # bytes of address space beyond what importing the readers takes
MINUTES = 20  # there for hangs: it takes less than one on a quiet machine


def test_damaged_files_are_read_or_answered(tmp_path):
    worker = Path(__file__).with_name("worker.py")
    command = [sys.executable, str(worker), str(tmp_path), str(COUNT), str(MEMORY)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600 * MINUTES)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    read, refused = (int(word) for word in done.stdout.split()[-2:])
    assert read + refused == COUNT and refused > COUNT / 3 and read > 0
