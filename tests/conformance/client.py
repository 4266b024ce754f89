"""The data plane as the client under test: it serves the suite's server as its only backend, and a client behind it uses that.

usage: client.py VMCPCTL URL    The suite names the scenario in MCP_CONFORMANCE_SCENARIO, and appends the URL of its server.
"""

import base64
import http.client
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

MODERN = "2026-07-28"
MANIFEST = """name: all
group: suite
incoming_auth: {{type: anonymous}}
aggregation: {{conflict_resolution: manual}}
---
kind: group
name: suite
workloads:
  - {{name: suite, url: '{url}'}}
"""


class Client:
    """Sends raw messages of one era, and answers what it is asked."""

    def __init__(self, url: str, version: str):
        self.url, self.version, self.last, self.session = urllib.parse.urlsplit(url), version, 0, None
        if version != MODERN:
            params = {"protocolVersion": version, "capabilities": {"elicitation": {}}, "clientInfo": INFO}
            self.ask("initialize", params)
            self.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, {})
            threading.Thread(target=self.listen, daemon=True).start()

    def ask(self, method: str, params: dict | None = None) -> dict:
        """The whole response to a request."""
        self.last += 1
        params, headers = dict(params or {}), {}
        if self.version == MODERN:
            params["_meta"] = {
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientInfo": INFO,
                "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
            }
            headers["Mcp-Method"] = method
            name = params.get("name", params.get("uri"))
            headers |= {} if name is None else {"Mcp-Name": encoded(name)}
        request = {"jsonrpc": "2.0", "id": self.last, "method": method, "params": params}
        for message in self.post(request, headers):
            if message.get("id") == self.last and "method" not in message:
                return message
            self.answer(message)
        raise SystemExit(f"no response to {method}")

    def answer(self, message: dict) -> None:
        """To a question; anything else wants none."""
        if message.get("method") == "elicitation/create":
            answer = {"action": "accept", "content": defaults(message["params"]["requestedSchema"])}
            self.post({"jsonrpc": "2.0", "id": message["id"], "result": answer}, {})

    def listen(self) -> None:
        """What comes by itself."""
        for message in self.send("GET", None, {}):
            self.answer(message)

    def post(self, message: dict, headers: dict):
        """The messages that come back, as they come."""
        return self.send("POST", json.dumps(message), headers)

    def send(self, method: str, body: str | None, headers: dict):
        connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=30)
        headers |= {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        headers["MCP-Protocol-Version"] = self.version
        if self.session:
            headers["Mcp-Session-Id"] = self.session
        connection.request(method, self.url.path, body, headers)
        response = connection.getresponse()
        self.session = response.headers.get("Mcp-Session-Id", self.session)
        if "event-stream" not in response.headers.get("Content-Type", ""):
            body = response.read()
            return [json.loads(body)] if body else []
        return (json.loads(line[5:]) for line in response if line.startswith(b"data:") and line[5:].strip())


INFO = {"name": "suite-client", "version": "1"}


def encoded(name: str) -> str:
    """As a header holds it."""
    is_plain = name.isascii() and name.isprintable() and name == name.strip()
    return name if is_plain else f"=?base64?{base64.b64encode(name.encode()).decode()}?="


def defaults(schema: dict) -> dict:
    """What a user accepts who changes nothing."""
    return {name: field["default"] for name, field in schema["properties"].items() if "default" in field}


def use(client: Client, scenario: str) -> None:
    """Everything that the scenario's server looks at."""
    lists = {kind: client.ask(f"{kind}/list")["result"][kind] for kind in ("tools", "resources", "prompts")}
    tools = [tool["name"] for tool in lists["tools"]]
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    calls = context.get("toolCalls") or [{"name": name, "arguments": {}} for name in tools]
    if scenario == "tools_call":
        calls = [{"name": "add_numbers", "arguments": {"a": 5, "b": 3}}]
    if scenario == "http-invalid-tool-headers":
        assert tools == ["valid_tool"], tools
        names = ["invalid_empty_header", "invalid_object_header", "invalid_duplicate_diff_case"]
        refused = [client.ask("tools/call", {"name": name, "arguments": {"value": "x"}}) for name in names]
        assert all(answer["error"]["code"] == -32602 for answer in refused), refused
        calls = [{"name": "valid_tool", "arguments": {"region": "eu"}}]
    if scenario == "json-schema-ref-no-deref":
        calls = []
    for call in calls:
        rounds(client, call)
    for resource in lists["resources"]:
        client.ask("resources/read", {"uri": resource["uri"]})
    for prompt in lists["prompts"]:
        client.ask("prompts/get", {"name": prompt["name"]})


def rounds(client: Client, call: dict) -> None:
    """A call, with what it asks for on the way."""
    answer = client.ask("tools/call", call)
    result = answer.get("result")
    assert result is not None, answer
    if result.get("resultType") == "input_required":
        asked = result["inputRequests"]
        answers = {name: {"action": "accept", "content": {"confirmed": True}} for name in asked}
        state = {"requestState": result["requestState"]} if "requestState" in result else {}
        rounds(client, call | state | {"inputResponses": answers})


def main(vmcpctl: str, url: str) -> None:
    scenario, version = os.environ["MCP_CONFORMANCE_SCENARIO"], os.environ["MCP_CONFORMANCE_PROTOCOL_VERSION"]
    with tempfile.TemporaryDirectory() as folder:
        manifest, log = pathlib.Path(folder, "vmcp.yaml"), pathlib.Path(folder, "log")
        manifest.write_text(MANIFEST.format(url=url))
        arguments = [vmcpctl, "serve", "--port", "0", "--admin-port", "0", "--log", "info", "-f", manifest]
        with log.open("w") as output, subprocess.Popen(arguments, stderr=output) as served:
            try:
                for _ in range(100):
                    time.sleep(0.1)
                    if '"health":"healthy"' in status(log.read_text()):
                        break
                text = log.read_text()
                # Headers that mirror arguments are the data plane's to write where its client knows of none.
                is_legacy = scenario in ("http-custom-headers", "http-invalid-tool-headers")
                spoken = "2025-11-25" if is_legacy else version
                use(Client(re.search(r"` at (\S+)", text).group(1), spoken), scenario)
            except BaseException:
                print(log.read_text(), file=sys.stderr)
                raise
            finally:
                served.terminate()


def status(log: str) -> str:
    """`/status`; nothing as long as there is none."""
    found = re.search(r"status at (\S+)", log)
    if not found:
        return ""
    url = urllib.parse.urlsplit(found.group(1))
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=5)
    connection.request("GET", url.path)
    return connection.getresponse().read().decode()


main(sys.argv[1], sys.argv[2])
