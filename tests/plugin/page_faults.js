// What of a page somebody who does not see it, or sees it badly, would miss.
() => {
  const faults = [];
  const fault = (what, element) => faults.push(`${what}: ${element.outerHTML.slice(0, 100)}`);
  const named = (element) => (element.getAttribute("aria-label") || element.getAttribute("aria-labelledby") || "").trim();
  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    if (Number(heading.tagName[1]) > level + 1) fault("a level of headings is left out", heading);
    level = Number(heading.tagName[1]);
  }
  if (document.querySelectorAll("h1").length !== 1) faults.push("there is not one main heading");
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    if (!field.labels.length && !named(field)) fault("no label", field);
  }
  for (const control of document.querySelectorAll("a[href], button, summary")) {
    if (!named(control) && !control.textContent.trim()) fault("no name", control);
  }
  for (const region of document.querySelectorAll("[role=region], [tabindex='0'], table:not(:has(caption))")) {
    if (!named(region)) fault("no name", region);
  }
  for (const pointer of document.querySelectorAll("[aria-labelledby]")) {
    if (!document.getElementById(pointer.getAttribute("aria-labelledby"))) fault("named by nothing", pointer);
  }
  for (const image of document.querySelectorAll("img, svg")) {
    if (!named(image) && image.getAttribute("aria-hidden") !== "true") fault("no name", image);
  }
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push(`twice: ${id}`);

  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const over = (under, colours) => {
    paint.fillStyle = under;
    paint.fillRect(0, 0, 1, 1);
    for (const colour of colours) {
      paint.fillStyle = colour;
      paint.fillRect(0, 0, 1, 1);
    }
    return [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (colour) => {
    const [red, green, blue] = colour.map((one) => (one / 255 <= 0.03928 ? one / 255 / 12.92 : ((one / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const box = element.getBoundingClientRect();
    if (!texts.currentNode.textContent.trim() || !box.width || element.closest(".sr, .skip, script, :disabled")) continue;
    const backs = [];
    for (let one = element; one; one = one.parentElement) backs.unshift(getComputedStyle(one).backgroundColor);
    const style = getComputedStyle(element);
    const [text, back] = [[...backs, style.color], backs].map((colours) => light(over(dark ? "#000" : "#fff", colours)));
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.6 && Number(style.fontWeight) >= 700);
    const contrast = (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05);
    if (contrast < (large ? 3 : 4.5)) fault(`contrast ${contrast.toFixed(2)}`, element);
  }
  return faults;
}
