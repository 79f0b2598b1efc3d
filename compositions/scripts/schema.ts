// Writes schemas/MainComposition.json; `npm test` fails while it is out of date.
import {writeFileSync} from 'node:fs';
import {mainJsonSchema} from '../src/props';

const file = new URL('../schemas/MainComposition.json', import.meta.url);
writeFileSync(file, `${JSON.stringify(mainJsonSchema(), null, 2)}\n`);
