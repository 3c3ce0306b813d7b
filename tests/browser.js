// What browser.py asks a page about itself.

// What makes the page wider than its window: tags and classes, outermost first; nothing, if it fits.
const overflow = () => {
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= wide) return [];
  const clips = (each) => {
    for (let up = each.parentElement; up && up !== document.body; up = up.parentElement)
      if (getComputedStyle(up).overflowX !== "visible") return true;
    return false;
  };
  return ["the page is " + document.documentElement.scrollWidth + " px wide in " + wide + " px"].concat(
    [...document.body.querySelectorAll("*")]
      .filter((each) => each.getBoundingClientRect().right > wide + 0.5 && !clips(each))
      .map((each) => each.tagName.toLowerCase() + "." + (each.getAttribute("class") || "")));
};

// The visible texts whose contrast to what is behind them is below `least`, each with its contrast (WCAG 2.2, 1.4.3).
const faint = (least) => {
  const pen = Object.assign(document.createElement("canvas"), {width: 1, height: 1})
    .getContext("2d", {willReadFrequently: true});
  const known = new Map();
  // A canvas knows every way to write a colour.
  const rgba = (colour) => {
    if (!known.has(colour)) {
      pen.clearRect(0, 0, 1, 1);
      pen.fillStyle = colour;
      pen.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
      known.set(colour, [r, g, b, a / 255]);
    }
    return known.get(colour);
  };
  const over = (top, below) => top.slice(0, 3).map((v, i) => v * top[3] + below[i] * (1 - top[3]));
  const luminance = (colour) => {
    const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = colour.map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const opacity = (each) => {
    let all = 1;
    for (let up = each; up; up = up.parentElement) all *= parseFloat(getComputedStyle(up).opacity);
    return all;
  };
  const paper = rgba(matchMedia("(prefers-color-scheme: dark)").matches ? "#121212" : "#ffffff");
  const behind = (each, box) => {
    const layers = [];
    const drawing = each.ownerSVGElement;
    if (drawing) {
      const x = (box.left + box.right) / 2, y = (box.top + box.bottom) / 2;
      for (const shape of drawing.querySelectorAll("rect, path, circle, polygon, ellipse, use")) {
        if (!(shape.compareDocumentPosition(each) & Node.DOCUMENT_POSITION_FOLLOWING)) continue;
        if (shape.closest("defs, clipPath")) continue;
        const at = shape.getBoundingClientRect(), style = getComputedStyle(shape);
        if (at.left > x || at.right < x || at.top > y || at.bottom < y || style.fill === "none") continue;
        const point = new DOMPoint(x, y).matrixTransform(shape.getScreenCTM().inverse());
        if (shape.isPointInFill && !shape.isPointInFill(point)) continue;
        const [r, g, b, a] = rgba(style.fill);
        layers.unshift([r, g, b, a * parseFloat(style.fillOpacity) * parseFloat(style.opacity)]);
      }
    }
    for (let up = drawing || each; up; up = up.parentElement)
      layers.push(rgba(getComputedStyle(up).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), paper.slice(0, 3));
  };
  const found = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const each = text.parentElement;
    if (!text.data.trim() || each.closest("[disabled]")) continue;
    if (!each.checkVisibility({visibilityProperty: true})) continue;
    const range = document.createRange();
    range.selectNodeContents(text);
    const box = range.getBoundingClientRect();
    // Text of a few pixels is for screen readers only.
    if (box.width < 2 || box.height < 2) continue;
    const style = getComputedStyle(each);
    const ground = behind(each, box);
    const [r, g, b, a] = rgba(each.ownerSVGElement ? style.fill : style.color);
    // What is transparent is not meant to be seen.
    if (a === 0) continue;
    const [light, dark] = [luminance(over([r, g, b, a * opacity(each)], ground)), luminance(ground)]
      .sort((p, q) => q - p);
    const contrast = (light + 0.05) / (dark + 0.05);
    if (contrast < least)
      found.add(`${contrast.toFixed(2)}: ${each.tagName.toLowerCase()}.${each.getAttribute("class") || ""}` +
        ` "${text.data.trim().slice(0, 40)}"`);
  }
  return [...found];
};

// What keeps a reader with a screen reader or a keyboard out, one sentence each.
const barriers = () => {
  const found = [];
  const tell = (each) => each.outerHTML.replace(/\s+/g, " ").slice(0, 120);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const shown = (each) => each.checkVisibility({visibilityProperty: true}) && !each.closest("[aria-hidden=true]");
  const words = (each) => (each.textContent || "").trim();
  const said = (each, name) => (each.getAttribute(name) || "").trim();
  const named = (each) => said(each, "aria-label") || said(each, "title")
    || said(each, "aria-labelledby").split(/\s+/).map((id) => document.getElementById(id))
      .filter(Boolean).map(words).join(" ");
  if (!document.documentElement.lang) found.push("the page names no language");
  if (!document.title.trim()) found.push("the page has no title");
  if (all("main").length !== 1) found.push(`${all("main").length} main landmarks, not 1`);
  if (!document.querySelector("meta[name=viewport]")) found.push("no viewport: a phone shows the page tiny");
  if (all("h1").length !== 1) found.push(`${all("h1").length} headings of level 1, not 1`);
  let level = 0;
  for (const each of all("h1, h2, h3, h4, h5, h6").filter(shown)) {
    const now = Number(each.tagName[1]);
    if (now > level + 1) found.push(`heading ${now} after ${level}: ${words(each)}`);
    if (!words(each)) found.push(`an empty heading: ${tell(each)}`);
    level = now;
  }
  for (const each of all("img").filter(shown))
    if (!each.hasAttribute("alt")) found.push(`a picture without alt: ${tell(each)}`);
  for (const each of all("svg").filter(shown))
    if (!each.parentElement.closest("svg, [role=img], button, a")
        && !(said(each, "role") === "img" && (named(each) || each.querySelector(":scope > title"))))
      found.push(`a drawing without a name: ${tell(each)}`);
  for (const each of all("canvas").filter(shown))
    if (!named(each) && !words(each)) found.push(`a canvas without a name: ${tell(each)}`);
  for (const each of all("[role=img]").filter(shown))
    if (!named(each) && !each.querySelector(":scope > title")) found.push(`an image without a name: ${tell(each)}`);
  for (const each of all("input:not([type=hidden]), select, textarea").filter(shown))
    if (!named(each) && ![...each.labels].some(words)) found.push(`a control without a label: ${tell(each)}`);
  for (const each of all("button, a[href], summary, [role=button]").filter(shown))
    if (!named(each) && !words(each) && ![...each.querySelectorAll("img[alt]")].some((img) => img.alt.trim()))
      found.push(`a button or link without a name: ${tell(each)}`);
  // A dialog may get its contents when it opens.
  for (const each of all("dialog[open], nav, [role=dialog]"))
    if (!named(each) && (each.tagName !== "NAV" || all("nav").length > 1))
      found.push(`a dialog or navigation without a name: ${tell(each)}`);
  for (const each of all("table").filter(shown)) {
    if (!each.querySelector("th")) found.push(`a table without headers: ${tell(each)}`);
    const region = each.closest("[role=region]");
    if (!each.caption && !named(each) && !(region && named(region)))
      found.push(`a table without a caption: ${tell(each)}`);
  }
  // A text that scrolls has to be reached by keyboard too.
  for (const each of all("[onclick], [tabindex]:not([tabindex='-1'])").filter(shown))
    if (!["BUTTON", "A", "INPUT", "SELECT", "SUMMARY", "PRE"].includes(each.tagName) && !each.getAttribute("role"))
      found.push(`a thing to press that says nothing of what it is: ${tell(each)}`);
  const ids = all("[id]").map((each) => each.id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) found.push(`the id ${id} occurs twice`);
  for (const name of ["for", "aria-labelledby", "aria-describedby", "aria-controls"])
    for (const each of all(`[${name}]:not(dialog:not([open]))`))
      for (const id of each.getAttribute(name).split(/\s+/))
        if (!document.getElementById(id)) found.push(`${name}="${id}" points at nothing`);
  for (const each of all("a[href^='#']"))
    if (each.hash.length > 1 && !document.getElementById(decodeURIComponent(each.hash.slice(1))))
      found.push(`a link to nothing: ${each.hash}`);
  return found;
};

// The names that two landmarks, or two things to press or fill in, have in common: a list of them tells neither apart.
const twins = () => {
  const words = (each) => (each.getAttribute("aria-label") || (each.getAttribute("aria-labelledby") || "").split(/\s+/)
    .map((id) => document.getElementById(id)?.textContent || "").join(" ").trim()
    || [...(each.labels || [])].map((label) => label.textContent).join(" ") || each.textContent).replace(/\s+/g, " ").trim();
  const shown = (each) => each.checkVisibility({visibilityProperty: true});
  const found = [];
  for (const kind of [
    "main, nav, [role=region], section[aria-label], section[aria-labelledby], article[aria-label]",
    "button, summary, a[href], input:not([type=hidden]), select, textarea",
  ]) {
    const names = [...document.querySelectorAll(kind)].filter(shown).map(words);
    found.push(...new Set(names.filter((name, at) => names.indexOf(name) !== at)));
  }
  return found;
};

// The texts of drawings that are shown smaller than `least` pixels.
const small = (least) => {
  const found = new Set();
  for (const each of document.querySelectorAll("svg text")) {
    if (!each.checkVisibility({visibilityProperty: true}) || !each.textContent.trim()) continue;
    const {a, b} = each.getScreenCTM();
    const size = parseFloat(getComputedStyle(each).fontSize) * Math.hypot(a, b);
    if (size < least) found.add(`${size.toFixed(1)} px: "${each.textContent.trim().slice(0, 40)}"`);
  }
  return [...found];
};
