// The page of a build in progress. The server says when there is something new: log lines come with the message, everything else is
// read again from the page itself, so that the page is made in one place only.

import { addCopyButtons } from "./console.js";

const LINES = 2000;
const live = document.getElementById("live");
const log = document.getElementById("log-lines");

function addLines(html) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.insertAdjacentHTML("beforeend", html);
  while (log.childElementCount > LINES) log.firstElementChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

async function refresh() {
  const answer = await fetch(location.pathname, { headers: { accept: "text/html" } });
  if (!answer.ok || answer.redirected) return location.reload();
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of live.querySelectorAll("[data-live]")) {
    const fresh = page.querySelector(`[data-live="${part.dataset.live}"]`);
    if (!fresh || fresh.innerHTML === part.innerHTML) continue;
    part.className = fresh.className;
    part.replaceChildren(...fresh.childNodes);
  }
  addCopyButtons(live);
}

function watch(url) {
  const source = new EventSource(url);
  // One refresh at a time, and one more if something changed meanwhile.
  let refreshing = Promise.resolve();
  source.addEventListener("log", (event) => addLines(JSON.parse(event.data)));
  source.addEventListener("changed", () => (refreshing = refreshing.then(refresh).catch(() => {})));
  source.addEventListener("end", () => source.close());
}

if (live?.dataset.events) {
  live.classList.add("watching");
  log.scrollTop = log.scrollHeight;
  watch(live.dataset.events);
}
