// Making elements: all text goes in as text, so nothing that a client has chosen is ever markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

export const byId = id => document.getElementById(id);
export const element = (name, attributes = {}, ...children) =>
  fill(document.createElement(name), attributes, children);
export const shape = (name, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, name), attributes, children);

// The tooltip, beside the pointer and inside the window.
export function showTip(text, x, y) {
  const tip = byId("tip");
  tip.hidden = text === "";
  if (tip.hidden) return;
  tip.textContent = text;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, x + 14 + box.width > innerWidth ? x - 14 - box.width : x + 14)}px`;
  tip.style.top = `${Math.max(4, Math.min(y + 14, innerHeight - box.height - 4))}px`;
}
export const hideTip = () => showTip("", 0, 0);

const style = getComputedStyle(document.documentElement);
export const colour = key => style.getPropertyValue(`--${key}`).trim();
