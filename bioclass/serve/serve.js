"use strict";
/* The served page: sends images one by one and shows the answers, draws, and makes tables of many images. */
(() => {
  const { element, say, data } = bioclass;
  const settings = data("settings");
  const models = new Map(settings.models.map((model) => [model.id, model]));
  const titles = (id) => new Map(models.get(id).classes.map((each) => [each.name, each.title]));
  const by = (id) => document.getElementById(id);
  const percent = (share) => {
    const value = 100 * share;
    return `${value >= 99.95 && value < 100 ? "> 99.9" : value < 0.05 && value > 0 ? "< 0.1" : value.toFixed(1)}\u00a0%`;
  };
  const wait = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

  for (const each of document.querySelectorAll("[data-origin]")) each.textContent = location.origin;

  /* Asks the server; a busy one is asked again. Returns the document, or throws an error with its sentence. */
  const ask = async (address, form, headers = {}) => {
    for (let tries = 0; ; tries += 1) {
      let response;
      try {
        response = await fetch(address, { method: "POST", body: form, headers });
      } catch {
        throw new Error("The server does not answer. Is it still running?");
      }
      if (response.status === 503 && tries < 20) {
        await wait(Number(response.headers.get("Retry-After") ?? 1));
        continue;
      }
      const document = await response.json();
      if (document.error && !document.images) throw new Error(document.error);
      return document;
    }
  };

  const tooLarge = (file) => (file.size > settings.file_bytes
    ? `${file.name} is larger than ${settings.file_bytes / 2 ** 20} MiB.` : null);

  // What models answer

  const bars = (probabilities, names) => {
    const made = element("div", { class: "bars" });
    for (const [name, share] of probabilities) {
      const bar = element("span");
      bar.style.width = `${100 * share}%`;
      made.append(
        element("span", {}, names.get(name)),
        element("span", { class: "bar", "aria-hidden": "true" }, bar),
        element("span", { class: "number" }, percent(share)),
      );
    }
    return made;
  };
  const allBars = (probabilities, names, whose) => {
    const sorted = Object.entries(probabilities).sort(([, a], [, b]) => b - a);
    const few = sorted.length > 7 ? sorted.slice(0, 5) : sorted;
    const rest = sorted.slice(few.length);
    const made = [bars(few, names)];
    if (rest.length) {
      const text = `${rest.length} other classes`;
      made.push(element("details", {}, element("summary", { "aria-label": `${text}, ${whose}` }, text), bars(rest, names)));
    }
    return made;
  };
  const best = (answer, names) => element(
    "p", { class: "class" }, names.get(answer.class), " ", element("small", { class: "muted" }, percent(answer.probability)),
  );
  /* How good a model was found to be, without which an answer says little. */
  const merit = (model) => {
    if (model.accuracy) return element("p", { class: "merit" }, `Accuracy of this model: ${model.accuracy.text}`);
    const { text, command } = model.not_evaluated;
    return element("p", { class: "merit" }, `${text} Give `, element("code", {}, command), " and serve it again.");
  };
  const learned = (answer) => (answer.training_image ? element(
    "div", { class: "notice warn" },
    element("p", {}, `This image is one of the training images (${answer.training_id}): the answer is no test.`),
  ) : null);
  const picture = (source, text, caption) => {
    const image = element("img", { src: source, alt: text });
    // Few pixels are shown as they are, many are smoothed.
    image.addEventListener("load", () => image.classList.toggle("fine", image.naturalWidth > 64));
    return element("figure", {}, image, element("figcaption", {}, caption));
  };
  const decisions = (answer, model, names) => {
    const lines = [];
    if (answer.answered !== undefined) {
      lines.push(["Answer", answer.answered ? "certain enough" : "not certain enough: none at this error rate"]);
    }
    for (const [key, value] of Object.entries(answer)) {
      if (!Array.isArray(value)) continue;
      const set = value.map((name) => names.get(name)).join(", ") || "none";
      lines.push([`One of these, at an error rate of ${100 * model.error_rate} % (${key.replaceAll("_", " ")})`, set]);
    }
    if (answer.positive !== undefined) {
      lines.push([`Positive (${model.positive.positive.map((name) => names.get(name)).join(", ")})`, answer.positive ? "yes" : "no"]);
    }
    if (answer.least_cost !== undefined) lines.push(["Least expected cost", names.get(answer.least_cost)]);
    if (!lines.length) return null;
    return element("ul", { class: "decided" }, ...lines.map(([name, value]) => element("li", {}, element("b", {}, `${name}: `), value)));
  };
  /* A similarity that is not 1 is not written so. */
  const alike = (cosine) => (cosine < 1 - 1e-5 && cosine >= 0.9995 ? "> 0.999" : cosine.toFixed(3));
  const nearest = (answer, names) => {
    const found = answer.nearest;
    if (found.state === "missing") return element("p", { class: "muted" }, `No training images are shown, and whether this is one of them is not known. ${found.note}`);
    if (found.state === "reading") {
      const share = found.wanted ? ` (${Math.floor((100 * found.done) / found.wanted)} %)` : "";
      return element("p", { class: "muted" }, `Training images are still being read${share}; the nearest will come.`);
    }
    const of = found.wanted < found.training ? `${found.wanted} of the ${found.training} training images, drawn by chance`
      : `the ${found.training} training images`;
    const usual = found.usual ? ` These reach ${alike(found.usual.median)} with the most alike other one (median), and 95\u00a0% of them
      ${alike(found.usual.low)} or more: less is unusual.` : "";
    const long = found.images.some((each) => names.get(each.class).length > 12);
    const shown = found.images.map((each) => {
      const figure = picture(each.image, `Training image ${each.id} of class ${names.get(each.class)}`, "");
      figure.querySelector("figcaption").append(
        element("span", { class: each.class === answer.class ? "same" : null }, names.get(each.class)),
        element("br"), alike(each.similarity),
      );
      figure.title = each.id;
      return element("li", {}, figure);
    });
    return element(
      "div", {}, element("h5", {}, "Most alike in training"),
      element("p", { class: "merit" }, `Similarity to ${of}: 0 is nothing in common, 1 the same to the network.${usual}`),
      element("ul", { class: long ? "near long" : "near" }, ...shown),
    );
  };
  const answerOf = (answer, image) => {
    const model = models.get(answer.model);
    const names = titles(answer.model);
    const made = element("section", { class: "answer" }, element("h4", {}, model.id));
    if (answer.error) {
      made.append(element("div", { class: "notice bad" }, element("p", {}, answer.error)));
      return made;
    }
    const { seen, overlay, method } = answer.overlay;
    const told = element(
      "div", {}, best(answer, names), merit(model), learned(answer),
      element(
        "div", { class: "pair" }, picture(seen, "The image as the model takes it", "As the model takes it"),
        picture(overlay, `Evidence for ${names.get(answer.class)} over the image`, `Where the evidence lies, most in yellow (${method})`),
      ),
      ...allBars(answer.probabilities, names, `${model.id} for ${image}`),
    );
    const decided = decisions(answer, model, names);
    if (decided) told.append(decided);
    made.append(told, nearest(answer, names));
    return made;
  };
  const meanOf = (image, shown) => {
    const names = titles(image.answers[0].model);
    return element(
      "section", { class: "answer mean" }, element("h4", {}, `Mean of ${image.answers.length} models`),
      best(image.mean, names), element("p", { class: "merit" }, "How often the mean is right was not measured."),
      ...allBars(image.mean.probabilities, names, `mean for ${shown}`),
    );
  };

  // One image after the other

  const list = by("list");
  const cards = () => { by("results").hidden = !list.children.length; };
  const times = new Map();
  const card = (file) => {
    times.set(file, (times.get(file) ?? 0) + 1);
    // What is given twice is told apart.
    const name = times.get(file) > 1 ? `${file} (${times.get(file)})` : file;
    const remove = element("button", { type: "button", "aria-label": `Remove ${name}` }, "Remove");
    const body = element("div", { class: "answers", "data-name": name }, element("p", { class: "muted" }, "Being classified."));
    const made = element("article", { class: "result", "aria-label": name }, element("header", {}, element("h3", {}, name), remove), body);
    remove.addEventListener("click", () => { made.remove(); cards(); });
    return { made, body };
  };
  const fail = (body, sentence) => {
    body.replaceChildren(element("div", { class: "notice bad" }, element("p", {}, sentence)));
    say(sentence);
  };
  const fill = (body, image) => {
    const shown = body.dataset.name;
    const parts = image.answers.map((answer) => answerOf(answer, shown));
    const errors = image.answers.map((answer) => answer.error);
    if (errors[0] && new Set(errors).size === 1) {
      fail(body, errors[0]);
      return;
    }
    if (image.mean) parts.unshift(meanOf(image, shown));
    body.replaceChildren(...parts);
    const told = image.mean ?? image.answers.find((answer) => !answer.error);
    if (told) say(`${image.name}: ${titles(told.model ?? image.answers[0].model).get(told.class)}, ${percent(told.probability)}`);
  };
  const settled = ({ state, complete }) => state === "missing" || (state === "ready" && complete);
  /* Asks again once more is known of the training images, which are read while nothing else is to be done. */
  const later = async (body, field, file, image) => {
    const known = (nearest) => `${nearest.state} ${nearest.complete}`;
    const before = new Map(image.answers.filter((each) => each.nearest).map((each) => [each.model, known(each.nearest)]));
    for (;;) {
      await wait(3);
      if (!body.isConnected) return;
      const told = await fetch("/api/models").then((response) => response.json()).catch(() => null);
      if (told?.models?.some((each) => before.has(each.id) && before.get(each.id) !== known(each.nearest))) break;
    }
    classify(body, field, file);
  };
  const classify = async (body, field, file) => {
    const form = new FormData();
    form.append(field, file, file.name);
    const drawn = field === "drawing" ? settings.models.filter((model) => model.drawing) : [];
    const asked = new URLSearchParams([["overlay", "yes"], ["nearest", "yes"], ...drawn.map((model) => ["model", model.id])]);
    try {
      const sentence = tooLarge(file);
      if (sentence) throw new Error(sentence);
      const [image] = (await ask(`/api/predict?${asked}`, form)).images;
      fill(body, image);
      if (image.answers.some((answer) => answer.nearest && !settled(answer.nearest))) later(body, field, file, image);
    } catch (problem) {
      fail(body, problem.message);
    }
  };

  let queue = Promise.resolve();
  const take = (files) => {
    const made = Array.from(files, (file) => ({ file, ...card(file.name) }));
    list.prepend(...made.map((each) => each.made));
    cards();
    for (const { file, body, made: shown } of made) {
      queue = queue.then(() => (shown.isConnected ? classify(body, "image", file) : null));
    }
  };
  by("files").addEventListener("change", (event) => {
    take(event.target.files);
    event.target.value = "";
  });
  by("forget").addEventListener("click", () => { list.replaceChildren(); cards(); });

  const drop = by("drop");
  for (const name of ["dragenter", "dragover"]) {
    addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
  addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    take(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => take(event.clipboardData.files));

  // A drawing

  const canvas = by("canvas");
  if (canvas) {
    const pen = canvas.getContext("2d");
    let shown = null;
    let wanted = 0;
    const clear = () => {
      pen.fillStyle = "#000000";
      pen.fillRect(0, 0, canvas.width, canvas.height);
      shown = null;
      wanted += 1;
    };
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return [((event.clientX - box.left) * canvas.width) / box.width, ((event.clientY - box.top) * canvas.height) / box.height];
    };
    const recognise = async () => {
      wanted += 1;
      const mine = wanted;
      const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
      if (mine !== wanted) return;
      if (!shown?.made.isConnected) {
        shown = card("Your drawing");
        list.prepend(shown.made);
        cards();
      }
      const found = element("div", { class: "answers", "data-name": shown.body.dataset.name });
      await classify(found, "drawing", new File([blob], "drawing.png"));
      // Another stroke may have come meanwhile: its answer is the one to show.
      if (mine !== wanted) return;
      shown.body.replaceWith(found);
      shown.body = found;
    };
    pen.lineCap = pen.lineJoin = "round";
    pen.lineWidth = 20;
    pen.strokeStyle = "#ffffff";
    clear();
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pen.beginPath();
      pen.moveTo(...place(event));
      pen.lineTo(...place(event));
      pen.stroke();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!canvas.hasPointerCapture(event.pointerId)) return;
      for (const each of event.getCoalescedEvents?.() ?? [event]) pen.lineTo(...place(each));
      pen.stroke();
    });
    canvas.addEventListener("pointerup", recognise);
    by("clear").addEventListener("click", () => { clear(); say("Cleared"); });
  }

  // Many images

  let address = null;
  const batches = (files) => {
    const found = [];
    let [now, bytes] = [[], 0];
    for (const file of files) {
      // Half of what is allowed leaves room for what a form adds.
      if (now.length && (now.length === settings.files || bytes + file.size > settings.total_bytes / 2)) {
        found.push(now);
        [now, bytes] = [[], 0];
      }
      now.push(file);
      bytes += file.size;
    }
    return now.length ? [...found, now] : found;
  };
  const part = async (files, model) => {
    const form = new FormData();
    for (const file of files) form.append("image", file, file.name);
    try {
      return await ask(`/api/batch?model=${encodeURIComponent(model)}`, form, { Accept: "application/json" });
    } catch (problem) {
      return { csv: "", failed: files.map((file) => ({ path: file.name, error: problem.message })) };
    }
  };
  const table = async (all, model) => {
    const [large, files] = [all.filter(tooLarge), all.filter((file) => !tooLarge(file))];
    const failed = large.map((file) => ({ path: file.name, error: tooLarge(file) }));
    let [csv, done] = ["", large.length];
    for (const each of batches(files)) {
      const found = await part(each, model);
      // Every part has the same head.
      csv += csv ? found.csv.slice(found.csv.indexOf("\n") + 1) : found.csv;
      failed.push(...found.failed);
      done += each.length;
      by("progress").value = done;
      by("told").textContent = `${done} of ${all.length} images`;
    }
    return { csv, failed };
  };
  by("many").addEventListener("change", (event) => {
    const count = event.target.files.length;
    by("picked").textContent = count === 1 ? event.target.files[0].name : `${count} images`;
    by("run").disabled = count === 0;
  });
  by("batch").addEventListener("submit", async (event) => {
    event.preventDefault();
    const files = Array.from(by("many").files);
    by("made").hidden = false;
    by("save").hidden = true;
    by("failed").replaceChildren();
    by("run").disabled = true;
    [by("progress").value, by("progress").max] = [0, files.length];
    const { csv, failed } = await table(files, by("model")?.value ?? settings.models[0].id);
    by("run").disabled = false;
    if (address) URL.revokeObjectURL(address);
    address = URL.createObjectURL(new Blob([csv], { type: "text/csv" }));
    [by("save").href, by("save").hidden] = [address, !csv];
    const count = files.length - failed.length;
    by("told").textContent = `${count} of ${files.length} images were classified.`;
    by("failed").replaceChildren(...failed.map((each) => element("li", {}, each.error)));
    say(by("told").textContent);
  });
})();
