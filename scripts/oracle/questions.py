"""What the oracles share: our own answers, the advisories, images made of folders, and the table of differences."""

import hashlib, json, os, pathlib, shutil, subprocess, zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "target/oracles"
WORK = TOOLS / "work"
ADVISORIES = pathlib.Path(os.environ["PLIMSOLL_ADVISORIES"])
ORACLE = ROOT / "target/release/examples/oracle"
WORK.mkdir(parents=True, exist_ok=True)


def run(*command, **more):
    """The output of a command that must succeed."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, **more)
    if done.returncode:
        raise SystemExit(f"{command} failed with {done.returncode}")
    return done.stdout


def ours(*question, stdin=None):
    """What we answer, as rows. Warnings are left out unless asked for."""
    out = run(ORACLE, *question, input=stdin)
    return [line.split("\t") for line in out.splitlines()]


def records(ecosystem):
    """The advisories of an ecosystem."""
    with zipfile.ZipFile(ADVISORIES / ecosystem / "all.zip") as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".json"):
                yield json.loads(archive.read(name))


def database(*sources):
    """A database of these sources (folders, zip files or lists of records)."""
    paths = []
    for number, source in enumerate(sources):
        if isinstance(source, list):
            path = WORK / f"source-{number}.zip"
            with zipfile.ZipFile(path, "w") as archive:
                for record in source:
                    archive.writestr(record["id"] + ".json", json.dumps(record))
            source = path
        paths.append(source)
    out = WORK / "advisories.db"
    run(ORACLE, "build", out, *paths)
    return out


def folder(name):
    """An empty folder."""
    path = WORK / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def layout(roots, name, compress=False):
    """An image with a layer of each folder, as an OCI layout."""
    out = folder(name)
    blobs = out / "blobs/sha256"
    blobs.mkdir(parents=True)
    diffs, layers = [], []
    kind = "application/vnd.oci.image"
    for root in roots if isinstance(roots, list) else [roots]:
        layer = out / "layer"
        run("tar", "--numeric-owner", "-C", root, "-cf", layer, ".")
        diffs.append(f"sha256:{sha256(layer)}")
        if compress:
            run("gzip", "-n", layer)
            layer = out / "layer.gz"
        digest = sha256(layer)
        layers.append({"mediaType": f"{kind}.layer.v1.tar" + ("+gzip" if compress else ""), "digest": f"sha256:{digest}", "size": layer.stat().st_size})
        layer.rename(blobs / digest)

    def blob(value):
        text = json.dumps(value).encode()
        digest = hashlib.sha256(text).hexdigest()
        (blobs / digest).write_bytes(text)
        return {"digest": f"sha256:{digest}", "size": len(text)}

    config = blob({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diffs}})
    manifest = {"schemaVersion": 2, "mediaType": f"{kind}.manifest.v1+json", "config": {"mediaType": f"{kind}.config.v1+json", **config}, "layers": layers}
    index = {"schemaVersion": 2, "manifests": [{"mediaType": f"{kind}.manifest.v1+json", **blob(manifest)}]}
    (out / "index.json").write_text(json.dumps(index))
    (out / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return out


class Table:
    """Differences, each with its reason or without. A reason that docs/scanning.md does not list is none."""

    known = (ROOT / "docs/scanning.md").read_text()

    def __init__(self, title):
        self.title, self.explained, self.unexplained = title, {}, []

    def explain(self, reason, what):
        if f"| {reason} |" not in self.known:
            return self.differ(f"{what} ({reason}: docs/scanning.md does not say so)")
        self.explained.setdefault(reason, []).append(what)

    def differ(self, what):
        self.unexplained.append(what)

    def end(self, summary):
        print(f"\n## {self.title}\n\n{summary}\n\n| differences | of them | for example |\n|---|---|---|")
        for reason, cases in sorted(self.explained.items()):
            print(f"| {reason} | {len(cases)} | {cases[0]} |")
        print(f"| **not explained** | **{len(self.unexplained)}** | {'; '.join(map(str, self.unexplained[:5]))} |", flush=True)
        raise SystemExit(1 if self.unexplained else 0)
