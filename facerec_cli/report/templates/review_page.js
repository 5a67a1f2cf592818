// What is seen of the state, and what keys and clicks do with it.

(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const pictures = data.served ? null : JSON.parse($("pictures").textContent);
  $("pictures").textContent = "";
  const state = new ReviewState(data);
  const SHOWN = 30; // faces of a group before it is unfolded
  const CHUNK = 48; // single faces in a part of the list
  const selected = new Set();
  const unfolded = new Set();
  let view = "";
  let asked = 0; // place of the question that is shown
  let sort = "doubt";
  let filter = "";
  let list = null;
  let last = null; // the face that was clicked last
  let savedStep;

  function h(tag, values = {}, ...inner) {
    const made = document.createElement(tag);
    for (const [key, value] of Object.entries(values)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (value === true) made.setAttribute(key, "");
      else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
    }
    made.append(...inner.flat().filter((one) => one !== null && one !== false));
    return made;
  }

  const number = (value) => value.toLocaleString("en-US");
  const counted = (value, noun) => `${number(value)} ${noun}${value === 1 ? "" : "s"}`;
  const file = (path) => path.split(/[/\\]/).pop();

  function picture(face) {
    const held = data.served ? true : pictures[face];
    if (!held) return h("span", { class: "gone" }, "no picture");
    const image = h("img", { alt: "", decoding: "async", draggable: "false", width: 112, height: 112 });
    image.src = data.served ? `face/${face}` : `data:image/jpeg;base64,${held}`;
    return image;
  }

  function told(face) {
    const [path, place, , margin] = state.faces[face];
    return `${path}${place ? `, face ${place}` : ""}${margin === null ? "" : `, margin ${margin.toFixed(3)}`}`;
  }

  // A face that can be selected.

  function faceButton(face) {
    const doubtful = state.faces[face][3] !== null && state.faces[face][3] < 0.05;
    const on = selected.has(face);
    return h("button", {
      class: `face${doubtful ? " doubtful" : ""}${on ? " on" : ""}`, type: "button", "data-face": face, tabindex: -1,
      "aria-pressed": String(on), "aria-label": `${told(face)}${doubtful ? ", doubtful" : ""}`, title: told(face),
    }, picture(face));
  }

  // A long list: only what is near the window is in the page.

  class LongList {
    constructor(home, fill) {
      this.home = home;
      this.fill = fill;
      this.parts = new Map();
      this.watch = new IntersectionObserver((seen) => {
        for (const one of seen) one.isIntersecting ? this.mount(one.target) : this.unmount(one.target);
      }, { rootMargin: "900px 0px" });
    }

    show(items) {
      const wanted = new Map(items.map((item) => [item.key, item]));
      for (const [key, part] of this.parts) if (!wanted.has(key)) {
        this.watch.unobserve(part);
        part.remove();
        this.parts.delete(key);
      }
      let before = null;
      for (const item of items) {
        let part = this.parts.get(item.key);
        if (!part) {
          part = h("section", { class: "part", "data-key": item.key });
          part.style.minHeight = `${item.height}px`;
          this.parts.set(item.key, part);
          this.watch.observe(part);
        }
        part.item = item;
        const next = before ? before.nextSibling : this.home.firstChild;
        if (next !== part) this.home.insertBefore(part, next);
        if (part.mounted) this.render(part);
        before = part;
      }
    }

    mount(part) {
      if (part.mounted) return;
      part.mounted = true;
      this.render(part);
    }

    render(part) {
      part.style.minHeight = "";
      part.replaceChildren(...this.fill(part.item));
      const first = part.querySelector("[data-face]");
      if (first) first.tabIndex = 0;
    }

    unmount(part) {
      if (!part.mounted || part.contains(document.activeElement)) return;
      part.style.minHeight = `${part.offsetHeight}px`;
      part.mounted = false;
      part.replaceChildren();
    }
  }

  // The four views.

  function groupsShown() {
    const shown = [];
    state.names.forEach((name, group) => {
      const size = state.members(group).length;
      if (size > 1 || (size && name)) shown.push(group);
    });
    const place = (group) => state.origin[group] * 1e6 + group;
    const key = {
      doubt: (a, b) => place(a) - place(b),
      size: (a, b) => state.members(b).length - state.members(a).length || place(a) - place(b),
      name: (a, b) => (state.names[a] ? 0 : 1) - (state.names[b] ? 0 : 1) || state.names[a].localeCompare(state.names[b]) || place(a) - place(b),
    }[sort];
    return shown.sort(key);
  }

  function singles() {
    const found = [];
    state.names.forEach((name, group) => {
      const some = state.members(group);
      if (some.length === 1 && !name) found.push(some[0]);
    });
    return found;
  }

  const fits = (text) => !filter || text.toLocaleLowerCase().includes(filter.toLocaleLowerCase());
  const groupFits = (group) => fits(state.title(group)) || state.members(group).some((face) => fits(state.faces[face][0]));

  function fillGroup({ group }) {
    const faces = state.members(group);
    const whole = unfolded.has(group) || faces.length <= SHOWN + 4;
    const margins = faces.map((face) => state.faces[face][3]).filter((one) => one !== null);
    const least = margins.length ? `, smallest margin ${Math.min(...margins).toFixed(3)}` : "";
    const rest = faces.length - SHOWN;
    return [
      h("header", {},
        h("h2", { class: state.names[group] ? "" : "unnamed" }, state.title(group)),
        h("p", {}, `${counted(faces.length, "face")}${least}`),
        h("div", { class: "buttons" },
          h("button", { type: "button", onclick: () => askName(group), title: "E" }, state.names[group] ? "Rename" : "Name"),
          h("button", { type: "button", onclick: () => askGroup([], group), title: "M" }, "Merge…"),
          h("button", { type: "button", onclick: () => selectAll(group), title: "A" }, "Select all"))),
      h("div", { class: "faces" }, (whole ? faces : faces.slice(0, SHOWN)).map(faceButton),
        whole ? null : h("button", { class: "more", type: "button", onclick: () => { unfolded.add(group); show(); } }, `${number(rest)} more`)),
    ];
  }

  function rowHeight(faces) {
    const across = Math.max(3, Math.floor((Math.min(innerWidth, 1160) - 60) / 104));
    return 70 + 104 * Math.ceil(Math.min(faces, SHOWN + 1) / across);
  }

  function showGroups() {
    const groups = groupsShown().filter(groupFits);
    list.show(groups.map((group) => ({ key: `g${group}`, group, height: rowHeight(state.members(group).length) })));
    return groups.length;
  }

  function showFaces(faces) {
    const some = faces.filter((face) => fits(state.faces[face][0]));
    const items = [];
    for (let at = 0; at < some.length; at += CHUNK) {
      const part = some.slice(at, at + CHUNK);
      items.push({ key: `c${at}`, faces: part, height: rowHeight(part.length) - 70 });
    }
    list.show(items);
    return some.length;
  }

  // Questions.

  function standing([first, second, face]) {
    // The groups and faces that a question is about now; null where it has an answer already.
    const now = (group) => {
      const faces = data.groups[group][0];
      const at = faces.find((one) => state.of[one] === group) ?? faces.find((one) => state.of[one] !== JUNK);
      return at === undefined ? JUNK : state.of[at];
    };
    if (face >= 0) {
      const group = state.of[face];
      if (group === JUNK || group !== now(first) || state.members(group).length < 2) return null;
      return { face, group, rest: state.members(group).filter((one) => one !== face) };
    }
    const [one, other] = [now(first), now(second)];
    return one === JUNK || other === JUNK || one === other ? null : { one, other };
  }

  function answered(found) {
    for (const answer of state.answers.values()) {
      if (!answer) continue;
      if (found.face !== undefined) {
        if (answer.kind === "same" && answer.a === found.face && state.of[answer.b] === found.group) return true;
      } else if (answer.kind === "not_same") {
        const [a, b] = [state.of[answer.a], state.of[answer.b]];
        if ((a === found.one && b === found.other) || (a === found.other && b === found.one)) return true;
      }
    }
    return false;
  }

  const open = (question) => {
    const found = standing(question);
    return found && !answered(found) ? found : null;
  };

  function stepQuestion(by) {
    const count = data.questions.length;
    for (let away = 1; away <= count; away += 1) {
      const at = (((asked + by * away) % count) + count) % count;
      if (open(data.questions[at])) { asked = at; return; }
    }
  }

  const strip = (faces) => h("div", { class: "strip" }, faces.slice(0, 8).map((face) => h("span", { class: "shown", title: told(face) }, picture(face))),
    faces.length > 8 ? h("small", {}, `and ${number(faces.length - 8)} more`) : null);

  function side(title, faces, large) {
    return h("div", { class: `side${large ? " large" : ""}` }, h("h3", {}, title), h("p", {}, large ? file(state.faces[faces[0]][0]) : counted(faces.length, "face")), strip(faces));
  }

  function showQuestion() {
    const home = $("view");
    const left = data.questions.filter(open).length;
    if (left && !open(data.questions[asked])) stepQuestion(1);
    const found = left ? open(data.questions[asked]) : null;
    if (!found) {
      home.replaceChildren(h("section", { class: "empty" }, h("h2", {}, data.questions.length ? "All questions are answered" : "There are no questions"),
        h("p", {}, "Look through the groups, name them, and save the decisions."),
        h("button", { type: "button", class: "main", onclick: () => go("groups") }, "Look at the groups")));
      return;
    }
    const [, , face, score, why] = data.questions[asked];
    const words = face >= 0
      ? ["Does this face belong to this group?", score === null ? "" : `Its margin is ${score.toFixed(3)}.`]
      : ["Are these two one person?", score === null ? "" : `They score ${score.toFixed(3)}${data.threshold === null ? "" : `; groups are put together from ${data.threshold.toFixed(3)} on`}.`];
    home.replaceChildren(h("section", { class: "question" },
      h("h2", {}, words[0]), h("p", {}, why ? `${why} ` : "", words[1], ` ${counted(left, "question")} left.`),
      h("div", { class: "sides" }, ...(face >= 0
        ? [side("This face", [face], true), side(state.title(found.group), found.rest)]
        : [side(state.title(found.one), state.members(found.one)), side(state.title(found.other), state.members(found.other))])),
      h("div", { class: "answers" },
        h("button", { type: "button", class: "yes", onclick: () => answer(true) }, "Same person ", h("kbd", {}, "Y")),
        h("button", { type: "button", class: "no", onclick: () => answer(false) }, "Not the same ", h("kbd", {}, "N")),
        h("button", { type: "button", onclick: () => { stepQuestion(1); show(); } }, "Skip ", h("kbd", {}, "→")))));
  }

  function answer(same) {
    const question = data.questions[asked];
    const found = question && open(question);
    if (!found) return;
    act(same ? "Same person" : "Not the same", () => {
      if (found.face !== undefined) {
        if (same) state.answer("same", found.face, found.rest[0]);
        else state.apart([found.face]);
        return;
      }
      const [a, b] = [state.members(found.one)[0], state.members(found.other)[0]];
      state.answer(same ? "same" : "not_same", a, b);
      if (same) state.merge(found.one, found.other);
    });
  }

  // Everything that is shown, after every change.

  function go(name) {
    view = name;
    selected.clear();
    last = null;
    const home = $("view");
    home.replaceChildren();
    home.className = `view-${name}`;
    home.setAttribute("aria-labelledby", `tab-${name}`);
    list = null;
    if (name !== "questions") {
      const search = h("input", { type: "search", id: "search", placeholder: "Search names and photos", "aria-label": "Search names and photos", value: filter, oninput: (event) => { filter = event.target.value; show(); } });
      const sorts = h("select", { "aria-label": "Order", onchange: (event) => { sort = event.target.value; show(); } },
        [["doubt", "Doubtful first"], ["size", "Largest first"], ["name", "By name"]].map(([value, text]) => h("option", { value, selected: value === sort }, text)));
      const words = { singles: "Faces that are in no group. Select some to name them, or move them to a group.", junk: "Select faces and press J to take them back." }[name];
      home.append(h("div", { class: "filters" }, search, name === "groups" ? sorts : null, words ? h("p", {}, words) : null));
      const inner = h("div", { class: "long-list" });
      home.append(inner, h("p", { class: "nothing", id: "nothing" }));
      list = new LongList(inner, name === "groups" ? fillGroup : ({ faces }) => [h("div", { class: "faces" }, faces.map(faceButton))]);
    }
    scrollTo(0, 0);
    show();
  }

  function show() {
    const here = document.activeElement?.dataset?.face;
    for (const face of selected) if (view !== "junk" && state.of[face] === JUNK) selected.delete(face);
    let shown = 1;
    if (view === "questions") showQuestion();
    else if (view === "groups") shown = showGroups();
    else shown = showFaces(view === "singles" ? singles() : state.members(JUNK));
    if ($("nothing")) $("nothing").textContent = shown ? "" : filter ? "Nothing is called so." : "Nothing is here.";
    const counts = { questions: data.questions.filter(open).length, groups: groupsShown().length, singles: singles().length, junk: state.members(JUNK).length };
    for (const tab of document.querySelectorAll("[role=tab]")) {
      tab.querySelector("b").textContent = number(counts[tab.dataset.view]);
      tab.setAttribute("aria-selected", String(tab.dataset.view === view));
      tab.tabIndex = tab.dataset.view === view ? 0 : -1;
    }
    const made = state.decisions().length;
    $("summary").textContent = `${counted(state.faces.length, "face")} in ${counted(counts.groups, "group")}, ${counted(made, "decision")}${unsaved() && !data.served ? ", not saved" : ""}`;
    $("undo").disabled = !state.past.length;
    $("redo").disabled = !state.future.length;
    $("save").classList.toggle("waiting", unsaved());
    showActions();
    if (here !== undefined && document.activeElement === document.body) focusFace(Number(here));
  }

  const unsaved = () => state.past[state.past.length - 1] !== savedStep;

  function showActions() {
    const bar = $("actions");
    bar.hidden = !selected.size;
    document.body.classList.toggle("selecting", selected.size > 0);
    if (!selected.size) return;
    const button = (text, key, work) => h("button", { type: "button", onclick: work }, text, " ", h("kbd", {}, key));
    bar.replaceChildren(h("b", {}, `${counted(selected.size, "face")} selected`),
      ...(view === "junk" ? [button("Take back", "J", () => key("j"))] : [
        view === "groups" ? button("Not this person", "X", () => key("x")) : null,
        button("New group", "G", () => key("g")), button("Move to…", "M", () => key("m")), button("Junk", "J", () => key("j")),
      ].filter(Boolean)), button("Clear", "Esc", () => key("escape")));
  }

  let clearing = 0;
  function toast(text, undoable = false) {
    const home = $("toast");
    clearTimeout(clearing);
    home.replaceChildren(h("span", {}, text), undoable ? h("button", { type: "button", onclick: () => key("u") }, "Undo") : "");
    home.classList.add("on");
    clearing = setTimeout(() => home.classList.remove("on"), 6000);
  }

  function act(label, work) {
    if (state.step(label, work)) {
      toast(label, true);
      if (data.served) send();
    }
    show();
  }

  // Focus and selection.

  function focusFace(face) {
    const button = document.querySelector(`[data-face="${face}"]`);
    if (!button) return false;
    for (const other of button.parentElement.querySelectorAll('[tabindex="0"]')) other.tabIndex = -1;
    button.tabIndex = 0;
    button.focus({ preventScroll: true });
    button.scrollIntoView({ block: "nearest" });
    return true;
  }

  const focused = () => (document.activeElement?.dataset?.face === undefined ? null : Number(document.activeElement.dataset.face));
  const partOf = (element) => element?.closest?.(".part");
  const focusedGroup = () => {
    const part = partOf(document.activeElement);
    if (part?.item.group !== undefined) return part.item.group;
    const face = focused();
    return face === null ? null : state.of[face];
  };

  function walk(by, whole) {
    const part = partOf(document.activeElement);
    if (!part) {
      const first = list && [...list.home.children].find((one) => one.getBoundingClientRect().bottom > 80);
      if (first) enter(first, 0);
      return;
    }
    const buttons = [...part.querySelectorAll("[data-face]")];
    const at = buttons.indexOf(document.activeElement);
    if (!whole && at + by >= 0 && at + by < buttons.length) { focusFace(Number(buttons[at + by].dataset.face)); return; }
    const next = by > 0 ? part.nextElementSibling : part.previousElementSibling;
    if (next) enter(next, !whole && by < 0 ? -1 : 0);
  }

  function enter(part, which) {
    list.mount(part);
    const faces = part.querySelectorAll("[data-face]");
    const button = which < 0 ? faces[faces.length - 1] : faces[0];
    if (!button) return;
    part.scrollIntoView({ block: "nearest" });
    focusFace(Number(button.dataset.face));
  }

  function select(face, on = !selected.has(face)) {
    if (on) selected.add(face);
    else selected.delete(face);
    const button = document.querySelector(`[data-face="${face}"]`);
    button?.classList.toggle("on", on);
    button?.setAttribute("aria-pressed", String(on));
  }

  function selectAll(group) {
    const faces = state.members(group);
    const on = !faces.every((face) => selected.has(face));
    unfolded.add(group);
    for (const face of faces) select(face, on);
    show();
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-face]");
    if (!button) return;
    const face = Number(button.dataset.face);
    if (event.shiftKey && last !== null) {
      const all = [...document.querySelectorAll("[data-face]")].map((one) => Number(one.dataset.face));
      const [from, to] = [all.indexOf(last), all.indexOf(face)].sort((a, b) => a - b);
      if (from >= 0) for (const one of all.slice(from, to + 1)) select(one, true);
    } else select(face);
    last = face;
    showActions();
  });

  document.addEventListener("focusin", (event) => {
    const face = event.target.dataset?.face;
    $("detail").textContent = face === undefined ? "" : told(Number(face));
  });

  // Questions to the person: a name, or another group.

  let onAnswer = null;
  function ask(title, label, value, choose) {
    $("ask-title").textContent = title;
    $("ask-label").textContent = label;
    $("ask-text").value = value;
    $("ask-fault").textContent = "";
    $("ask-list").replaceChildren();
    $("ask-names").replaceChildren();
    onAnswer = choose;
    $("ask").returnValue = "";
    $("ask").showModal();
    $("ask-text").select();
  }

  function askName(group) {
    ask(`Who is on ${state.title(group)}?`, "Name", state.names[group], (text) => giveName(group, text));
    const names = new Set([...data.names, ...state.names.filter(Boolean)]);
    $("ask-names").replaceChildren(...[...names].sort().slice(0, 2000).map((name) => h("option", { value: name })));
  }

  function fault(name) {
    if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(name)) return "A name has no signs that cannot be shown.";
    if (name.startsWith("-") || (name && !name.replaceAll(".", ""))) return "A name neither begins with - nor has dots alone.";
    if (["unknown", "none", "nobody", "stranger", "-", "?"].includes(name.toLowerCase())) return "In answers and lists that means nobody.";
    return "";
  }

  function giveName(group, text) {
    const name = text.normalize("NFC").trim();
    const why = fault(name);
    if (why) return why;
    const there = name ? state.called(name) : -1;
    act(there >= 0 && there !== group ? `Merged with ${name}` : name ? `Called ${name}` : "The name is gone", () => state.name(group, name));
    return "";
  }

  function askGroup(faces, group) {
    const verb = faces.length ? `Move ${counted(faces.length, "face")} to` : `Merge ${state.title(group)} with`;
    const from = group ?? -1;
    ask(`${verb}…`, "Search, or a new name", "", (text) => {
      const name = text.normalize("NFC").trim();
      const there = state.names.findIndex((_, one) => one !== from && state.members(one).length && state.title(one) === name);
      if (there >= 0) return moveTo(faces, from, there);
      const why = name ? fault(name) : "Choose one of the groups.";
      if (why) return why;
      if (!faces.length) return giveName(from, name);
      act(`Moved to ${name}`, () => state.name(state.split(faces), name));
      selected.clear();
      show();
      return "";
    });
    const near = new Map();
    const origins = faces.length ? faces.map((face) => state.base[face]) : [...new Set(state.members(from).map((face) => state.base[face]))];
    for (const origin of origins.slice(0, 50)) for (const [other, score] of data.groups[origin]?.[2] || []) near.set(other, Math.max(score ?? -1, near.get(other) ?? -1));
    const order = [...near].sort((a, b) => b[1] - a[1]).map(([other]) => other);
    const choices = () => {
      const text = $("ask-text").value.trim().toLocaleLowerCase();
      const all = [...new Set([...order, ...groupsShown().sort((a, b) => (state.names[b] ? 1 : 0) - (state.names[a] ? 1 : 0))])];
      const some = all.filter((one) => one !== from && state.members(one).length && (!text || state.title(one).toLocaleLowerCase().includes(text))).slice(0, 40);
      $("ask-list").replaceChildren(...some.map((one) => h("button", { type: "button", onclick: () => { moveTo(faces, from, one); closeAsk(); } },
        ...state.members(one).slice(0, 3).map(picture), h("span", {}, state.title(one), h("small", {}, `${counted(state.members(one).length, "face")}${near.has(one) && near.get(one) > -1 ? `, score ${near.get(one).toFixed(3)}` : ""}`)))));
    };
    choices();
    $("ask-text").oninput = choices;
  }

  function moveTo(faces, from, group) {
    if (faces.length) act(`Moved to ${state.title(group)}`, () => state.move(faces, group));
    else act(`Merged with ${state.title(group)}`, () => state.merge(from, group));
    selected.clear();
    show();
    return "";
  }

  $("ask").querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const why = onAnswer?.($("ask-text").value) ?? "";
    $("ask-fault").textContent = why;
    if (!why) closeAsk();
  });
  function closeAsk() { // the focus is back before the next key
    $("ask").close();
    onAnswer = null;
    $("ask-text").oninput = null;
    if (backTo !== null) focusFace(backTo);
  }
  $("ask-cancel").addEventListener("click", closeAsk);
  $("ask").addEventListener("cancel", (event) => { event.preventDefault(); closeAsk(); });
  $("ask").addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const stops = [$("ask-text"), ...$("ask-list").children];
    if (stops.length < 2) return;
    event.preventDefault();
    const at = stops.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
    stops[(at + stops.length) % stops.length].focus();
  });
  let backTo = null;

  // Keys.

  function key(name) {
    const face = focused();
    const faces = selected.size ? [...selected] : face === null ? [] : [face];
    backTo = face;
    const after = () => { const next = neighbor(face); selected.clear(); return next; };
    const acts = {
      "1": () => go("questions"), "2": () => go("groups"), "3": () => go("singles"), "4": () => go("junk"),
      u: () => back(state.undo(), "Undone"), r: () => back(state.redo(), "Done again"),
      "?": () => { $("help").showModal(); },
      "/": () => { if (view === "questions") go("groups"); $("search").focus(); },
      escape: () => { selected.clear(); for (const one of document.querySelectorAll(".face.on")) { one.classList.remove("on"); one.setAttribute("aria-pressed", "false"); } showActions(); },
    };
    const inQuestions = { y: () => answer(true), n: () => answer(false), arrowright: () => { stepQuestion(1); show(); }, arrowleft: () => { stepQuestion(-1); show(); } };
    const inLists = {
      arrowright: () => walk(1, false), arrowleft: () => walk(-1, false), arrowdown: () => walk(1, true), arrowup: () => walk(-1, true),
      " ": () => { if (face !== null) { select(face); last = face; showActions(); } },
      j: () => {
        if (!faces.length) return;
        const next = after();
        if (view === "junk") act("Taken back", () => state.takeBack(faces));
        else act(`${counted(faces.length, "face")} put away as junk`, () => state.throwAway(faces));
        focusFace(next);
      },
    };
    const inGroups = view === "junk" ? {} : {
      a: () => { const group = focusedGroup(); if (group !== null && view === "groups") selectAll(group); },
      e: () => { const group = focusedGroup(); if (group !== null) askName(group); },
      m: () => { const group = focusedGroup(); if (selected.size || view === "singles") { if (faces.length) askGroup(faces, null); } else if (group !== null) askGroup([], group); },
      g: () => { if (!faces.length) return; const next = after(); act("A group of its own", () => state.split(faces)); focusFace(next); },
      x: () => { if (!faces.length || view !== "groups") return; const next = after(); act("Not this person", () => state.apart(faces)); focusFace(next); },
    };
    inLists.delete = inLists.j;
    const work = { ...acts, ...(view === "questions" ? inQuestions : { ...inLists, ...inGroups }) }[name];
    if (!work) return false;
    work();
    return true;
  }

  function neighbor(face) {
    if (face === null) return null;
    const button = document.querySelector(`[data-face="${face}"]`);
    const all = [...(partOf(button)?.querySelectorAll("[data-face]") || [])].map((one) => Number(one.dataset.face));
    const rest = all.filter((one) => !selected.has(one) && (selected.size || one !== face));
    return rest.find((one) => all.indexOf(one) > all.indexOf(face)) ?? rest[rest.length - 1] ?? null;
  }

  function back(step, word) {
    if (!step) return;
    toast(`${word}: ${step.label}`);
    if (data.served) send();
    show();
  }

  document.addEventListener("keydown", (event) => {
    const control = event.ctrlKey || event.metaKey;
    if (control && event.key.toLowerCase() === "s") { event.preventDefault(); save(); return; }
    if (document.querySelector("dialog[open]")) return;
    const typing = event.target.closest?.("input, select, textarea");
    if (typing) {
      if (event.key === "Escape") { typing.blur(); }
      return;
    }
    if (control && event.key.toLowerCase() === "z") { event.preventDefault(); key(event.shiftKey ? "r" : "u"); return; }
    if (control && event.key.toLowerCase() === "y") { event.preventDefault(); key("r"); return; }
    if (control || event.altKey) return;
    const name = event.key.toLowerCase();
    const onButton = event.target.closest?.("button:not([data-face])");
    if (onButton && (name === " " || name === "enter")) return;
    if (onButton?.role === "tab" && name.startsWith("arrow")) {
      const tabs = [...document.querySelectorAll("[role=tab]")];
      const at = tabs.indexOf(onButton) + (name === "arrowright" ? 1 : name === "arrowleft" ? -1 : 0);
      const next = tabs[(at + tabs.length) % tabs.length];
      event.preventDefault();
      go(next.dataset.view);
      next.focus();
      return;
    }
    const always = name.startsWith("arrow") || name === " " || name === "delete" || name === "escape";
    if (!always && !$("single-keys").checked) return;
    if (key(name)) event.preventDefault();
  });

  for (const tab of document.querySelectorAll("[role=tab]")) tab.addEventListener("click", () => go(tab.dataset.view));
  $("undo").addEventListener("click", () => key("u"));
  $("redo").addEventListener("click", () => key("r"));
  $("help-button").addEventListener("click", () => key("?"));
  $("save").addEventListener("click", () => save());
  $("help-apply").textContent = data.apply.replace("FILE", "decisions.json");

  // Saving: a download, or, where the page is served, at once to the disk.

  function save() {
    if (data.served) { send(0); return; }
    const text = `${JSON.stringify(state.document(), null, 1)}\n`;
    const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    const link = h("a", { href: address, download: "decisions.json" });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
    savedStep = state.past[state.past.length - 1];
    toast(`Saved decisions.json. Then: ${data.apply.replace("FILE", "decisions.json")}`);
    show();
  }

  let sending = 0;
  function send(wait = 300) {
    clearTimeout(sending);
    sending = setTimeout(async () => {
      const step = state.past[state.past.length - 1];
      try {
        const answer = await fetch("decisions", { method: "POST", body: JSON.stringify(state.document()) });
        if (!answer.ok) throw new Error(await answer.text());
        savedStep = step;
        $("save").title = "Everything is saved";
      } catch (error) {
        toast(`Not saved: ${error.message}. Is facerec still running?`);
      }
      show();
    }, wait);
  }

  addEventListener("beforeunload", (event) => { if (unsaved()) event.preventDefault(); });

  $("open").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", async () => {
    const chosen = $("file").files[0];
    $("file").value = "";
    if (!chosen) return;
    try {
      const found = JSON.parse(await chosen.text());
      if (found.format !== data.format || found.version !== data.version || !Array.isArray(found.decisions)) throw new Error("it is no file of decisions");
      if (found.page !== data.page || (found.model && data.model && found.model !== data.model)) throw new Error("it is about something else than this page");
      let left = 0;
      act(`Opened ${chosen.name}`, () => { left = state.restore(found.decisions); });
      if (left) toast(`${counted(left, "decision")} of ${chosen.name} name faces that are not on this page`, true);
    } catch (error) {
      toast(`${chosen.name} cannot be used: ${error.message}`);
    }
  });

  if (data.decisions.length) state.step("Decided before", () => state.restore(data.decisions));
  state.past = [];
  if (data.served) $("open").hidden = true;
  go(data.questions.some(open) ? "questions" : "groups");
})();
