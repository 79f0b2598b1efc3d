// @ts-check
// Making and changing elements. Whatever comes from outside is only ever text.

/**
 * Makes an element.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number | boolean>} [attributes] false leaves one out, true sets it empty
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export const make = (tag, attributes = {}, ...children) => {
	const made = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) {
		if (value !== false) {
			made.setAttribute(name, value === true ? '' : String(value));
		}
	}
	made.append(...children);
	return made;
};

/**
 * Finds what the template has.
 *
 * @template {HTMLElement} Kind
 * @param {string} id
 * @param {new () => Kind} kind
 * @returns {Kind}
 */
export const find = (id, kind) => {
	const found = document.getElementById(id);
	if (!(found instanceof kind)) {
		throw new Error(`The page has no ${kind.name} #${id}.`);
	}
	return found;
};

/**
 * Changes a text where it differs, so that screen readers hear of what is new alone.
 *
 * @param {Element} element
 * @param {string} text
 */
export const setText = (element, text) => {
	if (element.textContent !== text) {
		element.textContent = text;
	}
};

/**
 * Shows a message, or hides its place where there is none.
 *
 * @param {HTMLElement} place
 * @param {string} text
 */
export const setNotice = (place, text) => {
	setText(place, text);
	place.hidden = text === '';
};
