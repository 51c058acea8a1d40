// Sorting of tables and clips, the filter by tag, and the playhead. Without this script the page is whole, but still.
"use strict";

const status = document.getElementById("status");

// The number that a cell begins with, as in "1,869,874", ".678 ± .014" and "−.012 [−.03, +.01]".
const numberOf = text => {
  const found = text.replaceAll("−", "-").match(/^[-+]?(\d{1,3}(,\d{3})+(?!\d)|\d+)?(\.\d+)?/)[0];
  return /\d/.test(found) ? Number(found.replaceAll(",", "")) : NaN;
};

const valueOf = cell => cell.dataset.value ?? cell.textContent.trim();

function sortTable(table, column, descending) {
  const body = table.tBodies[0];
  const keyed = [...body.rows].map(row => [valueOf(row.cells[column]), row]);
  const numbers = keyed.map(([text]) => numberOf(text));
  const numeric = numbers.some(Number.isFinite) && keyed.every(([text], place) => Number.isFinite(numbers[place]) || /^[–-]?$/.test(text));
  const order = keyed.map(([text, row], place) => ({ text, row, number: numbers[place], place }));
  order.sort((a, b) => {
    if (numeric) {
      const missing = !Number.isFinite(a.number) - !Number.isFinite(b.number);
      if (missing) return missing; // what has no value stays at the end
      return (descending ? b.number - a.number : a.number - b.number) || a.place - b.place;
    }
    return (descending ? -1 : 1) * a.text.localeCompare(b.text) || a.place - b.place;
  });
  body.append(...order.map(entry => entry.row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    if (head.classList.contains("drawn")) return;
    const button = document.createElement("button");
    button.type = "button";
    const arrow = document.createElement("span"); // drawn by the style, for the eye: aria-sort says it to others
    arrow.className = "arrow";
    arrow.setAttribute("aria-hidden", "true");
    button.append(...head.childNodes, arrow);
    head.append(button);
    button.addEventListener("click", () => {
      const descending = head.getAttribute("aria-sort") === "ascending" || (!head.hasAttribute("aria-sort") && column > 0);
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sortTable(table, column, descending);
      status.textContent = `Sorted by ${button.textContent}, ${descending ? "highest or last" : "lowest or first"} first.`;
    });
  });
}

const list = document.getElementById("clip-list");
const clips = list ? [...list.querySelectorAll("article")] : [];

if (clips.length) {
  const controls = document.getElementById("clip-controls");
  const tag = document.getElementById("tag"), order = document.getElementById("order"), part = document.getElementById("part");
  const tagsOf = new Map(clips.map(clip => [clip, JSON.parse(clip.dataset.tags)]));
  controls.hidden = false;
  const arrange = () => {
    const entry = clip => tagsOf.get(clip).find(row => row.tag === tag.value);
    const fits = clip => {
      const row = entry(clip);
      if (!tag.value) return true;
      return row !== undefined && (part.value === "any" || (part.value === "true" ? row.true : !row.true));
    };
    const score = {
      chosen: clip => clips.indexOf(clip),
      best: clip => -Number(clip.dataset.score),
      worst: clip => Number(clip.dataset.score),
      tag: clip => -(entry(clip)?.probability ?? -1),
    }[order.value];
    list.append(...[...clips].sort((a, b) => score(a) - score(b) || clips.indexOf(a) - clips.indexOf(b)));
    let shown = 0;
    for (const clip of clips) {
      clip.hidden = !fits(clip);
      if (clip.hidden) clip.querySelector("audio").pause();
      else shown += 1;
    }
    status.textContent = document.getElementById("clip-count").textContent =
      `${shown} of ${clips.length} clips shown${tag.value ? `, with “${tag.value}”` : ""}.`;
  };
  for (const choice of [tag, order, part]) choice.addEventListener("change", arrange);
}

for (const clip of clips) {
  const audio = clip.querySelector("audio"), head = clip.querySelector(".playhead");
  const course = document.createElement("div"); // over the drawings, which keep their own descriptions
  course.className = "seek";
  clip.querySelector(".course").append(course);
  const seconds = Number(clip.dataset.seconds);
  const show = () => {
    head.hidden = false;
    head.style.left = `${100 * Math.min(1, audio.currentTime / seconds)}%`;
    course.setAttribute("aria-valuenow", audio.currentTime.toFixed(1));
    course.setAttribute("aria-valuetext", `${audio.currentTime.toFixed(1)} of ${seconds.toFixed(0)} seconds`);
  };
  const seek = to => { audio.currentTime = Math.max(0, Math.min(to, seconds)); show(); };
  Object.entries({
    role: "slider", tabindex: "0", "aria-label": `Position in clip ${clip.dataset.clip}`,
    "aria-valuemin": "0", "aria-valuemax": seconds.toFixed(1), "aria-valuenow": "0", "aria-valuetext": "at the start",
  }).forEach(([name, value]) => course.setAttribute(name, value));
  course.addEventListener("click", event => {
    const box = course.getBoundingClientRect();
    seek(seconds * (event.clientX - box.left) / box.width);
  });
  course.addEventListener("keydown", event => {
    const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 5, PageDown: -5 };
    if (event.key in steps) seek(audio.currentTime + steps[event.key]);
    else if (event.key === "Home") seek(0);
    else if (event.key === "End") seek(seconds);
    else if (event.key === " " || event.key === "Enter") audio.paused ? audio.play() : audio.pause();
    else return;
    event.preventDefault();
  });
  let running = 0;
  const follow = () => { show(); running = audio.paused ? 0 : requestAnimationFrame(follow); };
  audio.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
    if (!running) running = requestAnimationFrame(follow);
  });
  for (const name of ["timeupdate", "seeked", "pause"]) audio.addEventListener(name, show);
}
