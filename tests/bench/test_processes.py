import mmap
import os
import subprocess
import sys
import time

import pytest

from bench.processes import Watch, descriptors, end, memfds, memory, tree

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
MB = 1 << 20


@pytest.fixture
def child():
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as process:
        while len(tree(process.pid)) < 2:
            time.sleep(0.01)
        yield process
        process.stdin.close()


def test_a_tree_holds_children_of_children(child):
    assert tree(os.getpid())[0] == os.getpid()
    assert set(tree(child.pid)) < set(tree(os.getpid()))
    assert sum(memory([pid]).pss for pid in tree(child.pid)) > MB


def test_a_process_that_is_gone_has_nothing(child):
    below = tree(child.pid)
    end(below[1:])
    child.wait()
    assert tree(child.pid) == []
    assert memory([child.pid]).pss == 0
    assert descriptors(child.pid) == {}


@pytest.fixture
def memfd():
    number = os.memfd_create("test")
    os.write(number, b"x" * (64 * MB))
    yield number
    os.close(number)


def test_shared_memory_that_nobody_maps_is_held(memfd):
    inode = os.stat(memfd).st_ino
    name, size = memfds([os.getpid()])[inode]
    assert "test" in name
    assert size == 64 * MB
    found = memory([os.getpid()])
    assert found.held - found.pss >= 60 * MB
    with mmap.mmap(memfd, 64 * MB) as mapped:
        assert mapped.find(b"y") == -1  # every page is read, so that it is mapped
        now = memory([os.getpid()])
        assert now.pss - found.pss >= 60 * MB
        assert now.held - now.pss < 8 * MB


def test_shared_memory_whose_descriptor_is_closed_still_counts_as_mapped():
    number = os.memfd_create("mapped")
    os.ftruncate(number, MB)
    inode = os.stat(number).st_ino
    with mmap.mmap(number, MB):
        os.close(number)
        assert inode in memfds([os.getpid()])
    assert inode not in memfds([os.getpid()])


def test_a_watch_remembers_the_peak_and_says_when_it_is_over():
    with Watch(os.getpid(), limit=1) as watch:
        assert watch.over.wait(10)
    assert watch.peak.pss > MB
