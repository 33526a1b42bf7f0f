// What the pages do beyond plain HTML: follow Airflow's theme, open links in Airflow's own window, stay up to date.
// Without this script every page still shows and does everything.
"use strict";

function chosenTheme() {
  try {
    const theme = window.localStorage.getItem("theme");
    return theme === "dark" || theme === "light" ? theme : "";
  } catch {
    return ""; // storage is closed to us: the system's theme is as good
  }
}

function followTheme() {
  document.documentElement.dataset.theme = chosenTheme();
}

followTheme();
window.addEventListener("storage", followTheme);

// The frame Airflow puts our pages in may not navigate its window, but a link of that window may.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-airflow]");
  if (!link || window.parent === window || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const proxy = window.parent.document.createElement("a");
  proxy.href = link.href;
  window.parent.document.body.append(proxy);
  proxy.click();
  proxy.remove();
});

function busy(main) {
  const active = document.activeElement;
  const writing = active && active.closest("form") && main.contains(active);
  return document.hidden || writing || main.querySelector("dialog[open], form[data-changed]");
}

document.addEventListener("input", (event) => {
  const form = event.target.closest("main form");
  if (form) form.dataset.changed = "";
});

async function refresh() {
  const main = document.getElementById("main");
  if (busy(main)) return;
  const answer = await fetch(window.location.href, { credentials: "same-origin" });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
  if (!fresh || busy(main) || fresh.innerHTML === main.dataset.seen) return;
  const open = new Set([...main.querySelectorAll("details[open][id]")].map((details) => details.id));
  const focused = main.contains(document.activeElement) ? document.activeElement.id : "";
  if (main.dataset.seen !== undefined) {
    const place = document.scrollingElement.scrollTop;
    main.replaceChildren(...fresh.cloneNode(true).childNodes);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    document.scrollingElement.scrollTop = place;
    document.getElementById("said").textContent = main.querySelector("[data-say]")?.dataset.say ?? "";
  }
  main.dataset.seen = fresh.innerHTML;
  main.dataset.live = fresh.dataset.live ?? "";
}

async function live() {
  const every = Number(document.getElementById("main").dataset.live || 0);
  if (every > 0) {
    try {
      await refresh();
    } catch {
      // the server is away for a moment: what is shown stays, and the next look tries again
    }
  }
  window.setTimeout(live, 1000 * (every || 30));
}

if (document.getElementById("main")?.dataset.live) window.setTimeout(live, 1000);
