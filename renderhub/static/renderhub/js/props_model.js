// @ts-check
// A form for props, made from their JSON Schema: which fields it has, what stands in them, and what that means.
// Nothing here touches the page.

/**
 * @typedef {object} Common
 * @property {string} title
 * @property {string} help
 * @property {boolean} required
 * @property {unknown} initial the value that it begins with, undefined where there is none
 */
/** @typedef {Common & {kind: 'text', minLength: number, maxLength: number, isLong: boolean}} TextField */
/** @typedef {Common & {kind: 'number', minimum: number, maximum: number, isInteger: boolean}} NumberField */
/** @typedef {Common & {kind: 'color', pattern: string}} ColorField */
/** @typedef {Common & {kind: 'flag'}} FlagField */
/** @typedef {Common & {kind: 'choice', options: unknown[]}} ChoiceField */
/** @typedef {Common & {kind: 'group', members: [string, Field][]}} GroupField */
/** @typedef {Common & {kind: 'list', item: Field, minItems: number, maxItems: number}} ListField */
/** @typedef {Common & {kind: 'json'}} JsonField whatever the form has no field for, as JSON */
/**
 * @typedef {TextField | NumberField | ColorField | FlagField | ChoiceField | GroupField | ListField | JsonField} Field
 */

/**
 * What stands in a field: a text (a choice's is the number of its option), a tick, the rows of a list, or the members
 * of a group with the values that it has no field for.
 * @typedef {string | boolean | TypedList | TypedGroup} Typed
 */
/** @typedef {Typed[]} TypedList */
/** @typedef {{members: Record<string, Typed>, rest: Record<string, unknown>}} TypedGroup */

/** @typedef {{pointer: string, detail: string}} Problem */
/** @typedef {Record<string, unknown>} Schema */

const MAX_DEPTH = 6;
const LONG_TEXT = 140;

/**
 * Describes the form.
 *
 * @param {unknown} schema the props' JSON Schema, or null
 * @param {Record<string, unknown>} values the project's own props
 * @returns {Field} a group, or a JSON field where the schema is none that a form can be made of
 */
export const describe = (schema, values) => {
	const field = isRecord(schema) ? fieldOf(schema, 'Props', true, schema, 0) : null;
	if (field?.kind !== 'group') {
		return {kind: 'json', title: 'Props', help: 'A JSON object.', required: true, initial: values};
	}
	for (const [name, member] of field.members) {
		if (name in values) {
			member.initial = values[name];
		}
	}
	// The project's other props need not be sent: an export's are merged over them.
	return {...field, initial: undefined};
};

/**
 * @param {Schema} given
 * @param {string} name
 * @param {boolean} required
 * @param {Schema} root
 * @param {number} depth
 * @returns {Field}
 */
const fieldOf = (given, name, required, root, depth) => {
	const schema = resolve(given, root);
	/** @type {Common} */
	const common = {
		title: textOr(schema?.title, inWords(name)),
		help: textOr(schema?.description, ''),
		required,
		initial: schema?.default,
	};
	/** @type {Field} */
	const json = {...common, kind: 'json'};
	if (schema === null || depth > MAX_DEPTH || ['anyOf', 'oneOf', 'allOf', 'not', 'if'].some((word) => word in schema)) {
		return json;
	}
	if (Array.isArray(schema.enum)) {
		return {...common, kind: 'choice', options: schema.enum};
	}
	switch (schema.type) {
		case 'string': {
			const pattern = textOr(schema.pattern, '');
			if (schema.format === 'color') {
				return {...common, kind: 'color', pattern};
			}
			const maxLength = numberOr(schema.maxLength, Infinity);
			const minLength = numberOr(schema.minLength, 0);
			return {...common, kind: 'text', minLength, maxLength, isLong: maxLength > LONG_TEXT && maxLength < Infinity};
		}
		case 'number':
		case 'integer':
			return {
				...common,
				kind: 'number',
				minimum: numberOr(schema.minimum, -Infinity),
				maximum: numberOr(schema.maximum, Infinity),
				isInteger: schema.type === 'integer',
			};
		case 'boolean':
			return {...common, kind: 'flag'};
		case 'object': {
			const needed = Array.isArray(schema.required) ? schema.required : [];
			if (!isRecord(schema.properties) || isRecord(schema.additionalProperties) || 'patternProperties' in schema) {
				return json;
			}
			/** @type {[string, Field][]} */
			const members = Object.entries(schema.properties).map(([member, inner]) => [
				member,
				fieldOf(isRecord(inner) ? inner : {}, member, needed.includes(member), root, depth + 1),
			]);
			return {...common, kind: 'group', members};
		}
		case 'array':
			if (!isRecord(schema.items) || 'prefixItems' in schema) {
				return json;
			}
			return {
				...common,
				kind: 'list',
				item: fieldOf(schema.items, common.title, true, root, depth + 1),
				minItems: numberOr(schema.minItems, 0),
				maxItems: numberOr(schema.maxItems, Infinity),
			};
		default:
			return json;
	}
};

/**
 * Follows a reference within the schema; what stands beside it counts too.
 *
 * @param {Schema} schema
 * @param {Schema} root
 * @returns {Schema | null} null where it leads nowhere
 */
const resolve = (schema, root) => {
	const reference = schema.$ref;
	if (reference === undefined) {
		return schema;
	}
	if (typeof reference !== 'string' || !reference.startsWith('#/')) {
		return null;
	}
	/** @type {unknown} */
	let found = root;
	for (const part of partsOf(decodeURIComponent(reference.slice(1)))) {
		found = isRecord(found) ? found[part] : undefined;
	}
	if (!isRecord(found) || '$ref' in found) {
		return null;
	}
	const {$ref: _, ...beside} = schema;
	return {...found, ...beside};
};

/**
 * Returns what stands in a field that has a value.
 *
 * @param {Field} field
 * @param {unknown} [value]
 * @returns {Typed}
 */
export const toTyped = (field, value = field.initial) => {
	switch (field.kind) {
		case 'flag':
			return value === true;
		case 'choice': {
			const option = field.options.findIndex((each) => JSON.stringify(each) === JSON.stringify(value));
			return option >= 0 ? String(option) : field.required ? '0' : '';
		}
		case 'group': {
			const values = isRecord(value) ? value : {};
			const rest = {...values};
			/** @type {Record<string, Typed>} */
			const members = {};
			for (const [name, member] of field.members) {
				members[name] = name in values ? toTyped(member, values[name]) : toTyped(member);
				delete rest[name];
			}
			return {members, rest};
		}
		case 'list': {
			const values = Array.isArray(value) ? value : [];
			const rows = values.map((each) => toTyped(field.item, each));
			while (rows.length < field.minItems && value === undefined && field.required) {
				rows.push(toTyped(field.item));
			}
			return rows;
		}
		case 'json':
			return value === undefined ? '' : JSON.stringify(value, null, 2);
		default:
			return value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);
	}
};

/**
 * Returns the value of what stands in a field, undefined where it is left out, and what is wrong with it.
 *
 * Only what a person is best told at once is checked: the API judges all.
 *
 * @param {Field} field
 * @param {Typed} typed
 * @param {string} pointer where it stands (RFC 6901)
 * @returns {{value: unknown, problems: Problem[]}}
 */
export const fromTyped = (field, typed, pointer = '') => {
	// What was never there may stay away; what is there is only ever replaced, or the project's would take its place.
	if (!field.required && field.initial === undefined && isEmpty(typed)) {
		return {value: undefined, problems: []};
	}
	/** @param {string} detail */
	const wrong = (detail) => ({value: typed, problems: [{pointer, detail}]});
	switch (field.kind) {
		case 'group': {
			const {members, rest} = /** @type {TypedGroup} */ (typed);
			/** @type {Record<string, unknown>} */
			const value = {...rest};
			/** @type {Problem[]} */
			const problems = [];
			for (const [name, member] of field.members) {
				const inner = fromTyped(member, members[name] ?? '', `${pointer}/${escape(name)}`);
				problems.push(...inner.problems);
				if (inner.value !== undefined) {
					value[name] = inner.value;
				}
			}
			return {value, problems};
		}
		case 'list': {
			const rows = /** @type {TypedList} */ (typed).map((row, position) =>
				fromTyped(field.item, row, `${pointer}/${position}`),
			);
			return {value: rows.map((row) => row.value), problems: rows.flatMap((row) => row.problems)};
		}
		case 'flag':
			return {value: typed, problems: []};
		case 'choice':
			return {value: field.options[Number(typed)], problems: []};
		case 'json':
			try {
				return {value: JSON.parse(String(typed)), problems: []};
			} catch (error) {
				return wrong(`This is no valid JSON. ${error instanceof Error ? error.message : ''}`.trim());
			}
		case 'number': {
			const text = String(typed).trim();
			const value = Number(text);
			if (!/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) || !Number.isFinite(value)) {
				return wrong(field.isInteger ? 'Write a whole number.' : 'Write a number, such as 12 or 1.5.');
			}
			if (field.isInteger && !Number.isInteger(value)) {
				return wrong('Write a whole number.');
			}
			if (value < field.minimum || value > field.maximum) {
				return wrong(`Write a number ${rangeInWords(field)}.`);
			}
			return {value, problems: []};
		}
		case 'color':
			if (field.pattern !== '' && !fits(String(typed), field.pattern)) {
				return wrong('Write a colour as # and six digits, such as #1f6feb.');
			}
			return {value: typed, problems: []};
		case 'text': {
			const length = lengthOf(String(typed));
			if (length < field.minLength) {
				return wrong(length === 0 ? 'Write something here.' : `Write ${field.minLength} characters at least.`);
			}
			if (length > field.maxLength) {
				return wrong(`Shorten it to ${field.maxLength} characters; it has ${length}.`);
			}
			return {value: typed, problems: []};
		}
	}
};

/**
 * Says which numbers a field takes, empty where it takes all.
 *
 * @param {NumberField} field
 */
export const rangeInWords = ({minimum, maximum}) => {
	if (minimum > -Infinity && maximum < Infinity) {
		return `from ${minimum.toLocaleString('en')} to ${maximum.toLocaleString('en')}`;
	}
	if (minimum > -Infinity) {
		return `of ${minimum.toLocaleString('en')} or more`;
	}
	return maximum < Infinity ? `of ${maximum.toLocaleString('en')} or less` : '';
};

/**
 * Counts characters as JSON Schema does: an emoji is one.
 *
 * @param {string} text
 */
export const lengthOf = (text) => [...text].length;

/**
 * Splits a JSON pointer.
 *
 * @param {string} pointer
 * @returns {string[]}
 */
export const partsOf = (pointer) =>
	pointer
		.split('/')
		.slice(1)
		.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));

/** @param {string} part */
const escape = (part) => part.replaceAll('~', '~0').replaceAll('/', '~1');

/**
 * @param {Typed} typed
 * @returns {boolean}
 */
const isEmpty = (typed) => {
	if (typeof typed !== 'object') {
		return typed === '' || typed === false;
	}
	return Array.isArray(typed) ? typed.length === 0 : Object.values(typed.members).every(isEmpty);
};

/**
 * @param {string} text
 * @param {string} pattern
 */
const fits = (text, pattern) => {
	try {
		return new RegExp(pattern, 'u').test(text);
	} catch {
		return true;
	}
};

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
const isRecord = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * @param {unknown} value
 * @param {string} other
 */
const textOr = (value, other) => (typeof value === 'string' ? value : other);

/**
 * @param {unknown} value
 * @param {number} other
 */
const numberOr = (value, other) => (typeof value === 'number' ? value : other);

/**
 * Makes words of a name: barColor, bar_color → Bar color.
 *
 * @param {string} name
 */
const inWords = (name) => {
	const words = name.replace(/[_-]+/g, ' ').replace(/([a-z\d])([A-Z])/g, (_, end, start) => `${end} ${start.toLowerCase()}`);
	return words.charAt(0).toUpperCase() + words.slice(1);
};
