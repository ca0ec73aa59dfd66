"""A Rust program with old crates, beside cargo-audit, which is given the same advisories in the form it reads."""

import json, subprocess

import programs
from questions import ADVISORIES, TOOLS, Table, database, folder, layout, ours, records

table = Table("A Rust program, beside cargo-audit")
root = folder("rust-root")
program = programs.rust(root / "program")


def requirements(part):
    """What an advisory does not mean, as cargo-audit wants it said."""
    events = [(kind, value) for ranged in part["ranges"] if ranged["type"] == "SEMVER" for event in ranged["events"] for kind, value in event.items()]
    safe, begin = [], None
    for kind, value in events:
        if kind == "introduced":
            if value not in ("0", "0.0.0-0"):
                safe.append(f"< {value}" if begin is None else f">= {begin}, < {value}")
            begin = None
        elif kind == "fixed":
            begin = value
    if begin is not None:
        safe.append(f">= {begin}")
    return safe


source = folder("rustsec")
for record in records("crates.io"):
    if record.get("withdrawn"):
        continue
    part = record["affected"][0]
    informational = (part.get("database_specific") or {}).get("informational")
    lines = ["[advisory]", f'id = "{record["id"]}"', f'package = "{part["package"]["name"]}"', f'date = "{record["published"][:10]}"']
    lines += [f'informational = "{informational}"'] if informational else []
    lines += ["[versions]", f"patched = {json.dumps(requirements(part))}"]
    path = source / "crates" / part["package"]["name"]
    path.mkdir(parents=True, exist_ok=True)
    (path / f"{record['id']}.md").write_text("```toml\n" + "\n".join(lines) + "\n```\n\n# Title\n\nText.\n")

settings = folder("rust-home")
(settings / ".cargo").mkdir()
(settings / ".cargo/audit.toml").write_text('[advisories]\ninformational_warnings = ["unmaintained", "unsound", "notice"]\n[yanked]\nenabled = false\n')
done = subprocess.run([TOOLS / "bin/cargo-audit", "audit", "--json", "--no-fetch", "--stale", "--db", source, "bin", program], capture_output=True, text=True, cwd=settings)
try:
    answer = json.loads(done.stdout)
except json.JSONDecodeError:
    raise SystemExit(f"cargo-audit says: {done.stdout[:500]} {done.stderr[:2000]}")
listed = answer["vulnerabilities"]["list"] + [one for kind in answer["warnings"].values() for one in kind if one.get("advisory")]
theirs = {(one["package"]["name"], one["package"]["version"], one["advisory"]["id"]) for one in listed}

rows = ours("matches", layout(root, "rust-image"), database(ADVISORIES / "crates.io"))
mine = {(row[1], row[2], id) for row in rows if row[0] == "crates.io" for id in row[4].split() if id.startswith("RUSTSEC")}
for one in sorted(theirs ^ mine):
    table.differ(f"{' '.join(one)}: {'cargo-audit' if one in theirs else 'we'} alone")
assert len(theirs) > 3, "the program was to have vulnerable crates"
table.end(f"{len(theirs)} findings of cargo-audit, {len(mine)} of ours, of {len({one[:2] for one in theirs})} crates.")
