/* A widget's state in the page's address, so that a reader can pass it on: page.html#sfbc-action?alpha=10&num_candidates=64.
 *
 * Several widgets of a page are separated by ";", the one that was moved last first: a page opened at such an address scrolls
 * to it. Whatever else stands after "#" is an anchor and the browser's business. Only static pages do this: in a live kernel
 * the state is Python's.
 *
 * Sections: 1 values, 2 fragments, 3 the page. Sections 1 and 2 touch no page and are tested under Node.
 */

// ---- 1. Values -------------------------------------------------------------------------------------------------

// Each makes a function from text to a value, or to undefined where the text is none within the limits.

export const parseNumber = (low, high) => (text) => {
  const value = Number(text);
  return /\d/.test(text) && Number.isFinite(value) && value >= low && value <= high ? value : undefined;
};

export const parseWhole = (low, high) => (text) => (/^\d+$/.test(text) ? parseNumber(low, high)(text) : undefined);

export const parseOneOf = (options) => (text) => (options.includes(text) ? text : undefined);

/** A list of as many values as there are parsers, separated by commas. */
export const parseEach = (parsers) => (text) => {
  const values = text.split(",").map((part, i) => parsers[i]?.(part));
  return values.length === parsers.length && !values.includes(undefined) ? values : undefined;
};

// ---- 2. Fragments ----------------------------------------------------------------------------------------------

/** The parts of a fragment as [name, query] pairs; none where the fragment is an anchor. */
function fragmentParts(hash) {
  const parts = hash.replace(/^#/, "").split(";").map((part) => /^sfbc-([\w-]+)\?(.*)$/.exec(part));
  return parts.includes(null) ? [] : parts.map(([, name, query]) => [name, query]);
}

/** What a fragment says about the state of a widget; values that are not within their limits are left out. */
export function readFragment(hash, name, parsers) {
  const query = fragmentParts(hash).find(([other]) => other === name)?.[1];
  if (query === undefined) return null;
  const given = new URLSearchParams(query);
  const values = Object.entries(parsers).map(([key, parse]) => [key, given.has(key) ? parse(given.get(key)) : undefined]);
  return Object.fromEntries(values.filter(([, value]) => value !== undefined));
}

/** The fragment with the state of a widget first, and what it said about other widgets after it. */
export function writeFragment(hash, name, state, parsers) {
  const query = Object.keys(parsers).map((key) => `${key}=${encodeURIComponent(state[key])}`).join("&");
  const others = fragmentParts(hash).filter(([other]) => other !== name);
  return "#" + [[name, query], ...others].map(([part, text]) => `sfbc-${part}?${text}`).join(";").replaceAll("%2C", ",");
}

// ---- 3. The page -----------------------------------------------------------------------------------------------

/** The name of a widget on its page: that of its kind, from the second of its kind on with a number. */
function nameOnPage(host) {
  const { name } = host.dataset, alike = [...document.querySelectorAll(`.sfbc-static-widget[data-name="${name}"]`)];
  const number = alike.indexOf(host) + 1;
  return number > 1 ? `${name}-${number}` : name;
}

/** Scroll to the widget once the page has its final layout: images and formulas move what is below them. */
async function scrollWhenReady(host) {
  if (document.readyState !== "complete") await new Promise((done) => addEventListener("load", done, { once: true }));
  await window.MathJax?.startup?.promise;
  host.scrollIntoView({ block: "start" });
}

/** What connects a static widget with the address: `read()` its state there, `write(state)`, `follow(update)` later changes. */
function addressOf(host, parsers) {
  const name = nameOnPage(host);
  let timer = 0;
  const read = () => readFragment(location.hash, name, parsers);
  const arrive = () => fragmentParts(location.hash)[0]?.[0] === name && scrollWhenReady(host);
  return {
    read,
    write(state) {
      clearTimeout(timer);
      // Browsers refuse more than 100 changes in half a minute, fewer than a moving slider makes.
      timer = setTimeout(() => history.replaceState(history.state, "", writeFragment(location.hash, name, state, parsers)), 400);
    },
    follow(update) {
      arrive();
      addEventListener("hashchange", () => {
        const patch = read();
        if (!patch) return;
        update(patch);
        arrive();
      });
    },
  };
}

