"""The process side of `raw_worker`: everything a probe needs, imported before the doors close."""

import ctypes
import io
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback

from rlm_dspy.repl import isolation, limits, output, server
from rlm_dspy.repl.namespace import StepResult
from rlm_dspy.repl.worker import Worker, channel_of

PRELOADED = (ctypes, io, mmap, os, signal, socket, subprocess, sys, threading, time)


class RawNamespace:
    """Plain `exec`, with the face of a namespace."""

    def __init__(self, call_tool, *, max_output_chars):
        self.limit = max_output_chars
        self.names = {module.__name__: module for module in PRELOADED}
        self.names["limits"] = limits

    def configure(self, tools, output_fields):
        pass

    def bind(self, name, value):
        self.names[name] = value

    def run(self, code):
        capture = output.Capture(self.limit)
        output.begin(capture)
        self.names["print"] = lambda *values: output.STDOUT.write(" ".join(map(str, values)) + "\n")
        try:
            exec(code, self.names)
        except BaseException as error:  # noqa: BLE001 - whatever a probe raises is its outcome
            kind = type(error).__name__
            output.STDOUT.write(f"{kind}: {error}\n")
            trace = traceback.format_exc(limit=-2)
            return StepResult("error", capture.text(), None, kind, f"{error}\n{trace}", None)
        return StepResult("ok", capture.text())


def main(number):
    server.prepare()
    start = channel_of(os.dup(number)).receive()
    report = {"namespaces": isolation.attempt("namespaces", isolation.unshare, start["layers"])}
    worker = Worker(number, start, report, RawNamespace)
    worker.model.namespace.names["worker"] = worker
    worker.serve()
