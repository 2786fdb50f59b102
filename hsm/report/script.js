// What the page can do with a script: sort tables, filter their rows, and tell at once what a mark is.
// Everything is readable without it. It holds no data, and asks nothing of any network.
(() => {
  "use strict";
  const worth = (cell) => {
    const text = (cell?.dataset.v ?? cell?.textContent ?? "").trim();
    const number = text === "" || text === "–" ? NaN : Number(text.replaceAll(",", "").replace("−", "-"));
    return { text, number };
  };
  const compare = (one, other) => {
    if (one.text === "" || other.text === "") return (one.text === "") - (other.text === "");
    if (Number.isNaN(one.number) !== Number.isNaN(other.number)) return Number.isNaN(one.number) ? 1 : -1;
    return Number.isNaN(one.number) ? one.text.localeCompare(other.text, "en") : one.number - other.number;
  };
  const sortable = (table) => {
    const body = table.tBodies[0];
    const heads = [...(table.tHead?.rows[0]?.cells ?? [])];
    heads.forEach((head, column) => {
      if (!head.textContent.trim()) return;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].map((row, place) => ({ row, place, key: worth(row.cells[column]) }));
        rows.sort((a, b) => {
          if (a.key.text === "" || b.key.text === "") return compare(a.key, b.key) || a.place - b.place;
          return (down ? -1 : 1) * compare(a.key, b.key) || a.place - b.place;
        });
        body.append(...rows.map((entry) => entry.row));
      });
      head.append(button);
    });
  };
  const filterable = (frame, table) => {
    const rows = [...table.tBodies[0].rows];
    const field = document.createElement("input");
    const count = document.createElement("output");
    const tools = document.createElement("p");
    field.type = "search";
    field.placeholder = "filter rows";
    field.setAttribute("aria-label", "Filter rows: " + (frame.getAttribute("aria-label") ?? ""));
    tools.className = "tools";
    tools.append(field, count);
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      count.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
    });
    frame.before(tools);
  };
  for (const frame of document.querySelectorAll(".scroll")) {
    const table = frame.querySelector("table");
    if (!table?.tHead || table.tBodies[0].rows.length < 2) continue;
    sortable(table);
    if (table.tBodies[0].rows.length > 12) filterable(frame, table);
  }
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  for (const title of document.querySelectorAll("svg.plot title")) {
    title.parentElement.setAttribute("aria-label", title.textContent);
    title.remove();
  }
  document.addEventListener("pointerover", (event) => {
    const mark = event.target.closest?.("svg.plot [aria-label]");
    tip.hidden = !mark || mark.matches("svg");
    if (tip.hidden) return;
    tip.textContent = mark.getAttribute("aria-label");
    tip.style.left = `${Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.max(8, event.clientY - tip.offsetHeight - 10)}px`;
  });
})();
