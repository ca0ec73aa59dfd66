"""A batch engine in the style of published ones: the library gql fetches the schema, checks every query against it, and sends literal objects."""

import json
import os
import sys

import requests
from gql import Client, gql
from gql.transport.requests import RequestsHTTPTransport

with open(os.environ["PAYLOAD_FILE"], encoding="utf-8") as file:
    payload = json.load(file)

url = payload["veritoneApiBaseUrl"] + "/v3/graphql"
headers = {"Authorization": "Bearer " + payload["token"]}
client = Client(transport=RequestsHTTPTransport(url=url, headers=headers, use_json=True), fetch_schema_from_transport=True)
print("schema with", len(client.schema.get_type_map()), "types", flush=True)


def update(fields):
    query = 'mutation { updateTask(input: { id: "%s", jobId: "%s", %s }) { id status } }'
    return client.execute(gql(query % (payload["taskId"], payload["jobId"], fields)))["updateTask"]["status"]


assert update("status: running, output: {}") == "running"

# One value where the schema has a list, and variables.
query = gql("query assets($tdo: ID!) { temporalDataObject(id: $tdo) { assets(type: \"media\") { records { contentType signedUri } } } }")
found = client.execute(query, variable_values={"tdo": payload["recordingId"]})
asset = found["temporalDataObject"]["assets"]["records"][0]
text = requests.get(asset["signedUri"], timeout=30).text
part = requests.get(asset["signedUri"], headers={"Range": "bytes=0-9"}, timeout=30)
assert part.status_code == 206 and part.text == text[:10], (part.status_code, part.text)
print("read", len(text), "characters of", asset["contentType"], flush=True)

# What the schema does not have is refused before it is sent.
try:
    client.execute(gql("{ temporalDataObject(id: 1) { colour } }"))
    sys.exit("a field that is not there was found")
except Exception as error:
    assert "colour" in str(error), error

# A plain form with one file.
words = sorted({word.strip(".,").lower() for word in text.split() if len(word) > 6})[:5]
result = {"validationContracts": ["keyword"], "object": [{"type": "keyword", "label": word, "confidence": 0.5} for word in words]}
mutation = 'mutation { uploadEngineResult(input: { taskId: "%s", completeTask: false }) { id } }' % payload["taskId"]
form = {"query": mutation, "filename": "result.json"}
answer = requests.post(url, headers=headers, data=form, files={"file": ("result.json", json.dumps(result), "application/json")}, timeout=30)
assert answer.json().get("errors") is None, answer.text

assert update("status: complete, output: {}") == "complete"
