"""docs/global-state.md lists every file that changes the process, and names no file in vain."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "global-state.md"
CHANGES = re.compile(
    r"""
    ^\s*(
        @(functools\.)?(lru_cache|cache)\b
      | os\.environ\[.*\]\s*= | os\.environ\.(setdefault|update|pop)\( | del\ os\.environ
      | sys\.(argv|stdout|stderr|path|excepthook)\s*=
      | os\.(chdir|dup2|umask)\(
      | warnings\.(filterwarnings|simplefilter)\(
      | torch\.(set_\w+|manual_seed|use_deterministic_algorithms)\(
      | (random|np\.random)\.(seed|setstate|set_state)\(
      | (pl\.)?seed_everything\(
      | signal\.signal\(
      | \w*\.?register_new_resolver\( | \w+\.register_new_resolver\(
      | .*ConfigStore\.instance\( | .*GlobalHydra\.instance\(\)\.(clear|hydra\s*=)
      | .*\.setLevel\(
      | .*\bmallopt\(
      | .*(mpl|matplotlib)\.use\( | .*rcParams
      | wandb\.(finish|init|teardown|setup)\(
      | socket\.setdefaulttimeout\( | locale\.setlocale\( | multiprocessing\.set_start_method\(
    )""",
    re.VERBOSE | re.MULTILINE,
)


def changing_files():
    files = (ROOT / "pixelrnn").rglob("*.py")
    return {
        path.relative_to(ROOT / "pixelrnn").as_posix()
        for path in files
        if CHANGES.search(path.read_text())
    }


def test_the_page_lists_every_file_that_changes_the_process():
    named = set(re.findall(r"`([\w/]+\.py)`", PAGE.read_text()))
    assert changing_files() - named == set(), "say in docs/global-state.md what these change"
    assert named - changing_files() <= {"tests/test_global_state.py"}


def test_changes_are_found():
    """The search sees what it is for."""
    assert CHANGES.search("    torch.set_num_threads(2)\n")
    assert CHANGES.search("import os\nos.environ['A'] = 'b'\n")
    assert CHANGES.search("@functools.lru_cache(maxsize=8)\ndef f(): ...\n")
    assert not CHANGES.search("draw = torch.Generator().manual_seed(3)\nvalue = os.environ['A']\n")
