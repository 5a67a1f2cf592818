"use strict";
// What is in which group, what was decided, and undo. Nothing here touches the page.

const JUNK = -1;

class ReviewState {
  constructor(data) {
    this.data = data;
    this.faces = data.faces;
    this.base = new Int32Array(data.faces.length).fill(JUNK);
    data.groups.forEach(([faces], group) => { for (const face of faces) this.base[face] = group; });
    this.of = Int32Array.from(this.base);
    this.order = new Int32Array(data.faces.length);
    let place = 0;
    for (const [faces] of data.groups) for (const face of faces) this.order[face] = place++;
    this.baseNames = data.groups.map((group) => group[1]);
    this.names = [...this.baseNames];
    this.origin = data.groups.map((_, group) => group);
    this.answers = new Map();
    this.past = [];
    this.future = [];
    this.known = null;
  }

  // Steps: each change notes what was there before, so that it can be undone.

  step(label, work) {
    const changes = [];
    this.current = changes;
    work();
    this.current = null;
    if (!changes.length) return false;
    this.past.push({ label, changes });
    this.future = [];
    return true;
  }

  put(table, at, now) {
    const store = this[table];
    const old = store instanceof Map ? store.get(at) : store[at];
    if (old === now) return;
    this.current.push([table, at, old, now]);
    this.write(table, at, now);
  }

  write(table, at, value) {
    const store = this[table];
    if (!(store instanceof Map)) store[at] = value;
    else if (value === undefined) store.delete(at);
    else store.set(at, value);
    this.known = null;
  }

  undo() {
    const step = this.past.pop();
    if (!step) return null;
    for (const [table, at, old] of [...step.changes].reverse()) this.write(table, at, old);
    this.future.push(step);
    return step;
  }

  redo() {
    const step = this.future.pop();
    if (!step) return null;
    for (const [table, at, , now] of step.changes) this.write(table, at, now);
    this.past.push(step);
    return step;
  }

  // What there is.

  members(group) {
    if (!this.known) {
      this.known = this.names.map(() => []);
      this.junk = [];
      this.of.forEach((at, face) => (at === JUNK ? this.junk : this.known[at]).push(face));
      for (const some of this.known) some.sort((a, b) => this.order[a] - this.order[b]);
    }
    return group === JUNK ? this.junk : this.known[group] || [];
  }

  title(group) {
    if (this.names[group]) return this.names[group];
    const made = group >= this.data.groups.length;
    const number = made ? group - this.data.groups.length + 1 : this.data.groups[group][3];
    const single = this.members(group).length === 1;
    return `${made ? (single ? "New single face" : "New group") : single ? "Single face" : "Group"} ${number < 0 ? group + 1 : number}`;
  }

  called(name) {
    return this.names.findIndex((one, group) => one === name && this.members(group).length > 0);
  }

  // Acts, each inside a step.

  newGroup(origin) {
    this.names.push("");
    this.origin.push(this.origin[origin] ?? origin);
    this.known = null;
    return this.names.length - 1;
  }

  move(faces, group) { for (const face of faces) this.put("of", face, group); }

  merge(one, other) {
    if (one === other) return one;
    const weight = (group) => (this.names[group] ? 1e9 : 0) + this.members(group).length;
    const [into, from] = weight(other) > weight(one) ? [other, one] : [one, other];
    this.move([...this.members(from)], into);
    return into;
  }

  split(faces) {
    const group = this.newGroup(this.of[faces[0]] === JUNK ? this.base[faces[0]] : this.of[faces[0]]);
    this.move(faces, group);
    return group;
  }

  apart(faces) { for (const face of faces) if (this.of[face] === JUNK || this.members(this.of[face]).length > 1) this.split([face]); }

  name(group, name) {
    const there = name ? this.called(name) : -1;
    if (there >= 0 && there !== group) {
      this.move([...this.members(group)], there);
      return there;
    }
    this.put("names", group, name);
    return group;
  }

  throwAway(faces) { this.move(faces, JUNK); }

  takeBack(faces) { for (const face of faces) this.put("of", face, this.base[face] === JUNK ? this.newGroup(0) : this.base[face]); }

  answer(kind, a, b) { this.put("answers", `${Math.min(a, b)} ${Math.max(a, b)}`, { kind, a, b }); }

  // What the state comes to, as the decisions of the file: only what is not so from the beginning.

  decisions() {
    const out = [];
    const face = (at) => ({ path: this.faces[at][0], face: this.faces[at][1], key: this.faces[at][2] });
    const add = (kind, faces, more) => out.push({ kind, faces: faces.map(face), ...more });
    const junk = this.members(JUNK).filter((at) => this.base[at] !== JUNK);
    if (junk.length) add("junk", junk);
    const anchors = new Map(); // group -> a face for each part of another origin
    const had = new Map(); // group -> names of the base groups that it goes on with
    const names = [];
    const put = (table, key, value) => (table.has(key) ? table.get(key).push(value) : table.set(key, [value]));
    this.data.groups.forEach(([faces], group) => {
      const parts = new Map();
      for (const at of faces) if (this.of[at] !== JUNK) put(parts, this.of[at], at);
      if (!parts.size) return;
      const largest = [...parts].reduce((a, b) => (b[1].length > a[1].length ? b : a))[0];
      const stays = parts.has(group) ? group : largest;
      const anchor = parts.get(stays)[0];
      const alone = [];
      for (const [now, part] of parts) {
        put(anchors, now, part[0]);
        if (now === stays) continue;
        if (part.length > 1) add("split", part, { from: face(anchor) });
        else alone.push(part[0]);
      }
      if (alone.length) add("not_this_person", alone, { from: face(anchor) });
      if (this.baseNames[group]) had.set(stays, (had.get(stays) || new Set()).add(this.baseNames[group]));
    });
    this.base.forEach((from, at) => { // junk of an earlier result that was taken back
      const now = this.of[at];
      if (from !== JUNK || now === JUNK) return;
      if (this.members(now).length === 1 && !this.names[now]) names.push([now, at]);
      put(anchors, now, at);
    });
    const same = [...this.answers.values()].filter((one) => one && one.kind === "same" && this.of[one.a] === this.of[one.b] && this.of[one.a] !== JUNK);
    const differ = [...this.answers.values()].filter((one) => one && one.kind === "not_same" && this.of[one.a] !== this.of[one.b] && this.of[one.a] !== JUNK && this.of[one.b] !== JUNK);
    for (const [group, some] of anchors) {
      if (some.length > 1) add("merge", some);
      const before = had.get(group) || new Set();
      const kept = before.size === 1 ? [...before][0] : "";
      if (this.names[group] !== kept || before.size > 1) names.push([group, some[0]]);
    }
    for (const one of same) add("same", [one.a, one.b]);
    for (const one of differ) add("not_same", [one.a, one.b]);
    for (const [group, at] of names) add("name", [at], { name: this.names[group] });
    return out;
  }

  document() {
    const { format, version, page, source, model } = this.data;
    return { format, version, page, source, model, saved: new Date().toISOString(), decisions: this.decisions() };
  }

  // An earlier file on top of what is there; gives how many of its decisions name faces that are not here.

  restore(items) {
    const places = new Map(this.faces.map(([path, number], at) => [`${path}\n${number}`, at]));
    const find = (one) => places.get(`${one?.path}\n${one?.face}`);
    let left = 0;
    const usable = [];
    for (const item of items) {
      const known = item.faces.map(find);
      const faces = item.kind === "junk" ? known.filter((at) => at !== undefined) : known;
      const from = item.from ? find(item.from) : null;
      if (faces.includes(undefined) || from === undefined || !faces.length) left += 1;
      else usable.push([item, faces, from]);
    }
    const leaving = (faces, from) => faces.filter((at) => this.of[at] === this.of[from]);
    const join = (faces) => faces.reduce((a, b) => (this.merge(this.of[a], this.of[b]), b));
    const each = (kinds, work) => usable.forEach(([item, faces, from]) => kinds.includes(item.kind) && work(faces, item, from));
    each(["split"], (faces, _, from) => {
      const some = leaving(faces, from);
      if (some.length) this.split(some);
      join(faces);
    });
    each(["not_this_person"], (faces, _, from) => this.apart(leaving(faces, from)));
    each(["merge", "same"], (faces, item) => {
      join(faces);
      if (item.kind === "same") this.answer("same", faces[0], faces[1]);
    });
    each(["not_same"], (faces) => this.answer("not_same", faces[0], faces[1]));
    each(["name"], (faces, item) => this.name(this.of[faces[0]], item.name || ""));
    each(["junk"], (faces) => this.throwAway(faces));
    return left;
  }
}
