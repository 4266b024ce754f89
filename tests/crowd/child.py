"""An MCP server over standard streams that answers late, in any order, twice, and what nobody has asked."""

import heapq
import json
import random
import select
import sys
import time

TOOL = {"name": "echo", "inputSchema": {"type": "object"}}


def due(message: dict) -> list[tuple[float, dict]]:
    """What is said to a message, and when."""
    now, name, id = time.monotonic(), message.get("method"), message.get("id")
    result = lambda result: {"jsonrpc": "2.0", "id": id, "result": result}
    if name == "initialize":
        info = {"name": "crowd", "version": "1"}
        return [(now, result({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}))]
    if name == "tools/list":
        return [(now, result({"tools": [TOOL]}))]
    if name != "tools/call":
        return [] if id is None else [(now, result({}))]
    text, token = message["params"]["arguments"]["text"], message["params"].get("_meta", {}).get("progressToken")
    progress = {"progressToken": token, "progress": 1, "message": text}
    told = {"jsonrpc": "2.0", "method": "notifications/progress", "params": progress}
    answer = result({"content": [{"type": "text", "text": text}]})
    forged = answer | {"id": f"nobody-{random.random()}"}
    begun = now + random.random() / 10
    later = begun + random.random() / 10
    first = [] if token is None else [(begun, told)]
    return [*first, (later, forged), (later, answer), (later + random.random() / 10, answer)]


def main() -> None:
    waiting: list = []
    buffer, count = b"", 0
    while True:
        patience = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        if select.select([0], [], [], patience)[0]:
            chunk = sys.stdin.buffer.raw.read(65536)
            if not chunk:
                return
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                for when, said in due(json.loads(line)):
                    count += 1
                    heapq.heappush(waiting, (when, count, said))
        while waiting and waiting[0][0] <= time.monotonic():
            sys.stdout.write(json.dumps(heapq.heappop(waiting)[2]) + "\n")
        sys.stdout.flush()


main()
