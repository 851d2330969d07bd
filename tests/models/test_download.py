"""The Hub's real client against a hub of ours: it reads its address once a process, hence those."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

DATA = b"GGUF" + bytes(range(256)) * 2000
SHA = hashlib.sha256(DATA).hexdigest()

SCRIPT = """
import json, sys
from pathlib import Path
from rlm_dspy.errors import ConfigurationError
from rlm_dspy.models.download import fetch
told = []
digest = sys.argv[2] if len(sys.argv) > 2 else None
try:
    path = fetch("owner/repo", "sub/model.gguf", Path(sys.argv[1]), digest,
                 lambda *progress: told.append(progress))
    print(json.dumps({"path": str(path), "told": told}))
except ConfigurationError as error:
    print(json.dumps({"error": str(error)}))
"""


class Hub(BaseHTTPRequestHandler):
    short = 0

    def do_HEAD(self):
        self._head()

    def do_GET(self):
        if self._head():
            self.wfile.write(DATA[: len(DATA) - self.short])

    def _head(self):
        found = self.path == "/owner/repo/resolve/main/sub/model.gguf"
        self.send_response(200 if found else 404)
        self.send_header("X-Repo-Commit", "a" * 40)
        self.send_header("ETag", f'"{SHA}"')
        self.send_header("Content-Length", str(len(DATA) if found else 0))
        self.end_headers()
        return found

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def run(folder, address, *digest):
    environment = {**os.environ, "HF_ENDPOINT": address, "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), *digest],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_a_file_arrives_whole_and_progress_is_told(hub, tmp_path):
    said, stderr = run(tmp_path, hub, SHA)
    assert said["path"] == str(tmp_path / "model.gguf")
    assert (tmp_path / "model.gguf").read_bytes() == DATA
    assert said["told"][-1] == [len(DATA), len(DATA)]
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["model.gguf"]
    assert not list(tmp_path.glob(".pull-*"))
    assert stderr == ""


def test_another_file_than_expected_is_not_kept(hub, tmp_path):
    said, _ = run(tmp_path / "new", hub, "0" * 64)
    assert "is not the file expected" in said["error"]
    assert SHA in said["error"]
    assert list((tmp_path / "new").iterdir()) == []


def test_no_network_is_an_error_that_says_what_to_do(tmp_path):
    said, _ = run(tmp_path / "new", "http://127.0.0.1:9", SHA)
    assert "could not be fetched" in said["error"]
    assert "Check the network" in said["error"]
    assert str(tmp_path / "new" / "model.gguf") in said["error"]
    assert list((tmp_path / "new").iterdir()) == []
