"use strict";
/* What every page does: sorts and filters its tables, switches views, copies commands, tells screen readers.

   <table class="sortable">         each head of a column becomes a button that sorts by it; <td data-sort="0.93">
                                    sorts by that value, a <th data-unsorted> gets no button
   <input data-filter="ID">         hides the rows of the table's body that lack the words typed
   <div class="switch" data-for="ID"><button value="rates" aria-pressed="true">
                                    sets data-view="rates" on the element of that id; style.css and pages show by it
   <button data-copy="ID">          copies the text of that element
   bioclass.say(text)               tells it aloud, bioclass.data(id) reads a document of json_script */
const bioclass = (() => {
  const say = (text) => { document.querySelector(".said").textContent = text; };
  const data = (id) => {
    const found = document.getElementById(id);
    return found ? JSON.parse(found.textContent) : null;
  };
  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined && value !== false) {
        made.setAttribute(key, value === true ? "" : value);
      }
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  };

  const value = (row, column) => {
    const cell = row.cells[column];
    if (!cell) return "";
    return (cell.dataset.sort ?? cell.textContent).trim();
  };
  const empty = (text) => text === "" || text === "-" || text === "–";
  const order = (a, b) => {
    const [x, y] = [Number(a), Number(b)];
    if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y;
    return a.localeCompare(b, undefined, { numeric: true, sensitivity: "base" });
  };
  const sort = (table, column, way) => {
    const heads = table.tHead.rows[table.tHead.rows.length - 1].cells;
    for (const body of table.tBodies) {
      const rows = Array.from(body.rows).map((row) => [value(row, column), row]);
      // What has no value stays last, whichever way it goes.
      rows.sort(([a], [b]) => {
        if (empty(a) || empty(b)) return empty(a) - empty(b);
        return way === "ascending" ? order(a, b) : order(b, a);
      });
      body.append(...rows.map(([, row]) => row));
    }
    Array.from(heads).forEach((head, number) => {
      if (number === column) head.setAttribute("aria-sort", way);
      else head.removeAttribute("aria-sort");
    });
    say(`Sorted by ${heads[column].textContent.trim()}, ${way}`);
  };
  const sortable = (table) => {
    const heads = table.tHead.rows[table.tHead.rows.length - 1].cells;
    Array.from(heads).forEach((head, column) => {
      if (head.dataset.unsorted !== undefined || !head.textContent.trim()) return;
      const button = element("button", { type: "button", class: "sort" }, ...head.childNodes);
      head.append(button);
      // Numbers are of interest from the largest on, names from the first.
      const cells = Array.from(table.tBodies[0]?.rows ?? []).map((row) => value(row, column));
      const numbers = cells.some((cell) => !empty(cell)) && cells.every((cell) => empty(cell) || !Number.isNaN(Number(cell)));
      const first = numbers ? "descending" : "ascending";
      const second = numbers ? "ascending" : "descending";
      button.addEventListener("click", () => {
        sort(table, column, head.getAttribute("aria-sort") === first ? second : first);
      });
    });
  };

  const filter = (input) => {
    const table = document.getElementById(input.dataset.filter);
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of Array.from(table.tBodies).flatMap((body) => Array.from(body.rows))) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += row.hidden ? 0 : 1;
      }
      say(`${shown} rows`);
    });
  };

  const switches = (group) => {
    const target = document.getElementById(group.dataset.for);
    const buttons = Array.from(group.querySelectorAll("button"));
    const choose = (chosen) => {
      for (const button of buttons) button.setAttribute("aria-pressed", String(button === chosen));
      target.dataset.view = chosen.value;
    };
    for (const button of buttons) button.addEventListener("click", () => choose(button));
    const pressed = buttons.find((button) => button.getAttribute("aria-pressed") === "true");
    if (pressed) choose(pressed);
  };

  const copies = (button) => {
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset.copy).textContent;
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
        say("Copied");
      } catch {
        // A browser may refuse it; what is selected can be copied by hand.
        const range = document.createRange();
        range.selectNodeContents(document.getElementById(button.dataset.copy));
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        say("Selected");
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  };

  // On paper everything is open.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = Array.from(document.querySelectorAll("details:not([open])"));
    for (const each of opened) each.open = true;
  });
  addEventListener("afterprint", () => { for (const each of opened) each.open = false; });

  // The section that is read is marked in the list of sections.
  const mark = () => {
    const links = Array.from(document.querySelectorAll("nav.sections a"));
    const targets = links.map((link) => document.getElementById(link.hash.slice(1)));
    if (!links.length || !("IntersectionObserver" in window)) return;
    const seen = new Set();
    const watcher = new IntersectionObserver((entries) => {
      for (const entry of entries) entry.isIntersecting ? seen.add(entry.target) : seen.delete(entry.target);
      const current = targets.findIndex((target) => seen.has(target));
      if (current < 0) return;
      links.forEach((link, number) => {
        if (number === current) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      });
    }, { rootMargin: "-10% 0px -60% 0px" });
    for (const target of targets) if (target) watcher.observe(target);
  };

  document.querySelectorAll("table.sortable").forEach(sortable);
  document.querySelectorAll("input[data-filter]").forEach(filter);
  document.querySelectorAll(".switch[data-for]").forEach(switches);
  document.querySelectorAll("button[data-copy]").forEach(copies);
  mark();
  return { say, data, element, sort };
})();
