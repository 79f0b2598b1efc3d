import {z} from 'zod';

// JSON Schema counts code points, Zod's own min() and max() UTF-16 units: an emoji would be one there, two here.
const text = ({min = 0, max}: {min?: number; max: number}) =>
	z
		.string()
		.refine((given) => [...given].length >= min && [...given].length <= max, `Expected ${min} to ${max} characters`)
		.meta({minLength: min, maxLength: max});

const value = z.strictObject({
	label: text({min: 1, max: 24}).meta({title: 'Label', description: 'Stands below the column.'}),
	value: z.number().min(-1e12).max(1e12).meta({
		title: 'Value',
		description: 'The height of the column. Negative values hang below the baseline, zero is a line on it.',
	}),
});

/**
 * The props of MainComposition: the TypeScript type is inferred from this, the JSON Schema in schemas/ is
 * generated from it, and every render is checked against it.
 */
export const mainSchema = z
	.strictObject({
		title: text({min: 1, max: 80}).default('A week of exports').meta({
			title: 'Title',
			description: 'Set as large as its length allows.',
		}),
		subtitle: text({max: 120}).default('Videos finished per day, all projects').meta({
			title: 'Subtitle',
			description: 'One or two lines below the title; may be empty.',
		}),
		accentColor: z
			.string()
			.regex(/^#[0-9a-fA-F]{6}$/)
			.default('#8b7bff')
			.meta({
				title: 'Accent colour',
				description: 'As #rrggbb. A light colour is shown on a dark stage, a dark one on a light stage.',
				format: 'color',
			}),
		values: z
			.array(value)
			.max(12)
			.default([
				{label: 'Mon', value: 312},
				{label: 'Tue', value: 428},
				{label: 'Wed', value: 391},
				{label: 'Thu', value: 567},
				{label: 'Fri', value: 684},
				{label: 'Sat', value: 246},
				{label: 'Sun', value: 198},
			])
			.meta({
				title: 'Values',
				description: 'The columns of the chart, from left to right. Without any, the title stands alone.',
			}),
		durationInSeconds: z.number().min(1).max(60).default(3).meta({
			title: 'Duration',
			description: 'The length of the video in seconds.',
		}),
	})
	.meta({title: 'MainComposition', description: 'A title and a list of values, drawn as an animated chart.'});

/** What the component receives: every prop is there, defaults filled in. */
export type MainProps = z.output<typeof mainSchema>;

/** What a caller may send: every prop is optional. */
export type MainInput = z.input<typeof mainSchema>;

/**
 * Checks props and fills in defaults.
 *
 * @throws an Error that names each wrong prop by its path, in one line of plain text.
 */
export const parseProps = (input: unknown): MainProps => {
	const result = mainSchema.safeParse(input);
	if (!result.success) {
		const problems = result.error.issues.map((issue) => `${issue.path.join('.') || 'props'}: ${issue.message}`);
		throw new Error(`The props of MainComposition break its schema. ${problems.join('; ')}`);
	}
	return result.data;
};

/** The props' JSON Schema (2020-12), as it stands in schemas/MainComposition.json. */
export const mainJsonSchema = (): object =>
	z.toJSONSchema(mainSchema, {target: 'draft-2020-12', io: 'input'});
