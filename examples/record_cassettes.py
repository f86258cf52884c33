"""Records the cassettes that `rxccsdk demo` replays, into rxccsdk/cassettes.

The Claude Code CLI in them is the real one, and its tools really run, in a small project made for the
occasion. Only the model is scripted: a Messages API on loopback plays it, so that no account is needed and
every recording says the same.

Afterwards the recordings are made neutral: the temporary project's path becomes /home/user/project, the
lists of `system/init` are cut to what the recording uses, the paths of the CLI's own working files are taken
out, and so are the frames with which the SDK and the CLI greet each other (replays skip them) and the CLI's
end (it was asked for).

    python examples/record_cassettes.py
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import rxccsdk
from rxccsdk import ClaudeSession, SessionOptions
from rxccsdk import operators as cc
from rxccsdk.testing import LoopbackApi, Reply, bundled_cli, clean_environment, environment, reply

TARGET = Path(rxccsdk.__file__).parent / "cassettes"
NEUTRAL = "/home/user/project"
MODEL = "claude-sonnet-4-5"

PROJECT = {
    "shop/__init__.py": "",
    "shop/cart.py": '''"""The shopping cart."""

DISCOUNT_FROM = 10


def total(prices):
    """Sum the prices. From ten articles on, everything costs 5 % less."""
    amount = sum(prices)
    if len(prices) > DISCOUNT_FROM:
        amount *= 0.95
    return round(amount, 2)
''',
    "tests/__init__.py": "",
    "tests/test_cart.py": """import unittest

from shop.cart import total


class CartTest(unittest.TestCase):
    def test_nothing(self):
        self.assertEqual(total([]), 0)

    def test_nine_articles(self):
        self.assertEqual(total([2.0] * 9), 18.0)

    def test_ten_articles(self):
        self.assertEqual(total([2.0] * 10), 19.0)
""",
}

ANSWER_PROMPT = "What is backpressure? A few sentences, please."
ANSWER = """\
Backpressure is what a consumer does to a producer that is faster than itself: it pushes back, so that \
work does not pile up between the two without limit.

Without it, the queue in the middle grows until memory runs out, or until what comes out is so old that \
nobody wants it any more. There are only a few honest answers. The consumer can ask for the next items when \
it is ready (pull), the producer can wait until there is room (a bounded queue), neighbouring items can be \
merged into one (buffering, which suits text), or some can be dropped on purpose (sampling, which suits \
progress bars).

The important part is to choose. A stream that chooses nothing has chosen an unbounded buffer.
"""

AGENT_PROMPT = "A test fails. Find out why, and mend it."
FINAL = """\
Mended: all three tests pass.

**Why it failed.** `total()` gives 5 % off *from ten articles on*, as its docstring says, but it asked for \
*more* than ten:

```diff
-    if len(prices) > DISCOUNT_FROM:
+    if len(prices) >= DISCOUNT_FROM:
```

- The threshold is compared in this one place only, so nothing else changes.
- Orders of exactly ten articles are cheaper from now on; if invoices were already sent, they may need a \
second look.
"""


def says(text: str, then: Reply | None = None) -> Reply:
    """Lets the model say something, a word every 35 ms."""
    return (then or reply().wait(0.5)).text(text, delay=0.035)


def thinks(text: str) -> Reply:
    """Lets the model think first."""
    return reply().wait(0.5).thinking(text, delay=0.03).wait(0.2)


def bash(before: Reply, command: str, description: str) -> Reply:
    """Lets the model run a command."""
    return before.tool("Bash", {"command": command, "description": description}, pieces=8, delay=0.04)


def counted(replies: list[Reply]) -> list[Reply]:
    """Gives each reply token counts of a plausible size: a conversation grows, and four bytes are a token."""
    total, result = 2_900, []
    for item in replies:
        deltas = [delta for step in item.steps for delta in getattr(step, "deltas", ())]
        said = sum(len(value) for delta in deltas for name, value in delta.items() if name != "type")
        result.append(item.usage(input_tokens=total, output_tokens=max(12, said // 4)))
        total += 200 + said
    return result


def agent_replies(project: Path) -> tuple[list[Reply], list[Reply]]:
    """The model's part in the session with tools and a sub-agent: the main agent's replies, the sub-agent's.

    Inputs with a path are split by word, never within the path, so that `neutral` finds it.
    """
    cart = str(project / "shop/cart.py")
    tests = "python3 -m unittest -q 2>&1 | tail -n 8"
    wondering = thinks("A test fails, I am told, but not which one. I run them before I read any code.")
    delegating = says(
        "Ten articles get no discount, nine and none are fine: that smells like a limit that is off by one. "
        "A sub-agent looks up everything that uses the limit."
    ).tool(
        "Agent",
        {
            "description": "Find uses of the limit",
            "prompt": "Find every place where the discount limit is used, and say how it is compared.",
            "subagent_type": "general-purpose",
            "run_in_background": False,
        },
        pieces=12,
        delay=0.04,
    )
    change = {
        "file_path": cart,
        "old_string": "    if len(prices) > DISCOUNT_FROM:",
        "new_string": "    if len(prices) >= DISCOUNT_FROM:",
    }
    main = [
        bash(says("I'll run the tests first.", wondering), tests, "Run the tests"),
        delegating,
        says("One comparison, and it is the wrong one. I look at it, then change it.").tool(
            "Read", {"file_path": cart}, delay=0.08
        ),
        reply().wait(0.5).tool("Edit", change, delay=0.04),
        bash(reply().wait(0.4), tests, "Run the tests again"),
        says(FINAL, thinks("All green. I explain the cause in a sentence and mention who is affected.")),
    ]
    grep = bash(
        says("I search for the name of the limit."), "grep -rn DISCOUNT_FROM shop", "Search for the limit"
    )
    read = reply().wait(0.5).tool("Read", {"file_path": cart}, delay=0.08)
    found = (
        "It is defined in shop/cart.py, line 3, and used once, in line 9: `len(prices) > DISCOUNT_FROM`. The "
    )
    agents = [grep, read, says(found + "docstring says from ten articles on, so `>=` is meant.")]
    return counted(main), counted(agents)


async def record(raw: Path, folder: Path, prompt: str, main: list[Reply], agents: list[Reply]) -> None:
    """Ask the real CLI one prompt, and record the session."""
    with (
        LoopbackApi(main, agents=agents) as api,
        environment(clean_environment(api.url, folder, CLAUDE_CODE_DISABLE_AUTO_MEMORY="1")),
    ):
        options = SessionOptions(
            cwd=folder / "project",
            cli_path=bundled_cli(),
            model=MODEL,
            permission_mode="bypassPermissions",
            record=raw,
            backend="claude-agent-sdk",
        )
        async with ClaudeSession(options) as session:
            response = await session.stream(prompt).pipe(cc.to_response())
    if not response.success or any(tool.is_error for tool in response.tool_uses):
        raise SystemExit(f"{prompt!r}: {response.error} {response.tool_uses}")


def neutral(line: str, folder: Path) -> str | None:
    """One line of the recording without what is this machine's, or `None` for a line replays do not need."""
    for path in (folder / "project", folder):
        line = line.replace(str(path), NEUTRAL).replace(
            str(path).replace("/", "-"), NEUTRAL.replace("/", "-")
        )
    entry: dict[str, Any] = json.loads(line)
    frame = entry.get("in") or entry.get("out") or {}
    if str(frame.get("type")).startswith("control_") or "exit" in entry:
        return None
    for name in ("output_file", "messaging_socket_path"):
        frame.pop(name, None)
    if frame.get("subtype") == "init":
        for name, value in frame.items():
            if isinstance(value, (list, dict)):
                frame[name] = type(value)()
        frame["tools"] = ["Agent", "Bash", "Edit", "Read"]
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":"))


def main() -> None:
    """Record both cassettes."""
    for name in ("answer", "agent"):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary).resolve()
            for path, content in PROJECT.items():
                file = folder / "project" / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content)
            prompt, replies, agents = ANSWER_PROMPT, counted([says(ANSWER)]), list[Reply]()
            if name == "agent":
                prompt = AGENT_PROMPT
                replies, agents = agent_replies(folder / "project")
            raw, target = folder / "raw.jsonl", TARGET / f"{name}.jsonl"
            asyncio.run(record(raw, folder, prompt, replies, agents))
            lines = [neutral(line, folder) for line in raw.read_text().splitlines()]
            target.write_text("".join(f"{line}\n" for line in lines if line))
            print(f"{target.name}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
