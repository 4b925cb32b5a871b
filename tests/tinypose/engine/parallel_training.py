"""The small training in several processes, for the tests: writes each step's loss and the weights.

python -m paddle.distributed.launch --nproc_per_node 2 parallel_training.py CONFIG OUTPUT LOSSES [KEY=VALUE]
"""

import json
import sys
from pathlib import Path


def main() -> None:
    import paddle

    paddle.set_device("cpu")
    sys.path.insert(0, str(Path(__file__).parent))
    from small_training import run

    from tinypose.engine import parallel
    from tinypose.errors import UserError

    losses: list[float] = []
    average = parallel.average

    def noting(values: list[float], processes: int) -> list[float]:
        result = average(values, processes)
        if len(values) == 2:  # the loss and whether to stop
            losses.append(result[0])
        return result

    parallel.average = noting
    try:
        run(sys.argv[1], sys.argv[2], sys.argv[4:])
    except UserError as error:
        sys.exit(f"error: {error}")
    if paddle.distributed.get_rank() == 0:
        Path(sys.argv[3]).write_text(json.dumps(losses))


if __name__ == "__main__":
    main()
