#!/usr/bin/env python3
"""Runs the PHPUnit suite under valgrind's memcheck, one test class after another, on a debug build of the extension.

usage: run.py LIBRARY [CLASS ...]        (make valgrind builds it and calls this; ONLY=Class,Class runs some)

It fails, and shows the stack, on
  - any invalid access, use of an uninitialised value or wrong free in the process that runs the tests, whosever it is:
    what is released once too often shows up in the engine's own code,
  - any block that is definitely lost and in whose allocation our library had a part,
  - a slice that does not come to its end: a crash, or more time than it has.

A test that fails is told but is no failure here: a few measure time, which passes 20 to 50 times slower.

How PHP has to run for that:
  - with malloc instead of its own allocator (USE_ZEND_ALLOC=0), or valgrind sees no single block,
  - without unloading the extension at the end (ZEND_DONT_UNLOAD_MODULES=1), or the stacks have no names,
  - without the JIT of PCRE, whose code reads past the end of a string within the same word,
  - without php.ini (-n), with just the modules that PHPUnit needs,
  - with a last collection of cycles (collect-cycles.php).

What stays for the life of the process by intent is named in intended.supp.
"""

import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LOGS = ROOT / "build" / "valgrind"
# What these test runs in php-fpm, forks and other processes, which valgrind does not follow.
IN_CHILDREN = {
    "BoardTest", "DocumentTest", "ForkTest", "FpmTest", "HostileRequestTest", "HotPathTest", "LongWorkerTest",
    "MemoryLimitTest", "RequestEndTest", "SignalTest", "StubTest", "TestingRecipeTest", "WorkerExampleTest",
}
# Debian builds these as modules of their own; elsewhere they may be part of PHP.
MODULES = ["ctype", "dom", "mbstring", "pcntl", "posix", "session", "tokenizer", "xml", "xmlwriter"]
LIMIT = int(os.environ.get("SLICE_SECONDS", "540"))
PHP = os.environ.get("PHP", "php")
PHPUNIT = os.environ.get("PHPUNIT", "phpunit")


def main() -> int:
    library, chosen = Path(sys.argv[1]).resolve(), sys.argv[2:]
    LOGS.mkdir(parents=True, exist_ok=True)
    classes = sorted(path.stem for path in (ROOT / "php-tests").glob("*Test.php"))
    if unknown := set(chosen) - set(classes):
        print(f"no such test class: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    failed = []
    for name in chosen or [name for name in classes if name not in IN_CHILDREN]:
        problems, summary = run_slice(name, library)
        print(f"{'FAILED' if problems else 'ok':7}{name:26}{summary}", flush=True)
        for problem in problems:
            print("\n" + problem + "\n", flush=True)
        if problems:
            failed.append(name)
    print(f"\nvalgrind: {f'problems in {len(failed)} classes: ' + ', '.join(failed) if failed else 'nothing found'}; logs in {LOGS.relative_to(ROOT)}")
    return 1 if failed else 0


def command(name: str, library: Path, report: Path) -> list[str]:
    folder = Path(php("echo ini_get('extension_dir');"))
    loaded = set(php("echo implode(',', get_loaded_extensions());").lower().split(","))
    modules = [module for module in MODULES if module not in loaded and (folder / f"{module}.so").exists()]
    return [
        "valgrind", "--tool=memcheck", "--trace-children=no", "--child-silent-after-fork=yes",
        "--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite",
        "--num-callers=40", f"--suppressions={HERE / 'intended.supp'}",
        "--xml=yes", f"--xml-file={report}",
        PHP, "-n", *(word for module in modules for word in ("-d", f"extension={module}")),
        "-d", "pcre.jit=0", "-d", "memory_limit=-1", "-d", f"extension={library}",
        "-d", f"auto_prepend_file={HERE / 'collect-cycles.php'}",
        shutil.which(PHPUNIT) or PHPUNIT, "-c", "php-tests/phpunit.xml", "--colors=never", "--do-not-cache-result",
        f"php-tests/{name}.php",
    ]


def php(code: str) -> str:
    return subprocess.run([PHP, "-n", "-r", code], check=True, capture_output=True, text=True).stdout


def run_slice(name: str, library: Path) -> tuple[list[str], str]:
    """One test class: what is wrong, and a line about it."""
    report, log = LOGS / f"{name}.xml", LOGS / f"{name}.log"
    environment = os.environ | {"USE_ZEND_ALLOC": "0", "ZEND_DONT_UNLOAD_MODULES": "1"}
    began, late = time.monotonic(), False
    with log.open("w") as output:
        process = subprocess.Popen(command(name, library, report), cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            late = True
            # The handler of the bootstrap takes the servers down.
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    seconds = time.monotonic() - began
    text = log.read_text(errors="replace")
    told = re.findall(r"^(?:OK .*|Tests: .*)$", text, re.M)
    problems = [f"not done after {LIMIT} s: see {log}"] if late else []
    if not told and not late:
        problems.append(f"PHPUnit did not come to its end ({process.returncode}):\n" + "\n".join(text.splitlines()[-60:]))
    errors = errors_of(report) if report.exists() else []
    problems += [shown(error) for error in errors if counts(error, library.name)]
    others = sum(1 for error in errors if not counts(error, library.name))
    failed = re.findall(r"^\d+\) Tests\\\w+::(.*)$", text, re.M)
    summary = [f"{seconds:4.0f} s", told[-1] if told else "no summary"]
    summary += [f"{others} leaks of PHP's own"] if others else []
    summary += [f"failed: {', '.join(failed)}"] if failed else []
    return problems, "; ".join(summary)


def errors_of(report: Path) -> list[ElementTree.Element]:
    text = report.read_text(errors="replace")
    # What was cut off is closed, so that its errors are read as well.
    if "</valgrindoutput>" not in text:
        text = text[: text.rfind("</error>") + len("</error>")] if "</error>" in text else "<valgrindoutput>"
        text += "</valgrindoutput>"
    return list(ElementTree.fromstring(text).iter("error"))


def counts(error: ElementTree.Element, library: str) -> bool:
    """Whether it is a failure: every wrong access, and leaks in whose stack our library stands."""
    if not (error.findtext("kind") or "").startswith("Leak_"):
        return True
    return any((frame.findtext("obj") or "").endswith(library) for frame in error.iter("frame"))


def shown(error: ElementTree.Element) -> str:
    lines = []
    for part in error:
        if part.tag in ("what", "auxwhat"):
            lines.append(part.text or "")
        elif part.tag == "xwhat":
            lines.append(part.findtext("text") or "")
        elif part.tag == "stack":
            lines += [f"    {place(frame)}" for frame in part.findall("frame")]
    return "\n".join(lines)


def place(frame: ElementTree.Element) -> str:
    file, line = frame.findtext("file"), frame.findtext("line")
    where = f"{file}:{line}" if file else frame.findtext("obj") or "?"
    return f"{frame.findtext('fn') or '???'} ({where})"


if __name__ == "__main__":
    sys.exit(main())
