// Numbers as people read them.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function size(bytes) {
  let unit = 0;
  while (bytes >= 1023.5 && unit < UNITS.length - 1) {
    bytes /= 1024;
    unit++;
  }
  const digits = unit > 0 && bytes < 99.95 ? 1 : 0;
  return `${bytes.toFixed(digits)} ${UNITS[unit]}`;
}

export function count(number) {
  for (const [limit, sign] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]])
    if (number >= limit) {
      const short = number / (sign === "k" ? 1e3 : limit);
      return short.toFixed(short < 100 ? 1 : 0) + sign;
    }
  return number < 10 && number % 1 ? number.toFixed(1) : Math.round(number).toLocaleString("en");
}

export function share(part, whole) {
  return whole > 0 ? `${(100 * part / whole).toFixed(part < whole && part > 0 ? 1 : 0)} %` : "–";
}

export function duration(ms) {
  const s = Math.floor(ms / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${String(Math.floor(s / 60) % 60).padStart(2, "0")} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

export function clock(ms) {
  return new Date(ms).toLocaleTimeString([], {hour: "2-digit", minute: "2-digit", second: "2-digit"});
}
