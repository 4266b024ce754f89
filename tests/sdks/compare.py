"""Compares what a client got of server-everything direct with what it got through a data plane, feature by feature.

usage: compare.py NAME DIRECT THROUGH    What was well direct must be the same through a data plane.
"""

import json
import re
import sys

# What the server makes anew each time: the time of day, ids of its sessions, ids that it draws.
FRESH = [
    (re.compile(r"\d{1,2}:\d\d:\d\d(\.\d+)?( [AP]M)?"), "TIME"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r'("blob": ")[^"]{40,}'), r"\1BLOB"),
]


def outcomes(path: str) -> dict[str, str]:
    """Each feature's outcome as text."""
    found = {}
    for line in open(path, encoding="utf-8"):
        said = json.loads(line)
        text = json.dumps(said["outcome"], sort_keys=True, ensure_ascii=False)
        for pattern, instead in FRESH:
            text = pattern.sub(instead, text)
        found[said["feature"]] = text
    return found


def main(name: str, direct_path: str, through_path: str) -> int:
    direct, through = outcomes(direct_path), outcomes(through_path)
    same, worse = 0, []
    for feature, outcome in direct.items():
        # What fails direct may fail otherwise; what works must work alike.
        is_error = '"isError": true' in outcome or ('"error": ' in outcome and '"error": -32042' not in outcome)
        is_failure = outcome == "false" or is_error
        if through.get(feature) == outcome or (is_failure and feature in through):
            same += 1
        else:
            worse.append(f"  {feature}\n    direct   {outcome[:300]}\n    through  {through.get(feature, 'nothing')[:300]}")
    print(f"{name:<24} {same} of {len(direct)} alike")
    print("\n".join(worse), end="\n" if worse else "")
    return 1 if worse or not direct else 0


sys.exit(main(*sys.argv[1:]))
