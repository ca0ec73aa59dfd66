"""Packages of an image with every ecosystem, beside syft: Debian with Python, npm, Go, Rust, Java, Ruby, and each form of rpm's database."""

import json, os, re, shutil, zipfile

import programs
from questions import ROOT, TOOLS, Table, folder, layout, ours, run

table = Table("Packages of images, beside syft")
# Names of ours, and types of syft.
KINDS = {"Debian:12": "deb", "PyPI": "python", "npm": "npm", "Go": "go-module", "crates.io": "rust-crate", "Maven": "java-archive", "RubyGems": "gem", "AlmaLinux:9": "rpm"}
total = [0, 0]


def debian():
    root = folder("packages") / "root"
    run("mmdebstrap", "--quiet", "--variant=minbase", "--include=python3-requests,python3-jinja2,node-semver", "bookworm", root)
    site = root / "usr/local/lib/python3.11/dist-packages"
    run(TOOLS / "venv/bin/pip", "install", "-q", "--target", site, "django==3.2.0", "requests==2.19.0", "jinja2==2.10", "markupsafe")
    run("npm", "install", "--silent", "--ignore-scripts", "--prefix", root / "app", "lodash@4.17.10", "minimist@0.0.8", "express@4.16.0", "@babel/traverse@7.22.0")
    programs.go(root / "app/go-program")
    programs.rust(root / "app/rust-program")
    for package in ("libcommons-io-java", "libjackson2-core-java", "libguava-java"):
        for jar in programs.unpacked(package, "java-package").rglob("*.jar"):
            if not jar.is_symlink():
                (root / "opt/java").mkdir(exist_ok=True, parents=True)
                shutil.copy(jar, root / "opt/java")
    inner = sorted((root / "opt/java").iterdir())[0]
    with zipfile.ZipFile(root / "opt/application.war", "w") as war:
        war.writestr("META-INF/maven/org.example/application/pom.properties", "groupId=org.example\nartifactId=application\nversion=1.0\n")
        war.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n\n")
        war.write(inner, f"WEB-INF/lib/{inner.name}")
    specifications = root / "opt/ruby/specifications"
    specifications.mkdir(parents=True)
    for package in ("ruby-rack", "ruby-i18n"):
        for spec in programs.unpacked(package, "ruby-package").rglob("specifications/*.gemspec"):
            shutil.copy(spec, specifications)
    return root


def rpm(name):
    root = folder(f"rpm-{name}")
    (root / "var/lib/rpm").mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "etc/os-release").write_text('ID=almalinux\nVERSION_ID="9.3"\n')
    with zipfile.ZipFile(ROOT / "crates/scan/fixtures/rpm.zip") as archive:
        (root / "var/lib/rpm" / name).write_bytes(archive.read(name))
    return root


def normal(kind, name):
    """Python's names are the same however they are written (PEP 503)."""
    return re.sub("[-_.]+", "-", name).lower() if kind == "python" else name


def owned(root):
    """Files of Debian's packages."""
    found = set()
    for path in (root / "var/lib/dpkg/info").glob("*.list"):
        found.update(path.read_text().splitlines())
    return found


def compare(name, root):
    environment = {**os.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false"}
    image = layout(root, "packages-image")
    answer = json.loads(run(TOOLS / "venv/bin/syft", "-q", f"oci-dir:{image}", "-o", "json", env=environment))
    theirs = {}
    for one in answer["artifacts"]:
        version = one["version"].removeprefix("go") if one["name"] == "stdlib" else one["version"]
        theirs.setdefault((one["type"], normal(one["type"], one["name"]), version), []).append(one)
    mine = {}
    for row in ours("packages", image):
        if row[0] == "warning":
            continue
        label = row[1].split(":")[-1] if row[0] == "Maven" else row[1]
        kind = KINDS.get(row[0], row[0])
        mine.setdefault((kind, normal(kind, label), row[2]), []).append(row)
    total[0] += len(theirs)
    total[1] += len(mine)
    belongs = owned(root)
    for key in sorted(theirs.keys() - mine.keys(), key=str):
        places = [place["path"] for one in theirs[key] for place in one["locations"]]
        kind, label, version = key
        if all(place in belongs for place in places):
            table.explain("belongs to a package of Debian, which answers for it", f"{kind} {label} {version}")
        elif kind == "go-module" and label == "example.org/program":
            table.explain("the program's own module, which was not built from a release", f"{label} {version}")
        elif kind == "rust-crate" and label == "program":
            table.explain("the program's own crate, which is none of crates.io", label)
        else:
            table.differ(f"{name}: syft alone has {kind} {label} {version} ({places[0]})")
    for key in sorted(mine.keys() - theirs.keys(), key=str):
        table.differ(f"{name}: we alone have {' '.join(key)} ({mine[key][0][3]})")


compare("Debian", debian())
for form in ("rpmdb.sqlite", "Packages.db", "Packages"):
    compare(f"rpm {form}", rpm(form))
table.end(f"{total[0]} packages of syft 1.18, {total[1]} of ours, in four images.")
