import {returned} from './answers.mjs';
import {FUNCTION_NAME, VERSION} from './function.mjs';
import {asError} from './log.mjs';

/** The names of the API under which a client knows the routines, for the error about its version. */
const API_NAMES = /** @type {Record<string, string>} */ ({
	start: 'renderMediaOnLambda()',
	status: 'getRenderProgress()',
	still: 'renderStillOnLambda()',
});

/**
 * Makes what the function does with a payload, by its `type`.
 *
 * As in the real function, errors of `start` and `still` are returned, those of `status` and of what it doesn't
 * know are thrown.
 *
 * @param {{renders: import('./renders.mjs').Renders, stills: import('./stills.mjs').Stills}} parts
 * @returns {(payload: any) => Promise<import('./answers.mjs').Answer>}
 */
export function createRoutines({renders, stills}) {
	return async (payload) => {
		switch (payload?.type) {
			case 'info':
				return returned({type: 'success', version: VERSION});
			case 'start':
				return returned(await returningErrors(payload, () => renders.start(payload)));
			case 'still':
				return returned(await returningErrors(payload, () => stills.render(payload)));
			case 'status':
				checkVersion(payload);
				return returned(await renders.status(payload));
			default:
				throw new Error(`Command not found: ${JSON.stringify(payload)}`);
		}
	};
}

/**
 * @param {{type: string, version?: string}} payload
 * @param {() => Promise<unknown>} run
 */
async function returningErrors(payload, run) {
	try {
		checkVersion(payload);
		return await run();
	} catch (thrown) {
		const {message, stack} = asError(thrown);
		return {type: 'error', message, stack};
	}
}

/** @param {{type: string, version?: string}} payload */
function checkVersion({type, version}) {
	if (version !== VERSION) {
		throw new Error(
			`Version mismatch: When calling ${API_NAMES[type]}, you passed ${FUNCTION_NAME} as the function, which has the version ${VERSION}, but the @remotion/lambda package you used to invoke the function has version ${version ?? 'unknown'}. See: https://www.remotion.dev/docs/lambda/upgrading`,
		);
	}
}
