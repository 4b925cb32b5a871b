"""The cores of a CPU, and settings with which Paddle trains faster; results change in the last bits only."""

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # glibc's malloc.h


def prepare_cpu() -> None:
    """Set what has to be set once a process, before Paddle is imported; do nothing afterwards.

    - Paddle's MKL takes slow paths on processors that are not Intel's; its own switch says otherwise.
    - glibc gives the memory of large tensors back after every operation, and the kernel clears it anew for
      the next one; a training step needs the same amount again and again.
    - Transposed tensors as views are copied one element at a time on a CPU; copying them at once is faster.
    """
    if "paddle" in sys.modules:
        return  # too late here, and programs started from here would compute other last bits
    if _is_amd():
        os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")  # 5: use AVX2
    os.environ.setdefault("FLAGS_use_stride_kernel", "0")
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            mallopt = ctypes.CDLL("libc.so.6").mallopt
            mallopt(M_MMAP_THRESHOLD, 1 << 30)
            mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
            mallopt(M_TOP_PAD, 64 << 20)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _is_amd() -> bool:
    try:
        return "AuthenticAMD" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
