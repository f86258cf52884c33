"""What `assert_clean` finds, how it reports it, and what it ignores."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

from rxccsdk.testing import assert_clean

_T = TypeVar("_T")


def left_by(program: Callable[[], _T]) -> tuple[str, _T]:
    """Return the report on what a program leaks, and what the program returned."""
    returned: list[_T] = []

    def run() -> None:
        with assert_clean(timeout=0.3):
            returned.append(program())

    with pytest.raises(AssertionError) as failure:
        run()
    return str(failure.value), returned[0]


async def test_nothing_left_is_fine_in_every_form() -> None:
    async with assert_clean():
        await asyncio.sleep(0)
    clean = assert_clean()
    clean.check()
    await clean.acheck()


def test_a_block_without_a_loop() -> None:
    with assert_clean():
        asyncio.run(asyncio.sleep(0))


async def test_a_task_is_named_with_its_place() -> None:
    async def pump() -> None:
        await asyncio.sleep(60)

    clean = assert_clean(timeout=0.1)
    task = asyncio.create_task(pump(), name="the pump")
    await asyncio.sleep(0)
    with pytest.raises(AssertionError) as failure:
        await clean.acheck()
    assert re.search(r"task 'the pump' \(.*pump\) at .*test_testing_leftovers\.py:\d+", str(failure.value))
    assert "await it, or cancel it" in str(failure.value)
    task.cancel()


def test_a_process_is_named_with_its_command() -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    said, child = left_by(lambda: subprocess.Popen(command))
    assert re.search(r"process \d+ \(.*time\.sleep\(60\)\)", said)
    child.kill()
    child.wait()


def test_a_process_nobody_waits_for_is_left_too() -> None:
    said, child = left_by(lambda: subprocess.Popen(["true"]))
    assert re.search(r"process \d+ \(true\), ended but not waited for", said)
    child.wait()


def test_a_thread_is_named() -> None:
    stop = threading.Event()
    worker = threading.Thread(target=stop.wait, name="the worker", daemon=True)
    said, _ = left_by(worker.start)
    assert "thread 'the worker' (daemon)\n    -> join it" in said
    stop.set()
    worker.join()


def test_a_descriptor_is_named_with_what_it_leads_to() -> None:
    def forget() -> tuple[tempfile._TemporaryFileWrapper[bytes], tuple[int, int]]:
        file = tempfile.NamedTemporaryFile(prefix="forgotten")  # noqa: SIM115
        return file, os.pipe()

    said, (file, pipe) = left_by(forget)
    assert re.search(r"descriptor \d+ \(/.*forgotten.*\)", said)
    assert said.count("(pipe:") == 2
    assert said.count("-> close the file") == 1
    file.close()
    for end in pipe:
        os.close(end)


def test_a_descriptor_in_the_place_of_one_that_was_closed() -> None:
    with tempfile.TemporaryFile() as old:

        def exchange() -> tempfile._TemporaryFileWrapper[bytes]:
            old.close()
            return tempfile.NamedTemporaryFile(prefix="another")

        said, another = left_by(exchange)
        assert "another" in said
        another.close()


def test_what_is_about_to_end_may() -> None:
    with assert_clean():
        threading.Thread(target=time.sleep, args=(0.2,)).start()


async def test_what_was_there_before_may_stay() -> None:
    task = asyncio.create_task(asyncio.sleep(60))
    async with assert_clean(timeout=0.1):
        pass
    task.cancel()


async def test_the_error_of_the_block_says_more() -> None:
    stop = threading.Event()

    async def fail() -> None:
        async with assert_clean(timeout=0.1):
            threading.Thread(target=stop.wait).start()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    stop.set()
