"""The page, in a real browser: headless Chromium, the real CLI, both SDKs."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from rxccsdk.testing import reply
from rxccsdk.web import create_app, sse
from tests.browser import PROGRAM, Browser, Tab, chromium
from tests.conftest import Real
from tests.test_asks import QUESTION
from tests.web_server import TOKEN, client, serving

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed (Debian: chromium)")

ENDED = "[...document.querySelectorAll('.turn > .status')].map(node => node.innerText).join()"
PICTURES = os.environ.get("RXCCSDK_PICTURES")


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


async def look(tab: Tab, name: str) -> None:
    if PICTURES:
        picture = await tab.picture()
        await asyncio.to_thread((Path(PICTURES) / f"{name}.png").write_bytes, picture)


def has(words: str) -> str:
    return f"document.querySelector('#turns').innerText.includes({words!r})"


async def opened(browser: Browser, address: str) -> Tab:
    tab = await browser.tab()
    await tab.open(f"{address}/#token={TOKEN}")
    await tab.until("document.readyState === 'complete' && location.hash === ''")
    return tab


async def test_an_event_source_has_all_and_stops_at_the_end(browser: Browser, real: Real) -> None:
    asked = 0

    async def watch(request: Request) -> Response:
        nonlocal asked
        asked += 1
        return sse(turn, request.headers.get("last-event-id"))

    async def page(request: Request) -> Response:
        return HTMLResponse("<title>mine</title>")

    async with real([reply("One two.")]) as session:
        turn = session.stream("go", linger=30)
        app = Starlette(routes=[Route("/events", watch), Route("/", page)])
        async with serving(app) as address:
            tab = await browser.tab()
            await tab.open(address)
            await tab.until("document.title === 'mine'")
            await tab.value(
                "window.text = ''; window.source = new EventSource('/events');"
                "source.onmessage = event => { text += JSON.parse(event.data).text ?? ''; }; 0"
            )
            await tab.until("source.readyState === EventSource.CLOSED")
            assert await tab.value("text") == "One two."
    assert asked == 2


MARKDOWN = """# A title

One **bold** word.

- first
- second

```py
print(1 < 2)
```

| a | b |
|---|---|
| 1 | 2 |

"""


async def test_text_is_there_before_the_turn_ends_and_a_reload_loses_and_repeats_nothing(
    real: Real, browser: Browser
) -> None:
    go = threading.Event()
    script = [reply().text(MARKDOWN, pieces=7).until(go, mid_block=True).text("The *end*.")]
    async with serving(create_app(real.options(script), token=TOKEN)) as address:
        tab = await opened(browser, address)
        await tab.say("Show me <b>all</b>")
        await tab.until(has("second"))
        await tab.until("document.querySelectorAll('#turns td').length === 2")
        before = await tab.text()
        assert "…" in await tab.value(ENDED)
        await look(tab, "middle")
        await tab.reload()
        await tab.until("document.querySelectorAll('#turns td').length === 2")
        assert await tab.text() == before
        other = await opened(browser, address)
        await other.until("document.querySelectorAll('#turns td').length === 2")
        assert await other.text() == before
        go.set()
        for each in (tab, other):
            await each.until(f"{ENDED} === 'completed'")
        after = await tab.text()
        assert after == await other.text()
        assert after.count("One bold word.") == 1
        assert after.count("The end.") == 1
        assert "Show me <b>all</b>" in after
        marks = ["h1", "strong", "li", "pre code", "td", "em"]
        found = [await tab.value(f"document.querySelectorAll('.text {mark}').length") for mark in marks]
        assert found == [1, 1, 2, 1, 2, 1]
        await look(tab, "end")


async def test_a_connection_that_breaks_is_made_again(real: Real, browser: Browser) -> None:
    go = threading.Event()
    script = [reply().text("One.").until(go, mid_block=True).text("Two.")]
    app = create_app(real.options(script), token=TOKEN)
    async with serving(app) as address:
        tab = await opened(browser, address)
        await tab.say("go")
        await tab.until(has("One."))
        network = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        await tab.call("Network.enable")
        await tab.call("Network.emulateNetworkConditions", **network)
        go.set()
        await tab.until("document.querySelector('#note').innerText.includes('lost') || " + has("Two."))
        await tab.call("Network.emulateNetworkConditions", **{**network, "offline": False})
        await tab.until(f"{ENDED} === 'completed'")
        assert (await tab.text()).count("One.") == 1
        assert (await tab.text()).count("Two.") == 1


async def test_a_question_and_a_permission_are_answered_on_the_page(real: Real, browser: Browser) -> None:
    script = [
        reply("Hm. ").tool("AskUserQuestion", {"questions": [QUESTION]}),
        reply("I write. ").tool("Bash", {"command": "touch made", "description": "make a file"}),
        reply("Done."),
    ]
    async with serving(create_app(real.options(script, ask="stream"), token=TOKEN)) as address:
        tab, other = await opened(browser, address), await opened(browser, address)
        await tab.say("go")
        await tab.until("!!document.querySelector('fieldset input[value=B]')")
        await look(tab, "question")
        await tab.value("document.querySelector('fieldset input[value=B]').click()")
        await tab.value("document.querySelector('fieldset button').click()")
        await tab.until("document.querySelectorAll('fieldset').length === 2")
        await other.until("document.querySelectorAll('fieldset').length === 2")
        await look(other, "permission")
        await other.value("document.querySelectorAll('fieldset')[1].querySelector('button').click()")
        await tab.until(f"{ENDED} === 'completed'")
        await other.until(f"{ENDED} === 'completed'")
        assert await tab.text() == await other.text()
        assert "Which one? B" in await tab.text()
        assert await tab.value("document.querySelectorAll('fieldset:disabled').length") == 2
        assert await tab.value("document.querySelectorAll('details.tool .state')[1].innerText") == "✓"
        await look(tab, "answered")
    assert (real.folder / "project" / "made").exists()


async def test_a_background_agent_asks_on_the_page(real: Real, browser: Browser) -> None:
    script = [reply("I send one. ").agent("p", background=True), reply("Sent."), reply("After.")]
    agents = [reply("").tool("Bash", {"command": "touch made", "description": "x"}), reply("sub done")]
    app = create_app(real.options(script, agents=agents, ask="stream"), token=TOKEN)
    async with serving(app) as address:
        tab = await opened(browser, address)
        await tab.say("go")
        await tab.until("document.querySelectorAll('#asides fieldset').length === 1")
        await tab.value("document.querySelector('#asides button').click()")
        await tab.until("document.querySelectorAll('#asides fieldset:disabled').length === 1")
        await tab.reload()
        await tab.until("document.querySelectorAll('#asides fieldset:disabled').length === 1")
        assert await tab.value("document.querySelectorAll('#asides .status').length") == 1


HOSTILE = """<script>window.hit = 1</script><img src=x onerror="window.hit = 2">

[a](javascript:window.hit=3) ![b](http://127.0.0.1:9/pixel) <javascript:window.hit=4> [c](data:text/html,x)

**<svg onload="window.hit=5">** `<iframe srcdoc="<script>parent.hit=6</script>">`

# <style>body { display: none }</style>

```html"><script>window.hit=7</script>
</code></pre><script>window.hit=8</script>
```

| <b>x</b> | y |
|---|---|
| </table><script>window.hit=9</script> | "onmouseover="window.hit=10 |

<form action=http://127.0.0.1:9><input name=q autofocus onfocus="window.hit=11"></form>
"""


async def test_hostile_text_stays_text(real: Real, browser: Browser) -> None:
    call: Any = {"command": f"echo {HOSTILE[:80]!r}", "description": HOSTILE}
    script = [reply().thinking(HOSTILE).text(HOSTILE, pieces=11).tool("Bash", call), reply(HOSTILE)]
    async with serving(create_app(real.options(script), token=TOKEN)) as address:
        tab = await opened(browser, address)
        await tab.say(HOSTILE)
        await tab.until(f"/completed/.test({ENDED})")
        assert await tab.value("window.hit ?? null") is None
        made = (
            "script, img, svg, iframe, style, input, object, form, [onerror], [onload], [onfocus], [srcdoc]"
        )
        assert await tab.value(f"document.querySelector('#turns').querySelectorAll({made!r}).length") == 0
        hrefs = await tab.value("[...document.querySelectorAll('#turns a')].map(link => link.href)")
        assert all(href.startswith("http://127.0.0.1:9/") for href in hrefs)
        text = await tab.text()
        assert "<script>window.hit = 1</script>" in text
        assert '<img src=x onerror="window.hit = 2">' in text
        await look(tab, "hostile")
        assert not [entry for entry in browser.console if "favicon" not in entry]
        # Were the page to forget itself, the browser would still refuse markup and scripts.
        with pytest.raises(AssertionError, match="TrustedHTML"):
            await tab.value("document.body.innerHTML = '<p>x</p>'")


async def test_a_wrong_token_is_said_and_asks_nothing(real: Real, browser: Browser) -> None:
    async with serving(create_app(real.options([reply("One.")]), token=TOKEN)) as address:
        tab = await browser.tab()
        await tab.open(f"{address}/#token=wrong")
        await tab.until("document.querySelector('#note').innerText.includes('token')")
        async with client(address) as http:
            assert (await http.get("/turns")).json() == []
