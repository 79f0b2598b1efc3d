import assert from 'node:assert/strict';
import {test} from 'node:test';
import {NUMBER_CHARACTERS, numberWriter} from '../src/numbers';

for (const [values, written] of [
	[[312, 7], ['312', '7']],
	[[12.5, -8.25, 0], ['12.50', '\u22128.25', '0.00']],
	[[1234.5, 1], ['1,235', '1']],
	[[99_999.99], ['100,000']],
	[[120_000, 3_456_000], ['120K', '3.5M']],
	[[1e12, -5e9], ['1T', '\u22125B']],
	[[0.1 + 0.2, 1e-9], ['0.3', '0.0']],
	[[], []],
] as const) {
	test(`${JSON.stringify(values)} is written as ${written.join(' and ')}`, () => {
		assert.deepEqual(values.map(numberWriter(values)), written);
	});
}

test('a negative value that counts up never reads as minus zero', () => {
	assert.equal(numberWriter([-20])(-0.2), '0');
});

test('the font is loaded for every character that a number can have', () => {
	const written = numberWriter([-1e12])(-1.5e12) + numberWriter([1e9])(2e9) + numberWriter([-1234])(-1234);
	assert.ok([...written].every((character) => NUMBER_CHARACTERS.includes(character)), written);
});
