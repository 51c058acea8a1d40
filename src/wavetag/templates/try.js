// The page of `wavetag serve`: sounds go to the server one after the other, their tags are drawn here. All text from
// outside, names of files and tags, is put into the page as text.
"use strict";

const at = id => document.getElementById(id);
const make = (name, kind, text) => {
  const element = document.createElement(name);
  if (kind) element.className = kind;
  if (text !== undefined) element.textContent = text;
  return element;
};
const shownNumber = value => value >= 0.995 ? "1.0" : value.toFixed(2).slice(1);
const clock = (seconds, decimals = 0) => {
  const whole = Number(seconds.toFixed(decimals)), rest = (whole % 60).toFixed(decimals);
  const minutes = Math.floor(whole / 60), hours = Math.floor(minutes / 60);
  const two = number => String(number).padStart(2, "0");
  return `${hours ? `${hours}:${two(minutes % 60)}` : minutes}:${rest.padStart(decimals ? 3 + decimals : 2, "0")}`;
};
const MOST_FILES = 50; // at a time
const READABLE = "A sound is to be WAV, FLAC, MP3, Ogg (Vorbis, Opus), AIFF or another kind that libsndfile reads; of M4A, AAC and WMA make one of these first.";

const audio = at("audio"), seek = at("seek"), playhead = at("playhead");
const items = []; // what was dropped or chosen: {name, more, file or clip, state, result, error, place}
let about = null, clips = [], shown = null, working = false, wanted = null;

// ---- what the server is asked ----

async function ask(address, options) {
  let answer;
  try {
    answer = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(options?.body
      ? "It could not be sent: it is a folder, it cannot be read, or the server has ended."
      : "The server does not answer: has it ended?");
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  const why = typeof told.error === "string" ? told.error : `the server answers with status ${answer.status}`;
  throw new Error(`${why[0].toUpperCase()}${why.slice(1).replace(/\.$/, "")}.`);
}

function request(item, what) {
  const signal = item.abort.signal;
  if (item.file === undefined) return ask(`clips/${item.clip}/${what}`, { signal });
  const form = new FormData();
  form.append("file", item.file, "sound"); // its name is nobody's business
  return ask(what, { method: "POST", body: form, signal });
}

// ---- the list of what was chosen ----

function add(item) {
  item.state = "waiting";
  item.abort = new AbortController();
  items.push(item);
  const line = make("li"), button = make("button", "choice"), away = make("button", "drop-item", "×");
  button.type = away.type = "button";
  item.said = make("span", "more");
  button.append(make("span", "title", item.name), item.said);
  away.setAttribute("aria-label", `Take ${item.name} from the list`);
  button.addEventListener("click", () => choose(item));
  away.addEventListener("click", () => remove(item));
  line.append(button, away);
  Object.assign(item, { line, button });
  at("items").append(line);
  at("heard").hidden = false;
  at("items").scrollTop = at("items").scrollHeight;
  tell(item);
  return item;
}

function remove(item) {
  item.abort.abort();
  items.splice(items.indexOf(item), 1);
  item.line.remove();
  if (item.address) URL.revokeObjectURL(item.address);
  at("heard").hidden = items.length === 0;
  if (wanted === item) choose(items.at(-1) ?? null);
  else if (items.length === 0) choose(null);
}

function tell(item) {
  const top = item.result?.tags.slice(0, 3).map(row => `${row.tag} ${shownNumber(row.probability)}`).join(", ");
  item.said.textContent = { waiting: "waiting", listening: "listening …", done: top, failed: item.error }[item.state];
  item.said.classList.toggle("wrong", item.state === "failed");
}

function choose(item) {
  wanted = item;
  for (const other of items) other.button.setAttribute("aria-current", String(other === item));
  for (const button of at("clip-list").querySelectorAll("button"))
    button.setAttribute("aria-current", String(item !== null && Number(button.dataset.clip) === item.clip));
  show();
}

function take(files, folders) {
  const problems = folders.map(name => `${name}: a folder; drop the files in it.`);
  const most = about.limits.megabytes * 1e6;
  const found = [...files].slice(0, MOST_FILES).map(file => {
    const item = add({ name: file.name, file });
    if (file.size > most) fail(item, `It is larger than the ${about.limits.megabytes} MB that are allowed.`);
    return item;
  });
  if (files.length > MOST_FILES) problems.push(`${files.length} files: the first ${MOST_FILES} were taken.`);
  if (files.length === 0 && folders.length === 0) problems.push("There was no file in what was dropped.");
  if (found.length) choose(found[0]);
  if (problems.length) complain(problems.join(" "));
  work();
}

function fail(item, why) {
  Object.assign(item, { state: "failed", error: why });
  tell(item);
}

async function work() { // one after the other: the server has others to serve
  if (working) return;
  working = true;
  for (let item; (item = items.find(one => one.state === "waiting" && one === wanted) ?? items.find(one => one.state === "waiting"));) {
    item.state = "listening";
    item.since = performance.now();
    tell(item);
    if (wanted === item) show();
    try {
      item.result = await (await request(item, "tag")).json();
      item.state = "done";
      tell(item);
    } catch (error) {
      fail(item, error.name === "AbortError" ? "Stopped." : error.message);
    }
    if (wanted === item) show();
  }
  working = false;
}

// ---- the result ----

function complain(text) {
  at("error").textContent = text;
  at("error").hidden = !text;
}

function show() {
  const item = wanted;
  const done = item?.state === "done", busy = item?.state === "waiting" || item?.state === "listening";
  at("result-heading").textContent = item ? item.name : "Tags";
  at("empty").hidden = item !== null;
  at("progress").hidden = !busy;
  at("shown").hidden = !done;
  const hint = item?.error?.startsWith("Undecodable") ? ` ${READABLE}` : "";
  complain(item?.state === "failed" ? `${item.name}: ${item.error}${hint}` : "");
  if (!done) {
    audio.pause();
    shown = null;
    at("status").textContent = !item || !busy ? "" : item.state === "waiting" ? "Waiting for the others …" : "Listening …";
    return;
  }
  if (shown === item) return;
  shown = item;
  const { seconds, tags, taggram } = item.result;
  const top = tags.slice(0, 3).map(row => `${row.tag} ${shownNumber(row.probability)}`).join(", ");
  at("status").textContent = `${item.more ? `${item.more}; ` : ""}${clock(seconds)}. Most probable: ${top}.`;
  const every = taggram.every > 1 ? `; one of ${taggram.every} is drawn` : "";
  at("how").textContent = `Each column: a tag's probability in the ${taggram.window.toFixed(1)} s around it (${taggram.starts.length.toLocaleString("en")} `
    + `window${taggram.starts.length === 1 ? "" : "s"}${every}). A click, or the arrow keys on the drawing, play from there.`;
  at("truth").hidden = !item.truth;
  at("waveform").setAttribute("aria-label", `Waveform, ${seconds.toFixed(1)} seconds, drawn as high as its loudest place`);
  seek.setAttribute("aria-valuemax", seconds.toFixed(1));
  load(item);
  drawRows();
  bars(item);
  follow();
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (at("result").getBoundingClientRect().top > innerHeight / 2) at("result").scrollIntoView({ behavior: still ? "instant" : "smooth" });
}

function label(row, item) {
  const found = [make("span", item.truth?.includes(row.tag) ? "tag true" : "tag", item.truth?.includes(row.tag) ? `${row.tag} ✓` : row.tag)];
  found[0].title = row.tag;
  found.push(make("span", "value", shownNumber(row.probability)));
  return found;
}

function bars(item) {
  at("bars").replaceChildren(...item.result.tags.map(row => {
    const line = make("li"), [tag, value] = label(row, item), bar = make("span", "bar"), part = make("span");
    part.style.width = `${100 * row.probability}%`;
    bar.append(part);
    bar.setAttribute("aria-hidden", "true");
    line.append(tag, bar, value);
    return line;
  }));
}

const rowCount = () => {
  const asked = at("rows").value, there = shown.result.tags.length;
  return asked === "all" ? there : Math.min(Number(asked), there);
};

function drawRows() {
  const rows = shown.result.tags.slice(0, rowCount());
  at("labels").replaceChildren(...rows.map(row => {
    const line = make("li");
    line.append(...label(row, shown));
    return line;
  }));
  at("taggram").setAttribute("aria-label", `Taggram: ${rows.length} tags over ${shown.result.seconds.toFixed(1)} seconds; of the whole sound in numbers below`);
  at("taggram").style.height = `${1.5 * rows.length}rem`;
  draw();
}

// The window whose middle is nearest to a second.
function windowAt(seconds) {
  const { starts, window: length } = shown.result.taggram, hop = starts.length > 1 ? starts[1] - starts[0] : 1;
  return Math.max(0, Math.min(starts.length - 1, Math.round((seconds - length / 2 - starts[0]) / hop)));
}

function sized(canvas) {
  const box = canvas.getBoundingClientRect(), ratio = devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(box.width * ratio));
  canvas.height = Math.max(1, Math.round(box.height * ratio));
  return canvas.getContext("2d");
}

function draw() {
  if (!shown) return;
  const colour = getComputedStyle(document.documentElement).getPropertyValue("--heat").trim();
  drawWaveform(sized(at("waveform")), shown.result.waveform, colour);
  drawTaggram(sized(at("taggram")), shown.result.taggram, rowCount(), colour);
  drawTicks();
}

function drawWaveform(pen, { low, high }, colour) {
  const { width, height } = pen.canvas, middle = height / 2;
  const loudest = Math.max(0.001, ...high, ...low.map(value => -value)), most = 0.94 * middle / loudest;
  pen.fillStyle = colour;
  for (let x = 0; x < width; x += 1) {
    const first = Math.floor(x * low.length / width), end = Math.max(first + 1, Math.ceil((x + 1) * low.length / width));
    const top = Math.max(...high.slice(first, end)), bottom = Math.min(...low.slice(first, end));
    pen.fillRect(x, middle - top * most, 1, Math.max(1, (top - bottom) * most));
  }
}

function drawTaggram(pen, { probabilities }, count, colour) {
  const { width, height } = pen.canvas, seconds = shown.result.seconds;
  pen.fillStyle = colour;
  const edges = Array.from({ length: count + 1 }, (_, row) => Math.round(row * height / count));
  for (let x = 0; x < width;) {
    const first = windowAt(x * seconds / width);
    let end = x + 1; // as long as it is the same window
    while (end < width && windowAt(end * seconds / width) === first) end += 1;
    const last = Math.max(first, windowAt((end - 0.5) * seconds / width)); // or several, of long sounds
    for (let row = 0; row < count; row += 1) {
      let sum = 0;
      for (let place = first; place <= last; place += 1) sum += probabilities[place][row];
      pen.globalAlpha = Math.min(1, sum / (last - first + 1));
      pen.fillRect(x, edges[row], end - x, edges[row + 1] - edges[row] - (edges[row + 1] - edges[row] > 6 ? 1 : 0));
    }
    x = end;
  }
  pen.globalAlpha = 1;
}

function drawTicks() {
  const seconds = shown.result.seconds, width = at("ticks").clientWidth, most = Math.max(2, Math.floor(width / 70));
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600].find(each => seconds / each <= most) ?? seconds;
  const decimals = step < 1 ? 1 : 0, found = [];
  for (let second = 0; second <= seconds; second += step) {
    const place = 100 * second / seconds;
    if (second > 0 && (100 - place) / 100 * width < 50) break; // the end has a tick of its own
    found.push([place, clock(second, decimals), second === 0 ? "first" : ""]);
  }
  found.push([100, clock(seconds, decimals), "last"]);
  at("ticks").replaceChildren(...found.map(([place, text, kind]) => {
    const tick = make("span", kind, text);
    tick.style.left = `${place}%`;
    return tick;
  }));
}

// ---- to hear it ----

async function load(item) {
  audio.pause();
  playhead.hidden = true;
  at("playing").hidden = true;
  audio.setAttribute("aria-label", `Player of ${item.name}`);
  if (!item.address && item.file !== undefined) item.address = URL.createObjectURL(item.file);
  if (!item.address && !item.whole) return decoded(item);
  audio.src = item.address ?? `clips/${item.clip}/audio`;
}

// What the browser cannot play it is given as the model hears it.
async function decoded(item) {
  if (item.decoded) return;
  item.decoded = true;
  try {
    const sound = await (await request(item, "listen")).blob();
    if (item.address) URL.revokeObjectURL(item.address);
    item.address = URL.createObjectURL(sound);
    item.converted = item.file !== undefined || item.whole;
    if (shown === item) load(item).then(() => said(item));
  } catch (error) {
    item.decoded = false;
    if (error.name !== "AbortError" && shown === item) complain(`${item.name} cannot be played: ${error.message}`);
  }
}

function said(item) {
  at("playing").hidden = !item.converted;
  at("playing").textContent = `This browser does not play the file itself: what plays is what the model hears, one channel at ${about.sample_rate.toLocaleString("en")} Hz.`;
}

audio.addEventListener("error", () => {
  if (!shown || !audio.getAttribute("src")) return;
  if (shown.decoded) complain(`${shown.name}: this browser cannot play it.`);
  else decoded(shown);
});
audio.addEventListener("loadedmetadata", () => { if (shown) said(shown); });

function topAt(second, count = 3) {
  const row = shown.result.taggram.probabilities[windowAt(second)];
  const order = [...row.keys()].sort((a, b) => row[b] - row[a]).slice(0, count);
  return order.map(place => `${shown.result.taggram.tags[place]} ${shownNumber(row[place])}`).join(", ");
}

function say(second) {
  at("at").replaceChildren(make("span", "time", `At ${clock(second, 1)}: `), topAt(second));
}

let pointed = null;

function follow() {
  if (!shown) return;
  const seconds = shown.result.seconds, second = Math.min(seconds, audio.currentTime);
  playhead.hidden = false;
  playhead.style.left = `${100 * second / seconds}%`;
  seek.setAttribute("aria-valuenow", second.toFixed(1));
  seek.setAttribute("aria-valuetext", `${second.toFixed(1)} of ${seconds.toFixed(1)} seconds: ${topAt(second)}`);
  if (pointed === null) say(second);
}

function jump(second) {
  audio.currentTime = Math.max(0, Math.min(second, shown.result.seconds));
  follow();
}

const start = () => audio.play().catch(() => {}); // what cannot be played is told elsewhere

const secondOf = event => {
  const box = seek.getBoundingClientRect();
  return shown.result.seconds * Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
};

function point(row) {
  [...at("labels").children].forEach((line, place) => line.classList.toggle("pointed", place === row));
}

seek.addEventListener("click", event => {
  if (!shown) return;
  jump(secondOf(event));
  start();
});
seek.addEventListener("pointermove", event => {
  if (!shown || event.pointerType === "touch") return;
  pointed = secondOf(event);
  const box = at("taggram").getBoundingClientRect(), row = Math.floor((event.clientY - box.top) / box.height * rowCount());
  const inside = event.clientY >= box.top && row < rowCount();
  point(inside ? row : -1);
  if (!inside) return say(pointed);
  const { tags, probabilities } = shown.result.taggram;
  at("at").replaceChildren(make("span", "time", `At ${clock(pointed, 1)}: `), make("strong", "", `${tags[row]} ${shownNumber(probabilities[windowAt(pointed)][row])}`), `; most probable ${topAt(pointed)}`);
});
seek.addEventListener("pointerleave", () => {
  pointed = null;
  point(-1);
  follow();
});
seek.addEventListener("keydown", event => {
  if (!shown || event.ctrlKey || event.altKey || event.metaKey) return;
  const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 5, PageDown: -5 };
  if (event.key in steps) jump(audio.currentTime + steps[event.key]);
  else if (event.key === "Home") jump(0);
  else if (event.key === "End") jump(shown.result.seconds);
  else if (event.key === " " || event.key === "Enter") audio.paused ? start() : audio.pause();
  else return;
  event.preventDefault();
});
let running = 0;
const frame = () => { follow(); running = audio.paused ? 0 : requestAnimationFrame(frame); };
audio.addEventListener("play", () => { if (!running) running = requestAnimationFrame(frame); });
for (const name of ["timeupdate", "seeked", "pause"]) audio.addEventListener(name, follow);

at("rows").addEventListener("change", () => { if (shown) drawRows(); });
new ResizeObserver(draw).observe(at("course"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
setInterval(() => {
  if (wanted?.state !== "listening") return;
  const since = Math.round((performance.now() - wanted.since) / 1000);
  if (since >= 2) at("progress").setAttribute("title", `${since} s`);
  if (since >= 5 && since % 5 === 0) at("status").textContent = `Listening … for ${since} s so far`;
}, 1000);

// ---- files and clips ----

let inside = 0; // elements of the page that what is dragged is over
const lit = to => { inside = Math.max(0, to); document.body.classList.toggle("over-page", inside > 0); };
document.addEventListener("dragenter", event => { event.preventDefault(); lit(inside + 1); });
document.addEventListener("dragleave", () => lit(inside - 1));
document.addEventListener("dragover", event => event.preventDefault());
document.addEventListener("drop", event => {
  event.preventDefault();
  lit(0);
  if (!about) return;
  const folders = [], files = [];
  for (const entry of event.dataTransfer.items) {
    if (entry.kind !== "file") continue;
    const file = entry.getAsFile(), folder = entry.webkitGetAsEntry?.()?.isDirectory;
    if (folder) folders.push(file?.name ?? "What was dropped");
    else if (file) files.push(file);
  }
  take(files, folders);
});
at("file").addEventListener("change", () => {
  if (about && at("file").files.length) take([...at("file").files], []);
  at("file").value = ""; // so that the same file can be chosen again
});

function listClips() {
  const lines = clips.map((clip, number) => {
    const line = make("li"), button = make("button", "choice");
    const title = clip.title || clip.name, more = [clip.artist, clip.part].filter(Boolean).join(", ");
    button.type = "button";
    button.dataset.clip = String(number);
    button.append(make("span", "title", title));
    if (more) button.append(make("span", "more", more));
    button.addEventListener("click", () => {
      const known = items.find(item => item.clip === number && item.state !== "failed");
      choose(known ?? add({ name: title, more, clip: number, whole: clip.whole, truth: clip.tags }));
      work();
    });
    line.append(button);
    line.searched = [title, clip.name, clip.artist, clip.part, ...(clip.tags ?? [])].join(" ").toLowerCase();
    return line;
  });
  at("clip-list").replaceChildren(...lines);
  const search = () => {
    const words = at("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const line of lines) line.hidden = !words.every(word => line.searched.includes(word));
    const count = lines.filter(line => !line.hidden).length;
    at("clips-count").textContent = `${count} of ${lines.length} clips${words.length ? " found" : ""}`;
  };
  at("search").addEventListener("input", search);
  search();
}

function introduce() {
  at("model").textContent = about.model;
  document.title = `wavetag: try ${about.model}`;
  const on = about.dataset ? `trained on ${about.dataset}` : "trained on an unknown dataset";
  const score = about.validation_roc_auc === null ? "" : `; ROC-AUC on its validation clips ${about.validation_roc_auc.toFixed(3).replace(/^0/, "")}`;
  at("about").textContent = `${about.tags} tags, ${on}${score}. It listens to ${about.window_seconds.toFixed(1)} s at a time, at ${about.sample_rate.toLocaleString("en")} Hz.`;
  at("generated").hidden = about.dataset !== "minitune";
  const most = about.limits.seconds, minutes = most % 60 === 0 && most > 60;
  at("limits").textContent = `each up to ${about.limits.megabytes} MB and ${minutes ? `${most / 60} minutes` : `${most} seconds`}`;
}

(async () => {
  try {
    about = await (await ask("about")).json();
    introduce();
    if (about.clips) {
      clips = await (await ask("clips")).json();
      const { count, of, said: what } = about.clips;
      at("clips-said").textContent = `${count === of ? count : `${count} of the ${of}`} ${what}; the search finds titles, artists and tags.`;
      at("clips").hidden = false;
      listClips();
    }
  } catch (error) {
    complain(error.message);
  }
})();
