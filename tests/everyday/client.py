"""The Python SDK as a client of the everyday example, in one mode: lists, and calls a tool of each server."""

import asyncio
import sys

from mcp import Client

CALLS = [
    ("everything_echo", {"message": "from python"}, "from python"),
    ("filesystem_list_allowed_directories", {}, "examples/everyday/files"),
    ("git_git_status", {"repo_path": "."}, "branch"),
    ("memory_read_graph", {}, "entities"),
    ("time_get_current_time", {"timezone": "Europe/Berlin"}, "Europe/Berlin"),
]


async def use_each(url: str, mode: str) -> None:
    async with Client(url, mode=mode) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        for name, arguments, part in CALLS:
            assert name in tools, (name, tools)
            answer = await client.call_tool(name, arguments)
            assert not answer.is_error and part in str(answer), (name, answer)


asyncio.run(use_each(sys.argv[1], sys.argv[2]))
