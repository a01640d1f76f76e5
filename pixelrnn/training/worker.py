"""A process that trains together with the one that started it: `launcher` sends it what to do."""

import json
import signal
import sys
import traceback

from pixelrnn import start_up


def main() -> int:
    """Do one run in step with the others. The first process says what is to be said.

    Returns:
        The exit code: 0 done, 1 failed, 2 refused, 130 or 143 after a signal.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback while the imports last
    with start_up.starting():
        return _work()


def _work() -> int:
    from pixelrnn.data.base import PixelDataModule
    from pixelrnn.errors import Interrupted, PixelRNNError, ProcessLost
    from pixelrnn.training import interruption, parts, preparation, run, world

    work = json.load(sys.stdin)
    try:
        with interruption.watching():
            world.join()
            data = parts.build("data", work["config"]["data"], PixelDataModule)
            run.carry_out(preparation.PreparedRun(work["config"], data, work["record"]))
        return 0
    except PixelRNNError as error:
        if isinstance(error, ProcessLost) and error.told:
            print(f"pixelrnn: {error}", file=sys.stderr)
        return error.exit_code
    except Interrupted as error:
        return error.exit_code
    except Exception:
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    sys.exit(main())
