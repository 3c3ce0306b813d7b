"use strict";
/* The images of the report: filters, orders, thumbnails that are decoded when they come into view, and a dialog.
   bioclass.gallery offers the same to other scripts: thumbnail(number, zoom), open(number, around), show(filters). */
bioclass.gallery = (() => {
  const data = bioclass.data("gallery");
  const { element, say } = bioclass;
  const { sprites, titles } = data;
  const form = document.getElementById("filters");
  const grid = document.getElementById("gallery-grid");
  const more = document.getElementById("more");
  const dialog = document.getElementById("closer");
  const STEP = 96;
  const SEEN = sprites.side < 64 ? 72 : 96;

  // Packed numbers of 16 bits, little endian.
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  let packed = null;
  const probabilities = (number) => {
    packed ??= { classes: bytes(data.top.classes), values: bytes(data.top.values) };
    const at = (from, place) => from[2 * place] + 256 * from[2 * place + 1];
    return Array.from({ length: data.top.count }, (_, rank) => {
      const place = number * data.top.count + rank;
      return [at(packed.classes, place), at(packed.values, place) / 65535];
    });
  };

  // Each sheet becomes an image of the browser once, when the first of its thumbnails is seen.
  const sheets = new Map();
  const address = (id, kind) => {
    const text = document.getElementById(id).textContent.trim();
    return URL.createObjectURL(new Blob([bytes(text)], { type: `image/${kind}` }));
  };
  const sheet = (number) => {
    if (!sheets.has(number)) sheets.set(number, address(`sheet-${number}`, sprites.kind));
    return sheets.get(number);
  };
  const sizeOf = (number) => sprites.size ?? sprites.sizes.slice(2 * number, 2 * number + 2);
  const zoomTo = (pixels) => {
    const zoom = pixels / sprites.side;
    return zoom > 1.5 ? Math.floor(zoom) : zoom;
  };
  const place = (mark, number, zoom) => {
    const [height, width] = sizeOf(number);
    const within = number % sprites.each;
    const count = Math.min(sprites.each, data.id.length - (number - within));
    const columns = Math.min(sprites.columns, count);
    const side = sprites.side * zoom;
    mark.style.width = `${width * zoom}px`;
    mark.style.height = `${height * zoom}px`;
    mark.style.backgroundSize = `${columns * side}px auto`;
    mark.style.backgroundPosition = `-${(within % columns) * side}px -${Math.floor(within / columns) * side}px`;
    if (zoom > 1 && sprites.side <= 48) mark.style.imageRendering = "pixelated";
    mark.dataset.sheet = Math.floor(number / sprites.each);
    return mark;
  };
  const lighten = (mark) => { mark.style.backgroundImage = `url(${sheet(Number(mark.dataset.sheet))})`; };
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      lighten(entry.target);
      watcher.unobserve(entry.target);
    }
  }, { rootMargin: "400px" });
  const thumbnail = (number, pixels = SEEN) => place(element("span", { class: "thumb" }), number, zoomTo(pixels));

  const percent = (share) => {
    if (share > 0.9995 && share < 1) return ">99.9 %";
    return share > 0 && share < 0.0005 ? "<0.1 %" : `${(100 * share).toFixed(1)} %`;
  };
  const right = (number) => data.true[number] === data.predicted[number];
  const agreeing = (number) => data.members.every((member) => member.predicted[number] === data.predicted[number]);

  // Which are shown, in which order.
  const value = (name) => form.elements[name]?.value ?? "";
  const chosen = () => {
    const wanted = (name) => (value(name) === "" ? null : Number(value(name)));
    const [part, fold] = [wanted("part"), wanted("fold")];
    const [truth, answer] = [wanted("true"), wanted("predicted")];
    const group = value("group").trim();
    const kind = value("answer");
    const found = [];
    for (let number = 0; number < data.id.length; number += 1) {
      if (part !== null && data.in_part[number] !== part) continue;
      if (truth !== null && data.true[number] !== truth) continue;
      if (answer !== null && data.predicted[number] !== answer) continue;
      if (fold !== null && data.in_fold[number] !== fold) continue;
      if (group && data.groups && data.groups[data.in_group[number]] !== group) continue;
      if (kind === "wrong" && right(number)) continue;
      if (kind === "right" && !right(number)) continue;
      if (kind === "disagree" && (data.in_part[number] !== 0 || agreeing(number))) continue;
      found.push(number);
    }
    const by = value("order");
    const sure = data.confidence;
    if (by === "least") found.sort((a, b) => sure[a] - sure[b]);
    else if (by === "most") found.sort((a, b) => sure[b] - sure[a]);
    else if (by === "data") found.sort((a, b) => data.id[a].localeCompare(data.id[b], undefined, { numeric: true }));
    else {
      found.sort((a, b) => right(a) - right(b) || (right(a) ? sure[a] - sure[b] : sure[b] - sure[a]));
    }
    return found;
  };

  const caption = (number) => {
    const told = data.captions[number];
    if (told) return told;
    const answer = titles[data.predicted[number]];
    if (right(number)) return [answer, percent(data.confidence[number])];
    return [titles[data.true[number]], `→ ${answer}`, percent(data.confidence[number])];
  };
  const card = (number) => {
    const mark = thumbnail(number);
    watcher.observe(mark);
    const lines = caption(number).map((line) => element("span", {}, line));
    const spoken = `${data.id[number]}: true ${titles[data.true[number]]}, answer ${titles[data.predicted[number]]}, `
      + percent(data.confidence[number]);
    const button = element(
      "button",
      { type: "button", class: right(number) ? "card" : "card wrong", "aria-label": spoken, "data-number": number },
      element("span", { class: "frame" }, mark),
      element("span", { class: data.captions[number] ? "words told" : "words", "aria-hidden": "true" }, ...lines),
    );
    return button;
  };

  let shown = [];
  let upTo = 0;
  const extend = () => {
    const next = shown.slice(upTo, upTo + STEP);
    grid.append(...next.map(card));
    upTo += next.length;
    more.hidden = upTo >= shown.length;
    more.textContent = `Show more (${(shown.length - upTo).toLocaleString("en")} left)`;
  };
  const refresh = () => {
    shown = chosen();
    upTo = 0;
    grid.replaceChildren();
    const wrong = shown.filter((number) => !right(number)).length;
    document.getElementById("count").textContent = shown.length
      ? `${shown.length.toLocaleString("en")} image${shown.length > 1 ? "s" : ""}, ${wrong.toLocaleString("en")} wrong`
      : "No image is like this. Reset the filters to see all.";
    extend();
  };
  const show = (filters) => {
    for (const control of form.elements) {
      if (control.name) control.value = filters[control.name] || control.options?.[0].value || "";
    }
    refresh();
    document.getElementById("images").scrollIntoView();
    (grid.querySelector("button") ?? form.elements[0]).focus({ preventScroll: true });
  };

  // The dialog: one image larger, what is said of it, and the ones before and after it.
  const picture = (number) => {
    const large = sprites.large.includes(number);
    if (large) return element("img", { src: address(`large-${number}`, "webp"), alt: `Image ${data.id[number]}` });
    const mark = place(
      element("span", { class: "thumb", role: "img", "aria-label": `Image ${data.id[number]}` }),
      number,
      zoomTo(280),
    );
    lighten(mark);
    return mark;
  };
  const bars = (number) => {
    const rows = [];
    for (const [kind, share] of probabilities(number)) {
      const truth = kind === data.true[number];
      const name = element("span", { class: truth ? "truth" : null }, titles[kind], truth ? " (true)" : null);
      const bar = element("span", { class: "bar", "aria-hidden": "true" }, element("span"));
      bar.firstChild.style.width = `${100 * share}%`;
      rows.push(name, bar, element("span", { class: "number" }, percent(share)));
    }
    return element("div", { class: "bars" }, ...rows);
  };
  const facts = (number) => {
    const first = data.in_part[number] === 0;
    const also = data.also[number];
    const pairs = [
      ["True class", titles[data.true[number]]],
      also ? ["Right too", also.map((kind) => titles[kind]).join(", ")] : null,
      ["Answer", `${titles[data.predicted[number]]}, ${percent(data.confidence[number])}`],
      data.parts.length > 1 ? ["Part", data.parts[data.in_part[number]]] : null,
      data.groups ? [data.group, data.groups[data.in_group[number]]] : null,
      data.folds ? ["Held out by", data.folds[data.in_fold[number]]] : null,
      ...(first ? data.members : []).map((member) => [
        member.name,
        `${titles[member.predicted[number]]}, ${percent(member.confidence[number])}`,
      ]),
    ];
    const rows = pairs.filter(Boolean).flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]);
    return element("dl", { class: "facts" }, ...rows);
  };
  let around = [];
  const fill = (number) => {
    const at = around.indexOf(number);
    const step = (by, label) => {
      const other = around[at + by];
      const button = element("button", { type: "button", disabled: other === undefined }, label);
      button.addEventListener("click", () => { fill(other); dialog.querySelector(by < 0 ? ".before" : ".after").focus(); });
      button.className = by < 0 ? "before" : "after";
      return button;
    };
    const close = element("button", { type: "button", class: "close" }, "Close");
    close.addEventListener("click", () => dialog.close());
    const verdict = right(number) ? element("b", { class: "is-right" }, "✓ right") : element("b", { class: "is-wrong" }, "✗ wrong");
    const old = dialog.querySelector("img");
    if (old) URL.revokeObjectURL(old.src);
    dialog.replaceChildren(
      element("header", {}, element("h3", { id: "closer-title" }, data.id[number]), close),
      element(
        "div", { class: "closer" },
        element("div", { class: "picture" }, picture(number)),
        element("div", {}, element("p", {}, verdict), facts(number), element("h4", {}, "Probabilities"), bars(number)),
      ),
      element("footer", {}, step(-1, "← Before"), element("span", { class: "muted" }, `${at + 1} of ${around.length}`), step(1, "After →")),
    );
    say(`${data.id[number]}, true ${titles[data.true[number]]}, answer ${titles[data.predicted[number]]}`);
  };
  const open = (number, list) => {
    around = list ?? shown;
    fill(number);
    if (!dialog.open) dialog.showModal();
    dialog.querySelector(".close").focus();
  };
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") dialog.querySelector(".before:enabled")?.click();
    if (event.key === "ArrowRight") dialog.querySelector(".after:enabled")?.click();
    if (event.key !== "Tab") return;
    // The focus goes round inside the dialog.
    const stops = Array.from(dialog.querySelectorAll("button:enabled"));
    const last = stops[stops.length - 1];
    if (event.shiftKey && document.activeElement === stops[0]) { event.preventDefault(); last.focus(); }
    else if (!event.shiftKey && document.activeElement === last) { event.preventDefault(); stops[0].focus(); }
  });

  grid.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) open(Number(button.dataset.number));
  });
  // Arrow keys go from image to image.
  grid.addEventListener("keydown", (event) => {
    const cards = Array.from(grid.children);
    const at = cards.indexOf(document.activeElement);
    if (at < 0) return;
    const across = cards.filter((each) => each.offsetTop === cards[0].offsetTop).length;
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[event.key];
    if (by && cards[at + by]) { event.preventDefault(); cards[at + by].focus(); }
  });
  more.addEventListener("click", () => {
    const next = upTo;
    extend();
    grid.children[next]?.focus();
  });
  form.addEventListener("input", refresh);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(refresh));

  // Cells of the confusion matrix, classes, groups and folds elsewhere in the page lead here.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-true], [data-group], [data-fold], [data-disagree]");
    if (!link) return;
    event.preventDefault();
    const { true: truth, predicted, group, fold } = link.dataset;
    const filters = { true: truth ?? "", predicted: predicted ?? "", group: group ?? "", fold: fold ?? "" };
    if (link.dataset.disagree !== undefined) filters.answer = "disagree";
    show(filters);
  });
  addEventListener("beforeprint", () => grid.querySelectorAll(".thumb").forEach(lighten));

  refresh();
  return { data, open, percent, right, show, thumbnail, lighten };
})();
