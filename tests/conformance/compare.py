"""Compares what the conformance suite found direct with what it found through a data plane, check by check.

usage: compare.py FOLDER EXPECTED_FAILURES

FOLDER holds WHERE/RUN/checks/**/checks.json, as the suite writes them. A check that is worse through a data plane than direct is a
failure, unless EXPECTED_FAILURES names it (`WHERE RUN SCENARIO CHECK`, one a line); one that is named there and is not worse is one, too.
"""

import json
import pathlib
import re
import sys

RANK = {"SUCCESS": 0, "INFO": 0, "SKIPPED": 1, "WARNING": 2, "FAILURE": 3}


def checks(run: pathlib.Path) -> dict[tuple[str, str], str]:
    """The worst that each check of each scenario came to."""
    found: dict[tuple[str, str], str] = {}
    for file in sorted(run.glob("checks/**/checks.json")):
        scenario = re.sub(r"^server-|-\d{4}-\d\d-\d\dT.*$", "", file.parent.name)
        for check in json.loads(file.read_text()):
            key, status = (scenario, check["id"]), check["status"]
            if key not in found or RANK[status] > RANK[found[key]]:
                found[key] = status
    return found


def why(run: pathlib.Path, scenario: str, check: str) -> str:
    """What the suite says of a check."""
    for file in run.glob(f"checks/**/*{scenario}*/checks.json"):
        for found in json.loads(file.read_text()):
            if found["id"] == check and found.get("errorMessage"):
                return found["errorMessage"][:200]
    return ""


def main(folder: pathlib.Path, expected_failures: pathlib.Path) -> int:
    lines = (line.split("#")[0].split() for line in expected_failures.read_text().splitlines())
    expected = {tuple(line) for line in lines if line}
    worse: set[tuple[str, ...]] = set()
    print(f"{'':<28}{'direct':>16}{'alone':>16}{'with-others':>16}")
    for run in sorted((folder / "direct").iterdir()):
        direct = checks(run)
        if not direct:
            print(f"{run.name}: the suite found nothing; see {run / 'log'}")
            return 1
        cells = []
        for where in ("direct", "alone", "with-others"):
            found = checks(folder / where / run.name)
            passed = sum(RANK[status] == 0 for status in found.values())
            failed = sum(status == "FAILURE" for status in found.values())
            cells.append(f"{passed:>10}/{failed:<5}")
            for key, status in direct.items():
                if RANK[found.get(key, "FAILURE")] > RANK[status]:
                    worse.add((where, run.name, *key))
        print(f"{run.name:<28}" + "".join(cells))
    for where, run, scenario, check in sorted(worse - expected):
        print(f"WORSE   {where} {run} {scenario} {check}: {why(folder / where / run, scenario, check)}")
    for line in sorted(expected - worse):
        print("STALE   " + " ".join(line))
    if worse == expected:
        print("no check is worse than direct" if not worse else "what is worse is expected")
    return int(worse != expected)


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
