"""From nothing but an address to a call: the challenge, the document, the issuer, a user who signs in, a token; and what others get.

usage: client.py URL
"""

import base64
import hashlib
import http.cookiejar
import json
import re
import secrets
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


class Arrived(Exception):
    """At the address that a sign-in leads back to."""


class Browser(urllib.request.HTTPRedirectHandler):
    """Follows where a sign-in leads, with its cookies, until it is back."""

    BACK = "http://127.0.0.1:4466/callback"

    def __init__(self) -> None:
        self.opener = urllib.request.build_opener(self, urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def redirect_request(self, request, file, code, message, headers, url):
        if url.startswith(self.BACK):
            raise Arrived(url)
        return super().redirect_request(request, file, code, message, headers, url)

    def sign_in(self, url: str, user: str) -> dict:
        """What comes back: a login and a consent on two pages, each sent to where it stands."""
        try:
            page = self.opener.open(url)
            for form in [{"prompt": "login", "login": user, "password": "any"}, {"prompt": "consent"}]:
                page = self.opener.open(page.url, urllib.parse.urlencode(form).encode())
        except Arrived as arrived:
            return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(str(arrived)).query))
        raise AssertionError(page.read().decode())


class Issuer:
    """The issuer that a resource names."""

    def __init__(self, url: str, resource: str) -> None:
        self.found = json.loads(fetch(f"{url}/.well-known/openid-configuration", {})[2])
        self.resource = resource

    def token(self, client: str, secret: str, form: dict) -> str:
        form = {"resource": self.resource} | form
        basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
        status, _, text = fetch(self.found["token_endpoint"], headers, urllib.parse.urlencode(form).encode())
        assert status == 200, text
        return json.loads(text)["access_token"]

    def of_client(self, client: str, secret: str, **more) -> str:
        """By the client's own credentials (RFC 6749, section 4.4)."""
        return self.token(client, secret, {"grant_type": "client_credentials", "scope": "tools:call"} | more)

    def of_user(self, user: str) -> str:
        """By a code (RFC 6749, section 4.1; RFC 7636)."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        asked = {"client_id": "mcp-client", "response_type": "code", "scope": "openid tools:call", "redirect_uri": Browser.BACK}
        asked |= {"resource": self.resource, "state": user, "code_challenge": challenge, "code_challenge_method": "S256"}
        back = Browser().sign_in(f"{self.found['authorization_endpoint']}?{urllib.parse.urlencode(asked)}", user)
        assert back["state"] == user, back
        form = {"grant_type": "authorization_code", "code": back["code"], "redirect_uri": Browser.BACK, "code_verifier": verifier}
        return self.token("mcp-client", "s1", form)


def main(url: str) -> None:
    status, headers, _ = ask(url, "tools/list", {}, {})
    assert status == 401, status
    document = json.loads(fetch(re.search(r'resource_metadata="([^"]+)"', headers["WWW-Authenticate"]).group(1), {})[2])
    assert document["resource"] == url, document
    (address,) = document["authorization_servers"]
    # Tokens are for what the document calls the resource.
    issuer = Issuer(address, document["resource"])
    tokens = {user: issuer.of_user(user) for user in ["ada", "ben"]} | {"other-client": issuer.of_client("other-client", "s3")}
    bearer = {who: {"Authorization": f"Bearer {token}"} for who, token in tokens.items()}
    elsewhere = issuer.of_client("mcp-client", "s1", resource="https://elsewhere.example")
    assert ask(url, "tools/list", {}, {"Authorization": f"Bearer {elsewhere}"})[0] == 401, "a token for something else"
    print("a challenge leads to the issuer, where users sign in, and a token for something else is not taken")

    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    status, headers, text = ask(url, "initialize", hello, bearer["ada"])
    assert status == 200, text
    session = {"Mcp-Session-Id": headers["Mcp-Session-Id"]}
    call = {"name": "one_show", "arguments": {}}
    status, _, theirs = ask(url, "tools/call", call, bearer["ben"] | session)
    _, _, unknown = ask(url, "tools/call", call, bearer["ben"] | {"Mcp-Session-Id": "unknown"})
    assert status == 404 and theirs == unknown, (status, theirs, unknown)
    print("a session of one principal is unknown to another")

    # `passed` is a backend that `pass_through` is set for.
    may = {"ben": ["one_show", "passed_show", "signed_show"]}
    may |= {"ada": [*may["ben"], "two_show"], "other-client": may["ben"]}
    for who, expected in may.items():
        _, _, text = ask(url, "tools/list", {}, bearer[who])
        assert [tool["name"] for tool in json.loads(text)["result"]["tools"]] == expected, text
    _, _, hidden = ask(url, "tools/call", {"name": "two_show"}, bearer["ben"])
    _, _, absent = ask(url, "tools/call", {"name": "no_such"}, bearer["ben"])
    assert hidden == absent.replace("no_such", "two_show"), (hidden, absent)
    print("each sees and calls what policies permit, and the rest is not there")

    scopes = {"one_show": "tools:call", "two_show": "tools:read", "signed_show": "tools:call"}
    for who, tools in may.items():
        for tool in tools:
            headers = bearer[who] | {"Cookie": "theirs"} | (session if who == "ada" else {})
            _, _, text = ask(url, "tools/call", {"name": tool, "arguments": {}}, headers)
            shown = json.loads(text)["result"]["structuredContent"]
            assert shown["cookie"] is None, shown
            if tool == "passed_show":
                assert shown["authorization"] == bearer[who]["Authorization"], shown
                continue
            assert not any(token in shown["authorization"] for token in tokens.values()), shown
            claims = read(shown["authorization"].removeprefix("Bearer "))
            audience = f"https://{tool.removesuffix('_show')}.example"
            assert (claims["aud"], claims["sub"], claims["scope"]) == (audience, who, scopes[tool]), claims
            us = "vmcp-key" if tool == "signed_show" else "vmcp-gw"
            assert (claims["client_id"], claims["act"]) == (us, {"sub": us}), claims
    print("each backend gets a token with its audience and scopes, in the caller's name, also where a key shows who we are; the caller's own is seen where it is passed through")


def read(token: str) -> dict:
    claims = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))


main(sys.argv[1])
