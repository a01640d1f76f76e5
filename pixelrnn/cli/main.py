"""`pixelrnn VERB ...`: finds the verb, runs it, and turns errors that users see into one line."""

import importlib
import io
import os
import sys
import traceback

import pixelrnn
from pixelrnn import ranks, refused, start_up
from pixelrnn.cli import completion
from pixelrnn.errors import Interrupted, PixelRNNError, ProcessLost
from pixelrnn.runs import check

VERBS = {
    "train": "train a model, evaluate it, draw samples; the same command resumes",
    "plan": "what runs will take on this machine: pixelrnn plan sweep=table5",
    "table": "one of the paper's tables beside ours:  pixelrnn table table2 scale=small",
    "runs": "list runs, best first:             pixelrnn runs by=val/bits_per_dim",
    "dashboard": "a W&B workspace for a sweep:   pixelrnn dashboard sweep=table2",
    "sync": "send what was logged offline to W&B:  pixelrnn sync",
    "evaluate": "exact likelihood of a split:       pixelrnn evaluate run=runs/... split=test",
    "sample": "exact samples, picture and array:  pixelrnn sample run=runs/... n=64",
    "data": "list data sets; fetch, verify, convert, describe one:  pixelrnn data mnist",
    "complete": "draw hidden parts of images anew:  pixelrnn complete run=runs/... occlude=bottom",
    "compress": "images to a file, lossless:       pixelrnn compress run=... in=DIR out=x.prnn",
    "decompress": "the images of such a file:      pixelrnn decompress run=... in=x.prnn out=DIR",
    "figure": "pictures of what was learnt:   pixelrnn figure surprise run=runs/...",
    "doctor": "what this machine has, and the proof that its kernels compute right",
    "audit": "reported bits against real ones: pixelrnn audit run=runs/... split=test",
}

USAGE = """pixelrnn {version}: autoregressive image models with exact likelihoods

usage: pixelrnn VERB [key=value ...]

{verbs}

Examples:
  pixelrnn train
  pixelrnn train data=patches model=row_lstm model.layers=4
  pixelrnn train -m model=pixelcnn,row_lstm,diagonal_bilstm model.layers=1,2,4
`pixelrnn VERB --help` explains the keys of a verb and lists their choices.
Completion by Tab: eval "$(pixelrnn --shell-completion bash)" (or zsh)"""

_NO_MEMORY = "out of memory; a smaller batch_size, fewer images or other programs ended may help"
_AGAIN = {"train": "the same command goes on from the last checkpoint"}
_ANEW = "the same command begins anew"


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: words after `pixelrnn`; None: those of this process.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong input, 130 after Ctrl-C, 143 after SIGTERM.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a letter that a terminal lacks is no error
            stream.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if argv is None else argv
    answer = _answer(words)
    if answer is not None:
        print(answer)
        return 0
    verb, *rest = words
    for name, value in (("WANDB_SILENT", "true"), ("WANDB_CONSOLE", "off")):
        os.environ.setdefault(name, value)  # read when wandb is imported
    try:
        if verb in ("-sc", "--shell-completion"):
            print(completion.script(rest[0] if rest else "bash"))
            return 0
        if verb not in VERBS:
            raise PixelRNNError(f"{verb}: no such verb; {check.nearest(verb, list(VERBS))}")
        with start_up.starting():
            return importlib.import_module(f"pixelrnn.cli.{verb}").main(rest) or 0
    except PixelRNNError as error:
        if error.told if isinstance(error, ProcessLost) else ranks.is_first():
            print(f"pixelrnn: {error}", file=sys.stderr)
        return error.exit_code
    except Interrupted as error:
        if ranks.is_first():
            print(f"pixelrnn: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"pixelrnn: {verb} was interrupted; {_AGAIN.get(verb, _ANEW)}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if refused.by_the_system(error):
            if ranks.is_first():
                print(f"pixelrnn: {refused.line(error)}", file=sys.stderr)
            return 2
        if refused.for_want_of_memory(error):
            print(f"pixelrnn: {verb}: {_NO_MEMORY}", file=sys.stderr)
            return 2
        traceback.print_exc()
        return 1


def _answer(words: list[str]) -> str | None:
    """What is asked before any verb: help, the version, or words that Tab may complete."""
    if not words or words[0] in ("-h", "--help", "help"):
        width = max(map(len, VERBS))
        verbs = "\n".join(f"  {name:<{width}}  {text}" for name, text in VERBS.items())
        return USAGE.format(version=pixelrnn.__version__, verbs=verbs)
    if words[0] == "--version":
        return pixelrnn.__version__
    if words[0] == "--complete":
        return "\n".join(completion.candidates(" ".join(words[1:]), VERBS))
    return None


if __name__ == "__main__":
    sys.exit(main())
