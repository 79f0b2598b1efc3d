import {randomUUID} from 'node:crypto';
import {createServer as createHttpServer} from 'node:http';
import {functionError, refused} from './answers.mjs';
import {ACCOUNT_ID, FUNCTION_NAME} from './function.mjs';
import {asError, log} from './log.mjs';

const INVOKE_PATH = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/;
/** The largest payload that Lambda takes in a synchronous invocation: 6 MB. */
const MAX_PAYLOAD_BYTES = 6 * 1024 * 1024;
/** Longer than clients keep a connection unused: one closed under a `start` would leave its outcome unknown. */
const KEEP_ALIVE_MS = 60_000;

/**
 * Makes the HTTP server: Lambda's Invoke for the one function, `/healthz`, and `/faults` where faults are on.
 *
 * @param {{routines: (payload: any) => Promise<import('./answers.mjs').Answer>, region: string,
 *   faults: import('./faults.mjs').Faults | null}} parts
 */
export function createServer({routines, region, faults}) {
	/** @type {Record<string, (body: Buffer) => import('./answers.mjs').Answer>} */
	const pages = {
		'GET /healthz': () => plain({status: 'ok'}),
		...(faults && {
			'GET /faults': () => plain(faults.left()),
			'POST /faults': (body) => {
				faults.replace(JSON.parse(body.toString()));
				return plain(faults.left());
			},
		}),
	};

	/**
	 * @param {import('node:http').IncomingMessage} request
	 * @returns {Promise<import('./answers.mjs').Answer | null>}
	 */
	async function answer(request) {
		const {pathname} = new URL(request.url ?? '/', 'http://localhost');
		const body = await readBody(request);
		const name = request.method === 'POST' ? INVOKE_PATH.exec(pathname)?.[1] : undefined;
		if (name !== undefined) {
			return invoke(decodeURIComponent(name), body);
		}
		const page = pages[`${request.method} ${pathname}`];
		if (page === undefined || body === null) {
			return refused(404, 'UnknownOperationException', `There is no ${request.method} ${pathname} here.`);
		}
		try {
			return page(body);
		} catch (error) {
			return refused(400, 'InvalidParameterValueException', asError(error).message);
		}
	}

	/**
	 * @param {string} name
	 * @param {Buffer | null} body
	 */
	async function invoke(name, body) {
		if (name !== FUNCTION_NAME) {
			const arn = `arn:aws:lambda:${region}:${ACCOUNT_ID}:function:${name}`;
			return refused(404, 'ResourceNotFoundException', `Function not found: ${arn}`);
		}
		if (body === null) {
			const message = `Request must be smaller than ${MAX_PAYLOAD_BYTES} bytes for the InvokeFunction operation`;
			return refused(413, 'RequestEntityTooLargeException', message);
		}
		/** @type {any} */
		let payload;
		try {
			payload = JSON.parse(body.toString());
		} catch (error) {
			const message = `Could not parse request body into json: ${asError(error).message}`;
			return refused(400, 'InvalidRequestContentException', message);
		}
		const run = () => routines(payload).catch((error) => functionError(asError(error)));
		return faults === null ? run() : faults.invoke(payload?.type, run);
	}

	return createHttpServer({keepAliveTimeout: KEEP_ALIVE_MS}, (request, response) => {
		answer(request).then(
			(given) => {
				if (given === null) {
					response.destroy();
					return;
				}
				const headers = {'Content-Type': 'application/json', 'x-amzn-RequestId': randomUUID(), ...given.headers};
				response.writeHead(given.status, headers).end(JSON.stringify(given.body));
			},
			(error) => {
				log('request.failed', {message: asError(error).message});
				response.destroy();
			},
		);
	});
}

/** @param {unknown} body */
const plain = (body) => ({status: 200, headers: {}, body});

/**
 * Reads a body to its end, even one that is too large: a client that still sends would not see the answer.
 *
 * @param {import('node:http').IncomingMessage} request
 * @returns {Promise<Buffer | null>} null where it is larger than Lambda takes
 */
async function readBody(request) {
	/** @type {Buffer[]} */
	const chunks = [];
	let size = 0;
	for await (const chunk of request) {
		size += chunk.length;
		if (size <= MAX_PAYLOAD_BYTES) {
			chunks.push(chunk);
		}
	}
	return size <= MAX_PAYLOAD_BYTES ? Buffer.concat(chunks) : null;
}
