"""A Python client of server-everything: each feature once, and what came of it.

usage: python.py sdk|fastmcp URL    in an environment that has it
"""

import asyncio
import json
import pathlib
import sys

import mcp_types as types
from mcp import MCPError

HEARD: list = []


def plain(value):
    """As it was on the wire, as far as the client keeps that."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return value


async def until(found) -> bool:
    for _ in range(60):
        if any(found(plain(message)) for message in HEARD):
            return True
        await asyncio.sleep(0.1)
    return False


async def hear(message) -> None:
    HEARD.append(message)


def accept(params) -> dict | None:
    """What a user fills in; nothing where a page is to be opened."""
    return None if plain(params).get("mode") == "url" else {"name": "Ada", "integer": 7}


def sampled(text: str) -> types.CreateMessageResult:
    said = types.TextContent(type="text", text=f"I was asked: {text}")
    return types.CreateMessageResult(role="assistant", model="fake", content=said)


ROOT = types.Root(uri="file:///home/ada", name="home")


def of_sdk(url: str):
    from mcp import Client

    async def sample(_context, params):
        return sampled(params.messages[0].content.text)

    async def elicit(_context, params):
        return types.ElicitResult(action="accept", content=accept(params))

    async def roots(_context):
        return types.ListRootsResult(roots=[ROOT])

    return Client(
        url,
        mode="legacy",
        sampling_callback=sample,
        elicitation_callback=elicit,
        list_roots_callback=roots,
        logging_callback=hear,
        message_handler=hear,
    )


def of_fastmcp(url: str):
    from fastmcp import Client
    from fastmcp.client.elicitation import ElicitResult

    async def sample(messages, _params, _context):
        return sampled(messages[0].content.text)

    async def elicit(_message, _type, params, _context):
        return ElicitResult(action="accept", content=accept(params))

    return Client(
        url,
        mode="legacy",
        sampling_handler=sample,
        elicitation_handler=elicit,
        roots=[ROOT],
        log_handler=hear,
        message_handler=hear,
    )


class Ops:
    """One method for each kind of feature."""

    def __init__(self, client, session):
        self.client, self.session = client, session

    async def ping(self, _):
        return await self.session.send_ping()

    async def list(self, feature):
        by_kind = {
            "tools": self.session.list_tools,
            "prompts": self.session.list_prompts,
            "resources": self.session.list_resources,
            "resourceTemplates": self.session.list_resource_templates,
        }
        return plain(await by_kind[feature["kind"]]())[feature["kind"]]

    async def call(self, feature):
        return await self.session.call_tool(feature["name"], feature["arguments"])

    async def read(self, feature):
        return await self.session.read_resource(feature["uri"])

    async def prompt(self, feature):
        return await self.session.get_prompt(feature["name"], feature["arguments"])

    async def complete(self, feature):
        kind = types.PromptReference if "name" in feature["ref"] else types.ResourceTemplateReference
        return await self.session.complete(kind(**feature["ref"]), feature["argument"], feature.get("context"))

    async def progress(self, feature):
        told = []

        async def tell(progress, total, message):
            told.append([progress, total, message])

        result = await self.session.call_tool(feature["name"], feature["arguments"], progress_callback=tell)
        # The last may come with the answer, and then not every client tells of it.
        return {"told": told[:3], "result": plain(result)}

    async def logged(self, feature):
        await self.session.set_logging_level(feature["level"])
        await self.session.subscribe_resource(feature["uri"])
        return await until(lambda message: feature["uri"] in json.dumps(message, default=str))

    async def updated(self, feature):
        await self.session.subscribe_resource(feature["uri"])
        await self.session.call_tool(feature["name"], {})
        is_heard = await until(lambda message: feature["uri"] in json.dumps(message, default=str))
        await self.session.unsubscribe_resource(feature["uri"])
        return is_heard


async def main(which: str, url: str) -> None:
    features = json.loads(pathlib.Path(__file__).with_name("features.json").read_text())
    async with (of_sdk if which == "sdk" else of_fastmcp)(url) as client:
        ops = Ops(client, client.session)
        # The server asks for roots a moment after the handshake, and the first call may have to bring about that handshake.
        await ops.call({"name": "echo", "arguments": {"message": "first"}})
        await asyncio.sleep(1)
        for feature in features:
            try:
                outcome = plain(await getattr(ops, feature["op"])(feature))
            except MCPError as error:
                outcome = {"error": error.error.code, "data": plain(error.error.data)}
            print(json.dumps({"feature": feature["feature"], "outcome": outcome}), flush=True)


asyncio.run(main(sys.argv[1], sys.argv[2]))
