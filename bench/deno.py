"""What dspy's Deno/Pyodide interpreter needs to run, from npm packages alone.

`dspy.PythonInterpreter` starts Deno on dspy's `runner.js`, which imports Pyodide from npm and one
module of Deno's standard library from a host that is no package registry. Where dspy's interpreter
does not run as it is, `prepare` makes a folder with the Deno binary of the npm package `deno`, and
a Deno cache with Pyodide and a stand-in for that module: a reader of lines, all that the runner
takes from it. dspy itself stays unmodified. Packages come from the registry that npm is set up for.

    from bench import deno
    os.environ.update(deno.prepare().environment)
    dspy.PythonInterpreter().execute("print(1 + 1)")
"""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bench.installing import Unavailable, run, whole
from rlm_dspy.settings import cache_dir

_DENO = "2.9.6"
_CHECK_SECONDS = 120
_CHECK = "import dspy; assert dspy.PythonInterpreter().execute('print(6 * 7)') == '42\\n'"

# What the runner uses of the module: `readLines(Deno.stdin)`, an async iterator of lines.
_READ_LINES = """\
export async function* readLines(reader) {
  const decoder = new TextDecoder();
  const block = new Uint8Array(1 << 16);
  let begun = [];
  for (let count; (count = await reader.read(block)) !== null; ) {
    const lines = decoder.decode(block.subarray(0, count), { stream: true }).split("\\n");
    for (const [index, line] of lines.entries()) {
      begun.push(line);
      if (index < lines.length - 1) {
        yield begun.join("");
        begun = [];
      }
    }
  }
  const rest = begun.join("") + decoder.decode();
  if (rest) yield rest;
}
"""


@dataclass(frozen=True)
class Deno:
    """How to run dspy's Deno interpreter.

    Args:
        version: Of Deno.
        environment: The variables to set (in `os.environ`, or for a subprocess) before a
            `dspy.PythonInterpreter` is made; empty where it runs as it is.
        stand_in: Whether the runner's line reader is the stand-in, so that measurements say so.
    """

    version: str
    environment: dict[str, str] = field(default_factory=dict)
    stand_in: bool = False


def prepare(folder: Path | None = None) -> Deno:
    """Make dspy's Deno interpreter runnable, and run one step in it.

    Args:
        folder: Where to keep the binary and the cache, about 110 MB; made at the first call and
            used again afterwards. By default in the cache folder.

    Returns:
        The environment to run it in.

    Raises:
        Unavailable: There is no npm, the packages cannot be had, or the step fails.
    """
    if shutil.which("deno") and _failure({}) is None:
        return Deno(run("deno", "eval", "console.log(Deno.version.deno)").strip())
    folder = folder or cache_dir() / "bench" / f"deno-{_DENO}"
    registry = run("npm", "config", "get", "registry").strip()
    if not folder.exists():
        with whole(folder) as made:
            _fill(made, registry)
    binary = next(folder.glob("node_modules/@deno/*/deno*"), None)
    if binary is None:
        raise Unavailable(f"the npm package deno {_DENO} has no binary for this platform")
    environment = {
        "PATH": f"{binary.parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "DENO_DIR": str(folder / "cache"),
        "DENO_NO_UPDATE_CHECK": "1",
        "NPM_CONFIG_REGISTRY": registry,  # Deno's cache of npm packages has a folder a registry
    }
    failure = _failure(environment)
    if failure is not None:
        raise Unavailable(f"dspy's interpreter fails in {folder}: {failure}")
    return Deno(_DENO, environment, stand_in=True)


def _fill(folder: Path, registry: str) -> None:
    options = ("--no-audit", "--no-fund", "--ignore-scripts", f"--registry={registry}")
    run("npm", "install", "--prefix", str(folder), *options, f"deno@{_DENO}")
    _place_stand_in(folder / "cache")


def _place_stand_in(cache: Path) -> None:
    """Put the stand-in where Deno keeps a module that it has downloaded: a folder a host, the file
    named by the hash of the address's path, its headers in a last comment.
    """
    address = _missing_module()
    split = urlsplit(address)
    place = cache / "remote" / split.scheme / split.netloc
    place.mkdir(parents=True)
    about = {"headers": {"content-type": "application/javascript"}, "url": address}
    name = hashlib.sha256(split.path.encode()).hexdigest()
    text = f"{_READ_LINES}\n// denoCacheMetadata={json.dumps(about, separators=(',', ':'))}"
    (place / name).write_text(text, encoding="utf-8")


def _missing_module() -> str:
    """The address from which dspy's runner imports its line reader."""
    spec = importlib.util.find_spec("dspy")
    assert spec is not None
    assert spec.origin is not None
    runner = Path(spec.origin).parent / "primitives" / "runner.js"
    found = re.search(r'import \{ readLines \} from "(https:[^"]+)"', runner.read_text("utf-8"))
    if found is None:
        raise Unavailable(f"{runner} imports no readLines any more: see what it needs instead")
    return found[1]


def _failure(environment: dict[str, str]) -> str | None:
    """Why dspy's interpreter does not run in this environment; None where it does."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CHECK],
            capture_output=True,
            text=True,
            timeout=_CHECK_SECONDS,
            env=os.environ | environment,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_CHECK_SECONDS} s"
    return None if done.returncode == 0 else done.stderr.strip()[-500:]
