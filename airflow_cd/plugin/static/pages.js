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
  const link = event.target.closest("a[data-airflow], a[data-outside]");
  if (!link || window.parent === window || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const address = new URL(link.href);
  if ("login" in link.dataset) address.searchParams.set("next", window.parent.location.href);
  const proxy = window.parent.document.createElement("a");
  proxy.href = address;
  if ("outside" in link.dataset) Object.assign(proxy, { target: "_blank", rel: "noopener noreferrer" });
  window.parent.document.body.append(proxy);
  proxy.click();
  proxy.remove();
});

function busy(main) {
  const active = document.activeElement;
  const writing = active && main.contains(active) && active.closest("form[method=post]");
  return document.hidden || writing || main.querySelector("dialog[open], form[data-changed][method=post]");
}

document.addEventListener("input", (event) => {
  const form = event.target.closest("main form");
  if (form) form.dataset.changed = "";
});

// What a person writes is kept in this tab until the server says that it has accepted it: their session may be over.
const KEPT = "airflow-cd:";
const SUBMITTED = "airflow_cd_submitted";

const pathOf = (form) => decodeURIComponent(new URL(form.action).pathname);
// What is chosen from a list of its own is not kept: a choice that comes back by itself may be the wrong one by now.
const CHOSEN = ["hidden", "radio", "checkbox"];
const writable = (field) => field.name && !CHOSEN.includes(field.type) && /^(INPUT|TEXTAREA|SELECT)$/.test(field.nodeName);

function keyOf(form) {
  const about = [...form.querySelectorAll("input[type=hidden]:not([name=key])")].map(({ name, value }) => `${name}=${value}`);
  return `${KEPT}${pathOf(form)}?${about.join("&")}`;
}

function keep(form, sent) {
  const values = Object.fromEntries([...form.elements].filter(writable).map(({ name, value }) => [name, value]));
  try {
    window.sessionStorage.setItem(keyOf(form), JSON.stringify({ sent, values }));
  } catch {
    // storage is closed to us: then nothing is kept
  }
}

function kept() {
  try {
    const entries = Object.entries(window.sessionStorage).filter(([key]) => key.startsWith(KEPT));
    return new Map(entries.map(([key, text]) => [key, JSON.parse(text)]));
  } catch {
    return new Map();
  }
}

function forgetSubmitted() {
  const cookie = document.cookie.split("; ").find((one) => one.startsWith(`${SUBMITTED}=`));
  if (!cookie) return;
  const path = decodeURIComponent(cookie.slice(SUBMITTED.length + 1));
  for (const [key, { sent }] of kept()) {
    if (sent && key.startsWith(`${KEPT}${path}?`)) window.sessionStorage.removeItem(key);
  }
  document.cookie = `${SUBMITTED}=; path=/; max-age=0; samesite=lax`;
}

function restore() {
  const entries = kept();
  for (const form of document.querySelectorAll("main form[method=post]")) {
    const values = entries.get(keyOf(form))?.values ?? {};
    for (const field of [...form.elements].filter(writable)) {
      if (!(field.name in values) || field.disabled || field.value === values[field.name]) continue;
      field.value = values[field.name];
      form.dataset.changed = "";
      const folded = form.closest("details");
      if (folded) folded.open = true;
    }
  }
  const note = document.querySelector("[data-kept]");
  const here = decodeURIComponent(window.location.pathname);
  if (note) note.hidden = ![...entries].some(([key, { sent }]) => sent && key.startsWith(`${KEPT}${here}?`));
}

for (const [event, sent] of [["input", false], ["submit", true]]) {
  document.addEventListener(event, ({ target }) => {
    const form = target.closest("main form[method=post]");
    if (form) keep(form, sent);
  });
}

forgetSubmitted();
restore();

// What is the same stays the same element: it keeps the focus, the drawer that is open, what is unfolded and scrolled.
function renew(shown, fresh) {
  if (shown.isEqualNode(fresh)) return;
  if (shown.nodeType !== Node.ELEMENT_NODE) {
    shown.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name, value } of [...fresh.attributes]) {
    if (shown.getAttribute(name) !== value) shown.setAttribute(name, value);
  }
  for (const { name } of [...shown.attributes]) {
    if (!fresh.hasAttribute(name) && !(name === "open" && shown.id)) shown.removeAttribute(name);
  }
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(shown.nodeName)) return; // what is written there is the reader's
  const wanted = new Set([...fresh.children].map((child) => child.id).filter(Boolean));
  const kept = new Map();
  for (const child of [...shown.children]) {
    if (child.id && !wanted.has(child.id)) child.remove();
    else if (child.id) kept.set(child.id, child);
  }
  let place = shown.firstChild;
  for (const child of [...fresh.childNodes]) {
    const alike = place && !place.id && !child.id && place.nodeName === child.nodeName ? place : null;
    const same = child.id ? kept.get(child.id) : alike;
    if (!same) shown.insertBefore(child, place);
    else {
      if (same === place) place = place.nextSibling;
      else shown.insertBefore(same, place);
      renew(same, child);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

// An element that had to move is no longer what the address points at, until it is pointed at again.
function pointAgain() {
  const target = document.getElementById(decodeURIComponent(window.location.hash.slice(1)));
  if (target && !target.matches(":target")) window.location.replace(window.location.hash);
}

// What the reader looks at stays where it is, whatever comes above it; at the top they want to see what comes.
function hold(main) {
  const scroller = document.scrollingElement;
  const before = scroller.scrollTop;
  document.documentElement.style.overflowAnchor = "none";
  const held = before && [...main.querySelectorAll("[id]:not(.drawer)")].find((one) => {
    const box = one.getBoundingClientRect();
    return box.height > 0 && box.top >= 0 && box.top < window.innerHeight && !one.closest(".drawer");
  });
  const place = held && held.getBoundingClientRect().top;
  return () => {
    scroller.scrollTo({ top: before, behavior: "instant" });
    if (!held?.isConnected) return;
    scroller.scrollBy({ top: held.getBoundingClientRect().top - place, behavior: "instant" });
  };
}

let lastShown = "";

async function refresh() {
  const main = document.getElementById("main");
  if (busy(main)) return;
  const answer = await fetch(window.location.href, { credentials: "same-origin", headers: { Accept: "text/html" } });
  if (!answer.ok && answer.status !== 401) return;
  const text = await answer.text();
  if (text === lastShown) return;
  const fresh = new DOMParser().parseFromString(text, "text/html").getElementById("main");
  if (!fresh || busy(main)) return;
  const ended = fresh.querySelector("#session-ended");
  if (ended) {
    if (!document.getElementById("session-ended")) main.prepend(ended);
    return;
  }
  lastShown = text;
  const announced = main.querySelector("[data-announce]")?.dataset.announce ?? "";
  const settle = hold(main);
  renew(main, fresh);
  find();
  pointAgain();
  settle();
  const news = main.querySelector("[data-announce]")?.dataset.announce ?? "";
  if (news !== announced) document.getElementById("announcement").textContent = news;
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

// A table whose heads ask the server for another order, and the box that asks it for some rows, here without a journey.
const SEVERITIES = ["debug", "info", "warning", "error", "fatal"];

function valueOf(cell, sort, numbers) {
  const text = cell.textContent.trim();
  if (sort === "severity") return SEVERITIES.indexOf(text);
  if (numbers) return text === "–" ? -1 : Number(text.replace(/\s/g, ""));
  return text.toLowerCase();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-sort]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const head = link.closest("th");
  const column = head.cellIndex;
  const numbers = head.classList.contains("n");
  const address = new URL(link.href);
  const { sort } = link.dataset;
  const falls = (sort === "severity" || (numbers && sort !== "number")) !== address.searchParams.get("sort").startsWith("-");
  const body = link.closest("table").tBodies[0];
  const rows = [...body.rows].map((row) => [valueOf(row.cells[column], sort, numbers), row]);
  const sign = falls ? -1 : 1;
  rows.sort(([one], [other]) => (one < other ? -sign : one > other ? sign : 0));
  body.append(...rows.map(([, row]) => row));
  window.history.replaceState(null, "", address.pathname + address.search + window.location.hash);
  for (const other of head.parentElement.cells) {
    other.removeAttribute("aria-sort");
    const anchor = other.querySelector("a[data-sort]");
    if (anchor) anchor.search = new URLSearchParams({ ...Object.fromEntries(address.searchParams), sort: anchor.dataset.sort });
  }
  head.setAttribute("aria-sort", falls ? "descending" : "ascending");
  if (!address.searchParams.get("sort").startsWith("-")) {
    address.searchParams.set("sort", `-${sort}`);
    link.search = address.search;
  }
});

function find() {
  const form = document.querySelector("form[data-rows]");
  const rows = form && document.getElementById(form.dataset.rows)?.querySelectorAll("tbody tr");
  if (!rows) return;
  const wanted = form.elements.find.value.trim().toLowerCase();
  let shown = 0;
  for (const row of rows) {
    const text = wanted && [1, 2, 3].map((column) => row.cells[column].textContent).join(" ").toLowerCase();
    row.hidden = Boolean(wanted) && !text.includes(wanted);
    if (!row.hidden) shown += 1;
  }
  form.querySelector("output").textContent = `${shown.toLocaleString("fr")} of ${rows.length.toLocaleString("fr")}`;
}

document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-rows]");
  if (!form) return;
  find();
  const address = new URL(window.location.href);
  address.searchParams.set("find", event.target.value);
  window.history.replaceState(null, "", new URL(form.action).pathname + address.search + window.location.hash);
});

document.addEventListener("submit", (event) => {
  if (event.target.closest("form[data-rows]")) event.preventDefault();
});
