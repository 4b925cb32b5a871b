"""An ARM core on this PC: QEMU runs the cross-compiled runner, and counts its instructions."""
