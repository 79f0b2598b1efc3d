import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {test} from 'node:test';
import {describe, fromTyped, partsOf, rangeInWords, toTyped} from '../../renderhub/static/renderhub/js/props_model.js';

const MAIN = JSON.parse(
	readFileSync(new URL('../../compositions/schemas/MainComposition.json', import.meta.url), 'utf8'),
);

const objectOf = (properties, more = {}) => ({type: 'object', properties, ...more});
const read = (schema, values, change = (typed) => typed) => {
	const field = describe(schema, values);
	return fromTyped(field, change(toTyped(field)));
};
const kindOf = (schema) => describe(objectOf({it: schema}), {}).members[0][1].kind;

test('the sample composition has a field for each of its props', () => {
	const {members} = describe(MAIN, {});
	assert.deepEqual(
		members.map(([name, field]) => [name, field.kind]),
		[
			['title', 'text'],
			['subtitle', 'text'],
			['accentColor', 'color'],
			['values', 'list'],
			['durationInSeconds', 'number'],
		],
	);
	assert.deepEqual(members[3][1].item.members.map(([name]) => name), ['label', 'value']);
});

test('untouched, the form sends the defaults', () => {
	const {value, problems} = read(MAIN, {});
	assert.deepEqual(problems, []);
	assert.equal(value.title, 'A week of exports');
	assert.equal(value.values.length, 7);
	assert.equal(value.durationInSeconds, 3);
});

test("the project's own props come before the schema's defaults", () => {
	assert.equal(read(MAIN, {title: 'Mine'}).value.title, 'Mine');
});

test('what is wrong is told with its place', () => {
	const {problems} = read(MAIN, {}, (typed) => {
		typed.members.title = 'x'.repeat(81);
		typed.members.accentColor = '#12';
		typed.members.durationInSeconds = '0';
		typed.members.values[2].members.value = 'many';
		typed.members.values[3].members.label = '';
		return typed;
	});
	assert.deepEqual(
		problems.map(({pointer}) => pointer),
		['/title', '/accentColor', '/values/2/value', '/values/3/label', '/durationInSeconds'],
	);
	assert.equal(problems[0].detail, 'Shorten it to 80 characters; it has 81.');
	assert.equal(problems[4].detail, 'Write a number from 1 to 60.');
});

test('an emoji counts as one character', () => {
	const schema = objectOf({it: {type: 'string', maxLength: 2}});
	assert.deepEqual(read(schema, {it: '🎬🎬'}).problems, []);
});

test('an optional prop that was never there may stay away', () => {
	const schema = objectOf({text: {type: 'string', minLength: 1}, number: {type: 'number'}, json: {}, flag: {type: 'boolean'}});
	assert.deepEqual(read(schema, {}), {value: {}, problems: []});
});

test("a prop of the project that is emptied is sent empty, or the project's would take its place", () => {
	const schema = objectOf({text: {type: 'string'}});
	const emptied = read(schema, {text: 'old'}, (typed) => ({...typed, members: {text: ''}}));
	assert.deepEqual(emptied.value, {text: ''});
});

test('a required prop can not stay away', () => {
	const schema = objectOf({number: {type: 'number'}}, {required: ['number']});
	assert.deepEqual(read(schema, {}).problems.map(({pointer}) => pointer), ['/number']);
});

test('only numbers are numbers', () => {
	const schema = objectOf({it: {type: 'number'}, whole: {type: 'integer'}});
	const of = (it, whole = '1') => read(schema, {it: 1, whole: 1}, () => ({members: {it, whole}, rest: {}}));
	for (const text of ['', ' ', '0x10', '1,5', 'NaN', 'Infinity', '1e999', '--1']) {
		assert.equal(of(text).problems.length, 1, text);
	}
	for (const [text, number] of [['-1.5', -1.5], [' 12 ', 12], ['1e3', 1000], ['.5', 0.5]]) {
		assert.equal(of(text).value.it, number);
	}
	assert.equal(of('1', '1.5').problems[0].detail, 'Write a whole number.');
});

test('a choice keeps the type of its options', () => {
	const schema = objectOf({size: {enum: [1, 'two', null], default: 'two'}});
	assert.deepEqual(read(schema, {}).value, {size: 'two'});
	assert.deepEqual(read(schema, {size: 1}).value, {size: 1});
	assert.deepEqual(read(schema, {size: null}).value, {size: null});
});

test('what the form has no field for is JSON', () => {
	for (const schema of [
		{},
		{anyOf: [{type: 'string'}, {type: 'null'}]},
		{type: ['string', 'null']},
		{type: 'object', additionalProperties: {type: 'number'}},
		{type: 'array', prefixItems: [{}]},
		{$ref: 'https://example.com/else'},
		{$ref: '#/$defs/missing'},
	]) {
		assert.equal(kindOf(schema), 'json', JSON.stringify(schema));
	}
	const schema = objectOf({it: {anyOf: [{type: 'string'}, {type: 'null'}]}});
	assert.deepEqual(read(schema, {it: null}).value, {it: null});
	assert.deepEqual(read(schema, {it: 'a'}).value, {it: 'a'});
	const broken = read(schema, {it: 'a'}, () => ({members: {it: '{'}, rest: {}}));
	assert.match(broken.problems[0].detail, /no valid JSON/);
});

test('without a schema all props are JSON', () => {
	for (const schema of [null, true, {type: 'object'}]) {
		assert.equal(describe(schema, {a: 1}).kind, 'json');
		assert.deepEqual(read(schema, {a: 1}).value, {a: 1});
	}
});

test('a reference within the schema is followed', () => {
	const schema = objectOf({it: {$ref: '#/$defs/colour', title: 'Mine'}}, {$defs: {colour: {type: 'string', format: 'color'}}});
	const [, field] = describe(schema, {}).members[0];
	assert.deepEqual([field.kind, field.title], ['color', 'Mine']);
});

test('a schema that holds itself ends in JSON', () => {
	const schema = {...objectOf({}), $defs: {node: objectOf({child: {$ref: '#/$defs/node'}})}};
	schema.properties.root = {$ref: '#/$defs/node'};
	assert.equal(describe(schema, {}).kind, 'group');
});

test('values of a group that it has no field for are kept', () => {
	const schema = objectOf({rows: {type: 'array', items: objectOf({label: {type: 'string'}})}});
	const props = {rows: [{label: 'a', hidden: 1}]};
	assert.deepEqual(read(schema, props).value, props);
});

test('a required list begins with the rows that it needs', () => {
	const schema = objectOf({rows: {type: 'array', items: {type: 'string'}, minItems: 2}}, {required: ['rows']});
	assert.deepEqual(toTyped(describe(schema, {})).members.rows, ['', '']);
});

test('names are made into words where a title is missing', () => {
	const {members} = describe(objectOf({barColor: {type: 'string'}, bar_width: {type: 'string'}}), {});
	assert.deepEqual(members.map(([, field]) => field.title), ['Bar color', 'Bar width']);
});

test('a pointer is split at its slashes, and unescaped after that', () => {
	assert.deepEqual(partsOf('/a~1b/0/c~0d'), ['a/b', '0', 'c~d']);
	const odd = objectOf({'a/b': {type: 'number'}}, {required: ['a/b']});
	assert.equal(read(odd, {}).problems[0].pointer, '/a~1b');
});

test('ranges are said as far as they go', () => {
	assert.equal(rangeInWords({minimum: 0, maximum: Infinity}), 'of 0 or more');
	assert.equal(rangeInWords({minimum: -Infinity, maximum: 5}), 'of 5 or less');
	assert.equal(rangeInWords({minimum: -Infinity, maximum: Infinity}), '');
});
