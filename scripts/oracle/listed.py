"""Every version that a PyPI advisory lists is found; by its ranges alone too, where packaging finds it there."""

from packaging.version import InvalidVersion, Version

from questions import Table, database, ours, records

table = Table("Versions that PyPI's advisories list")


def parsed(text):
    try:
        return Version(text)
    except InvalidVersion:
        return None


def in_ranges(part, version):
    """OSV's evaluation, by packaging's order."""
    version = parsed(version)
    if version is None:
        return False
    for ranged in part.get("ranges", []):
        if ranged["type"] != "ECOSYSTEM":
            continue
        inside = False
        events = [(kind, value) for event in ranged["events"] for kind, value in event.items()]
        if any(value != "0" and parsed(value) is None for _, value in events):
            continue
        order = lambda event: (Version("0.dev0") if event[1] == "0" else parsed(event[1]), event[0] == "introduced")
        for kind, value in sorted(events, key=order):
            if kind == "introduced" and (value == "0" or version >= parsed(value)):
                inside = True
            elif kind == "fixed" and version >= parsed(value) or kind == "last_affected" and version > parsed(value):
                inside = False
        if inside:
            return True
    return False


wanted, without_lists = [], []
for record in records("PyPI"):
    if record.get("withdrawn"):
        continue
    for part in record["affected"]:
        for version in part.get("versions", []):
            wanted.append((record["id"], part["package"]["name"], version, in_ranges(part, version)))
    without_lists.append({**record, "affected": [{**part, "versions": []} for part in record["affected"]]})

# An advisory may stand for several; each version of a package is asked for once.
asked = sorted({(name, version) for _, name, version, _ in wanted})
stdin = "".join(f"PyPI\t{name}\t{version}\n" for name, version in asked)
for title, source in (("with its list", [list(records("PyPI"))]), ("by ranges alone", [without_lists])):
    answers = ours("hits", database(*source), stdin=stdin)
    assert len(answers) == len(asked)
    ids = {tuple(row[1:3]): set(row[3].split()) for row in answers}
    for id, name, version, ranged in wanted:
        found = id in ids[name, version]
        if title == "with its list" and not found:
            table.differ(f"{id}: {name} {version} is listed and not found")
        elif title == "by ranges alone" and found != ranged:
            table.differ(f"{id}: {name} {version}: by its ranges {found}, packaging says {ranged}")
        elif title == "by ranges alone" and not ranged:
            table.explain("listed, but in none of the advisory's ranges (packaging says so too): found by the list", f"{id}: {name} {version}")
table.end(f"{len(wanted):,} listed versions; each is found.")
