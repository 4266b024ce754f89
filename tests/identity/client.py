"""From nothing but an address to a call: the challenge, the document, the issuer, a token; and what another principal gets.

usage: client.py URL
"""

import base64
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request


def fetch(url: str, headers: dict, body: bytes | None = None):
    """Status, headers and text, whatever they are."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def ask(url: str, method: str, params: dict, headers: dict):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    return fetch(url, {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"} | headers, body)


def token(issuer: str, client: str, secret: str, resource: str | None = None) -> str:
    """By the client's own credentials (RFC 6749, section 4.4)."""
    discovered = json.loads(fetch(f"{issuer}/.well-known/openid-configuration", {})[2])
    form = {"grant_type": "client_credentials", "scope": "tools:call"} | ({"resource": resource} if resource else {})
    basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
    status, _, text = fetch(discovered["token_endpoint"], headers, urllib.parse.urlencode(form).encode())
    assert status == 200, text
    return json.loads(text)["access_token"]


def main(url: str) -> None:
    status, headers, _ = ask(url, "tools/list", {}, {})
    assert status == 401, status
    document = json.loads(fetch(re.search(r'resource_metadata="([^"]+)"', headers["WWW-Authenticate"]).group(1), {})[2])
    assert document["resource"] == url, document
    (issuer,) = document["authorization_servers"]
    bearer = {name: {"Authorization": f"Bearer {token(issuer, name, secret)}"} for name, secret in [("mcp-client", "s1"), ("other-client", "s3")]}
    elsewhere = {"Authorization": f"Bearer {token(issuer, 'mcp-client', 's1', 'https://elsewhere.example')}"}
    assert ask(url, "tools/list", {}, elsewhere)[0] == 401, "a token for something else"
    print("a challenge leads to the issuer, and a token for something else is not taken")

    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    status, headers, text = ask(url, "initialize", hello, bearer["mcp-client"])
    assert status == 200, text
    session = {"Mcp-Session-Id": headers["Mcp-Session-Id"]}
    call = {"name": "one_show", "arguments": {}}
    status, _, theirs = ask(url, "tools/call", call, bearer["other-client"] | session)
    _, _, unknown = ask(url, "tools/call", call, bearer["other-client"] | {"Mcp-Session-Id": "unknown"})
    assert status == 404 and theirs == unknown, (status, theirs, unknown)
    print("a session of one principal is unknown to another")

    may = {"mcp-client": ["one_show", "two_show"], "other-client": ["one_show"]}
    for client, expected in may.items():
        _, _, text = ask(url, "tools/list", {}, bearer[client])
        assert [tool["name"] for tool in json.loads(text)["result"]["tools"]] == expected, text
    _, _, hidden = ask(url, "tools/call", {"name": "two_show"}, bearer["other-client"])
    _, _, absent = ask(url, "tools/call", {"name": "no_such"}, bearer["other-client"])
    assert hidden == absent.replace("no_such", "two_show"), (hidden, absent)
    print("each sees and calls what policies permit, and the rest is not there")

    issuer_tokens = [value["Authorization"] for value in bearer.values()]
    for client, tools in may.items():
        for tool in tools:
            headers = bearer[client] | {"Cookie": "theirs"} | (session if client == "mcp-client" else {})
            _, _, text = ask(url, "tools/call", {"name": tool, "arguments": {}}, headers)
            shown = json.loads(text)["result"]["structuredContent"]
            assert shown["cookie"] is None and shown["authorization"] not in issuer_tokens, shown
            claims = read(shown["authorization"].removeprefix("Bearer "))
            audience = f"https://{tool.removesuffix('_show')}.example"
            scope = {"one_show": "tools:call", "two_show": "tools:read"}[tool]
            assert (claims["aud"], claims["sub"], claims["scope"]) == (audience, client, scope), claims
            assert claims["act"] == {"sub": "vmcp-gw"}, claims
    print("each backend gets a token with its audience and scopes, in the caller's name, and never the caller's own")


def read(token: str) -> dict:
    claims = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))


main(sys.argv[1])
