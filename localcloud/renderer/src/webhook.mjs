import {createHmac} from 'node:crypto';
import {setTimeout as sleep} from 'node:timers/promises';

const TIMEOUT_MS = 10_000;
const RETRY_AFTER_MS = [500, 1000];

/**
 * @param {string} body
 * @param {string | null | undefined} secret
 */
function signatureOf(body, secret) {
	return secret ? `sha512=${createHmac('sha512', secret).update(body).digest('hex')}` : 'NO_SECRET_PROVIDED';
}

/**
 * Sends one of Remotion's own webhooks (https://www.remotion.dev/docs/lambda/webhooks), with two retries.
 *
 * @param {{url: string, secret?: string | null}} receiver
 * @param {{type: string} & Record<string, unknown>} payload
 */
export async function sendWebhook({url, secret}, payload) {
	const body = JSON.stringify(payload);
	for (let attempt = 0; ; attempt++) {
		try {
			return await post(url, body, {
				'Content-Type': 'application/json',
				// Counted in characters, as the real function does: a body with others than ASCII never arrives.
				'Content-Length': String(body.length),
				'X-Remotion-Mode': 'production',
				'X-Remotion-Signature': signatureOf(body, secret),
				'X-Remotion-Status': payload.type,
			});
		} catch (error) {
			if (attempt === RETRY_AFTER_MS.length) {
				throw error;
			}
			await sleep(RETRY_AFTER_MS[attempt]);
		}
	}
}

/**
 * @param {string} url
 * @param {string} body
 * @param {Record<string, string>} headers
 */
async function post(url, body, headers) {
	const response = await fetch(url, {method: 'POST', headers, body, signal: AbortSignal.timeout(TIMEOUT_MS)});
	await response.body?.cancel();
	if (!response.ok) {
		throw new Error(`Failed to send webhook to ${url}, got status code ${response.status}`);
	}
}
