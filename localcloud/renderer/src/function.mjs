// The function that this service stands in for: what Remotion's default deployment in AWS would be.
import {createRequire} from 'node:module';

/** Remotion's version; a client of another version is turned away, as by the real function. */
export const VERSION = /** @type {{version: string}} */ (
	createRequire(import.meta.url)('@remotion/renderer/package.json')
).version;

export const MEMORY_MB = 2048;
export const DISK_MB = 10240;
export const TIME_LIMIT_S = 900;

/** The name that Remotion would deploy it under, by version and size; localcloud/renderer.py has it too. */
export const FUNCTION_NAME = `remotion-render-${VERSION.replaceAll('.', '-')}-mem${MEMORY_MB}mb-disk${DISK_MB}mb-${TIME_LIMIT_S}sec`;

/** The account that an embedded AWS uses where none is configured. */
export const ACCOUNT_ID = '000000000000';
