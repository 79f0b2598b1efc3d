import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {test} from 'node:test';
import {Ajv2020} from 'ajv/dist/2020';
import {mainJsonSchema, parseProps} from '../src/props';

const committed: object = JSON.parse(
	readFileSync(new URL('../schemas/MainComposition.json', import.meta.url), 'utf8'),
);
const validate = new Ajv2020({formats: {color: true}}).compile(committed);

const parses = (props: unknown) => {
	try {
		parseProps(props);
		return true;
	} catch {
		return false;
	}
};

const values = (count: number) => Array.from({length: count}, (_, index) => ({label: `${index}`, value: index}));

test('the committed JSON Schema is the one that the props define; npm run schema writes it', () => {
	assert.deepEqual(committed, JSON.parse(JSON.stringify(mainJsonSchema())));
});

test('the defaults satisfy the JSON Schema', () => {
	assert.ok(validate(parseProps({})), JSON.stringify(validate.errors));
});

for (const [props, isValid] of [
	[{}, true],
	[{title: 'T', subtitle: '', accentColor: '#ABCdef', values: [], durationInSeconds: 1}, true],
	[{title: '😀'.repeat(80)}, true],
	[{title: 'x'.repeat(81)}, false],
	[{title: ''}, false],
	[{title: null}, false],
	[{subtitle: 'x'.repeat(121)}, false],
	[{accentColor: '#abc'}, false],
	[{accentColor: 'red'}, false],
	[{values: values(12)}, true],
	[{values: values(13)}, false],
	[{values: [{label: 'below zero', value: -0.5}]}, true],
	[{values: [{label: 'no value'}]}, false],
	[{values: [{label: '', value: 1}]}, false],
	[{values: [{label: 'x', value: '1'}]}, false],
	[{values: [{label: 'x', value: 1e13}]}, false],
	[{values: [{label: 'x', value: 1, colour: 'red'}]}, false],
	[{durationInSeconds: 0.5}, false],
	[{durationInSeconds: 60}, true],
	[{durationInSeconds: 61}, false],
	[{titel: 'misspelt'}, false],
	[[], false],
	[null, false],
] as const) {
	test(`JSON Schema and render ${isValid ? 'accept' : 'refuse'} ${JSON.stringify(props).slice(0, 70)}`, () => {
		assert.deepEqual({schema: validate(props), render: parses(props)}, {schema: isValid, render: isValid});
	});
}

test('an error names each wrong prop by its path', () => {
	assert.throws(
		() => parseProps({accentColor: 'red', values: [{label: 'x', value: 'y'}]}),
		/break its schema\. accentColor: .+; values\.0\.value: .+/,
	);
});
