"""The Python SDK as a client of the quickstart, in one mode: list and call tools, read resources, get prompts."""

import asyncio
import sys

from mcp import Client


async def use_everything(url: str, mode: str) -> None:
    async with Client(url, mode=mode) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        assert {"clock_now", "files_read", "notes_write"} <= set(tools), tools
        now = await client.call_tool("clock_now", {"time_zone": "Europe/Berlin"})
        assert now.structured_content["time_zone"] == "Europe/Berlin", now
        written = await client.call_tool("notes_write", {"title": f"python-{mode}", "text": "tea"})
        assert not written.is_error, written

        resources = [str(resource.uri) for resource in (await client.list_resources()).resources]
        assert "files:///hello.md" in resources, resources
        for uri, part in [("files:///hello.md", "# Hello"), (f"note://python-{mode}", "tea")]:
            read = await client.read_resource(uri)
            assert part in read.contents[0].text, read
        templates = (await client.list_resource_templates()).resource_templates
        assert [template.uri_template for template in templates] == ["note://{title}"], templates

        prompts = [prompt.name for prompt in (await client.list_prompts()).prompts]
        assert prompts == ["notes_review", "notes_summarize"], prompts
        prompt = await client.get_prompt("notes_summarize", {"title": f"python-{mode}"})
        assert "tea" in prompt.messages[0].content.text, prompt

        try:
            await client.call_tool("nobody_nothing", {})
        except Exception as error:
            assert "Unknown tool: nobody_nothing" in str(error), error
        else:
            raise AssertionError("an unknown tool was called")


asyncio.run(use_everything(sys.argv[1], sys.argv[2]))
