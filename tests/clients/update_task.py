"""A client of the kind engines use: it fetches the schema first, holds its own queries against it, and then sends them.

Arguments: address of the API, token, id of a task.
"""

import sys

from gql import Client, gql
from gql.transport.requests import RequestsHTTPTransport

address, token, task = sys.argv[1:]
transport = RequestsHTTPTransport(url=address, headers={"Authorization": f"Bearer {token}"}, retries=3)
client = Client(transport=transport, fetch_schema_from_transport=True)
with client as session:
    update = gql(
        'mutation { updateTask(input: { id: "%s", status: complete, output: {}, clientTimestamp: 1716200000 }) { id status output } }' % task
    )
    updated = session.execute(update)["updateTask"]
    assert updated == {"id": task, "status": "complete", "output": {}}, updated
    valid = gql("mutation($data: JSONData!) { validateEngineOutput(input: $data) }")
    document = {"validationContracts": ["keyword"], "object": [{"type": "keyword", "label": "harbour"}]}
    assert session.execute(valid, variable_values={"data": document})["validateEngineOutput"]
    page = session.execute(gql("{ engines(limit: 1) { ... on Page { count offset limit } } }"))["engines"]
    assert page["limit"] == 1, page
    interface = client.schema.get_type("Page")
    assert len(client.schema.get_possible_types(interface)) > 5, interface
print(f"{len(client.schema.type_map)} types, task {task} is {updated['status']}")
