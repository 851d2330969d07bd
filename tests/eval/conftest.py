"""Keeps what `datasets` writes out of the user's cache; it reads the variable at its import."""

import atexit
import os
import shutil
import tempfile

os.environ["HF_DATASETS_CACHE"] = _CACHE = tempfile.mkdtemp(prefix="rlm-tests-datasets-")
atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)
