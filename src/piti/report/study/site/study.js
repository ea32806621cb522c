// One pair after the other, as pairs.js lists them; choices stay in this browser until the voter saves them as a file.
"use strict";

const find = (selector) => document.querySelector(selector);
const hash = (text) => [...text].reduce((sum, c) => Math.imul(sum ^ c.codePointAt(0), 16777619) >>> 0, 2166136261); // FNV-1a
const KEY = `user study ${hash(STUDY.pairs.join())}`; // a page remade with the same pairs finds its voters again

let state = { voter: "", votes: {} }; // voter -> [{pair, choice, time}], in the voter's own order of pairs
let order = [];
let ready = false; // both pictures are on the screen

// -- memory -----------------------------------------------------------------------------------------------------------

function remember() {
  try {
    localStorage.setItem(KEY, JSON.stringify(state));
  } catch {
    say("This browser keeps nothing: please finish without closing the page.");
  }
}

function recall() {
  try {
    state = JSON.parse(localStorage.getItem(KEY)) ?? state;
  } catch {
    // nothing kept, or nothing readable: a new voter
  }
}

// -- what is on the screen --------------------------------------------------------------------------------------------

const votes = () => state.votes[state.voter];
const say = (text) => { find("#status").textContent = text; };
const source = (pair, side) => `images/${pair}-${side}.png`;

function show(id) {
  for (const part of document.querySelectorAll("main")) part.hidden = part.id !== id;
}

function enter(voter) {
  state.voter = voter;
  state.votes[voter] ??= [];
  // Every voter sees the pairs in another order, and the same one again after a reload.
  order = [...STUDY.pairs].sort((a, b) => hash(voter + a) - hash(voter + b));
  remember();
  present();
}

async function present() {
  const done = votes().length;
  if (done === order.length) return show("end");
  show("vote");
  find("progress").max = order.length;
  find("progress").value = done;
  find("#place").textContent = `Pair ${done + 1} of ${order.length}`;
  find("#back").disabled = done === 0;
  ready = false;
  find(".pair").classList.add("loading");
  const pictures = [...document.querySelectorAll(".pair button")].map((button) => {
    const picture = button.querySelector("img");
    picture.src = source(order[done], button.dataset.side);
    return picture.decode();
  });
  try {
    await Promise.all(pictures);
  } catch {
    if (done === votes().length) say("A picture could not be loaded. Please check the connection and reload.");
    return;
  }
  if (done !== votes().length) return; // the voter went back while this pair was loading
  ready = true;
  find(".pair").classList.remove("loading");
  for (const side of ["left", "right"]) if (done + 1 < order.length) new Image().src = source(order[done + 1], side);
}

// -- what the voter does ----------------------------------------------------------------------------------------------

function choose(side) {
  if (!ready) return;
  votes().push({ pair: order[votes().length], choice: side, time: new Date().toISOString() });
  say("");
  remember();
  present();
}

function back() {
  votes().pop();
  say("Your last choice is taken back.");
  remember();
  present();
}

function save() {
  const quoted = (value) => `"${value.replaceAll('"', '""')}"`;
  const lines = votes().map((vote) => [vote.pair, vote.choice, state.voter, vote.time, STUDY.page].map(quoted).join());
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([["pair,choice,voter,time,page", ...lines, ""].join("\r\n")], { type: "text/csv" }));
  link.download = `votes-${state.voter.replace(/[^\p{L}\p{N}_-]/gu, "_")}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  say(`${link.download}: ${lines.length} choices saved.`);
}

for (const button of document.querySelectorAll(".pair button")) button.addEventListener("click", () => choose(button.dataset.side));
for (const button of document.querySelectorAll(".save")) button.addEventListener("click", save);
find("#back").addEventListener("click", back);
find("#next").addEventListener("click", () => {
  state.voter = "";
  remember();
  say("");
  welcome();
});
find("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const voter = find("#voter").value.trim();
  if (voter) enter(voter);
});

const KEYS = { 1: "left", ArrowLeft: "left", 2: "right", ArrowRight: "right" };

document.addEventListener("keydown", (event) => {
  if (find("#vote").hidden || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (KEYS[event.key]) choose(KEYS[event.key]);
  else if (event.key === "Backspace" && votes().length) back();
  else return;
  event.preventDefault();
});

// -- the beginning ----------------------------------------------------------------------------------------------------

function welcome() {
  show("start");
  find("#voter").value = `v${hash(crypto.getRandomValues(new Uint32Array(2)).join()).toString(36)}`;
  if (!STUDY.pairs.length) {
    find("form .main").disabled = true;
    say("There are no pairs in this study yet.");
  }
}

for (const total of document.querySelectorAll(".total")) total.textContent = STUDY.pairs.length;
recall();
if (state.voter) {
  enter(state.voter);
  if (votes().length) say(`Welcome back: ${votes().length} of ${order.length} pairs are done.`);
} else {
  welcome();
}
