// On every page: each command gets a button that copies it. Without scripts it can be selected as any text.

export function addCopyButtons(root) {
  for (const command of root.querySelectorAll(".command:not(:has(button))")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", () => copy(command.querySelector("code"), button));
    command.append(button);
  }
}

async function copy(code, button) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    // No clipboard without TLS: select the text, so that one key press copies it.
    getSelection().selectAllChildren(code);
    button.textContent = "Press Ctrl+C";
  }
  setTimeout(() => (button.textContent = "Copy"), 3000);
}

addCopyButtons(document);
