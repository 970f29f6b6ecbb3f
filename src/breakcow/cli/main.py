"""The command line: which commands there are, and how every failure becomes one sentence and an exit code.

Commands are named here and imported when used, so that help and version are quick.
"""

import os
import sys
import traceback

from cyclopts import App, CycloptsError, Parameter

from breakcow import __version__
from breakcow.cli.say import INTERRUPTED, NO_READER, OK, RUN_FAILED, WRONG_USE, WrongUseError, complain, epilogue

HELP = "Does this kernel share and unshare memory pages the way it promised?"
COMMANDS = {  # what each is for, and examples
    "run": (
        "Run tests on models and kernels, and judge them.",
        (
            "breakcow run",
            "breakcow run ksm/unmerge-uffd-wp --on model:6.1 --on host",
            "breakcow run 'uffd/*' my-test.litmus --on vm:6.1 --ktap",
        ),
    ),
    "show": (
        "Show a test as a storyboard: the pages after each step.",
        ("breakcow show ksm/unmerge-uffd-wp --on model:6.1 --on model:6.12",),
    ),
    "matrix": ("Run the corpus on several kernels and show kernels x tests.", ("breakcow matrix 5.10 6.1 6.12 7.2 --html matrix.html",)),
    "diff": ("Show what changed between two recorded runs.", ("breakcow diff before.jsonl after.jsonl",)),
    "judge": ("Judge a recorded run again with today's rules and models.", ("breakcow judge run.jsonl",)),
    "probe": ("Measure how a kernel behaves, whatever its version says.", ("breakcow probe --on vm:6.1",)),
    "reproducer": (
        "Print a test as one C file that a maintainer compiles, runs as root and reads.",
        ("breakcow reproducer ksm/unmerge-uffd-wp > test.c",),
    ),
    "trace": (
        "Show what the kernel itself did in a test, beside its model.",
        ("breakcow trace ksm/unmerge-uffd-wp --on vm:6.1 --step 15",),
    ),
    "conform": (
        "Run every transition of a bound, or random programs, on a kernel and hold them against its model.",
        ("breakcow conform --tours", "breakcow conform --on vm:6.1 --programs 200 --seed 1000 --json 6.1.json"),
    ),
    "merge": (
        "Merge the results of conform from several machines or kernels.",
        ("breakcow merge host.json 6.1-*.json --markdown conformance.md",),
    ),
    "covers": ("Write which cases of the kernel's own test programs the corpus covers.", ("breakcow covers > docs/covers.md",)),
    "stress": (
        "Have many processes share and unshare memory at random, and check what they were promised.",
        ("breakcow stress --seconds 60", "breakcow stress --on vm:6.1 --operations 100000 --seed 7"),
    ),
    "explore": (
        "Find the shortest programs that break a promise under a kernel's rules.",
        (
            "breakcow explore --kernel 6.1 --confirm vm:6.1",
            "breakcow explore --kernel 7.2 --behaviour break_ksm=write-retry --promise no-event-without-a-write",
        ),
    ),
    "bench": (
        "Measure how long a kernel takes to share, unshare, protect and tell.",
        (
            "breakcow bench --on host --on vm:6.1 --html bench.html",
            "breakcow bench merge unmerge --json A.json",
            "breakcow bench --compare A.json B.json",
        ),
    ),
    "snapshot": ("Save the memory of a process as it is at one instant, while it runs on.", ()),  # as kernels
    "gallery": ("Write which tests notice each of the kernel bugs that were real.", ("breakcow gallery > docs/wrong-kernels.md",)),
    "doctor": ("Say what this machine can run and what it lacks.", ("breakcow doctor",)),
    "kernels": ("Fetch, build, list and remove kernels for the virtual machine.", ()),  # an application of its own, with its own examples
}


def app() -> App:
    """The application with all its commands, none of them imported."""
    every = tuple(example for _, examples in COMMANDS.values() for example in examples)
    application = App(
        name="breakcow",
        help=HELP,
        help_format="plaintext",
        help_epilogue=epilogue(every),
        version=__version__,
        default_parameter=Parameter(negative=(), show_default=False),
        result_action="return_value",
    )
    for name, (meaning, examples) in COMMANDS.items():
        help_epilogue = {"help_epilogue": epilogue(examples)} if examples else {}
        application.command(f"breakcow.cli.{name}:{name}", name=name, help=meaning, **help_epilogue)
    application.register_install_completion_command()
    return application


def main() -> None:
    """Run the command of `sys.argv` and exit."""
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = NO_READER
    sys.exit(code)


def run(words: list[str]) -> int:
    """Run a command line; the exit code. Raises BrokenPipeError where nobody reads the output any more."""
    try:
        result = app()(words or ["--help"], exit_on_error=False, print_error=False)
    except KeyboardInterrupt:
        return INTERRUPTED
    except CycloptsError as error:
        complain(f"{' '.join(str(error).split())} (see breakcow --help)")
        return WRONG_USE
    except BrokenPipeError:
        raise
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}" if error.filename else error)
        return RUN_FAILED
    except Exception as error:
        return _failed(error)
    return result if isinstance(result, int) else OK


def _failed(error: Exception) -> int:
    """The exit code for an error that a command did not handle: what a user can mend is a sentence, a bug of ours a traceback."""
    from breakcow.backend.errors import LostBackend
    from breakcow.litmus import LitmusError
    from breakcow.suite.backends import UnknownBackendError
    from breakcow.suite.corpus import NotFoundError
    from breakcow.suite.record import BadRecordsError

    if isinstance(error, WrongUseError | NotFoundError | UnknownBackendError | BadRecordsError | LitmusError):
        complain(error)
        return WRONG_USE
    if isinstance(error, LostBackend):
        complain(error)
        return RUN_FAILED
    traceback.print_exception(error)
    return RUN_FAILED
