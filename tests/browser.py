"""A headless Chromium, driven by its DevTools protocol over a pipe."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from tempfile import TemporaryDirectory
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
    "--window-size=900,1100",
]


class Tab:
    """A page of the browser."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    async def open(self, address: str) -> None:
        await self.call("Page.navigate", url=address)

    async def reload(self) -> None:
        await self.call("Page.reload")

    async def call(self, method: str, **params: Any) -> Any:
        return await self._browser.call(method, self._session, **params)

    async def value(self, expression: str) -> Any:
        """What JavaScript gives."""
        found = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise AssertionError(found["exceptionDetails"])
        return found["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Wait until JavaScript gives something true; return it."""
        async with asyncio.timeout(30):
            while True:
                with suppress(AssertionError):  # the page is about to be there
                    if found := await self.value(expression):
                        return found
                await asyncio.sleep(0.02)

    async def say(self, words: str) -> None:
        """Type into the page's box, and send it."""
        await self.until("!!document.querySelector('#form')?.onsubmit")
        await self.value(f"document.querySelector('#prompt').value = {json.dumps(words)}")
        await self.value("document.querySelector('#form').requestSubmit()")

    async def text(self) -> str:
        return str(await self.value("document.querySelector('#turns').innerText"))

    async def picture(self) -> bytes:
        shot = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(shot["data"])


class Browser:
    """Sends calls to Chromium, and brings its answers."""

    def __init__(self, process: asyncio.subprocess.Process, writing: int) -> None:
        self.console: list[str] = []
        self._process = process
        self._writing = writing
        self._calls: dict[int, asyncio.Future[Any]] = {}

    async def tab(self) -> Tab:
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        tab = Tab(self, attached["sessionId"])
        for domain in ("Page", "Runtime", "Log"):
            await tab.call(f"{domain}.enable")
        return tab

    async def call(self, method: str, session: str | None = None, **params: Any) -> Any:
        number = len(self._calls)
        answer = self._calls[number] = asyncio.get_running_loop().create_future()
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        async with asyncio.timeout(60):
            return await answer

    def take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            answer = self._calls[message["id"]]
            if not answer.done():
                if "error" in message:
                    answer.set_exception(AssertionError(message["error"]))
                else:
                    answer.set_result(message["result"])
        elif message["method"] == "Log.entryAdded":
            self.console.append(str(message["params"]["entry"]))
        elif message["method"] in ("Runtime.exceptionThrown", "Page.javascriptDialogOpening"):
            self.console.append(str(message["params"]))


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run a browser with an empty profile."""
    # The name of its socket must be shorter than pytest's folders make it.
    with TemporaryDirectory(prefix="rxccsdk", dir="/tmp", ignore_cleanup_errors=True) as folder:
        async with _running(folder) as browser:
            yield browser


@asynccontextmanager
async def _running(folder: str) -> AsyncIterator[Browser]:
    assert PROGRAM is not None
    theirs, writing = os.pipe()
    reading, theirs_too = os.pipe()
    # It reads calls at descriptor 3 and answers at 4.
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", f'exec "$@" 3<&{theirs} 4>&{theirs_too}', "bash", PROGRAM, *_FLAGS),
        f"--user-data-dir={folder}/profile",
        pass_fds=(theirs, theirs_too),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(folder), "HOME": str(folder)},
    )
    os.close(theirs)
    os.close(theirs_too)
    browser = Browser(process, writing)
    stream = asyncio.StreamReader(limit=1 << 26)
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), pipe
        )

        async def read() -> None:
            with suppress(asyncio.IncompleteReadError):
                while True:
                    browser.take(json.loads((await stream.readuntil(b"\0"))[:-1]))

        task = asyncio.create_task(read())
        try:
            yield browser
        finally:
            with suppress(OSError, AssertionError, TimeoutError):
                os.write(writing, b'{"id":0,"method":"Browser.close"}\0')
            os.close(writing)
            try:
                async with asyncio.timeout(10):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
            task.cancel()
            transport.close()
