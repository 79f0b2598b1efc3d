// @ts-check
// The fields of a form for props. What stands in them is described by props_model.js.

import {make, setText} from './elements.js';
import {fromTyped, lengthOf, rangeInWords, toTyped} from './props_model.js';

/** @typedef {import('./props_model.js').Field} Field */
/** @typedef {import('./props_model.js').Typed} Typed */

/**
 * A field on the page.
 * @typedef {object} Control
 * @property {HTMLElement} element
 * @property {() => Typed} typed what stands in it
 * @property {(parts: string[]) => Control} at the control of a part of its value, or the nearest that there is
 * @property {(text: string) => void} setProblem marks it as wrong, or as right again with an empty text
 * @property {() => void} focus
 * @property {() => Control[]} all itself and all within
 * @property {string} name how a message names it
 */

let ids = 0;
const newId = () => `field-${(ids += 1)}`;

/** The form for the props of one project. */
export class PropsForm {
	#field;
	#control;

	/**
	 * @param {Field} field
	 * @param {Typed} typed what shall stand in it
	 */
	constructor(field, typed) {
		this.#field = field;
		this.#control = field.kind === 'group' ? bareGroup(field, typed) : controlOf(field, typed);
		this.element = this.#control.element;
	}

	/** What stands in it. */
	typed() {
		return this.#control.typed();
	}

	/** The props that it means, and what is wrong with them. */
	read() {
		return fromTyped(this.#field, this.typed());
	}

	/**
	 * Returns the control that a pointer leads to, or the nearest around it.
	 *
	 * @param {string[]} parts
	 */
	at(parts) {
		return this.#control.at(parts);
	}

	/** Marks nothing as wrong any more. */
	clearProblems() {
		for (const control of this.#control.all()) {
			control.setProblem('');
		}
	}
}

/**
 * @param {Field} field
 * @param {Typed} typed
 * @param {{label?: string}} [row] how to name it in a list, where the title stands above all rows
 * @returns {Control}
 */
const controlOf = (field, typed, row = {}) => {
	switch (field.kind) {
		case 'group':
			return group(field, /** @type {import('./props_model.js').TypedGroup} */ (typed), row);
		case 'list':
			return list(field, /** @type {Typed[]} */ (typed), row);
		default:
			return single(field, typed, row);
	}
};

/**
 * One input with its label, help and problem.
 *
 * @param {Exclude<Field, import('./props_model.js').GroupField | import('./props_model.js').ListField>} field
 * @param {Typed} typed
 * @param {{label?: string}} row
 * @returns {Control}
 */
const single = (field, typed, row) => {
	const id = newId();
	const input = inputOf(field, typed);
	input.id = id;
	const label = make('label', {for: id}, row.label ?? field.title);
	const problem = make('p', {id: `${id}-problem`, class: 'problem', hidden: true});
	const element = make('div', {class: `field ${field.kind}`});
	const described = [`${id}-problem`];
	if (row.label !== undefined) {
		label.className = 'hidden';
		element.append(label, fieldRow(field, input), problem);
	} else {
		const help = helpOf(field);
		const top = make('div', {class: 'label-row'}, label);
		if (field.kind === 'flag') {
			top.prepend(input);
			element.append(top);
		} else {
			if (field.kind === 'text' && field.maxLength < Infinity) {
				top.append(counter(input, field.maxLength));
			}
			element.append(top, fieldRow(field, input));
		}
		if (help !== '') {
			element.append(make('p', {id: `${id}-help`, class: 'help'}, help));
			described.unshift(`${id}-help`);
		}
		element.append(problem);
	}
	input.setAttribute('aria-describedby', described.join(' '));
	/** @type {Control} */
	const control = {
		element,
		name: row.label ?? field.title,
		typed: () => (input instanceof HTMLInputElement && input.type === 'checkbox' ? input.checked : input.value),
		at: () => control,
		all: () => [control],
		focus: () => input.focus(),
		setProblem(text) {
			setText(problem, text);
			problem.hidden = text === '';
			element.classList.toggle('wrong', text !== '');
			if (text === '') {
				input.removeAttribute('aria-invalid');
			} else {
				input.setAttribute('aria-invalid', 'true');
			}
		},
	};
	// What is being mended is no longer marked.
	input.addEventListener('input', () => control.setProblem(''));
	return control;
};

/**
 * @param {Field} field
 * @param {Typed} typed
 * @returns {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement}
 */
const inputOf = (field, typed) => {
	if (field.kind === 'flag') {
		const input = make('input', {type: 'checkbox'});
		input.checked = typed === true;
		return input;
	}
	if (field.kind === 'choice') {
		const options = field.options.map((option, position) =>
			make('option', {value: position}, typeof option === 'string' ? option : JSON.stringify(option)),
		);
		const empty = field.required || field.initial !== undefined ? [] : [make('option', {value: ''}, 'As the composition has it')];
		const input = make('select', {}, ...empty, ...options);
		input.value = String(typed);
		return input;
	}
	if (field.kind === 'json' || (field.kind === 'text' && field.isLong)) {
		const input = make('textarea', {
			rows: field.kind === 'json' ? Math.min(16, String(typed).split('\n').length + 1) : 3,
			spellcheck: field.kind === 'json' ? 'false' : 'true',
			class: field.kind === 'json' ? 'code' : '',
		});
		input.value = String(typed);
		return input;
	}
	// As text: a number field would lose whatever is no number, and turn at the mouse's wheel.
	const input = make('input', {type: 'text', autocomplete: 'off'});
	if (field.kind === 'number' && field.minimum >= 0) {
		input.inputMode = field.isInteger ? 'numeric' : 'decimal';
	}
	if (field.kind === 'color') {
		input.spellcheck = false;
	}
	input.value = String(typed);
	return input;
};

/**
 * Puts a colour's picker beside it.
 *
 * @param {Field} field
 * @param {HTMLElement} input
 */
const fieldRow = (field, input) => {
	if (field.kind !== 'color' || !(input instanceof HTMLInputElement)) {
		return input;
	}
	const picker = make('input', {type: 'color', 'aria-label': `${field.title}, picker`});
	const follow = () => {
		if (/^#[0-9a-f]{6}$/i.test(input.value)) {
			picker.value = input.value;
		}
	};
	follow();
	input.addEventListener('input', follow);
	picker.addEventListener('input', () => {
		input.value = picker.value;
		input.dispatchEvent(new Event('input', {bubbles: true}));
	});
	return make('div', {class: 'color-row'}, picker, input);
};

/**
 * @param {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} input
 * @param {number} most
 */
const counter = (input, most) => {
	const element = make('span', {class: 'counter', 'aria-hidden': 'true'});
	const count = () => {
		const length = lengthOf(input.value);
		setText(element, `${length} / ${most}`);
		element.classList.toggle('over', length > most);
	};
	count();
	input.addEventListener('input', count);
	return element;
};

/** @param {Field} field */
const helpOf = (field) => {
	const range = field.kind === 'number' ? rangeInWords(field) : '';
	const parts = [field.help, range && `${range.charAt(0).toUpperCase()}${range.slice(1)}.`];
	return parts.filter((part) => part !== '').join(' ');
};

/**
 * The members of a group, one below the other, with no frame around them.
 *
 * @param {import('./props_model.js').GroupField} field
 * @param {Typed} typed
 * @param {(name: string) => {label?: string}} rowOf
 * @returns {Control}
 */
const bareGroup = (field, typed, rowOf = () => ({})) => {
	const {members, rest} = /** @type {import('./props_model.js').TypedGroup} */ (typed);
	/** @type {[string, Control][]} */
	const controls = field.members.map(([name, member]) => [
		name,
		controlOf(member, members[name] ?? toTyped(member), rowOf(member.title)),
	]);
	const problem = make('p', {class: 'problem', hidden: true});
	const element = make('div', {class: 'members'}, ...controls.map(([, control]) => control.element), problem);
	/** @type {Control} */
	const control = {
		element,
		name: field.title,
		typed: () => ({members: Object.fromEntries(controls.map(([name, each]) => [name, each.typed()])), rest}),
		at: ([first, ...more]) => controls.find(([name]) => name === first)?.[1].at(more) ?? control,
		all: () => [control, ...controls.flatMap(([, each]) => each.all())],
		focus: () => controls[0]?.[1].focus(),
		setProblem(text) {
			setText(problem, text);
			problem.hidden = text === '';
		},
	};
	return control;
};

/**
 * A group within the form.
 *
 * @param {import('./props_model.js').GroupField} field
 * @param {import('./props_model.js').TypedGroup} typed
 * @param {{label?: string}} row
 * @returns {Control}
 */
const group = (field, typed, row) => {
	const inner = bareGroup(field, typed);
	const help = field.help === '' ? [] : [make('p', {class: 'help'}, field.help)];
	const element = make('fieldset', {class: 'group'}, make('legend', {}, row.label ?? field.title), ...help, inner.element);
	/** @type {Control} */
	const control = {
		...inner,
		element,
		name: row.label ?? field.title,
		at: (parts) => (parts.length === 0 ? control : orSelf(inner, parts, control)),
		all: () => [control, ...inner.all().slice(1)],
	};
	return control;
};

/**
 * @param {Control} inner
 * @param {string[]} parts
 * @param {Control} self
 */
const orSelf = (inner, parts, self) => {
	const found = inner.at(parts);
	return found === inner ? self : found;
};

/**
 * Rows that can be added and removed. Small rows stand in columns under common titles.
 *
 * @param {import('./props_model.js').ListField} field
 * @param {Typed[]} typed
 * @param {{label?: string}} row
 * @returns {Control}
 */
const list = (field, typed, row) => {
	const {item} = field;
	const title = row.label ?? field.title;
	const columns =
		item.kind === 'group' && item.members.length <= 3 && item.members.every(([, {kind}]) => isSmall(kind))
			? item.members
			: null;
	/** @type {{control: Control, element: HTMLElement, remove: HTMLButtonElement}[]} */
	const rows = [];
	const body = make('div', {class: `rows columns-${columns?.length ?? 1}`});
	const add = make('button', {type: 'button', class: 'button small'}, 'Add a row');
	const problem = make('p', {class: 'problem', hidden: true});
	const help = field.help === '' ? [] : [make('p', {class: 'help'}, field.help)];
	const heads = make(
		'div',
		{class: 'row heads', 'aria-hidden': 'true'},
		...(columns ?? []).map(([, member]) => make('span', {title: member.help}, member.title)),
		make('span'),
	);
	const element = make(
		'fieldset',
		{class: 'list', tabindex: '-1'},
		make('legend', {}, title),
		...help,
		...(columns ? [heads] : []),
		body,
		add,
		problem,
	);

	/** @param {number} position */
	const nameOf = (position) => `${title} ${position + 1}`;

	/** @param {Typed} standing */
	const append = (standing) => {
		const name = nameOf(rows.length);
		const control =
			item.kind === 'group' && columns
				? bareGroup(item, standing, (member) => ({label: `${name}, ${member}`}))
				: controlOf(item, standing, {label: name});
		const remove = make('button', {type: 'button', class: 'button icon', title: 'Remove this row'}, '×');
		const made = {control, remove, element: make('div', {class: 'row'}, control.element, remove)};
		remove.addEventListener('click', () => {
			const position = rows.indexOf(made);
			// Built anew, so that the names count on; what stands in the rows goes with them.
			const standing = rows.filter((each) => each !== made).map((each) => each.control.typed());
			fill(standing);
			(rows[Math.min(position, rows.length - 1)]?.remove ?? add).focus();
			changed();
		});
		rows.push(made);
		body.append(made.element);
	};
	const limit = () => {
		add.disabled = rows.length >= field.maxItems;
		setText(add, add.disabled ? `${rows.length} rows are the most` : 'Add a row');
		heads.hidden = rows.length === 0;
		for (const [position, {remove}] of rows.entries()) {
			remove.setAttribute('aria-label', `Remove ${nameOf(position)}`);
			remove.disabled = rows.length <= field.minItems;
		}
	};
	/** @param {Typed[]} standing */
	const fill = (standing) => {
		rows.length = 0;
		body.replaceChildren();
		standing.forEach(append);
		limit();
	};
	const changed = () => element.dispatchEvent(new Event('input', {bubbles: true}));

	fill(typed);
	add.addEventListener('click', () => {
		append(toTyped(item));
		limit();
		rows.at(-1)?.control.focus();
		changed();
	});

	/** @type {Control} */
	const control = {
		element,
		name: title,
		typed: () => rows.map((each) => each.control.typed()),
		at: ([first, ...more]) => rows[Number(first)]?.control.at(more) ?? control,
		all: () => [control, ...rows.flatMap((each) => each.control.all())],
		focus: () => element.focus(),
		setProblem(text) {
			setText(problem, text);
			problem.hidden = text === '';
		},
	};
	return control;
};

/** @param {Field['kind']} kind */
const isSmall = (kind) => kind === 'text' || kind === 'number' || kind === 'choice';
