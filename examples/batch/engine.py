#!/usr/bin/env python3
"""A batch engine: starts, does one task, exits. The most frequent words of a text, Python standard library only.

It finds its task in the file named by PAYLOAD_FILE, says through the API how the task stands, fetches the text, hands in a document of
the contract `keyword`, and exits with 0, or with 1 when it failed.
"""

import collections
import json
import os
import re
import sys
import urllib.request

MAX_INPUT = 32 * 1024 * 1024
PATIENCE_S = 30
STOP_WORDS = frozenset("about after all also and any are been before but can did for from had has have her his how into its more not "
                       "now our out she some than that the their them then there they this was were what when which who will with you".split())


class Api:
    """The few calls this engine makes."""

    def __init__(self, payload):
        self.url = payload["veritoneApiBaseUrl"] + "/v3/graphql"
        self.token = payload["token"]

    def call(self, query, **variables):
        request = urllib.request.Request(
            self.url,
            data=json.dumps({"query": query, "variables": variables}).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            body = json.load(answer)
        if body.get("errors"):
            raise RuntimeError(body["errors"][0]["message"])
        return body["data"]

    def update(self, task, status, **more):
        query = "mutation($input: UpdateTask!) { updateTask(input: $input) { id status } }"
        self.call(query, input={"id": task, "status": status, **more})


def keywords(text, limit=10):
    """Returns the result document for a text."""
    words = [word for word in re.findall(r"[^\W\d_]{3,}", text.lower()) if word not in STOP_WORDS]
    ranked = collections.Counter(words).most_common(limit)
    most = ranked[0][1] if ranked else 1
    objects = [{"type": "keyword", "label": word, "confidence": round(0.5 + 0.5 * count / most, 2)} for word, count in ranked]
    return {"validationContracts": ["keyword"], "sourceEngineName": "example-batch", "object": objects}


def work(api, payload):
    """Does the task; returns how many keywords it found."""
    query = "query($id: ID!) { temporalDataObject(id: $id) { assets(type: \"text\") { records { contentType signedUri } } } }"
    records = api.call(query, id=payload["recordingId"])["temporalDataObject"]["assets"]["records"]
    texts = [asset for asset in records if asset["contentType"].startswith("text/plain")]
    if not texts:
        raise RuntimeError("the recording has no text/plain")
    with urllib.request.urlopen(texts[0]["signedUri"], timeout=PATIENCE_S) as answer:
        text = answer.read(MAX_INPUT).decode("utf-8", "replace")
    result = keywords(text)
    upload = "mutation($input: UploadEngineResult!) { uploadEngineResult(input: $input) { id } }"
    api.call(upload, input={"taskId": payload["taskId"], "assetType": "vtn-standard", "output": result, "completeTask": False})
    return len(result["object"])


def main():
    with open(os.environ["PAYLOAD_FILE"], encoding="utf-8") as file:
        payload = json.load(file)
    api, task = Api(payload), payload["taskId"]
    api.update(task, "running")
    try:
        found = work(api, payload)
    except Exception as error:
        print(f"failed: {error}", flush=True)
        api.update(task, "failed", failureReason="internal_error", failureMessage=str(error)[:500])
        return 1
    print(f"{found} keywords", flush=True)
    api.update(task, "complete", output={"keywords": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
