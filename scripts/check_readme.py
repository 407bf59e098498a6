"""Compiles and runs the programs of README.md as they stand there, each in an empty directory. Run by `make test`.

Requires the library and the wheel: `cargo build --profile ci --workspace`, `scripts/wheel ci`; runs in build/venv.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILT = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "ci"
# What each program prints; the Rust one compares by itself.
EXPECTED = [
    ("c", "meow\n"),
    ("cpp", "cat meow\ncow moo\ndog woof\nsilent\n"),
    ("python", "b'cat' b'meow'\nb'cow' b'moo'\nNone b'meow'\n"),
    ("python", "{'name': 'Tom', 'age': 9} [{'name': 'Mia', 'age': 2}]\n"),
    ("rust", ""),
    ("python", "False True True None\n"),
]


def run(*command: str | Path, directory: Path = ROOT, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=directory, env=os.environ | environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def c(source: Path, directory: Path, compiler: str = "gcc", standard: str = "c11") -> str:
    (directory / "libsstore.so.0").symlink_to(BUILT / "libsstore.so")
    flags = [f"-std={standard}", "-Wall", "-Wextra", "-Werror", "-I", str(ROOT / "include")]
    run(compiler, *flags, source, directory / "libsstore.so.0", "-o", directory / "program")
    return run(directory / "program", directory=directory, LD_LIBRARY_PATH=str(directory))


def cpp(source: Path, directory: Path) -> str:
    return c(source, directory, "g++", "c++17")


def python(source: Path, directory: Path) -> str:
    return run(sys.executable, source, directory=directory)


def rust(source: Path, directory: Path) -> str:
    run("cargo", "build", "--quiet", "--profile", "ci", "--workspace")
    library = ["--extern", f"sstore={BUILT / 'libsstore.rlib'}", "-L", f"dependency={BUILT / 'deps'}"]
    run("rustc", "--edition", "2024", *library, source, "-o", directory / "program")
    return run(directory / "program", directory=directory)


def main() -> None:
    programs = re.findall(r"^```(c|cpp|python|rust)\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    languages = [language for language, _ in EXPECTED]
    if [language for language, _ in programs] != languages:
        sys.exit(f"README.md: programs in {languages} expected, found {[language for language, _ in programs]}")
    runners = {"c": (c, "c"), "cpp": (cpp, "cpp"), "python": (python, "py"), "rust": (rust, "rs")}
    for (language, text), (_, expected) in zip(programs, EXPECTED, strict=True):
        runner, ending = runners[language]
        with tempfile.TemporaryDirectory() as name:
            source = Path(name) / f"readme.{ending}"
            source.write_text(text)
            printed = runner(source, Path(name))
        if printed != expected:
            sys.exit(f"README.md: the {language} program printed {printed!r}, not {expected!r}")
    print(f"README.md: {len(programs)} programs compiled, run, and compared")


if __name__ == "__main__":
    main()
