"""Debian with its security updates and without: the first has nothing that could be mended, the second what the changelogs of the updates name."""

import gzip, re, subprocess

from questions import ADVISORIES, Table, database, folder, layout, ours, records, run

RELEASE = "bookworm"
PACKAGES = "ca-certificates,curl,openssl,libxml2,python3,openssh-client,git,sudo,gnupg,libexpat1,perl"
table = Table("Debian with its security updates and without")


def sources():
    """The archive as this machine is set up to reach it, without updates and with them."""
    text = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages")
    found = {line.split()[1]: line.split()[0] for line in text.splitlines()}
    main = next(uri for release, uri in found.items() if release == RELEASE)
    security = next((uri for release, uri in found.items() if release.endswith("-security")), None)
    assert security, "the sources of apt on this machine have no security archive"
    plain = [f"deb {main} {RELEASE} main"]
    return plain, plain + [f"deb {security} {RELEASE}-security main", f"deb {main} {RELEASE}-updates main"]


def system(name, lines):
    root = folder(name) / "root"
    run("mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", RELEASE, root, *lines)
    return root


def versions(root):
    """Version of each source package, and the packages that are built from it."""
    text = run("dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f", "${source:Package}\t${source:Version}\t${Package}\n")
    found = {}
    for source, version, package in (line.split("\t") for line in text.splitlines()):
        found.setdefault(source, (version, []))[1].append(package)
    return found


def newer(a, b):
    return subprocess.run(["dpkg", "--compare-versions", a, "gt", b]).returncode == 0


def entries(root, packages):
    """The changelog of the first of these packages that has one: version and text of each entry."""
    for package in packages:
        for name in ("changelog.Debian.gz", "changelog.gz", "changelog.Debian.amd64.gz"):
            path = root / "usr/share/doc" / package / name
            if path.is_file():
                text = gzip.decompress(path.read_bytes()).decode(errors="replace")
                parts = re.split(r"^(\S+) \(([^)]+)\) ", text, flags=re.M)
                return list(zip(parts[2::3], parts[3::3]))
    return []


plain, updated = sources()
old, new = system("debian-plain", plain), system("debian-updated", updated)
advisories = database(ADVISORIES / "Debian")
fixable = [row for row in ours("matches", layout(new, "debian-updated-image"), advisories) if row[0].startswith("Debian") and row[5] != "-"]
for row in fixable:
    table.differ(f"with updates: {row[4]} in {row[1]} {row[2]}, fixed by {row[5]}")

known = {}
for record in records("Debian"):
    for part in record["affected"]:
        if part["package"]["ecosystem"] == "Debian:12":
            known.setdefault(part["package"]["name"], set()).update(record.get("upstream", []))
before, after = versions(old), versions(new)
told = set()
for source, (version, packages) in after.items():
    was = before.get(source, (version, []))[0]
    if not newer(version, was):
        continue
    for entry, text in entries(new, packages):
        if newer(entry, was) and not newer(entry, version):
            told.update((source, cve) for cve in re.findall(r"CVE-\d{4}-\d{4,}", text))
source_of = {package: source for source, (_, packages) in before.items() for package in packages}
rows = ours("matches", layout(old, "debian-plain-image"), advisories)
found = {(source_of[row[1]], id) for row in rows if row[0].startswith("Debian") for id in row[4].split() if id.startswith("CVE-")}
for source, cve in sorted(told - found):
    where = "and not found" if cve in known.get(source, ()) else "and not among the advisories"
    table.differ(f"without updates: {cve} in {source} is named by the changelog {where}")
for source, cve in sorted(found - told):
    table.differ(f"without updates: {cve} in {source} is found and no changelog of an update names it")
assert len(told) > 20, "the updates were to mend something"
table.end(f"With updates {len(after)} source packages and {len(fixable)} findings that could be mended. Without, the changelogs name {len(told)}, we find {len(found)}.")
