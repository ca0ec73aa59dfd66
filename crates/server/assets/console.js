// On every page: each command gets a button that copies it. Without scripts it can be selected as any text.

export function addCopyButtons(root) {
  for (const command of root.querySelectorAll(".command:not(:has(button))")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    const what = document.createElement("span");
    what.className = "unseen";
    what.textContent = ` ${command.dataset.name}`;
    button.append("Copy", what);
    button.addEventListener("click", () => copy(command.querySelector("code"), button.firstChild));
    command.append(button);
  }
}

async function copy(code, label) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    label.data = "Copied";
  } catch {
    // No clipboard without TLS: select the text, so that one key press copies it.
    getSelection().selectAllChildren(code);
    label.data = "Press Ctrl+C to copy";
  }
  setTimeout(() => (label.data = "Copy"), 3000);
}

addCopyButtons(document);

// The secret of an invitation stands behind the # of its link, so that no server and no log ever sees it as an address.
for (const field of document.querySelectorAll("[data-from-hash]")) {
  if (location.hash.length > 1) {
    field.value = location.hash.slice(1);
    history.replaceState(null, "", location.pathname);
  }
}
