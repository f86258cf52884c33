"""The same session as an Observable: buffer, print, tap and reduce in one pipe.

Run it: python examples/compose.py "What is in this folder?"
"""

import asyncio
import sys

from rxccsdk import ClaudeSession, SessionOptions, ToolUseChunk
from rxccsdk import operators as cc


async def main(prompt: str) -> None:
    async with ClaudeSession(SessionOptions(allowed_tools=["Bash", "Read"])) as session:
        turn = session.stream(prompt)

        tools = turn.pipe(cc.of_type(ToolUseChunk))
        tools.subscribe(lambda tool: print(f"\n[{tool.name} {tool.input}]"))

        response = await turn.pipe(
            cc.buffer_text(seconds=0.05),
            cc.print_text(),
            cc.to_response(),
        )
        print(f"\n{len(response.tool_uses)} tool calls, {response.metadata.total_cost_usd} USD")


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "What is in this folder?"))
