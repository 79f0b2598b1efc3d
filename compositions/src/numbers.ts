/** All that a written number can consist of. */
export const NUMBER_CHARACTERS = '0123456789.,\u2212KMBT';

const DIGITS = 4;

/** Counts the decimals that can be shown at all, so that 0.1 + 0.2 has one. */
const decimalsOf = (value: number): number =>
	(String(Number(value.toFixed(DIGITS - 1))).split('.')[1] ?? '').length;

/**
 * Returns what writes all of a chart's values, and those between them while they count up: with as many decimals as
 * the values have, four digits in total where possible, and as 120K or 3.5M from a hundred thousand on.
 */
export const numberWriter = (values: readonly number[]): ((value: number) => string) => {
	const largest = Math.max(0, ...values.map(Math.abs));
	const room = Math.max(0, DIGITS - String(Math.trunc(largest)).length);
	const decimals = Math.min(room, Math.max(0, ...values.map(decimalsOf)));
	const format = new Intl.NumberFormat('en-US', {
		signDisplay: 'negative',
		...(largest >= 100_000
			? {notation: 'compact', maximumFractionDigits: 1}
			: {minimumFractionDigits: decimals, maximumFractionDigits: decimals}),
	});
	return (value) => format.format(value).replace('-', '\u2212');
};
