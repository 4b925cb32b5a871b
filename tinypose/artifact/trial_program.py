"""Open a model and run it once, as a program of its own (`tinypose.artifact.trial`)."""

import os
import sys

import numpy as np

from tinypose.artifact.engines import open_engine
from tinypose.artifact.record import read_artifact
from tinypose.errors import UserError


def main(folder: str, name: str) -> None:
    """Open a model and run it once on black pictures."""
    artifact = read_artifact(folder, check_files=False)
    network = open_engine(artifact, folder, name, tried=True)
    outputs = network(np.zeros((1, 3, artifact.input.height, artifact.input.width), np.float32))
    found, expected = ([tuple(shape) for shape in shapes] for shapes in (
        (each.shape[1:] for each in outputs), (each.shape for each in artifact.tensors)
    ))  # fmt: skip
    if found != expected:
        raise UserError(f"{folder}: model '{name}' gives {found}, and {expected} is described; export again")


if __name__ == "__main__":
    os.environ.setdefault("GLOG_minloglevel", "2")
    try:
        main(*sys.argv[1:])
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
