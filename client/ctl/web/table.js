// A table that is sorted by a click on a heading, and filled anew with each look.

import {element} from "./dom.js";

export class Table {
  // columns: [{key, title, text, show(row), value(row)}]; value is what is sorted by.
  constructor(table, columns, sortBy, empty) {
    Object.assign(this, {columns, empty, rows: [], sortBy, down: true});
    this.headings = columns.map(column => {
      const heading = element("th", {tabindex: "0", scope: "col", class: column.text ? "text" : ""}, column.title);
      heading.title = column.help ?? "";
      const sort = () => this.sort(column);
      heading.addEventListener("click", sort);
      heading.addEventListener("keydown", event => { if (event.key === "Enter") sort(); });
      return heading;
    });
    this.body = element("tbody");
    table.append(element("thead", {}, element("tr", {}, ...this.headings)), this.body);
  }

  sort(column) {
    this.down = this.sortBy === column.key ? !this.down : !column.text;
    this.sortBy = column.key;
    this.fill(this.rows);
  }

  fill(rows) {
    this.rows = rows;
    const by = this.columns.find(column => column.key === this.sortBy);
    const value = by.value ?? (row => row[by.key]);
    const order = (a, b) => value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0;
    const sorted = [...rows].sort((a, b) => this.down ? order(b, a) : order(a, b));
    this.headings.forEach((heading, i) => {
      const is = this.columns[i] === by;
      heading.setAttribute("aria-sort", is ? this.down ? "descending" : "ascending" : "none");
    });
    this.body.replaceChildren(...sorted.map(row => this.row(row)));
    if (rows.length === 0)
      this.body.append(element("tr", {}, element("td", {class: "none", colspan: this.columns.length}, this.empty)));
  }

  row(row) {
    return element("tr", {}, ...this.columns.map(column => {
      const cell = element("td", {class: column.text ? "text" : ""}, column.show(row));
      if (column.text) cell.title = cell.textContent;
      return cell;
    }));
  }
}
