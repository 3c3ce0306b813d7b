"use strict";
/* Maps of the images: points coloured by true class, with a thumbnail where one points, or by the arrow keys. */
(() => {
  const maps = bioclass.data("maps");
  const { element, gallery, say } = bioclass;
  const { titles } = gallery.data;
  const COLOURS = 8;
  const SHAPES = ["circle", "square", "triangle", "diamond"];
  const shapeOf = (kind) => SHAPES[Math.floor(kind / COLOURS) % SHAPES.length];
  const colourOf = (kind) => `--series-${(kind % COLOURS) + 1}`;

  const trace = (pen, shape, x, y, r) => {
    pen.beginPath();
    if (shape === "circle") pen.arc(x, y, r, 0, 2 * Math.PI);
    else if (shape === "square") pen.rect(x - r, y - r, 2 * r, 2 * r);
    else {
      const corners = shape === "triangle" ? [[0, -1.2], [1.1, 0.9], [-1.1, 0.9]] : [[0, -1.4], [1.2, 0], [0, 1.4], [-1.2, 0]];
      corners.forEach(([a, b], place) => (place ? pen.lineTo(x + a * r, y + b * r) : pen.moveTo(x + a * r, y + b * r)));
      pen.closePath();
    }
  };

  const draw = (holder) => {
    const map = maps[Number(holder.dataset.map)];
    const canvas = holder.querySelector("canvas");
    const hint = holder.querySelector(".hint");
    const legend = holder.querySelector(".legend");
    const hidden = new Set();
    let [points, current] = [[], -1];
    const range = (values) => values.reduce(([a, b], each) => [Math.min(a, each), Math.max(b, each)], [Infinity, -Infinity]);
    const [spanX, spanY] = [range(map.x), range(map.y)];

    const paint = () => {
      const width = canvas.parentElement.clientWidth;
      const height = Math.min(width, 520);
      const scale = devicePixelRatio || 1;
      canvas.width = width * scale;
      canvas.height = height * scale;
      canvas.style.height = `${height}px`;
      const pen = canvas.getContext("2d");
      pen.scale(scale, scale);
      const style = getComputedStyle(document.documentElement);
      const colour = (name) => style.getPropertyValue(name).trim() || "#3566e6";
      const fit = (value, [low, high], length) => 12 + ((value - low) / (high - low || 1)) * (length - 24);
      const radius = map.x.length > 3000 ? 2 : 3.2;
      points = map.x.map((x, at) => [fit(x, spanX, width), height - fit(map.y[at], spanY, height)]);
      points.forEach(([x, y], at) => {
        if (hidden.has(map.true[at])) return;
        const wrong = map.true[at] !== map.predicted[at];
        pen.globalAlpha = wrong ? 1 : 0.65;
        pen.fillStyle = colour(colourOf(map.true[at]));
        trace(pen, shapeOf(map.true[at]), x, y, radius);
        pen.fill();
        if (!wrong) return;
        pen.lineWidth = 1.2;
        pen.strokeStyle = colour("--ink");
        pen.stroke();
      });
      if (current >= 0) {
        pen.globalAlpha = 1;
        pen.lineWidth = 2;
        pen.strokeStyle = colour("--ink");
        pen.beginPath();
        pen.arc(...points[current], radius + 5, 0, 2 * Math.PI);
        pen.stroke();
      }
    };
    const nearest = (x, y, most, allowed = () => true) => {
      let [best, least] = [-1, most * most];
      points.forEach(([a, b], at) => {
        const away = (a - x) ** 2 + (b - y) ** 2;
        if (away < least && !hidden.has(map.true[at]) && allowed(a, b, at)) [best, least] = [at, away];
      });
      return best;
    };
    const choose = (at) => {
      if (at === current) return;
      current = at;
      paint();
      hint.hidden = at < 0;
      if (at < 0) return;
      const [x, y] = points[at];
      const answer = titles[map.predicted[at]] ?? "?";
      const words = `${map.id[at]}: true ${titles[map.true[at]]}, answer ${answer}`;
      const parts = [element("span", {}, words)];
      if (map.number[at] >= 0) {
        const mark = gallery.thumbnail(map.number[at], 84);
        gallery.lighten(mark);
        parts.unshift(mark);
      }
      hint.replaceChildren(...parts);
      hint.style.left = `${Math.max(0, Math.min(x + 12, canvas.clientWidth - hint.offsetWidth))}px`;
      hint.style.top = `${y + 14}px`;
      say(words);
    };
    const open = () => {
      if (current < 0 || map.number[current] < 0) return;
      const others = map.number.filter((number, at) => number >= 0 && !hidden.has(map.true[at]));
      gallery.open(map.number[current], others);
    };
    canvas.addEventListener("pointermove", (event) => choose(nearest(event.offsetX, event.offsetY, 16)));
    canvas.addEventListener("pointerleave", () => choose(-1));
    canvas.addEventListener("click", open);
    canvas.addEventListener("blur", () => choose(-1));
    canvas.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        // Else the same key would press the button that gets the focus.
        event.preventDefault();
        open();
        return;
      }
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!way) return;
      event.preventDefault();
      const [x, y] = points[current] ?? [canvas.clientWidth / 2, canvas.clientHeight / 2];
      const ahead = (a, b, at) => {
        const [dx, dy] = [a - x, b - y];
        const along = dx * way[0] + dy * way[1];
        return at !== current && along > 0 && Math.abs(dx * way[1]) + Math.abs(dy * way[0]) <= along;
      };
      const found = nearest(x, y, 1e6, current < 0 ? undefined : ahead);
      if (found >= 0) choose(found);
    });

    titles.forEach((title, kind) => {
      if (!map.true.includes(kind)) return;
      const box = element("input", { type: "checkbox", checked: true });
      const key = element("span", { class: `key ${shapeOf(kind)}` });
      key.style.color = `var(${colourOf(kind)})`;
      box.addEventListener("change", () => {
        if (box.checked) hidden.delete(kind); else hidden.add(kind);
        choose(-1);
        paint();
      });
      legend.append(element("label", {}, box, key, title));
    });
    legend.append(element("span", { class: "muted" }, "Outlined points are wrong."));
    paint();
    addEventListener("resize", paint);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
    addEventListener("beforeprint", paint);
    addEventListener("afterprint", paint);
  };
  document.querySelectorAll("[data-map]").forEach(draw);
})();
