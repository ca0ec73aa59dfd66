"""Orders of versions beside dpkg, Python's packaging and node's semver.

With PLIMSOLL_WRITE_ORDERS=1 it writes crates/scan/fixtures/orders instead: a sample in the order of the peer, equal ones on one line, refused
ones behind an exclamation mark. A test compares all pairs of it where the peers are not there.
"""

import functools, json, os, random, subprocess

from packaging.version import InvalidVersion, Version

from questions import ROOT, Table, ours, records, run

PAIRS = 25_000
table = Table("Orders of versions")
counts = []


def versions(*ecosystems):
    """All versions of some ecosystems, by package."""
    found = {}
    for ecosystem in ecosystems:
        for record in records(ecosystem):
            for part in record.get("affected", []):
                of = found.setdefault(part.get("package", {}).get("name"), set())
                of.update(part.get("versions", []))
                for ranged in part.get("ranges", []):
                    if ranged["type"] != "GIT":
                        of.update(value for event in ranged["events"] for value in event.values())
    return {name: sorted(of) for name, of in found.items()}


def pairs(by_package):
    """Pairs of one package first, they are the ones that matter; then of any."""
    chance = random.Random(5)
    everything = sorted({version for of in by_package.values() for version in of})
    near = [(a, b) for of in by_package.values() for a, b in zip(of, of[1:])]
    near += [tuple(chance.choices(of, k=2)) for of in by_package.values() for _ in range(len(of))]
    chance.shuffle(near)
    near = near[:PAIRS]
    far = [tuple(chance.choices(everything, k=2)) for _ in range(2 * PAIRS - len(near))]
    return [(a, b) for a, b in near + far if "\t" not in a + b and "\n" not in a + b]


def compare(scheme, peer, wanted, answers):
    mine = [row[0] for row in ours("compare", scheme, stdin="".join(f"{a}\t{b}\n" for a, b in wanted))]
    assert len(mine) == len(wanted) == len(answers)
    for (a, b), own, theirs in zip(wanted, mine, answers):
        if own != theirs:
            table.differ(f"{scheme}: {a} {own} {b}, {peer} says {theirs}")
    refused = sum(answer == "?" for answer in answers)
    counts.append(f"{scheme}: {len(wanted):,} pairs beside {peer}, {refused:,} of them with a version that it refuses")


def dpkg():
    wanted = pairs(versions("Debian"))[: 24_000]
    names = {"<": "lt", "=": "eq", ">": "gt"}
    mine = [row[0] for row in ours("compare", "debian", stdin="".join(f"{a}\t{b}\n" for a, b in wanted))]
    # One question per pair: is it as we say? A second one only where it is not.
    script = 'while IFS=$\'\\t\' read -r a op b; do dpkg --compare-versions "$a" "$op" "$b" 2>/dev/null && echo y || echo n; done'
    asked = "".join(f"{a}\t{names.get(own, 'lt')}\t{b}\n" for (a, b), own in zip(wanted, mine))
    said = run("bash", "-c", script, input=asked).split()
    answers = [own if yes == "y" or own == "?" else "another order" for own, yes in zip(mine, said)]
    compare("debian", "dpkg --compare-versions", wanted, answers)


def packaging():
    wanted = pairs(versions("PyPI"))

    def parsed(text):
        try:
            return Version(text)
        except InvalidVersion:
            return None

    def answer(a, b):
        a, b = parsed(a), parsed(b)
        return "?" if a is None or b is None else "<" if a < b else ">" if a > b else "="

    compare("pep440", "packaging", wanted, [answer(a, b) for a, b in wanted])


def semver():
    wanted = pairs(versions("npm", "crates.io", "Go"))
    modules = run("npm", "root", "-g").strip()
    script = f"""
        const semver = require({json.dumps(modules + "/npm/node_modules/semver")});
        const lines = require('fs').readFileSync(0, 'utf8').split('\\n').filter(Boolean);
        for (const line of lines) {{
            const answer = read => {{
                const [a, b] = line.split('\\t').map(text => semver.parse(read(text)));
                return a === null || b === null ? '?' : '>=<'[1 - semver.compare(a, b)];
            }};
            const padded = text => text.replace(/^v?(\\d+)(\\.\\d+)?(?=$|[-+])/, (_, major, minor) => major + (minor ?? '.0') + '.0');
            console.log(answer(text => text) + answer(padded));
        }}"""
    answers = run("node", "-e", script, input="".join(f"{a}\t{b}\n" for a, b in wanted)).split()
    known = [(pair, answer[0]) for pair, answer in zip(wanted, answers) if answer[0] != "?"]
    # We take 1 and 1.2 for versions, because Go and old npm packages have them; node does not. With the zeros that we think of it must agree.
    refused = [(pair, answer[1]) for pair, answer in zip(wanted, answers) if answer[0] == "?"]
    mine = ours("compare", "semver", stdin="".join(f"{a}\t{b}\n" for (a, b), _ in refused))
    for (pair, theirs), (own,) in zip(refused, mine, strict=True):
        if own != theirs:
            table.differ(f"semver: {pair[0]} {own} {pair[1]}, node's semver says {theirs} when zeros are added")
        elif own != "?":
            table.explain("versions that node refuses (0, 1.2) and we take as 0.0.0 and 1.2.0: node agrees once they are written so", " and ".join(pair))
    compare("semver", "node's semver", [pair for pair, _ in known], [answer for _, answer in known])


def sample(name, by_package, less):
    """Writes versions in the order of a peer; `less` says for a pair whether it is, None if one of them is refused."""
    chance = random.Random(7)
    everything = sorted({version for of in by_package.values() for version in of if not set(version) & set(" \t\n")})
    odd = [version for version in everything if not version.replace(".", "").isdigit()]
    chosen = chance.sample(everything, min(120, len(everything))) + chance.sample(odd, min(200, len(odd)))
    # Neighbours are where an order goes wrong.
    of = max(by_package.values(), key=len)
    chosen = sorted(set(chosen) | set(chance.sample(sorted(of), min(40, len(of)))))
    refused = [version for version in chosen if less(version, version) is None]
    good = [version for version in chosen if version not in refused]
    order = functools.cmp_to_key(lambda a, b: -1 if less(a, b) else 1 if less(b, a) else 0)
    lines = [[]]
    for version in sorted(good, key=order):
        if lines[-1] and less(lines[-1][0], version):
            lines.append([])
        lines[-1].append(version)
    text = "".join(" ".join(line) + "\n" for line in lines) + "".join(f"! {version}\n" for version in refused)
    (ROOT / f"crates/scan/fixtures/orders/{name}.txt").write_text(text)


def write():
    def dpkg_less(a, b):
        done = subprocess.run(["dpkg", "--compare-versions", a, "lt", b], stderr=subprocess.PIPE, text=True)
        return None if "bad syntax" in done.stderr else done.returncode == 0

    def packaging_less(a, b):
        try:
            return Version(a) < Version(b)
        except InvalidVersion:
            return None

    sample("debian", versions("Debian"), dpkg_less)
    sample("pep440", versions("PyPI"), packaging_less)
    known = versions("npm", "crates.io", "Go")
    everything = sorted({version for of in known.values() for version in of})
    script = f"""
        const semver = require({json.dumps(run("npm", "root", "-g").strip() + "/npm/node_modules/semver")});
        const all = require('fs').readFileSync(0, 'utf8').split('\\n').filter(text => semver.parse(text) !== null);
        all.sort(semver.compare);
        let rank = 0;
        all.forEach((text, at) => {{ if (at > 0 && semver.compare(all[at - 1], text) < 0) rank += 1; console.log(text + '\\t' + rank); }});"""
    rank = dict(line.split("\t") for line in run("node", "-e", script, input="\n".join(everything)).splitlines())
    ranked = {name: {version for version in of if version in rank} for name, of in known.items()}
    sample("semver", ranked, lambda a, b: int(rank[a]) < int(rank[b]))


if os.environ.get("PLIMSOLL_WRITE_ORDERS"):
    write()
    raise SystemExit()
dpkg()
packaging()
semver()
table.end("; ".join(counts) + ".")
