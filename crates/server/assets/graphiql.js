// The page for queries by hand: sends what is written and shows what comes back.

const byId = (id) => document.getElementById(id);
const form = byId("ask");
const answer = byId("answer");

async function send(query, variables) {
  const headers = { "content-type": "application/json" };
  const token = byId("token").value.trim();
  if (token) headers.authorization = `Bearer ${token}`;
  const response = await fetch("/v3/graphql", { method: "POST", headers, body: JSON.stringify({ query, variables }) });
  return response.json();
}

async function ask() {
  const text = byId("variables").value.trim();
  try {
    answer.textContent = "Asking…";
    const data = await send(byId("query").value, text ? JSON.parse(text) : {});
    answer.textContent = JSON.stringify(data, null, 2);
  } catch (error) {
    answer.textContent = String(error);
  }
}

function shown(type) {
  if (type.kind === "NON_NULL") return `${shown(type.ofType)}!`;
  if (type.kind === "LIST") return `[${shown(type.ofType)}]`;
  return type.name;
}

const OF = "kind name ofType { kind name ofType { kind name ofType { kind name } } }";

async function types() {
  const query = `{ __schema { types { kind name fields { name description args { name type { ${OF} } } type { ${OF} } }
    inputFields { name type { ${OF} } } enumValues { name } } } }`;
  try {
    const { data } = await send(query, {});
    const lines = [];
    for (const type of data.__schema.types.filter((one) => !one.name.startsWith("__"))) {
      lines.push(`${type.kind.toLowerCase()} ${type.name}`);
      for (const field of type.fields ?? type.inputFields ?? []) {
        const args = (field.args ?? []).map((arg) => `${arg.name}: ${shown(arg.type)}`).join(", ");
        lines.push(`  ${field.name}${args ? `(${args})` : ""}: ${shown(field.type)}${field.description ? `   # ${field.description.split("\n")[0]}` : ""}`);
      }
      if (type.enumValues) lines.push(`  ${type.enumValues.map((one) => one.name).join(" ")}`);
      lines.push("");
    }
    answer.textContent = lines.join("\n");
  } catch (error) {
    answer.textContent = String(error);
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    ask();
  }
});
byId("types").addEventListener("click", types);
