#!/usr/bin/env python3
"""A transcription-shaped engine: finds the voiced parts of a recording and writes one "word" for each.

It shows the contract, it understands no speech: a word is "la" for every peak of loudness. Python standard library only.

GET /ready answers 200 as soon as it listens. POST /process takes a form with the recording as file `chunk` or its address in
`cacheURI`, and answers a document of the contract `transcript`.
"""

import array
import io
import json
import os
import signal
import sys
import urllib.request
import wave
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_BODY = 100 * 1024 * 1024
FRAME_MS = 20
PATIENCE_S = 30


class Refused(Exception):
    """A request that cannot be served, with its status."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


def read_form(body, content_type):
    """Returns the fields of a multipart/form-data body as a dictionary of bytes."""
    _, found, boundary = content_type.partition("boundary=")
    boundary = boundary.split(";")[0].strip().strip('"')
    if not found or not boundary:
        raise Refused(400, "send multipart/form-data")
    fields = {}
    for part in body.split(b"--" + boundary.encode())[1:]:
        head, blank, content = part.partition(b"\r\n\r\n")
        _, found, name = head.partition(b' name="')
        if blank and found:
            fields[name.split(b'"')[0].decode("utf-8", "replace")] = content.removesuffix(b"\r\n")
    return fields


def loudness(sound):
    """Returns the root mean square of every frame of a WAV file, and the length of the file in milliseconds."""
    try:
        with wave.open(io.BytesIO(sound)) as file:
            if file.getsampwidth() != 2:
                raise Refused(415, "this engine reads 16-bit PCM")
            rate, channels = file.getframerate(), file.getnchannels()
            samples = array.array("h", file.readframes(file.getnframes()))
    except (wave.Error, EOFError, ValueError) as error:
        raise Refused(422, f"not a WAV file: {error}") from error
    if sys.byteorder == "big":
        samples.byteswap()
    step = max(1, rate * channels * FRAME_MS // 1000)
    frames = [samples[at : at + step] for at in range(0, len(samples), step)]
    levels = [(sum(value * value for value in frame) / len(frame)) ** 0.5 for frame in frames]
    return levels, len(samples) * 1000 // (rate * channels)


def segments(levels):
    """Returns (first frame, end frame) of every voiced part; pauses shorter than 100 ms do not part two."""
    floor = max(100.0, 0.1 * max(levels, default=0.0))
    found = []
    for at, level in enumerate(levels):
        if level < floor:
            continue
        if found and at - found[-1][1] < 100 // FRAME_MS:
            found[-1][1] = at + 1
        else:
            found.append([at, at + 1])
    return [(first, end) for first, end in found if end - first >= 2]


def peaks(levels):
    """Returns how often the loudness rises above half of its maximum."""
    half = max(levels) / 2
    return max(1, sum(1 for before, level in zip([0.0] + levels, levels) if before < half <= level))


def transcript(sound, start_ms):
    """Returns the result document for a recording that begins at start_ms."""
    levels, length_ms = loudness(sound)
    series = []
    for first, end in segments(levels):
        part = levels[first:end]
        word = "-".join(["la"] * peaks(part))
        confidence = round(min(1.0, sum(part) / len(part) / max(levels)), 2)
        series.append(
            {
                "startTimeMs": start_ms + first * FRAME_MS,
                "stopTimeMs": start_ms + min(end * FRAME_MS, length_ms),
                "words": [{"word": word, "confidence": confidence, "bestPath": True, "utteranceLength": 1}],
            }
        )
    return {"validationContracts": ["transcript"], "sourceEngineName": "example-transcription", "series": series}


def process(body, content_type):
    """Returns the result for one call, or None if there is nothing in the recording."""
    form = read_form(body, content_type)

    def text(name):
        return form.get(name, b"").decode("utf-8", "replace")

    mime_type = text("chunkMimeType").split(";")[0].strip().lower()
    if mime_type not in ("audio/wav", "audio/x-wav", "audio/wave"):
        raise Refused(415, f"this engine reads audio/wav, not {mime_type!r}")
    if "chunk" in form:
        sound = form["chunk"]
    elif text("cacheURI").startswith("http://"):
        with urllib.request.urlopen(text("cacheURI"), timeout=PATIENCE_S) as answer:
            sound = answer.read(MAX_BODY)
    else:
        raise Refused(400, "send the recording as chunk, or its address as cacheURI")
    result = transcript(sound, int(text("startOffsetMS") or 0))
    return result if result["series"] else None


class Handler(BaseHTTPRequestHandler):
    """Serves both hooks."""

    timeout = PATIENCE_S

    def do_GET(self):
        if self.path == "/ready":
            self.answer(200, "text/plain", b"ready")
        else:
            self.answer(404, "text/plain", b"GET /ready or POST /process")

    def do_POST(self):
        try:
            if self.path != "/process":
                raise Refused(404, "GET /ready or POST /process")
            length = int(self.headers.get("Content-Length") or -1)
            if not 0 <= length <= MAX_BODY:
                raise Refused(413, "send a body of at most 100 MB with its Content-Length")
            result = process(self.rfile.read(length), self.headers.get("Content-Type", ""))
        except Refused as refusal:
            self.answer(refusal.status, "text/plain; charset=utf-8", str(refusal).encode())
        except Exception as error:  # the reason goes to whoever called, the engine goes on
            self.answer(500, "text/plain; charset=utf-8", f"{type(error).__name__}: {error}".encode())
        else:
            if result is None:
                self.answer(204, None, b"")
            else:
                self.answer(200, "application/json", json.dumps(result).encode())

    def answer(self, status, content_type, body):
        self.send_response(status)
        if content_type:
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form, *values):
        if self.path != "/ready":
            print(form % values, flush=True)


def main():
    # As the first process of a container it would not be ended by SIGTERM otherwise.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    port = int(os.environ.get("PORT", "8080"))
    server = ThreadingHTTPServer(("0.0.0.0", port), Handler)
    server.daemon_threads = True
    print(f"listening on port {port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
