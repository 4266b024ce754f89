"""An MCP server whose one tool answers with what it was shown.

usage: backend.py PORT
"""

import http.server
import json
import sys


class Backend(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "id" not in request:
            return self.answer(202, b"")
        shown = {"authorization": self.headers.get("Authorization"), "cookie": self.headers.get("Cookie")}
        results = {
            "initialize": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "shown", "version": "1"}},
            "tools/list": {"tools": [{"name": "show", "inputSchema": {"type": "object"}}]},
            "tools/call": {"content": [], "structuredContent": shown},
            "ping": {},
        }
        known = request["method"] in results
        outcome = {"result": results[request["method"]]} if known else {"error": {"code": -32601, "message": "Method not found"}}
        self.answer(200, json.dumps({"jsonrpc": "2.0", "id": request["id"]} | outcome).encode())

    def do_GET(self) -> None:
        self.answer(405, b"")

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Backend).serve_forever()
