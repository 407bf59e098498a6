"""Follows the first page of the documentation from the wheel alone: a clean environment, an empty directory. Run by `make test`.

Prints how long `import sstore` takes; more than 50 ms is said, and is no failure: other work on the machine may be the reason. Requires the wheel:
`scripts/wheel ci`.
"""

import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "index.md"
IMPORT_MILLIS = 50
IMPORT = """
import time
start = time.perf_counter(), time.process_time()
import sstore
print((time.perf_counter() - start[0]) * 1e3, (time.process_time() - start[1]) * 1e3)
"""
# Nothing of the build tree, and none of the user's settings.
ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}


def run(*command: str | Path, directory: str) -> str:
    done = subprocess.run(command, cwd=directory, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    wheels = list((ROOT / "build" / "wheels").glob("*.whl"))
    if len(wheels) != 1:
        sys.exit(f"one wheel in build/wheels expected, found {len(wheels)}: scripts/wheel makes it")
    programs = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    if not programs:
        sys.exit(f"{PAGE}: no programs found")
    with tempfile.TemporaryDirectory() as directory:
        venv.create(Path(directory) / "venv", symlinks=True, with_pip=False)
        python = Path(directory) / "venv" / "bin" / "python"
        # The pip that runs this script installs into the other environment; no index: the wheel is all there is.
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check"]
        run(*pip, "--no-index", wheels[0], directory=directory)
        (Path(directory) / "first.py").write_text("".join(programs))
        printed = run(python, "-I", "first.py", directory=directory)
        if printed != "b'meow'\nb'cat' b'meow'\nb'cow' b'moo'\n":
            sys.exit(f"the programs of {PAGE} printed {printed!r}")
        took = [[float(part) for part in run(python, "-I", "-c", IMPORT, directory=directory).split()] for _ in range(5)]
    millis, computing = (min(column) for column in zip(*took, strict=True))
    verdict = "within" if millis <= IMPORT_MILLIS else "MORE THAN"
    print(f"newcomer: {len(programs)} programs of {PAGE.name} from {wheels[0].name} alone")
    print(f"import takes {millis:.1f} ms, {verdict} {IMPORT_MILLIS}; {computing:.1f} ms of it computing")


if __name__ == "__main__":
    main()
