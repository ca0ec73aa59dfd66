"""A Go program with old modules, beside govulncheck, which is given the same advisories in the form it reads."""

import json, os, subprocess

import programs
from questions import ADVISORIES, Table, database, folder, layout, ours, records, run

table = Table("A Go program, beside govulncheck")
root = folder("go-root")
program = programs.go(root / "program")

source = folder("vulndb")
by_module, aliases = {}, {}
for record in records("Go"):
    for part in record["affected"]:
        by_module.setdefault(part["package"]["name"], {})[record["id"]] = record
    for alias in record.get("aliases", []):
        aliases.setdefault(alias, []).append(record["id"])
escape = lambda name: "".join(f"!{letter.lower()}" if letter.isupper() else letter for letter in name)
for name, of in by_module.items():
    path = source / f"{escape(name)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([record for record in of.values() if not record.get("withdrawn")]))
(source / "index.json").write_text(json.dumps({name: "2026-01-01T00:00:00Z" for name in by_module}))
(source / "aliases.json").write_text(json.dumps(aliases))

environment = {**os.environ, "GOVULNDB": f"file://{source}"}
done = subprocess.run(["govulncheck", "-json", program], capture_output=True, text=True, env=environment)
try:
    answer = json.loads(done.stdout)
except json.JSONDecodeError:
    raise SystemExit(f"govulncheck says: {done.stdout[:500]} {done.stderr[:2000]}")
theirs = {(module["Path"].replace("std", "stdlib") if module["Path"] == "std" else module["Path"], one["OSV"]["id"]) for one in answer["Vulns"] or [] for module in one["Modules"]}

rows = ours("matches", layout(root, "go-image"), database(ADVISORIES / "Go"))
mine = {(row[1], id) for row in rows if row[0] == "Go" for id in row[4].split() if id.startswith("GO-")}
details = {(name, id): record for name, of in by_module.items() for id, record in of.items()}
for name, id in sorted(theirs - mine):
    table.differ(f"{id} in {name}: govulncheck alone")

# What the linker kept: PACKAGE.Function, PACKAGE.(*Type).Method, PACKAGE.Type.Method.
symbols = {line.split(maxsplit=2)[2] for line in run("go", "tool", "nm", program).splitlines() if len(line.split(maxsplit=2)) == 3}


def has(one):
    """Whether the program has any of the functions that an advisory names; all of a package if it names none."""
    path = one["path"]
    if not one.get("symbols"):
        return any(symbol.startswith(f"{path}.") for symbol in symbols)
    for function in one["symbols"]:
        kind, _, method = function.rpartition(".")
        if {f"{path}.{function}", f"{path}.(*{kind}).{method}"} & symbols:
            return True
    return False


for name, id in sorted(mine - theirs):
    parts = [part for part in details[name, id]["affected"] if part["package"]["name"] == name]
    imports = [one for part in parts for one in (part.get("ecosystem_specific") or {}).get("imports", [])]
    elsewhere = lambda one: "linux" not in one.get("goos", ["linux"]) or "amd64" not in one.get("goarch", ["amd64"])
    there = [one["path"] for one in imports if has(one) and not elsewhere(one)]
    if imports and not there:
        table.explain("we go by modules; the program has none of the functions that the advisory names, so govulncheck does not tell it", f"{id} in {name}")
    else:
        table.differ(f"{id} in {name}: we alone, though the program has functions of {', '.join(there) or 'whatever the advisory means'}")
assert len(theirs) > 1, "the program was to have vulnerable modules"
table.end(f"{len(theirs)} findings of govulncheck, {len(mine)} of ours; each of govulncheck's is among ours.")
